"""Diagnosis: claims and volumes that are not bound, not deleted or not enlarged (D19, D31)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta

from jfsnb.checks.codes import register, result
from jfsnb.checks.diagnosis.findings import Case, Cause, cause_of, describe, finding
from jfsnb.checks.diagnosis.pod_state import ENDING, RECENT, START, is_ready
from jfsnb.checks.diagnosis.said import Said, ago, newest_first, said_in
from jfsnb.checks.diagnosis.snapshot import Snapshot, rule
from jfsnb.checks.diagnosis.symptoms.claims import CLAIM
from jfsnb.checks.model import CheckResult, Evidence, Verdict
from jfsnb.driver.mountpods.mount_pods import Obj, claims_of, parse_time
from jfsnb.driver.settings import quantity

DELETED = register(
    "JFS-PVC-103",
    "Claims and volumes that are deleted go away",
    "Somebody still uses it, the driver could not delete its data, or the CSI controller does not run.",
    "Do what the reason says; never remove a finalizer by hand while somebody uses it.",
)
RESIZED = register(
    "JFS-PVC-104",
    "Claims get the size that they ask for",
    "The class does not allow it, or the driver could not set the quota.",
    "Do what the reason says.",
)
VOLUME = "JFS-PVC-105"
UNBOUND = "JFS-PVC-102"


@rule(
    "JFS-PVC-101",
    "Each volume has a volumeHandle of its own",
    "A static PV was copied; the kubelet mounts only one of the two in one Pod, and waits forever for the other.",
    "Give each PV its own volumeHandle, best its own name.",
    needs=["pvs"],
    wants=["daemon_set", "csi_pods"],
)
def duplicate_handles(snapshot: Snapshot) -> Iterator[CheckResult]:
    by_handle: dict[str, list[str]] = defaultdict(list)
    for pv in snapshot.pvs:
        csi = pv.get("spec", {}).get("csi") or {}
        if csi.get("driver") == snapshot.driver_name:
            by_handle[csi.get("volumeHandle", "")].append(pv["metadata"]["name"])
    for handle, volumes in by_handle.items():
        if len(volumes) > 1:
            evidence = [Evidence(f"pv/{v}", "spec.csi.volumeHandle", handle) for v in volumes]
            yield result("JFS-PVC-101", Verdict.WARN, f"{', '.join(volumes)} have the same volumeHandle", evidence)


@rule(
    UNBOUND,
    "Claims for JuiceFS are bound",
    "Provisioning failed, no volume fits, or the class does not exist.",
    "Look at the claim's events and the CSI controller's log.",
    needs=["pvcs", "storage_classes", "pvs"],
    wants=["events", "app_pods", "controller_pods", "daemon_set", "csi_pods"],
)
def claims(snapshot: Snapshot) -> Iterator[CheckResult]:
    for pvc in snapshot.pvcs:
        whose = _whose(snapshot, pvc)
        found = _claim(snapshot, pvc, whose) if whose else None
        if found is not None:
            yield found


def _whose(snapshot: Snapshot, pvc: Obj) -> str:
    """``ours``: a claim for JuiceFS; ``nobody's``: unbound, and no class or volume tells whose; empty: another's."""
    meta, spec = pvc["metadata"], pvc.get("spec") or {}
    notes, wanted = meta.get("annotations") or {}, spec.get("storageClassName")
    name = spec.get("volumeName", "")
    provisioners = {v for k, v in notes.items() if k.endswith("kubernetes.io/storage-provisioner")}
    referred = (meta.get("namespace", ""), meta["name"]) in snapshot.pvs_by_claim
    classes = {c["metadata"]["name"]: c.get("provisioner") for c in snapshot.storage_classes}
    if name in snapshot.pv_by_name or referred or snapshot.driver_name in provisioners:
        return "ours"
    if classes.get(wanted or "") == snapshot.driver_name:
        return "ours"
    static = {(v.get("spec") or {}).get("storageClassName") or "" for v in snapshot.pvs}
    if (pvc.get("status") or {}).get("phase") == "Bound" or provisioners:
        return ""
    if wanted and wanted not in classes:
        return "ours" if wanted in static or _sounds_like(wanted) else "nobody's"
    return "nobody's" if wanted == "" and not name and "" in static else ""


def _sounds_like(name: str) -> bool:
    return any(word in name.lower() for word in ("juicefs", "jfs"))


def _claim(snapshot: Snapshot, pvc: Obj, whose: str) -> CheckResult | None:
    meta, phase = pvc["metadata"], (pvc.get("status") or {}).get("phase", "")
    events = _warnings(snapshot, pvc, "PersistentVolumeClaim")
    case = _case(UNBOUND, "pvc", meta, f"is {phase or 'new'}", events)
    due = parse_time(meta.get("deletionTimestamp"))
    if due is not None:
        return _not_deleted(snapshot, pvc, case) if snapshot.now - due > ENDING else None
    if phase == "Lost":
        name = (pvc.get("spec") or {}).get("volumeName", "")
        cause = Cause(f"its volume {name} is gone (Lost)", "Make the volume again by hand, or a new claim.")
        return finding(case, cause, Verdict.FAIL, snapshot.now)
    if phase != "Bound":
        return _unbound(snapshot, pvc, case, whose)
    return _resize(snapshot, pvc, case, events)


def _unbound(snapshot: Snapshot, pvc: Obj, case: Case, whose: str) -> CheckResult | None:
    created = parse_time(pvc["metadata"].get("creationTimestamp"))
    if created is not None and snapshot.now - created < START and not case.events:
        return None
    wanted = (pvc.get("spec") or {}).get("storageClassName") or ""
    classes = {c["metadata"]["name"]: c for c in snapshot.storage_classes}
    waits = (classes.get(wanted) or {}).get("volumeBindingMode") == "WaitForFirstConsumer"
    if waits and not case.events and not _users(snapshot, pvc):
        reason = f"{case.name} waits for its first Pod, as its class {wanted} wants"
        return result(UNBOUND, Verdict.NA, reason, [Evidence(case.obj, "volumeBindingMode", "WaitForFirstConsumer")])
    cause = cause_of((), case.events, CLAIM)
    if cause is None and wanted and wanted not in classes:
        cause = Cause(f"there is no StorageClass {wanted}, and no volume fits", "Make the class, or correct its name.")
    if cause is None and not case.events:
        cause = _no_volume_fits(snapshot, pvc) or _controller_is_away(snapshot)
    settled = whose == "ours" and (bool(case.events) or cause is not None)
    verdict = Verdict.FAIL if settled else Verdict.NOT_READY if whose == "ours" else Verdict.WARN
    return finding(case, cause, verdict, snapshot.now)


def _no_volume_fits(snapshot: Snapshot, pvc: Obj) -> Cause | None:
    """Of the volume that a claim names, or that names the claim: what keeps the two apart."""
    meta, spec = pvc["metadata"], pvc.get("spec") or {}
    named = snapshot.pv_by_name.get(spec.get("volumeName", ""))
    referring = snapshot.pvs_by_claim.get((meta.get("namespace", ""), meta["name"]), [])
    for pv in (*referring, *([named] if named is not None and named not in referring else [])):
        theirs = pv.get("spec") or {}
        ref, refers = theirs.get("claimRef") or {}, pv in referring
        name, why = pv["metadata"]["name"], ""
        if ref and not refers:
            why = f"belongs to {ref.get('namespace')}/{ref.get('name')}"
        elif refers and ref.get("uid") not in (None, "", meta.get("uid")):
            why = "still belongs to an earlier claim of this name"
        elif (theirs.get("storageClassName") or "") != (spec.get("storageClassName") or ""):
            why = f"is of class {theirs.get('storageClassName') or 'none'}"
        elif not set(spec.get("accessModes") or ()) <= set(theirs.get("accessModes") or ()):
            why = f"has access modes {', '.join(theirs.get('accessModes') or ())}"
        elif _bytes((theirs.get("capacity") or {}).get("storage")) < _requested(pvc):
            why = f"is only {(theirs.get('capacity') or {}).get('storage')}"
        if why:
            return Cause(f"its volume {name} {why}", "Make the two agree; a released one must lose its claimRef.")
    if spec.get("volumeName") and spec["volumeName"] not in snapshot.pv_by_name:
        return Cause(f"its volume {spec['volumeName']} does not exist", "Make the volume, or name another.")
    return None


def _controller_is_away(snapshot: Snapshot) -> Cause | None:
    if snapshot.controller_pods and not any(map(is_ready, snapshot.controller_pods)):
        return Cause("no CSI controller is ready to make its volume", "Look at the finding about the CSI controller.")
    return None


def _not_deleted(snapshot: Snapshot, obj: Obj, case: Case) -> CheckResult:
    meta = obj["metadata"]
    due = parse_time(meta.get("deletionTimestamp")) or snapshot.now
    users = _users(snapshot, obj)
    cause = cause_of((), case.events, CLAIM)
    if users:
        more = f" and {len(users) - 1} more" if len(users) > 1 else ""
        cause = Cause(f"{users[0]}{more} still uses it", "Delete the Pods that use it first.")
    held = ", ".join(meta.get("finalizers") or ())
    status = (Said("metadata.finalizers", held),) if held else ()
    state = f"was deleted {ago(snapshot.now, due)} and is still there"
    case = Case(DELETED, case.obj, case.name, state, case.look, status, case.events)
    return finding(case, cause, Verdict.FAIL, snapshot.now)


def _users(snapshot: Snapshot, pvc: Obj) -> list[str]:
    """App Pods that name a claim."""
    namespace, name = pvc["metadata"].get("namespace", ""), pvc["metadata"]["name"]
    pods = (p for p in snapshot.app_pods if p["metadata"].get("namespace") == namespace)
    return [f"pod {p['metadata']['name']}" for p in pods if name in {claim for _, claim in claims_of(p)}]


def _resize(snapshot: Snapshot, pvc: Obj, case: Case, events: tuple[Said, ...]) -> CheckResult | None:
    """A bound claim that asks for more than it has, or that something warns of."""
    status = pvc.get("status") or {}
    has = (status.get("capacity") or {}).get("storage")
    conditions = [c for c in status.get("conditions") or () if c.get("status") == "True"]
    said = [
        Said(f"condition {c['type']}", str(c.get("message") or c["type"]), parse_time(c.get("lastTransitionTime")))
        for c in conditions
    ]
    behind = has is not None and _bytes(has) < _requested(pvc)
    failed = [v for v in (status.get("allocatedResourceStatuses") or {}).values() if "Infeasible" in v or "Error" in v]
    recent = [s for s in events if s.at is None or snapshot.now - s.at < RECENT]
    if not behind and not failed:
        if not recent:
            return None
        warned = Case(VOLUME, case.obj, case.name, "is bound, with a warning", case.look, (), recent)
        return finding(warned, cause_of((), recent, CLAIM), Verdict.WARN, snapshot.now)
    wanted = (((pvc.get("spec") or {}).get("resources") or {}).get("requests") or {}).get("storage")
    state = f"asks for {wanted} and has {has}" + (f" ({failed[0]})" if failed else "")
    cause = cause_of(said, recent, CLAIM) or _class_forbids(snapshot, pvc) or _controller_is_away(snapshot)
    young = any(s.at and snapshot.now - s.at < ENDING for s in said)
    sure = bool(failed or recent or cause) or not young
    resized = Case(RESIZED, case.obj, case.name, state, case.look, said, recent)
    return finding(resized, cause, Verdict.FAIL if sure else Verdict.NOT_READY, snapshot.now)


def _class_forbids(snapshot: Snapshot, pvc: Obj) -> Cause | None:
    wanted = (pvc.get("spec") or {}).get("storageClassName") or ""
    found = next((c for c in snapshot.storage_classes if c["metadata"]["name"] == wanted), None)
    if found is not None and not found.get("allowVolumeExpansion"):
        return Cause(f"its class {wanted} does not allow to enlarge it", "Set allowVolumeExpansion: true in the class.")
    return None


@rule(
    VOLUME,
    "Nothing is wrong with claims and volumes that are there",
    "The PV has failed, its claim is gone (policy Retain keeps it), or an event warns of claim or volume.",
    "Look at the events, and at the CSI controller's log.",
    needs=["pvs"],
    wants=["events", "pvcs", "app_pods", "controller_pods"],
)
def volumes(snapshot: Snapshot) -> Iterator[CheckResult]:
    for pv in snapshot.pvs:
        meta, phase = pv["metadata"], (pv.get("status") or {}).get("phase", "")
        events = _warnings(snapshot, pv, "PersistentVolume")
        case = _case(VOLUME, "pv", meta, f"is {phase or 'new'}", events)
        due = parse_time(meta.get("deletionTimestamp"))
        policy = (pv.get("spec") or {}).get("persistentVolumeReclaimPolicy")
        if due is not None:
            if snapshot.now - due > ENDING:
                yield _volume_not_deleted(snapshot, pv, case)
        elif phase == "Failed":
            said = (Said("status.message", str((pv.get("status") or {}).get("message") or "Failed")),)
            failed = Case(VOLUME, case.obj, case.name, case.state, case.look, said, events)
            yield finding(failed, cause_of(said, events, CLAIM), Verdict.FAIL, snapshot.now)
        elif phase == "Released" and policy == "Delete" and _since(pv, snapshot) > ENDING:
            state = "was released and is not deleted, although its policy is Delete"
            released = Case(DELETED, case.obj, case.name, state, case.look, (), events)
            cause = cause_of((), events, CLAIM) or _controller_is_away(snapshot)
            yield finding(released, cause, Verdict.FAIL, snapshot.now)
        else:
            recent = [s for s in events if s.at is None or snapshot.now - s.at < RECENT]
            if phase == "Released":
                reason = f"{case.name} is kept after its claim has gone (policy {policy}), with its data"
                yield result(VOLUME, Verdict.NA, reason, [Evidence(case.obj, "status.phase", phase)])
            elif recent:
                warned = Case(VOLUME, case.obj, case.name, f"is {phase}, with a warning", case.look, (), recent)
                yield finding(warned, cause_of((), recent, CLAIM), Verdict.WARN, snapshot.now)


def _volume_not_deleted(snapshot: Snapshot, pv: Obj, case: Case) -> CheckResult:
    found = _not_deleted(snapshot, pv, case)
    ref = (pv.get("spec") or {}).get("claimRef") or {}
    claim = snapshot.pvc_by_key.get((ref.get("namespace", ""), ref.get("name", "")))
    if claim is None or (claim.get("status") or {}).get("phase") != "Bound":
        return found
    text = f"{case.name}: claim {ref['namespace']}/{ref['name']} is still bound to it"
    return result(DELETED, Verdict.FAIL, text, found.evidence, "Delete the claim first, when nobody needs it any more.")


def _since(pv: Obj, snapshot: Snapshot) -> timedelta:
    at = parse_time((pv.get("status") or {}).get("lastPhaseTransitionTime"))
    return snapshot.now - at if at else timedelta.max


def _case(code: str, kind: str, meta: Obj, state: str, events: tuple[Said, ...]) -> Case:
    namespace = meta.get("namespace", "")
    name = f"{namespace}/{meta['name']}" if namespace else f"{kind}/{meta['name']}"
    return Case(code, f"{kind}/{meta['name']}", name, state, describe(kind, namespace, meta["name"]), events=events)


def _warnings(snapshot: Snapshot, obj: Obj, kind: str) -> tuple[Said, ...]:
    return newest_first(said_in(e) for e in snapshot.about(obj, kind) if e.get("type") == "Warning")


def _requested(pvc: Obj) -> int:
    requests = ((pvc.get("spec") or {}).get("resources") or {}).get("requests") or {}
    return _bytes(requests.get("storage"))


def _bytes(text: object) -> int:
    return int(quantity.parse(str(text))) if text else 0
