"""Mount Pods: what they are, whom they serve, and which one a new mount would use (reference/csi-driver.md §1, §3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from jfsnb.driver import names
from jfsnb.driver.images import digest_of
from jfsnb.driver.mountpods.command import MountCommand
from jfsnb.driver.mountpods.identity import unique_id_of, upgrade_uuid_of
from jfsnb.driver.mountpods.pod_state import is_ready, reason_of
from jfsnb.driver.names import Reference

Obj = Mapping[str, Any]


@dataclass(frozen=True)
class MountPod:
    """What a Mount Pod's object says, as plain facts.

    Args:
        unique_id: label ``volume-id``, or what very old drivers put into the name.
        node: where it runs (spec.nodeName, or the hostname it is pinned to).
        image: of container jfs-mount in the spec. image_id: as the runtime reports it.
        settings_hash: label ``juicefs-hash``; empty on Pods of old drivers.
        references: its users.
        created: creation time. deleting: it has a deletionTimestamp.
        phase: of the Pod. reason: the first reason of a container that waits or ended, else the phase.
        ready: ContainersReady and Ready. restarts: of the mount container.
        started: when the running container was started; None when it does not run.
        share_mode: empty when not shared.
    """

    name: str
    namespace: str
    uid: str
    node: str
    unique_id: str
    settings_hash: str
    upgrade_uuid: str
    image: str
    image_id: str
    pull_policy: str
    command: MountCommand
    references: tuple[Reference, ...]
    created: datetime | None
    deleting: bool
    finalizers: tuple[str, ...]
    phase: str
    reason: str
    ready: bool
    restarts: int
    started: datetime | None
    share_mode: str
    annotations: Mapping[str, str]

    @classmethod
    def from_object(cls, pod: Obj) -> MountPod:
        """Read a Pod object."""
        meta, status = pod.get("metadata", {}), pod.get("status", {})
        labels, notes = meta.get("labels") or {}, meta.get("annotations") or {}
        container = mount_container(pod) or {}
        state = container_status(pod, container.get("name", "")) or {}
        running = (state.get("state") or {}).get("running") or {}
        return cls(
            name=meta.get("name", ""),
            namespace=meta.get("namespace", ""),
            uid=meta.get("uid", ""),
            node=node_of(pod),
            unique_id=unique_id_of(pod),
            settings_hash=labels.get(names.HASH, ""),
            upgrade_uuid=upgrade_uuid_of(pod),
            image=container.get("image", ""),
            image_id=state.get("imageID", ""),
            pull_policy=container.get("imagePullPolicy", ""),
            command=MountCommand.parse(container.get("command") or ()),
            references=names.references(notes),
            created=parse_time(meta.get("creationTimestamp")),
            deleting=bool(meta.get("deletionTimestamp")),
            finalizers=tuple(meta.get("finalizers") or ()),
            phase=status.get("phase", ""),
            reason=reason_of(pod),
            ready=is_ready(pod),
            restarts=int(state.get("restartCount", 0)),
            started=parse_time(running.get("startedAt")),
            share_mode=notes.get(names.SHARE_MODE, ""),
            annotations=notes,
        )

    @property
    def digest(self) -> str:
        """Digest of the image that runs; empty when the runtime reports none."""
        return digest_of(self.image_id)

    @property
    def completed(self) -> bool:
        return self.reason == "Completed"

    @property
    def key(self) -> tuple[str, str]:
        return self.namespace, self.name

    def serves(self, pod_uid: str, pv_name: str) -> bool:
        """Whether it carries the reference of this Pod's volume."""
        return any(r.pod_uid == pod_uid and r.pv_name == pv_name for r in self.references)


def is_mount_pod(pod: Obj, namespace: str = "") -> bool:
    """Whether an object is a Mount Pod, by its label (never by its name) and, if given, its namespace."""
    meta = pod.get("metadata", {})
    labelled = (meta.get("labels") or {}).get(names.APP_NAME) == names.MOUNT_POD_APP
    return bool(labelled and (not namespace or meta.get("namespace") == namespace))


def mount_container(pod: Obj) -> Obj | None:
    """The container jfs-mount; Pods of old drivers have one container of another name."""
    containers: list[Obj] = pod.get("spec", {}).get("containers") or []
    named = [c for c in containers if c.get("name") == names.MOUNT_CONTAINER] or containers
    return named[0] if named else None


