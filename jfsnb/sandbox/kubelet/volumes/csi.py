"""CSI volumes as the kubelet asks for them: NodePublishVolume, NodeUnpublishVolume, NodeGetVolumeStats."""

from __future__ import annotations

import base64
import contextlib
from typing import TYPE_CHECKING, Any

import grpc

from jfsnb.sandbox.apimachinery.client import ApiError, Obj
from jfsnb.sandbox.kubelet.volumes.content import VolumeError
from jfsnb.sandbox.kubelet.volumes.paths import outside, volume_directory
from jfsnb.sandbox.proto import messages as proto

if TYPE_CHECKING:
    from jfsnb.sandbox.kubelet.context import NodeContext
    from jfsnb.sandbox.kubelet.volumes.claims import Source

CALL_SECONDS = 120.0  # what a kubelet gives a driver
ACCESS_MODES = {
    "ReadWriteOnce": "SINGLE_NODE_WRITER",
    "ReadWriteOncePod": "SINGLE_NODE_WRITER",
    "ReadOnlyMany": "MULTI_NODE_READER_ONLY",
    "ReadWriteMany": "MULTI_NODE_MULTI_WRITER",
}


def target_path(uid: str, name: str) -> str:
    """Where the driver is to mount a volume (path on the node; reference/csi-driver.md 1.10)."""
    return f"{volume_directory(uid, 'csi', name)}/mount"


async def publish(node: NodeContext, pod: Obj, source: Source) -> str:
    """Let the driver mount a volume for a Pod; returns the target path.

    Raises:
        VolumeError: worded as in a FailedMount event.
    """
    csi, uid = source.spec["csi"], pod["metadata"]["uid"]
    target = target_path(uid, source.name)
    try:
        async with node.plugins.client(csi["driver"]) as driver:
            request = await _publish_request(node, pod, source, target)
            outside(node.root, target).parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            await driver.NodePublishVolume(request, timeout=CALL_SECONDS)
    except VolumeError as error:
        if str(error).startswith("driver name"):
            raise VolumeError(f"kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: {error}") from None
        raise
    except grpc.aio.AioRpcError as error:
        raise VolumeError(go_error(error)) from None
    return target


async def _publish_request(node: NodeContext, pod: Obj, source: Source, target: str) -> Any:
    csi, persistent = source.spec["csi"], source.persistent
    modes = source.spec.get("accessModes") if persistent else None
    mode = ACCESS_MODES[modes[0]] if modes else "SINGLE_NODE_WRITER"
    flags = list(source.spec.get("mountOptions") or ()) if persistent else []
    capability = proto.VolumeCapability(
        mount={"fs_type": csi.get("fsType") or "", "mount_flags": flags}, access_mode={"mode": mode}
    )
    context = {k: str(v) for k, v in (csi.get("volumeAttributes") or {}).items()}
    driver = await _driver_object(node, csi["driver"])
    if (driver.get("spec") or {}).get("podInfoOnMount"):
        context |= pod_info(pod, ephemeral=not persistent)
    return proto.NodePublishVolumeRequest(
        volume_id=source.handle,
        target_path=target,
        volume_capability=capability,
        readonly=source.read_only,
        secrets=await _secrets(node, pod, csi.get("nodePublishSecretRef")),
        volume_context=context,
    )


def pod_info(pod: Obj, ephemeral: bool) -> dict[str, str]:
    """What a driver with podInfoOnMount learns about the Pod."""
    meta = pod["metadata"]
    prefix = "csi.storage.k8s.io"
    return {
        f"{prefix}/pod.name": meta["name"],
        f"{prefix}/pod.namespace": meta["namespace"],
        f"{prefix}/pod.uid": meta["uid"],
        f"{prefix}/serviceAccount.name": pod["spec"].get("serviceAccountName") or "",
        f"{prefix}/ephemeral": str(ephemeral).lower(),
    }


async def _driver_object(node: NodeContext, name: str) -> Obj:
    try:
        return await node.api.get(f"/apis/storage.k8s.io/v1/csidrivers/{name}")
    except ApiError as error:
        if error.status == 404:
            return {}
        raise


async def _secrets(node: NodeContext, pod: Obj, reference: Obj | None) -> dict[str, str]:
    if not reference:
        return {}
    namespace = reference.get("namespace") or pod["metadata"]["namespace"]
    name = reference["name"]
    try:
        secret = await node.api.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
    except ApiError as error:
        why = f"failed to find the secret {name} in the namespace {namespace} with error: {error.message}"
        text = f"fetching NodePublishSecretRef {namespace}/{name} failed: kubernetes.io/csi: {why}"
        raise VolumeError(text) from None
    return {k: base64.b64decode(v).decode("utf-8", "replace") for k, v in (secret.get("data") or {}).items()}


async def unpublish(node: NodeContext, uid: str, source: Source) -> None:
    """Let the driver take a volume away.

    Raises:
        VolumeError: it could not, or it is not there.
    """
    csi, target = source.spec["csi"], target_path(uid, source.name)
    request = proto.NodeUnpublishVolumeRequest(volume_id=source.handle, target_path=target)
    try:
        async with node.plugins.client(csi["driver"]) as driver:
            await driver.NodeUnpublishVolume(request, timeout=CALL_SECONDS)
    except grpc.aio.AioRpcError as error:
        raise VolumeError(go_error(error)) from None
    with contextlib.suppress(OSError):
        outside(node.root, target).rmdir()  # the driver should have done it


def go_error(error: grpc.aio.AioRpcError) -> str:
    """As Go's gRPC prints a failure: ``rpc error: code = Internal desc = ...``."""
    name = "".join(part.capitalize() for part in error.code().name.split("_"))
    name = {"Ok": "OK", "Cancelled": "Canceled"}.get(name, name)
    return f"rpc error: code = {name} desc = {error.details()}"
