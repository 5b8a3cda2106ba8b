"""What stands behind a Pod's volumes: a claim leads to a PersistentVolume, which leads to its source."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from jfsnb.sandbox.apimachinery.client import ApiClient, ApiError, Obj
from jfsnb.sandbox.kubelet.volumes.content import VolumeError

SUPPORTED = ("configMap", "secret", "projected", "downwardAPI", "emptyDir", "hostPath", "csi")


class ProcessingError(Exception):
    """A claim cannot be used (yet); kubelet words this differently from a failing mount."""


@dataclass(frozen=True)
class Source:
    """What is to be mounted.

    Args:
        volume: name in the Pod's spec.
        name: name that events and directories use: the PersistentVolume's, or the volume's own.
        kind: one of SUPPORTED.
        spec: the source itself, with the volume's name.
        read_only: the claim or the PV says so.
        persistent: the PersistentVolume; empty for other volumes.
        handle: the volume id that the CSI driver knows.
    """

    volume: str
    name: str
    kind: str
    spec: Obj
    read_only: bool = False
    persistent: Mapping[str, object] = field(default_factory=dict)
    handle: str = ""


def inline_handle(pod_uid: str, volume: str) -> str:
    """The volume id of a CSI volume that is written into the Pod itself."""
    return f"csi-{hashlib.sha256(f'{pod_uid}{volume}'.encode()).hexdigest()}"


async def resolve(api: ApiClient, pod: Obj, volume: Obj) -> Source:
    """The source of an entry of ``spec.volumes``.

    Raises:
        ProcessingError: its claim or volume is missing or not bound.
        VolumeError: a kind that this node cannot mount.
    """
    if "persistentVolumeClaim" in volume:
        return await _claimed(api, pod, volume, volume["persistentVolumeClaim"])
    if "ephemeral" in volume:
        claim = {"claimName": f"{pod['metadata']['name']}-{volume['name']}"}
        return await _claimed(api, pod, volume, claim)
    for kind in SUPPORTED:
        if kind in volume:
            read_only = kind == "csi" and bool(volume["csi"].get("readOnly"))
            handle = inline_handle(pod["metadata"]["uid"], volume["name"]) if kind == "csi" else ""
            return Source(volume["name"], volume["name"], kind, volume, read_only, handle=handle)
    kinds = sorted(volume.keys() - {"name"})
    if not kinds:  # an entry with a name only is an emptyDir
        return Source(volume["name"], volume["name"], "emptyDir", {**volume, "emptyDir": {}})
    raise VolumeError(f"no volume plugin matched: {', '.join(kinds)} volumes cannot be mounted in the sandbox")


async def _claimed(api: ApiClient, pod: Obj, volume: Obj, reference: Obj) -> Source:
    namespace, name = pod["metadata"]["namespace"], reference["claimName"]
    what = f"error processing PVC {namespace}/{name}"
    try:
        claim = await api.get(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}")
    except ApiError as error:
        raise ProcessingError(f"{what}: failed to fetch PVC from API server: {error.message}") from None
    bound_to = claim["spec"].get("volumeName")
    if not bound_to or (claim.get("status") or {}).get("phase") != "Bound":
        raise ProcessingError(f"{what}: PVC is not bound")
    try:
        pv = await api.get(f"/api/v1/persistentvolumes/{bound_to}")
    except ApiError as error:
        raise ProcessingError(f"{what}: failed to fetch PV {bound_to} from API server: {error.message}") from None
    if (pv["spec"].get("claimRef") or {}).get("uid") not in (None, claim["metadata"]["uid"]):
        raise ProcessingError(f"{what}: pv {bound_to} is bound to another claim")
    read_only = bool(reference.get("readOnly"))
    spec = pv["spec"]
    if "csi" in spec:
        read_only = read_only or bool(spec["csi"].get("readOnly"))
        return Source(volume["name"], bound_to, "csi", spec, read_only, pv, spec["csi"]["volumeHandle"])
    if "hostPath" in spec:
        return Source(volume["name"], bound_to, "hostPath", spec, read_only, pv)
    if "local" in spec:
        return Source(volume["name"], bound_to, "hostPath", {"hostPath": spec["local"]}, read_only, pv)
    raise VolumeError("no volume plugin matched")
