"""Is the claim bound, and does exactly one ready Mount Pod serve the app Pod's volume?"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from jfsnb.checks.codes import Unreadable, register, result, unreadable
from jfsnb.checks.model import CheckResult, Evidence, Verdict
from jfsnb.driver import names
from jfsnb.driver.mountpods.mount_pods import MountPod, Pairing, VolumePairing

BOUND = register(
    "JFS-PVC-001",
    "The claim is bound to a JuiceFS volume",
    "No volume fits, provisioning failed, or the volume belongs to another driver.",
    "Look at the claim's events and the CSI controller's log.",
)
ONE_HANDLE = register(
    "JFS-PVC-002",
    "No other volume has the same volumeHandle",
    "A static PV was copied; the kubelet mounts only the first of the two in one Pod.",
    "Give each PV a volumeHandle of its own, best its own name.",
)
SERVED = register(
    "JFS-MNT-001",
    "Exactly one Mount Pod serves the volume",
    "No live Mount Pod on the Pod's node carries its reference, or several do.",
    "Look at the app Pod's events and the CSI node's log on that node.",
)
READY = register(
    "JFS-MNT-002",
    "That Mount Pod is ready",
    "The client does not start, keeps crashing, or cannot reach metadata or object storage.",
    "Look at the Mount Pod's events and log, the previous container's too.",
)
DISTINCT = register(
    "JFS-MNT-003",
    "The Pod under test and the baseline have Mount Pods of their own",
    "The settings did not change, so the driver reused the running Mount Pod; the image under test never ran.",
    "Check the image that was given and that the configuration was in force before the Pod was made (JFS-CFG-001).",
)

EXERCISED = register(
    "JFS-MNT-004",
    "The Mount Pod under test was made after the patch",
    "One with the very same settings was running already, and the driver reused it: the patch changed nothing.",
    "Test an image that nobody runs yet, or wait until that Mount Pod has gone.",
)

Obj = Mapping[str, Any]


def claim_bound(
    pvc: Obj | Unreadable | None, pv: Obj | Unreadable | None, claim: str, ours: str = names.DRIVER
) -> CheckResult:
    """The PVC is Bound and its PV is of the JuiceFS driver. None stands for an object that is not there."""
    for facts in (pvc, pv):
        if isinstance(facts, Unreadable):
            return unreadable(BOUND, facts)
    assert not isinstance(pvc, Unreadable) and not isinstance(pv, Unreadable)
    if pvc is None:
        evidence = [Evidence(f"pvc/{claim}", "", "not found")]
        next_action = "Name one that is there (pvc, namespace), or have one made (storage_class)."
        return result(BOUND, Verdict.FAIL, f"there is no claim {claim}", evidence, next_action)
    phase, volume = pvc.get("status", {}).get("phase", ""), pvc.get("spec", {}).get("volumeName", "")
    evidence = [Evidence(f"pvc/{claim}", "status.phase", phase), Evidence(f"pvc/{claim}", "spec.volumeName", volume)]
    if phase == "Lost":
        return result(BOUND, Verdict.FAIL, "its volume is gone (phase Lost)", evidence)
    if phase != "Bound" or not volume:
        return result(BOUND, Verdict.NOT_READY, f"the claim is {phase or 'new'}", evidence)
    if pv is None:
        return result(BOUND, Verdict.FAIL, f"volume {volume} is not there", evidence)
    driver = (pv.get("spec", {}).get("csi") or {}).get("driver", "none")
    evidence.append(Evidence(f"pv/{volume}", "spec.csi.driver", driver))
    if driver != ours:
        return result(BOUND, Verdict.FAIL, f"volume {volume} is of driver {driver}, not {ours}", evidence)
    return result(BOUND, Verdict.PASS, f"bound to {volume}", evidence)


def single_handle(pv: Obj, pvs: Iterable[Obj] | Unreadable) -> CheckResult:
    """No other PV of the driver has this PV's volumeHandle."""
    if isinstance(pvs, Unreadable):
        return unreadable(ONE_HANDLE, pvs)
    name, handle = pv["metadata"]["name"], pv["spec"]["csi"].get("volumeHandle", "")
    twins = sorted(
        p["metadata"]["name"]
        for p in pvs
        if (p.get("spec", {}).get("csi") or {}).get("volumeHandle") == handle
        and p["spec"]["csi"].get("driver") == pv["spec"]["csi"].get("driver")
        and p["metadata"]["name"] != name
    )
    evidence = [Evidence(f"pv/{n}", "spec.csi.volumeHandle", handle) for n in (name, *twins)]
    if twins:
        return result(ONE_HANDLE, Verdict.WARN, f"{', '.join(twins)} has volumeHandle {handle} too", evidence)
    return result(ONE_HANDLE, Verdict.PASS, f"volumeHandle {handle} is used once", evidence)


