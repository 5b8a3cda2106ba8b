"""For the engineer on call: read-only questions, to a cluster or to a snapshot of one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jfsnb.checks import preflight as preflight_checks
from jfsnb.checks.codes import Unreadable
from jfsnb.checks.diagnosis.rules import examine
from jfsnb.checks.model import SEVERITY, CheckResult
from jfsnb.checks.parts import NotRead
from jfsnb.checks.snapshot import Snapshot
from jfsnb.cluster.client import Cluster
from jfsnb.driver.deployment import Deployment
from jfsnb.errors import BundleInvalid
from jfsnb.queries import collect
from jfsnb.queries import explain as explaining
from jfsnb.queries import mounts as mounting
from jfsnb.queries import verify as verifying
from jfsnb.queries.finding import Finding
from jfsnb.queries.model import Row

Source = Cluster | Snapshot


@contextmanager
def faults_of_file(name: str) -> Iterator[None]:
    """Objects that look strange are the fault of the file they come from, and one error.

    Args:
        name: of the file; empty for a live cluster, where they are a fault of ours.

    Raises:
        BundleInvalid: there was one.
    """
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        if not name:
            raise
        what = f"an object in {name} looks strange ({type(error).__name__}: {str(error)[:200]})"
        raise BundleInvalid(what, "collect again: jfsnb collect") from error


def mounts(at: Source, driver_namespace: str = "", node: str = "", everyone: bool = False) -> Finding:
    """See jfsnb.queries.mounts; ``everyone``: ask each Mount Pod for its client, however many there are."""
    known = at if isinstance(at, Snapshot) else collect.for_mounts(at, driver_namespace, node, everyone)
    with faults_of_file(known.file):
        return mounting.mounts(known, node)


def verify(at: Source, namespace: str, target: str, image: str = "", driver_namespace: str = "") -> Finding:
    """See jfsnb.queries.verify."""
    known = at if isinstance(at, Snapshot) else collect.for_verify(at, namespace, target, driver_namespace)
    with faults_of_file(known.file):
        return verifying.verify(known, namespace, target, image)


def explain(at: Source, namespace: str, claim: str, node: str = "", driver_namespace: str = "") -> Finding:
    """See jfsnb.queries.explain."""
    known = at if isinstance(at, Snapshot) else collect.for_explain(at, namespace, claim, driver_namespace)
    with faults_of_file(known.file):
        return explaining.explain(known, namespace, claim, node)


def doctor(at: Source, driver_namespace: str = "", everyone: bool = False) -> Finding:
    """The whole cluster without any parameter. Rows, worst first: object, code, verdict, reason, next_action."""
    known = at if isinstance(at, Snapshot) else collect.for_doctor(at, driver_namespace, everyone)
    with faults_of_file(known.file):
        return _doctor(known)


def _doctor(known: Snapshot) -> Finding:
    config_map = known.part("config_map")
    try:
        driver: Deployment | Unreadable = known.deployment
    except NotRead as error:
        driver = error.unreadable
    first = (
        preflight_checks.driver_installed(known.part("csi_driver"), known.part("daemon_set")),
        preflight_checks.mount_pod_mode(driver),
        preflight_checks.config_known(driver),
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
