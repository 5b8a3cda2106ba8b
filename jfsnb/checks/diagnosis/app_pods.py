"""Diagnosis: app Pods with JuiceFS volumes that are not ready, do not go away or are warned of (D23, D29-D31)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from jfsnb.checks.codes import REGISTER, register
from jfsnb.checks.diagnosis.findings import Case, Cause, cause_of, describe, finding, or_node
from jfsnb.checks.diagnosis.pod_state import Stage, Trouble, trouble_of
from jfsnb.checks.diagnosis.said import Said, telling
from jfsnb.checks.diagnosis.snapshot import Snapshot, rule
from jfsnb.checks.diagnosis.symptoms.kubelet import CREATE, PULL, SCHEDULE, VOLUMES
from jfsnb.checks.diagnosis.symptoms.mounting import APP, UNREGISTERED
from jfsnb.checks.diagnosis.symptoms.storage import BACKEND
from jfsnb.checks.model import CheckResult, Verdict
from jfsnb.driver import names
from jfsnb.driver.mountpods.mount_pods import MountPod, Obj, claims_of

OWN = register(
    "JFS-POD-101",
    "App Pods with JuiceFS volumes are well",
    "Something else than the JuiceFS volume is in the way: its own image, container, room on a node, another volume.",
    "Look at the Pod's events and log.",
)
ENDING = register(
    "JFS-POD-102",
    "App Pods that are deleted go away",
    "Its volume cannot be unmounted, its node does not answer, or a finalizer holds it.",
    "Look at the node and at the CSI node's log there.",
)
DEAD = register(
    "JFS-END-103",
    "Mounts of app Pods are alive",
    "The Mount Pod was restarted and the app's mount still points to the old client.",
    "Re-create the app Pod; mountPropagation: HostToContainer lets the driver repair it.",
)
CLIENT = register(
    "JFS-POD-103",
    "Clients in app Pods come up and stay up",
    "Sidecar mode: the client's own container in the app Pod cannot be started or does not keep running.",
    "Look at the log of container jfs-mount in the app Pod, the previous one's too.",
)
MOUNTED = "JFS-MNT-119"
_DEAD = "Transport endpoint is not connected"
_VOLUME = re.compile(r'for volume "([^"]+)"')
_MOUNTING = ("event FailedMount", "event FailedAttachVolume", "event FailedMapVolume")


@rule(
    MOUNTED,
    "Volumes of app Pods are mounted",
    "The kubelet or the driver could not mount the volume; the event says why.",
    "Follow the event's message.",
    needs=["app_pods"],
    wants=["events", "nodes", "csi_nodes", "csi_pods", "daemon_set", "mount_pods", "pvs", "pvcs"],
)
def app_pods(snapshot: Snapshot) -> Iterator[CheckResult]:
    for pod in snapshot.app_pods:
        if (pod.get("status") or {}).get("phase") == "Succeeded":
            continue
        trouble = trouble_of(pod, snapshot.about(pod, "Pod"), snapshot.now)
        if trouble is not None and not _is_its_own(pod, trouble):
            yield _finding(snapshot, pod, trouble)


def _is_its_own(pod: Obj, trouble: Trouble) -> bool:
    """A Pod that has ended for good and is only kept to be looked at, or that works and was restarted."""
    if trouble.container.startswith(names.MOUNT_CONTAINER):
        return False
    over = (pod.get("status") or {}).get("phase") == "Failed"
    return not trouble.events and (over or trouble.stage is Stage.RESTARTED)


def _finding(snapshot: Snapshot, pod: Obj, trouble: Trouble) -> CheckResult:
    meta = pod["metadata"]
    namespace, name = meta.get("namespace", ""), meta["name"]
    code, cause, events = _judged(snapshot, pod, trouble)
    if not trouble.works:
        cause = or_node(snapshot, (pod.get("spec") or {}).get("nodeName", ""), cause, trouble.events)
    case = Case(
        code=code,
        obj=f"pod/{name}",
        name=f"{namespace}/{name}",
        state=trouble.state,
        look=describe("pod", namespace, name),
        status=trouble.status,
        events=events,
    )
    own_program = code == OWN and trouble.stage in (Stage.RUN, Stage.READY, Stage.ENDED)
    foreign = code == OWN and any(_foreign(snapshot, pod, s) for s in telling(events)[:1])
    mild = (trouble.works and code != DEAD) or own_program or foreign
    return finding(case, cause, Verdict.WARN if mild else Verdict.FAIL, snapshot.now)


def _judged(snapshot: Snapshot, pod: Obj, trouble: Trouble) -> tuple[str, Cause | None, tuple[Said, ...]]:
    """Code of the check, cause as far as known, and the events that count, newest first."""
    if trouble.stage is Stage.TERMINATING:
        return ENDING, _why_it_stays(snapshot, pod, trouble), trouble.events
    dead = next((s for s in trouble.said if _DEAD.lower() in s.text.lower()), None)
    if dead is not None and trouble.stage is not Stage.CREATE:
        return DEAD, Cause(_DEAD, REGISTER[DEAD].fix, dead), trouble.events
    events = _about_juicefs(snapshot, pod, trouble.events)
    mounting = [s for s in telling(events) if s.field in _MOUNTING]
    if trouble.works and not trouble.container.startswith(names.MOUNT_CONTAINER):
        return OWN, cause_of((), events, APP), events
    if trouble.container.startswith(names.MOUNT_CONTAINER):  # the client runs in the Pod itself
        rows = PULL if trouble.stage is Stage.PULL else (*BACKEND, *CREATE)
        return CLIENT, cause_of(trouble.status, trouble.events, rows), trouble.events
    if trouble.stage is Stage.PULL:
        return OWN, cause_of(trouble.status, trouble.events, PULL), trouble.events
    if trouble.stage in (Stage.RUN, Stage.READY, Stage.FAILED, Stage.ENDED) and not mounting:
        return OWN, cause_of(trouble.status, trouble.events, CREATE), trouble.events
    if other := _of_another_driver(snapshot, pod, mounting[:1]):
        return OWN, other, events
    cause = _by_state(snapshot, pod, trouble, bool(mounting)) or cause_of((*mounting, *trouble.status), events, APP)
    return (OWN if _is_own(trouble, mounting) else MOUNTED), cause, events


def _is_own(trouble: Trouble, mounting: list[Said]) -> bool:
    """Whether it is the Pod's own matter, not its volumes': no room on a node, or a container that cannot be made."""
    if trouble.stage is Stage.SCHEDULE:
        return not any("PersistentVolumeClaim" in s.text or "volume" in s.text for s in trouble.said)
    return trouble.stage is Stage.CREATE and bool(trouble.status) and not mounting


def _by_state(snapshot: Snapshot, pod: Obj, trouble: Trouble, mounting: bool) -> Cause | None:
    """What the cluster's state says, which is truer than a word about it."""
    node = (pod.get("spec") or {}).get("nodeName", "")
    if trouble.stage is Stage.SCHEDULE:
        return _unbound_claim(snapshot, pod)
    newest = next(iter(telling(trouble.events)), None)
    if newest is not None and re.search(UNREGISTERED, newest.text) and node in snapshot.registered_nodes:
        return Cause(
            "no CSI node was registered on this node then; it is registered now, and the kubelet tries again",
            "Wait two minutes; when it stays, look at the kubelet.",
            newest,
        )
    serving = _serving(snapshot, pod)
    troubled = next((p for p in serving if not p.ready), None)
    if troubled is not None and not mounting:
        return Cause(
            f"its Mount Pod {troubled.name} is not ready ({troubled.reason or troubled.phase})",
            f"Look at the finding about {troubled.name}.",
        )
    return _unbound_claim(snapshot, pod) if not mounting else None


