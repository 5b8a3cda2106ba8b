"""All Mount Pods of a cluster: whom each serves, with which client, and what the next mount would do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from jfsnb.checks import client as client_checks
from jfsnb.checks import configured
from jfsnb.checks.codes import Unreadable
from jfsnb.checks.model import SEVERITY, CheckResult, Verdict
from jfsnb.checks.serving import mount_pod_ready
from jfsnb.cluster.client import Cluster
from jfsnb.driver.config.merging import ImageDecision
from jfsnb.driver.mountpods.mount_pods import MountPod
from jfsnb.driver.names import RECORDED
from jfsnb.driver.settings.prediction import Prediction
from jfsnb.queries import clients, driver_facts
from jfsnb.queries.finding import Finding
from jfsnb.queries.inventory import Inventory
from jfsnb.queries.loaded import NOT_ASKED
from jfsnb.queries.loaded import rows_of as config_rows
from jfsnb.queries.model import Row

Obj = dict[str, Any]
#: More Mount Pods than this are not each asked which client runs in them, unless that is wished.
ASKED_FOR_CLIENTS = 30
THREADS = 16
NOBODY = "nobody uses it"


def mounts(cluster: Cluster, driver_namespace: str = "", node: str = "", deep: bool = False) -> Finding:
    """All Mount Pods.

    Args:
        node: only those on this node.
        deep: ask each one which client runs, however many there are.

    Rows: name, node, volume, claim, image, client, desired_image, next_mount, phase, ready, references, serves,
    age_seconds, verdict, reason. Table "configuration in force": node, pod, state, why.
    """
    known = Inventory.of(cluster, driver_namespace)
    now = datetime.now(UTC)
    found = [(pod, *_judged(known, obj, pod)) for obj, pod in known.mount_pods() if node in ("", pod.node)]
    running = _running(known, [pod for pod, _, _ in found], deep)
    rows, checks = [], []
    for pod, judged, coming in found:
        versions = running.get(pod.uid)
        client = None if versions is None else clients.best(versions)[1]
        judged += client_checked(pod, versions)
        rows.append(_row(known, pod, judged, coming, client, now))
        checks += judged
    nodes = config_rows(known.loaded.values())
    states = [
        one.state for one in known.loaded.values() if one.state.state != NOT_ASKED and node in ("", one.state.node)
    ]
    if states:
        checks.append(configured.in_force(states, [s.node for s in states]))
    ordered = tuple(sorted(rows, key=lambda r: (r["node"], r["name"])))
    return Finding(ordered, tuple(checks), {"configuration in force": nodes})


def _judged(known: Inventory, obj: Obj, pod: MountPod) -> tuple[list[CheckResult], str]:
    """Checks, and what the next mount of its volume would do, in words."""
    checks = [mount_pod_ready(pod)]
    if not pod.references:
        return checks, NOBODY
    pv_name, is_ce = pod.references[0].pv_name, pod.command.is_ce
    checks.append(client_checks.desired_image(pod, known.desired(pv_name, pod.node, is_ce)))
    return checks, words_of(known.next_mount(pv_name, pod.node, [obj], is_ce))


def words_of(coming: Prediction | Unreadable) -> str:
    """A prediction for a narrow column."""
    if isinstance(coming, Unreadable):
        return f"not known: {coming.why}"
    if coming.reuse is not None:
        return "uses it"
    fields = [d.field for d in coming.differences]
    more = f", {len(fields) - 2} more" if len(fields) > 2 else ""
    return f"a new one ({', '.join(fields[:2])}{more})" if fields else "a new one"


def client_checked(pod: MountPod, versions: dict[str, str | Unreadable] | None) -> list[CheckResult]:
    """What the client itself says: its tag is honest, and what runs is what a restart would bring.

    Args:
        versions: by source (jfsnb.queries.clients); None when it was not asked.
    """
    if versions is None:
        return []
    told = [client_checks.honest_tag(pod.image, clients.best(versions)[1])]
    agreed = client_checks.running_client(versions, None, pod.name)
    return [*told, agreed] if agreed.verdict is Verdict.FAIL else told


def _running(known: Inventory, pods: list[MountPod], deep: bool) -> dict[str, dict[str, str | Unreadable]]:
    """UID → versions of the client by source, for Ready Mount Pods on Ready nodes."""
    ready = driver_facts.ready_nodes(known.nodes.values())
    asked = [p for p in pods if p.ready and p.node in ready and p.annotations.get(RECORDED) != "true"]
    if len(asked) > ASKED_FOR_CLIENTS and not deep:
        return {}
    with ThreadPoolExecutor(THREADS) as pool:
        answers = pool.map(lambda p: clients.in_mount_pod(known.cluster, p), asked)
        return dict(zip((p.uid for p in asked), answers, strict=True))


def worst(checks: list[CheckResult]) -> CheckResult:
    return min(checks, key=lambda c: SEVERITY.index(c.verdict))


def _row(
    known: Inventory,
    pod: MountPod,
    checks: list[CheckResult],
    coming: str,
    client: str | Unreadable | None,
    now: datetime,
) -> Row:
    pv_name = pod.references[0].pv_name if pod.references else ""
    decision = known.desired(pv_name, pod.node, pod.command.is_ce) if pv_name else Unreadable(NOBODY)
    bad = worst(checks)
    return {
        "name": pod.name,
        "node": pod.node,
        "volume": pv_name or pod.unique_id,
        "claim": known.claim_name(pv_name),
        "image": pod.image,
        "client": "" if client is None else clients.shown(client),
        "desired_image": decision.image if isinstance(decision, ImageDecision) else "",
        "next_mount": coming,
        "phase": pod.phase,
        "ready": pod.ready,
        "references": len(pod.references),
        "serves": ", ".join(known.app_pod(r.pod_uid) for r in pod.references),
        "age_seconds": round((now - pod.created).total_seconds()) if pod.created else None,
        "verdict": str(bad.verdict),
        "reason": "" if bad.verdict is Verdict.PASS else bad.reason,
    }
