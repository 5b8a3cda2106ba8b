"""For the engineer on call: read-only questions about any cluster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jfsnb.checks import client as client_checks
from jfsnb.checks import preflight as preflight_checks
from jfsnb.checks.codes import Unreadable
from jfsnb.checks.diagnosis import examine
from jfsnb.checks.model import SEVERITY, CheckResult, Verdict, overall
from jfsnb.checks.serving import mount_pod_ready, served_by_one
from jfsnb.driver import names
from jfsnb.driver.config import DriverConfig, ImageDecision, effective_image
from jfsnb.driver.mountpods import MountPod, Pairing, VolumePairing, claims_of, pair
from jfsnb.errors import ConfigInvalid, PermissionMissing
from jfsnb.kube.cluster import Cluster
from jfsnb.steps import clients, look
from jfsnb.steps import driver as driver_facts
from jfsnb.steps.driver import Driver
from jfsnb.steps.model import Row, Table

Obj = dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """An answer to a question.

    Args:
        rows: the table that answers it.
        checks: what was judged.
    """

    rows: Table
    checks: tuple[CheckResult, ...] = ()

    @property
    def verdict(self) -> Verdict:
        return overall(c.verdict for c in self.checks) if self.checks else Verdict.NA


class _Desired:
    """Which image the next Mount Pod of a PV on a node would get; decided once for each pair."""

    def __init__(self, cluster: Cluster, driver: Driver, nodes: dict[str, Obj]) -> None:
        self.driver, self.nodes = driver, nodes
        try:
            self.config: DriverConfig | None = driver.config()
        except ConfigInvalid:
            self.config = None
        self.pvs = {v["metadata"]["name"]: v for v in cluster.list("persistentvolumes")}
        claims = cluster.list("persistentvolumeclaims")
        self.claims = {(c["metadata"]["namespace"], c["metadata"]["name"]): c for c in claims}
        self._known: dict[tuple[str, str, bool], ImageDecision | Unreadable] = {}

    def claim_of(self, pv_name: str) -> str:
        """``namespace/name`` of the claim that a PV is bound to; empty when there is none."""
        ref = (self.pvs.get(pv_name) or {}).get("spec", {}).get("claimRef") or {}
        return f"{ref['namespace']}/{ref['name']}" if ref else ""

    def image(self, pv_name: str, node: str, is_ce: bool) -> ImageDecision | Unreadable:
        key = (pv_name, node, is_ce)
        if key not in self._known:
            self._known[key] = self._decide(pv_name, node, is_ce)
        return self._known[key]

    def _decide(self, pv_name: str, node: str, is_ce: bool) -> ImageDecision | Unreadable:
        if self.config is None:
            return Unreadable("config.yaml cannot be loaded")
        pv = self.pvs.get(pv_name)
        if pv is None:
            return Unreadable(f"PV {pv_name} is not there")
        ref = pv["spec"].get("claimRef") or {}
        claim = self.claims.get((ref.get("namespace", ""), ref.get("name", "")))
        env = self.driver.deployment.env
        return effective_image(self.config, claim, self.nodes.get(node), pv=pv, env=env, is_ce=is_ce)


def mounts(cluster: Cluster, driver_namespace: str = "") -> Finding:
    """All Mount Pods.

    Rows: name, node, volume, claim, image, desired_image, phase, ready, references, serves, age_seconds, verdict,
    reason.
    """
    driver = driver_facts.find_driver(cluster, driver_namespace)
    nodes = {n["metadata"]["name"]: n for n in cluster.list("nodes")}
    desired = _Desired(cluster, driver, nodes)
    users = _users(cluster)
    now = datetime.now(UTC)
    rows, checks = [], []
    for pod in _mount_pods(cluster, driver):
        found = _judge(pod, desired)
        worst = _worst(found)
        checks += found
        rows.append(_mount_row(pod, desired, users, now, worst))
    return Finding(tuple(sorted(rows, key=lambda r: (r["node"], r["name"]))), tuple(checks))


def _mount_pods(cluster: Cluster, driver: Driver) -> Iterator[MountPod]:
    """Page by page, so that only their facts are held in memory."""
    for page in cluster.pages("pods", driver.namespace, labels=names.MOUNT_POD_SELECTOR):
        yield from map(MountPod.from_object, page)


def _users(cluster: Cluster) -> dict[str, str]:
    """UID → namespace/name of the app Pods that use JuiceFS: the driver labels them before it mounts."""
    try:
        pages = cluster.pages("pods", labels=names.UNIQUE_ID, metadata_only=True)
        metas = (item["metadata"] for page in pages for item in page)
        return {m["uid"]: f"{m['namespace']}/{m['name']}" for m in metas}
    except PermissionMissing:
        return {}


def _judge(pod: MountPod, desired: _Desired) -> list[CheckResult]:
    found = [mount_pod_ready(pod)]
    if pod.references:
        decision = desired.image(pod.references[0].pv_name, pod.node, pod.command.is_ce)
        found.append(client_checks.desired_image(pod, decision))
    return found


def _worst(checks: list[CheckResult]) -> CheckResult:
    return min(checks, key=lambda c: SEVERITY.index(c.verdict))


def _mount_row(pod: MountPod, desired: _Desired, users: dict[str, str], now: datetime, worst: CheckResult) -> Row:
    pv_name = pod.references[0].pv_name if pod.references else ""
    decision = desired.image(pv_name, pod.node, pod.command.is_ce) if pv_name else Unreadable("nobody uses it")
    return {
        "name": pod.name,
        "node": pod.node,
        "volume": pv_name or pod.unique_id,
        "claim": desired.claim_of(pv_name),
        "image": pod.image,
        "desired_image": decision.image if isinstance(decision, ImageDecision) else "",
        "phase": pod.phase,
        "ready": pod.ready,
        "references": len(pod.references),
        "serves": ", ".join(users.get(r.pod_uid, f"(gone: {r.pod_uid[:8]})") for r in pod.references),
        "age_seconds": round((now - pod.created).total_seconds()) if pod.created else None,
        "verdict": str(worst.verdict),
        "reason": "" if worst.verdict is Verdict.PASS else worst.reason,
    }


def verify(cluster: Cluster, namespace: str, pod: str, image: str = "", driver_namespace: str = "") -> Finding:
    """Which client serves this Pod, per volume, and is it the one that the configuration asks for?

    Args:
        image: expect this image instead of what the configuration says.

    Rows: volume, claim, mount_pod, node, image, image_id, client, desired_image, verdict, reason.

    Raises:
        NotInCluster: there is no such Pod, or no driver.
    """
    app = cluster.get("pods", namespace, pod)
    driver = driver_facts.find_driver(cluster, driver_namespace)
    desired = _Desired(cluster, driver, {n["metadata"]["name"]: n for n in cluster.list("nodes")})
    claims = [desired.claims[namespace, c] for _, c in claims_of(app) if (namespace, c) in desired.claims]
    process = driver.deployment.process_mode
    pairing = pair(app, claims, desired.pvs.values(), _mount_pods(cluster, driver), process_mode=process)
    if not pairing.volumes:
        return Finding((), (served_by_one(pairing),))
    rows, checks = [], []
    for volume in pairing.volumes:
        row, found = _verify_volume(cluster, pairing, volume, desired, image)
        rows.append(row)
        checks += found
    return Finding(tuple(rows), tuple(checks))


def _verify_volume(
    cluster: Cluster, pairing: Pairing, volume: VolumePairing, desired: _Desired, image: str
) -> tuple[Row, list[CheckResult]]:
    checks = [served_by_one(pairing, volume.claim)]
    serving = volume.mount_pod
    runs: str | Unreadable = Unreadable(volume.problem or f"{pairing.mode} mode")
    decision: ImageDecision | Unreadable = Unreadable("there is no Mount Pod")
    if serving is not None:
        decision = desired.image(volume.pv, serving.node, serving.command.is_ce)
        versions = clients.in_mount_pod(cluster, serving)
        runs = clients.best(versions)[1]
        checks.append(mount_pod_ready(serving))
        checks.append(
            client_checks.spec_image(serving, image) if image else client_checks.desired_image(serving, decision)
        )
        checks.append(client_checks.honest_tag(serving.image, runs))
    worst = _worst(checks)
    row = {
        "volume": volume.volume,
        "claim": volume.claim,
        "mount_pod": serving.name if serving else "",
        "node": pairing.node,
        "image": serving.image if serving else pairing.sidecar_image,
        "image_id": serving.image_id if serving else "",
        "client": clients.shown(runs),
        "desired_image": image or (decision.image if isinstance(decision, ImageDecision) else ""),
        "verdict": str(worst.verdict),
        "reason": worst.reason,
    }
    return row, checks


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