def container_status(pod: Obj, name: str) -> Obj | None:
    """A container's status by its name, init containers included."""
    status = pod.get("status", {})
    states: list[Obj] = [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]
    return next((s for s in states if s.get("name") == name), None)


def node_of(pod: Obj) -> str:
    """The node a Pod is on or, before it is scheduled, the only one that it may go to."""
    spec = pod.get("spec", {})
    pinned = (spec.get("nodeSelector") or {}).get("kubernetes.io/hostname", "")
    return str(spec.get("nodeName") or pinned)


def parse_time(text: str | None) -> datetime | None:
    """A timestamp of the Kubernetes API."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None


def would_reuse(pods: Iterable[MountPod], *, unique_id: str, node: str, settings_hash: str) -> MountPod | None:
    """The Mount Pod that the next publish of a volume on a node would use; None: it would make a new one (§3.2).

    Readiness does not count, and of several usable ones the last in the list wins, as for the driver.
    """
    usable = [p for p in pods if p.unique_id == unique_id and p.node == node and _is_usable(p, settings_hash)]
    return usable[-1] if usable else None


def losing_reference(pods: Iterable[MountPod], *, node: str, settings_hash: str, target: str) -> tuple[MountPod, ...]:
    """Mount Pods of a volume from which a publish takes its target's reference: those that it cannot use (§3.2).

    Args:
        pods: of one unique id. target: of the publish call.
    """
    here = (p for p in pods if p.node == node and not _is_usable(p, settings_hash))
    return tuple(p for p in here if target in p.annotations.values())


def _is_usable(pod: MountPod, settings_hash: str) -> bool:
    return pod.settings_hash == settings_hash and not pod.deleting and not pod.completed


@dataclass(frozen=True)
class VolumePairing:
    """One JuiceFS volume of an app Pod and the Mount Pod that serves it.

    Args:
        volume: name in the Pod's spec. claim: name of its PVC. pv: name of its PV, "" when not bound.
        unique_id_hint: volumeHandle of the PV, the unique id unless mounts are shared.
        mount_pods: the live Mount Pods on the Pod's node that carry the reference; exactly one when all is well.
        deleting: Mount Pods that carry the reference and are being deleted.
        beside: live Mount Pods of the same volume on the same node that serve others.
        problem: why no single Mount Pod can be named; empty when there is exactly one.
    """

    volume: str
    claim: str
    pv: str
    unique_id_hint: str = ""
    mount_pods: tuple[MountPod, ...] = ()
    deleting: tuple[MountPod, ...] = ()
    beside: tuple[MountPod, ...] = ()
    problem: str = ""

    @property
    def mount_pod(self) -> MountPod | None:
        """The one Mount Pod that serves this volume; None when there is none, or more than one."""
        return self.mount_pods[0] if len(self.mount_pods) == 1 and not self.problem else None


@dataclass(frozen=True)
class Pairing:
    """An app Pod, all its JuiceFS volumes, and who serves each.

    Args:
        mode: ``mount-pod``, ``sidecar`` (the client runs in the Pod itself) or ``process`` (in the CSI node Pod).
        sidecar_image: image of the sidecar in sidecar mode.
    """

    pod: str
    namespace: str
    pod_uid: str
    node: str
    mode: str
    volumes: tuple[VolumePairing, ...]
    sidecar_image: str = ""

    def volume_of(self, claim: str) -> VolumePairing | None:
        """The pairing of a PVC's volume."""
        return next((v for v in self.volumes if v.claim == claim), None)


