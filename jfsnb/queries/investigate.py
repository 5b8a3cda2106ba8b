"""For the engineer on call: read-only questions about any cluster."""

from __future__ import annotations

from jfsnb.checks import preflight as preflight_checks
from jfsnb.checks.diagnosis.rules import examine
from jfsnb.checks.model import SEVERITY, CheckResult
from jfsnb.cluster.client import Cluster
from jfsnb.driver import names
from jfsnb.queries import driver_facts
from jfsnb.queries import snapshot as look
from jfsnb.queries.explain import explain
from jfsnb.queries.finding import Finding
from jfsnb.queries.model import Row
from jfsnb.queries.mounts import mounts
from jfsnb.queries.verify import verify

__all__ = ["Finding", "doctor", "explain", "mounts", "verify"]


def doctor(cluster: Cluster, driver_namespace: str = "") -> Finding:
    """The whole cluster without any parameter. Rows, worst first: object, code, verdict, reason, next_action."""
    driver = driver_facts.find_driver(cluster, driver_namespace)
    taken = look.snapshot(cluster, driver)
    first = (
        preflight_checks.driver_installed(cluster.find("csidrivers", name=names.DRIVER), driver.daemon_set),
        preflight_checks.mount_pod_mode(driver.deployment),
        preflight_checks.config_known(driver.deployment),
        preflight_checks.config_loads(driver.config_text),
    )
    checks = sorted((*first, *examine(taken)), key=lambda c: (SEVERITY.index(c.verdict), c.code))
    return Finding(tuple(_doctor_row(c) for c in checks), tuple(checks))


def _doctor_row(check: CheckResult) -> Row:
    return {
        "object": check.evidence[0].object if check.evidence else "",
        "code": check.code,
        "verdict": str(check.verdict),
        "reason": check.reason,
        "next_action": check.next_action,
    }
