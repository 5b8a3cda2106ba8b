"""All Mount Pods of a cluster: whom each serves, with which client, and what the next mount would do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from jfsnb.checks import client as client_checks
from jfsnb.checks import configured
from jfsnb.checks.codes import Unreadable
from jfsnb.checks.leftover import leftovers
from jfsnb.checks.model import SEVERITY, CheckResult, Verdict
from jfsnb.checks.parts import NOT_READ
from jfsnb.checks.serving import mount_pod_ready
from jfsnb.checks.snapshot import NOT_ASKED, Loaded, Snapshot
from jfsnb.driver.config.merging import ImageDecision
from jfsnb.driver.mountpods.mount_pods import MountPod
from jfsnb.driver.names import RECORDED
from jfsnb.driver.settings.prediction import WOULD_FAIL, Prediction
from jfsnb.queries import clients
from jfsnb.queries.clients import ASKED_FOR_CLIENTS, not_asked
from jfsnb.queries.finding import Finding
from jfsnb.queries.model import Row, Table
from jfsnb.queries.next_mount import next_mount

Obj = dict[str, Any]
NOBODY = "nobody uses it"


def mounts(known: Snapshot, node: str = "") -> Finding:
    """All Mount Pods.

    Args:
        node: only those on this node.

    Rows: name, node, volume, claim, image, client, desired_image, next_mount, phase, ready, references, serves,
    age_seconds, verdict, reason. Table "configuration in force": node, pod, state, why.
    """
    rows, checks = [], []
    for obj, pod in zip(known.mount_pods, known.parsed, strict=True):
        if node not in ("", pod.node):
            continue
        judged, coming = _judged(known, obj, pod)
        versions = known.clients.of(pod.name)
        judged += client_checked(pod, None if versions in (NOT_READ, not_asked(ASKED_FOR_CLIENTS)) else versions)
        rows.append(_row(known, pod, judged, coming))
        checks += judged
    here = [one.state for one in known.loaded.values() if node in ("", one.state.node)]
    asked = [state for state in here if state.state != NOT_ASKED]
    if asked:
        checks.append(configured.in_force(asked, [s.node for s in asked]))
    config_map = known.part("config_map")
    checks += leftovers(None if isinstance(config_map, Unreadable) else config_map, (), known.now)
    ordered = tuple(sorted(rows, key=lambda r: (r["node"], r["name"])))
    return Finding(ordered, tuple(checks), {"configuration in force": config_rows(known.loaded.values())})


def _judged(known: Snapshot, obj: Obj, pod: MountPod) -> tuple[list[CheckResult], str]:
    """Checks, and what the next mount of its volume would do, in words."""
    checks = [mount_pod_ready(pod)]
    if not pod.references:
        return checks, NOBODY
    pv_name, is_ce = pod.references[0].pv_name, pod.command.is_ce
    checks.append(client_checks.desired_image(pod, known.desired(pv_name, pod.node, is_ce)))
    recorded = pod.annotations.get(RECORDED) == "true"
    return checks, words_of(next_mount(known, pv_name, pod.node, is_ce, recorded=recorded), pod.name)


def words_of(coming: Prediction | Unreadable, name: str = "") -> str:
    """A prediction for a narrow column; ``name``: of the Mount Pod whose row it is."""
    if isinstance(coming, Unreadable):
        return f"not known: {coming.why}"
    if coming.reuse is not None:
        return "uses it" if name in ("", coming.reuse.name) else f"uses {coming.reuse.name}"
    if coming.reason.startswith(WOULD_FAIL):
        return coming.reason
    fields = [d.field for d in coming.differences]
    more = f", {len(fields) - 2} more" if len(fields) > 2 else ""
    return f"a new one ({', '.join(fields[:2])}{more})" if fields else "a new one"


def client_checked(pod: MountPod, versions: Mapping[str, str | Unreadable] | Unreadable | None) -> list[CheckResult]:
    """What the client itself says: its tag is honest, and what runs is what a restart would bring.

    Args:
        versions: by source (jfsnb.queries.clients); None where nobody is to be asked.
    """
    if versions is None:
        return []
    if isinstance(versions, Unreadable):
        return [client_checks.honest_tag(pod.image, versions)]
    supervisor = versions.get(client_checks.SUPERVISOR)
    told = [client_checks.honest_tag(pod.image, clients.best(versions)[1], supervisor)]
    agreed = client_checks.running_client(versions, None, pod.name)
    return [*told, agreed] if agreed.verdict is Verdict.FAIL else told


def worst(checks: list[CheckResult]) -> CheckResult:
    return min(checks, key=lambda c: SEVERITY.index(c.verdict))


def config_rows(found: Iterable[Loaded]) -> Table:
    """Columns node, pod, state, why."""
    states = sorted((one.state for one in found), key=lambda s: (s.state == NOT_ASKED, s.node))
    return tuple({"node": s.node, "pod": s.pod, "state": s.state, "why": s.detail} for s in states)


def app_pod_name(known: Snapshot, uid: str) -> str:
    """``namespace/name``, or that it is gone, or that it is not known."""
    if isinstance(known.part("app_pods"), Unreadable):
        return f"(not known: {uid[:8]})"
    meta = known.app_pod_by_uid.get(uid, {}).get("metadata")
    return f"{meta['namespace']}/{meta['name']}" if meta else f"(gone: {uid[:8]})"


def _row(known: Snapshot, pod: MountPod, checks: list[CheckResult], coming: str) -> Row:
    pv_name = pod.references[0].pv_name if pod.references else ""
    decision = known.desired(pv_name, pod.node, pod.command.is_ce) if pv_name else Unreadable(NOBODY)
    versions = known.clients.of(pod.name)
    client = versions if isinstance(versions, Unreadable) else clients.best(versions)[1]
    bad = worst(checks)
    return {
        "name": pod.name,
        "node": pod.node,
        "volume": pv_name or pod.unique_id,
        "claim": known.claim_name(pv_name),
        "image": pod.image,
        "client": "" if client == NOT_READ else clients.shown(client),
        "desired_image": decision.image if isinstance(decision, ImageDecision) else "",
        "next_mount": coming,
        "phase": pod.phase,
        "ready": pod.ready,
        "references": len(pod.references),
        "serves": ", ".join(app_pod_name(known, r.pod_uid) for r in pod.references),
        "age_seconds": round((known.now - pod.created).total_seconds()) if pod.created else None,
        "verdict": str(bad.verdict),
        "reason": "" if bad.verdict is Verdict.PASS else bad.reason,
    }
