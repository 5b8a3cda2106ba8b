"""For the engineer on call: read-only questions, to a cluster or to a snapshot of one."""

from __future__ import annotations

from jfsnb.checks import preflight as preflight_checks
from jfsnb.checks.codes import Unreadable
from jfsnb.checks.diagnosis.rules import examine
from jfsnb.checks.model import SEVERITY, CheckResult
from jfsnb.checks.snapshot import Snapshot
from jfsnb.cluster.client import Cluster
from jfsnb.queries import collect
from jfsnb.queries import explain as explaining
from jfsnb.queries import mounts as mounting
from jfsnb.queries import verify as verifying
from jfsnb.queries.finding import Finding
from jfsnb.queries.model import Row

Source = Cluster | Snapshot


def mounts(at: Source, driver_namespace: str = "", node: str = "", everyone: bool = False) -> Finding:
    """See jfsnb.queries.mounts; ``everyone``: ask each Mount Pod for its client, however many there are."""
    known = at if isinstance(at, Snapshot) else collect.for_mounts(at, driver_namespace, node, everyone)
    return mounting.mounts(known, node)


def verify(at: Source, namespace: str, target: str, image: str = "", driver_namespace: str = "") -> Finding:
    """See jfsnb.queries.verify."""
    known = at if isinstance(at, Snapshot) else collect.for_verify(at, namespace, target, driver_namespace)
    return verifying.verify(known, namespace, target, image)


def explain(at: Source, namespace: str, claim: str, node: str = "", driver_namespace: str = "") -> Finding:
    """See jfsnb.queries.explain."""
    known = at if isinstance(at, Snapshot) else collect.for_explain(at, namespace, claim, driver_namespace)
    return explaining.explain(known, namespace, claim, node)


def doctor(at: Source, driver_namespace: str = "", everyone: bool = False) -> Finding:
    """The whole cluster without any parameter. Rows, worst first: object, code, verdict, reason, next_action."""
    known = at if isinstance(at, Snapshot) else collect.for_doctor(at, driver_namespace, everyone)
    config_map = known.part("config_map")
    first = (
        preflight_checks.driver_installed(known.part("csi_driver"), known.part("daemon_set")),
        preflight_checks.mount_pod_mode(known.deployment),
        preflight_checks.config_known(known.deployment),
        preflight_checks.config_loads(config_map if isinstance(config_map, Unreadable) else known.config_text),
    )
    checks = sorted((*first, *examine(known)), key=lambda c: (SEVERITY.index(c.verdict), c.code))
    return Finding(tuple(_doctor_row(c) for c in checks), tuple(checks))


def _doctor_row(check: CheckResult) -> Row:
    return {
        "object": check.evidence[0].object if check.evidence else "",
        "code": check.code,
        "verdict": str(check.verdict),
        "reason": check.reason,
        "next_action": check.next_action,
    }
