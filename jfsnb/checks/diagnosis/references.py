"""Diagnosis: do references, Mount Pods and app Pods fit together? (D15, D16, D19, D20, D35)"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta

from jfsnb.checks.codes import result
from jfsnb.checks.diagnosis.snapshot import Snapshot, rule
from jfsnb.checks.model import CheckResult, Evidence, Verdict
from jfsnb.driver import names
from jfsnb.driver.mountpods.deletion import reason_to_stay
from jfsnb.driver.mountpods.mount_pods import MountPod, Obj, claims_of

#: How long a Mount Pod without references may be seen before it counts as leaked: the driver's resync is 10 minutes.
_GRACE = timedelta(minutes=15)


@rule(
    "JFS-MNT-101",
    "Mount Pods without users go away",
    "Its last reference is gone, it has no delete delay, and still nobody deletes it.",
    "Look at the CSI node's log on its node; delete the Mount Pod if nothing uses it.",
    needs=["mount_pods"],
)
def leaked(snapshot: Snapshot) -> Iterator[CheckResult]:
    for pod in snapshot.parsed:
        old = pod.created is not None and snapshot.now - pod.created > _GRACE
        if old and not pod.deleting and not reason_to_stay(pod, snapshot.now):
            evidence = [_pod(pod, "references", "0"), _pod(pod, "creationTimestamp", str(pod.created))]
            yield result("JFS-MNT-101", Verdict.WARN, f"{pod.name} serves nobody", evidence)


@rule(
    "JFS-MNT-102",
    "Shared mounts are shared",
    "Their effective settings differ (options, secrets, entries of mountPodPatch), so the driver cannot share them.",
    "Compare the Mount Pods' images, options and labels; give the PVCs the same settings.",
    needs=["mount_pods"],
)
def not_shared(snapshot: Snapshot) -> Iterator[CheckResult]:
    groups: dict[tuple[str, str], list[MountPod]] = defaultdict(list)
    for pod in snapshot.parsed:
        if pod.share_mode and not pod.deleting:
            groups[(pod.unique_id, pod.node)].append(pod)
    for (unique, node), pods in groups.items():
        if len({p.settings_hash for p in pods}) > 1:
            evidence = [_pod(p, f"label {names.HASH}", p.settings_hash) for p in pods]
            reason = f"{len(pods)} Mount Pods share {unique} on {node} but have different settings"
            yield result("JFS-MNT-102", Verdict.WARN, reason, evidence)


@rule(
    "JFS-MNT-103",
    "References belong to Pods that exist",
    "An unpublish was missed; the reference keeps the Mount Pod alive.",
    "The driver's reconcile removes it; if not, look at the CSI node's log on that node.",
    needs=["mount_pods", "app_pods"],
)
def orphaned(snapshot: Snapshot) -> Iterator[CheckResult]:
    for pod in snapshot.parsed:
        for reference in pod.references:
            if reference.pod_uid not in snapshot.app_pod_by_uid:
                evidence = [_pod(pod, f"annotation {names.reference_key(reference.target)}", reference.target)]
                yield result("JFS-MNT-103", Verdict.WARN, f"{pod.name} serves a Pod that is gone", evidence)


@rule(
    "JFS-MNT-104",
    "A volume of a Pod is served by one Mount Pod that stays",
    "A race: the app was mounted on a Mount Pod that was being deleted, or a reference was left behind.",
    "Re-create the app Pod.",
    needs=["mount_pods", "app_pods"],
)
def on_deleting_or_doubled(snapshot: Snapshot) -> Iterator[CheckResult]:
    holders: dict[str, list[MountPod]] = defaultdict(list)
    for pod in snapshot.parsed:
        for reference in pod.references:
            if reference.pod_uid in snapshot.app_pod_by_uid:
                holders[reference.target].append(pod)
    for target, pods in holders.items():
        live = [p for p in pods if not p.deleting]
        evidence = [_pod(p, f"annotation {names.reference_key(target)}", target) for p in pods]
        if len(live) > 1:
            listed = ", ".join(p.name for p in live)
            yield result("JFS-MNT-104", Verdict.FAIL, f"{listed} carry the same reference", evidence)
        elif not live and not _deleting(snapshot, target):
            yield result("JFS-MNT-104", Verdict.FAIL, f"{pods[0].name} is being deleted under a living Pod", evidence)


def _deleting(snapshot: Snapshot, target: str) -> bool:
    uid = (names.parse_target(target) or ("", ""))[0]
    return bool(snapshot.app_pod_by_uid.get(uid, {}).get("metadata", {}).get("deletionTimestamp"))


@rule(
    "JFS-MNT-105",
    "Reference annotations are intact",
    "Its key is not the key of its value (edited by hand?), so the driver does not count it.",
    "Re-create the app Pod, which writes a right one.",
    needs=["mount_pods"],
)
def broken_reference(snapshot: Snapshot) -> Iterator[CheckResult]:
    for pod in snapshot.parsed:
        for key, value in pod.annotations.items():
            if names.parse_target(value) and not names.is_reference(key, value):
                evidence = [_pod(pod, f"annotation {key}", value)]
                yield result("JFS-MNT-105", Verdict.WARN, f"{pod.name}: {key} is no reference", evidence)


@rule(
    "JFS-MNT-106",
    "Running app Pods have a Mount Pod",
    "The reference is gone while the Pod runs: its mount may be dead, or it writes to the node's disk.",
    "Look at the mount inside the Pod; re-create the Pod.",
    needs=["mount_pods", "app_pods", "pvs", "pvcs"],
)
def unserved(snapshot: Snapshot) -> Iterator[CheckResult]:
    if snapshot.deployment.process_mode:
        return
    held = {(r.pod_uid, r.pv_name) for p in snapshot.parsed for r in p.references}
    for pod in snapshot.app_pods:
        meta = pod["metadata"]
        if pod.get("status", {}).get("phase") != "Running" or meta.get("deletionTimestamp"):
            continue
        if (meta.get("labels") or {}).get(names.SIDECAR_DONE) == "true":
            continue
        for claim, pv in _juicefs_claims(snapshot, pod):
            if (meta.get("uid"), pv) not in held:
                evidence = [Evidence(f"pod/{meta['name']}", f"claim {claim}", f"volume {pv}")]
                reason = f"{meta.get('namespace')}/{meta['name']}: no Mount Pod carries its reference to {pv}"
                yield result("JFS-MNT-106", Verdict.FAIL, reason, evidence)


def _juicefs_claims(snapshot: Snapshot, pod: Obj) -> Iterator[tuple[str, str]]:
    namespace = pod["metadata"].get("namespace", "")
    for _, claim in claims_of(pod):
        pv_name = snapshot.pvc_by_key.get((namespace, claim), {}).get("spec", {}).get("volumeName", "")
        pv = snapshot.pv_by_name.get(pv_name)
        if pv is not None and (pv["spec"].get("csi") or {}).get("driver") == snapshot.driver_name:
            yield claim, pv_name


def _pod(pod: MountPod, name: str, value: str) -> Evidence:
    return Evidence(f"pod/{pod.name}", name, value)