def served_by_one(pairing: Pairing | Unreadable, claim: str = "") -> CheckResult:
    """Each JuiceFS volume of the Pod (or the one of a claim) has exactly one live Mount Pod with its reference."""
    if isinstance(pairing, Unreadable):
        return unreadable(SERVED, pairing)
    pod = f"pod/{pairing.pod}"
    if pairing.mode == "sidecar":
        evidence = [Evidence(pod, "sidecar image", pairing.sidecar_image)]
        return result(SERVED, Verdict.NA, "sidecar mode: the client runs in the app Pod itself", evidence)
    if pairing.mode == "process":
        return result(SERVED, Verdict.NA, "process mode: the client runs in the CSI node Pod, there are no Mount Pods")
    volumes = [v for v in pairing.volumes if not claim or v.claim == claim]
    if not volumes:
        what = f"no JuiceFS volume of claim {claim}" if claim else "no JuiceFS volume"
        return result(SERVED, Verdict.FAIL, f"{pairing.pod} has {what}", [Evidence(pod, "spec.volumes", "")])
    evidence = [e for v in volumes for e in _references(pairing, v)]
    broken = [v for v in volumes if v.mount_pod is None]
    if broken:
        pending = not pairing.node or "not bound" in broken[0].problem
        verdict = Verdict.NOT_READY if pending else Verdict.FAIL
        return result(SERVED, verdict, f"volume {broken[0].volume}: {broken[0].problem}", evidence)
    served = ", ".join(f"{v.claim} by {v.mount_pod.name}" for v in volumes if v.mount_pod)
    return result(SERVED, Verdict.PASS, served, evidence)


def _references(pairing: Pairing, volume: VolumePairing) -> list[Evidence]:
    found = [
        Evidence(f"pod/{p.name}", f"annotation {names.reference_key(r.target)}", r.target)
        for p in (*volume.mount_pods, *volume.deleting)
        for r in p.references
        if r.pod_uid == pairing.pod_uid and r.pv_name == volume.pv
    ]
    return found or [Evidence(f"pod/{pairing.pod}", f"reference of {volume.volume}", volume.problem or "none")]


def mount_pod_ready(mount_pod: MountPod | Unreadable) -> CheckResult:
    """The Mount Pod is running and Ready."""
    if isinstance(mount_pod, Unreadable):
        return unreadable(READY, mount_pod)
    pod = f"pod/{mount_pod.name}"
    evidence = [Evidence(pod, "status.phase", mount_pod.phase), Evidence(pod, "restarts", str(mount_pod.restarts))]
    ended = mount_pod.deleting or (mount_pod.completed and names.UPGRADE_PROCESS in mount_pod.annotations)
    if ended and not mount_pod.references:
        return result(READY, Verdict.NA, "it ends: nobody uses it any more", evidence)
    if mount_pod.deleting:
        return result(READY, Verdict.FAIL, "it is being deleted", evidence)
    if mount_pod.ready and mount_pod.phase == "Running":
        if mount_pod.restarts:
            return result(READY, Verdict.WARN, f"ready, after {mount_pod.restarts} restarts", evidence)
        return result(READY, Verdict.PASS, "running and ready", evidence)
    waiting = ("", "ContainerCreating", "Pending", "PodInitializing", "Running")
    verdict = Verdict.NOT_READY if mount_pod.reason in waiting else Verdict.FAIL
    return result(READY, verdict, f"not ready: {mount_pod.reason or 'no status yet'}", evidence)


def made_after_patch(mount_pod: MountPod | Unreadable, there_before: Collection[str] | Unreadable) -> CheckResult:
    """The Mount Pod that serves the Pod under test was not there before the patch; else the patch was not exercised.

    Args:
        there_before: UIDs of the Mount Pods that were seen before the patch.
    """
    for facts in (mount_pod, there_before):
        if isinstance(facts, Unreadable):
            return unreadable(EXERCISED, facts)
    assert isinstance(mount_pod, MountPod) and not isinstance(there_before, Unreadable)
    made = mount_pod.created.isoformat(timespec="seconds") if mount_pod.created else "not known"
    evidence = [Evidence(f"pod/{mount_pod.name}", "creationTimestamp", made)]
    if mount_pod.uid in there_before:
        reason = f"{mount_pod.name} was there before the patch and was reused: the patch was not exercised"
        return result(EXERCISED, Verdict.WARN, reason, evidence)
    return result(EXERCISED, Verdict.PASS, f"{mount_pod.name} was made for it, at {made}", evidence)


def distinct_from_baseline(mount_pod: MountPod | Unreadable, baseline: MountPod | Unreadable) -> CheckResult:
    """Baseline and Pod under test are served by two different Mount Pods."""
    for facts in (mount_pod, baseline):
        if isinstance(facts, Unreadable):
            return unreadable(DISTINCT, facts)
    assert isinstance(mount_pod, MountPod) and isinstance(baseline, MountPod)
    evidence = [
        Evidence(f"pod/{p.name}", f"label {names.HASH}", p.settings_hash or "none") for p in (mount_pod, baseline)
    ]
    if mount_pod.uid == baseline.uid and mount_pod.key == baseline.key:
        return result(DISTINCT, Verdict.FAIL, f"{mount_pod.name} serves both", evidence)
    return result(DISTINCT, Verdict.PASS, f"{mount_pod.name} beside {baseline.name}", evidence)