def pair(
    app_pod: Obj,
    pvcs: Iterable[Obj],
    pvs: Iterable[Obj],
    mount_pods: Iterable[MountPod],
    *,
    driver: str = names.DRIVER,
    process_mode: bool = False,
) -> Pairing:
    """Find for each JuiceFS volume of a Pod the Mount Pod that serves it, by its reference and nothing else.

    A reference counts when its key matches its value and names this Pod's UID and this PV, on the Pod's own node
    (§1.10). Names, prefixes, ages and labels decide nothing.

    Args:
        app_pod: the Pod object. pvcs, pvs: objects; those of other namespaces and drivers are passed over.
        mount_pods: of the driver's namespace.
        driver: name of the CSI driver.
        process_mode: the driver runs clients in its node Pod (``--by-process``).
    """
    meta, spec = app_pod.get("metadata", {}), app_pod.get("spec", {})
    namespace, uid, node = meta.get("namespace", ""), meta.get("uid", ""), spec.get("nodeName", "")
    claims = {c["metadata"]["name"]: c for c in pvcs if c["metadata"].get("namespace", "") == namespace}
    volumes = {v["metadata"]["name"]: v for v in pvs}
    everyone = tuple(mount_pods)
    sidecar = _sidecar(app_pod)
    mode = "sidecar" if sidecar is not None else "process" if process_mode else "mount-pod"
    found = []
    for volume, claim in claims_of(app_pod):
        pv_name = (claims.get(claim) or {}).get("spec", {}).get("volumeName", "")
        pv = volumes.get(pv_name)
        if pv is not None and (pv.get("spec", {}).get("csi") or {}).get("driver") != driver:
            continue
        base = VolumePairing(volume, claim, pv_name)
        if mode != "mount-pod":
            found.append(base)
        elif claim not in claims:
            found.append(replace(base, problem=f"PVC {claim} is not there"))
        elif not pv_name:
            found.append(replace(base, problem=f"PVC {claim} is not bound"))
        elif pv is None:
            found.append(replace(base, problem=f"PV {pv_name} is not there"))
        else:
            found.append(_serving(base, pv, uid, node, everyone))
    image = str((sidecar or {}).get("image", ""))
    return Pairing(meta.get("name", ""), namespace, uid, node, mode, tuple(found), image)


def _serving(base: VolumePairing, pv: Obj, uid: str, node: str, everyone: tuple[MountPod, ...]) -> VolumePairing:
    handle = pv["spec"]["csi"].get("volumeHandle", "")
    here = [p for p in everyone if node and p.node == node]
    holding = [p for p in here if uid and p.serves(uid, base.pv)]
    live = tuple(p for p in holding if not p.deleting)
    deleting = tuple(p for p in holding if p.deleting)
    same_volume = [p for p in here if p.unique_id == handle or any(r.pv_name == base.pv for r in p.references)]
    beside = tuple(p for p in same_volume if p not in holding and not p.deleting)
    result = replace(base, unique_id_hint=handle, mount_pods=live, deleting=deleting, beside=beside)
    return replace(result, problem=_problem(result, node, uid, everyone))


def _problem(found: VolumePairing, node: str, uid: str, everyone: tuple[MountPod, ...]) -> str:
    if len(found.mount_pods) == 1:
        return ""
    if found.mount_pods:
        return f"{len(found.mount_pods)} Mount Pods carry its reference: " + ", ".join(p.name for p in found.mount_pods)
    if not node:
        return "the Pod is on no node yet"
    if found.deleting:
        return f"only {found.deleting[0].name} carries its reference, and that is being deleted"
    elsewhere = [p for p in everyone if p.serves(uid, found.pv)]
    if elsewhere:
        return f"its reference is on {elsewhere[0].name}, which is on another node ({elsewhere[0].node})"
    return f"no Mount Pod on {node} carries its reference"


def claims_of(pod: Obj) -> tuple[tuple[str, str], ...]:
    """(volume, PVC) of a Pod's claims, generic ephemeral volumes included."""
    found = []
    for volume in pod.get("spec", {}).get("volumes") or ():
        if volume.get("persistentVolumeClaim"):
            found.append((volume["name"], volume["persistentVolumeClaim"]["claimName"]))
        elif volume.get("ephemeral") is not None:
            found.append((volume["name"], f"{pod['metadata']['name']}-{volume['name']}"))
    return tuple(found)


def _sidecar(pod: Obj) -> Obj | None:
    """The JuiceFS client inside an app Pod; an empty one when only the label tells of it."""
    meta, spec = pod.get("metadata", {}), pod.get("spec", {})
    containers: list[Obj] = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    found = [c for c in containers if str(c.get("name", "")).startswith(names.MOUNT_CONTAINER)]
    if found and not is_mount_pod(pod):
        return found[0]
    return {} if (meta.get("labels") or {}).get(names.SIDECAR_DONE) == "true" else None


def users(mount_pod: MountPod, app_pods: Iterable[Obj]) -> tuple[tuple[Reference, Obj | None], ...]:
    """The other direction: each reference of a Mount Pod and the app Pod behind it; None when that is gone."""
    by_uid = {p["metadata"].get("uid"): p for p in app_pods}
    return tuple((r, by_uid.get(r.pod_uid)) for r in mount_pod.references)