def _unbound_claim(snapshot: Snapshot, pod: Obj) -> Cause | None:
    namespace = pod["metadata"].get("namespace", "")
    for _, name in claims_of(pod):
        claim = snapshot.pvc_by_key.get((namespace, name))
        phase = ((claim or {}).get("status") or {}).get("phase", "")
        if claim is not None and phase != "Bound":
            return Cause(f"its claim {name} is {phase or 'new'}", f"Look at the finding about pvc/{name}.")
    return None


def _serving(snapshot: Snapshot, pod: Obj) -> list[MountPod]:
    uid = pod["metadata"].get("uid", "")
    return [p for p in snapshot.parsed if any(r.pod_uid == uid for r in p.references)]


def _about_juicefs(snapshot: Snapshot, pod: Obj, events: tuple[Said, ...]) -> tuple[Said, ...]:
    """Without what is about other volumes, where the newest episode says something about a JuiceFS volume too."""
    ours = tuple(s for s in events if not _foreign(snapshot, pod, s))
    return ours if any(s in ours and s.field in _MOUNTING and not s.echo for s in telling(events)) else events


def _foreign(snapshot: Snapshot, pod: Obj, said: Said) -> str:
    """The volume that a mount event is about, when it is not JuiceFS's."""
    found = _VOLUME.search(said.text) if said.field in _MOUNTING else None
    if found is None or found[1] in snapshot.pv_by_name:
        return ""
    volumes = (pod.get("spec") or {}).get("volumes") or ()
    others = {v.get("name") for v in volumes if "persistentVolumeClaim" not in v and "ephemeral" not in v}
    namespace = pod["metadata"].get("namespace", "")
    claims = (snapshot.pvc_by_key.get((namespace, claim)) or {} for _, claim in claims_of(pod))
    others |= {(c.get("spec") or {}).get("volumeName") for c in claims}
    return found[1] if found[1] in others else ""


def _of_another_driver(snapshot: Snapshot, pod: Obj, mounting: list[Said]) -> Cause | None:
    """The newest mount event is about a volume that is not JuiceFS's."""
    said = mounting[0] if mounting else None
    volume = _foreign(snapshot, pod, said) if said else ""
    if not said or not volume:
        return None
    known = cause_of((said,), (), (*VOLUMES, *SCHEDULE))
    why = f": {known.text}" if known else ""
    text = f"its volume {volume} is not JuiceFS's, and cannot be mounted{why}"
    return Cause(text, known.fix if known else "Look at that volume and its driver.", said)


def _why_it_stays(snapshot: Snapshot, pod: Obj, trouble: Trouble) -> Cause | None:
    node = (pod.get("spec") or {}).get("nodeName", "")
    if trouble.status:
        return Cause(f"finalizers hold it: {trouble.status[0].text}", "Look who set them, and what they wait for.")
    if node and node not in snapshot.csi_pod_by_node and snapshot.csi_pods:
        return Cause(
            f"there is no CSI node Pod on {node} to unmount its volume", "Look at the DaemonSet's tolerations there."
        )
    return cause_of((), trouble.events, APP)
