"""The CSI Node service (reference §4.1 to §4.4): argument checks and status codes around Mounter and Releaser."""

from __future__ import annotations

import os
import time
from typing import Any

import grpc

from jfsnb.driver.names import parse_target, target_problem
from jfsnb.driver.settings.errors import SettingsError
from jfsnb.sandbox.apimachinery.client import ApiError
from jfsnb.sandbox.csi.juicefs import ClientError
from jfsnb.sandbox.csi.klog import Logger, handling
from jfsnb.sandbox.csi.node import mounts
from jfsnb.sandbox.csi.node.mounter import POD_NAME, Mounter, MountFailed, Publication
from jfsnb.sandbox.csi.node.releaser import Releaser
from jfsnb.sandbox.csi.rules.capabilities import check_capability, is_reader
from jfsnb.sandbox.proto import messages as proto
from jfsnb.sandbox.proto.messages import CsiError

log = Logger("node")
Code = grpc.StatusCode
STATS_SECONDS = 5


def required(value: Any, message: str) -> None:
    """Answer INVALID_ARGUMENT when a field that the call needs is empty."""
    if not value:
        raise CsiError(Code.INVALID_ARGUMENT, message)


class NodeService:
    """Node calls of the kubelet.

    Args:
        node: its name.
        kubelet_root: host path of the kubelet directory that this container sees.
    """

    def __init__(self, node: str, mounter: Mounter, releaser: Releaser, kubelet_root: str) -> None:
        self.node, self.mounter, self.releaser = node, mounter, releaser
        self.kubelet_root = kubelet_root.rstrip("/")
        self._busy: set[str] = set()

    async def NodeGetInfo(self, _request: Any) -> Any:
        return proto.NodeGetInfoResponse(node_id=self.node)

    async def NodeGetCapabilities(self, _request: Any) -> Any:
        kind = proto.NodeServiceCapability.RPC.GET_VOLUME_STATS
        return proto.NodeGetCapabilitiesResponse(capabilities=[{"rpc": {"type": kind}}])

    async def NodePublishVolume(self, request: Any) -> Any:
        required(request.volume_id, "Volume ID not provided")
        required(request.target_path, "Target path not provided")
        required(request.HasField("volume_capability"), "Volume capability not provided")
        who = {"appName": request.volume_context.get(POD_NAME, ""), "volumeId": request.volume_id}
        with handling("NodePublishVolume", **who):
            log.info("get volume_capability", volCap=_go_text(request.volume_capability))
            check_capability(request.volume_capability)
            with self._alone(request.volume_id, request.target_path):
                await self._publish(request)
        return proto.NodePublishVolumeResponse()

    async def _publish(self, request: Any) -> None:
        started, target = time.monotonic(), request.target_path
        if mounts.mounts_at(target) and not await mounts.is_corrupted(target):
            log.info("Volume already published at target path", target=target)
            return
        self._check_target(target)
        capability = request.volume_capability
        wanted = Publication(
            volume_id=request.volume_id,
            target=target,
            secrets=dict(request.secrets),
            context=dict(request.volume_context),
            flags=tuple(capability.mount.mount_flags),
            read_only=request.readonly or is_reader(capability),
        )
        try:
            mounts.unmount_all(target)
            log.info("creating dir", target=target)
            os.makedirs(target, 0o755, exist_ok=True)
            log.info("get volume context", volCtx=wanted.context)
            log.info("mounting juicefs", secret=f"[{' '.join(wanted.secrets)}]", options=list(wanted.flags))
            source = await self.mounter.mount(wanted)
            log.info("binding source at target", source=source, target=target)
            mounts.bind(source, target, read_only=wanted.read_only)
        except SettingsError as error:
            raise CsiError(Code.INTERNAL, f"Could not mount juicefs: {error}") from error
        except (MountFailed, ClientError, OSError, TimeoutError) as error:
            raise CsiError(Code.INTERNAL, f"Could not mount juicefs: {error}") from error
        except ApiError as error:
            raise CsiError(Code.INTERNAL, f"Could not mount juicefs: {error.message}") from error
        elapsed = f"{time.monotonic() - started:.3f}s"
        log.info("juicefs volume mounted", target=target, elapsed=elapsed)

    def _check_target(self, target: str) -> None:
        problem = target_problem(target, self.kubelet_root)
        if problem:
            raise CsiError(Code.INTERNAL, f"Could not mount juicefs: {problem}")

    async def NodeUnpublishVolume(self, request: Any) -> Any:
        required(request.volume_id, "Volume ID not provided")
        required(request.target_path, "Target path not provided")
        target = request.target_path
        with self._alone(request.volume_id, target), handling("NodeUnpublishVolume"):
            log.info("get volume_id", volumeId=request.volume_id)
            try:
                await self.releaser.unpublish(request.volume_id, target)
            except (OSError, ApiError, TimeoutError) as error:
                text = f"Could not unmount {target!r}: {error}"
                raise CsiError(Code.INTERNAL, text.replace("'", '"')) from error
            gone = {"volumeId": request.volume_id, "target": target, "podUID": (parse_target(target) or ("",))[0]}
            log.info("Cleaned up volume health metric", **gone)
        return proto.NodeUnpublishVolumeResponse()

    async def NodeGetVolumeStats(self, request: Any) -> Any:
        required(request.volume_id, "Volume ID not provided")
        required(request.volume_path, "Volume path not provided")
        path = request.volume_path
        try:
            exists = await mounts.away_from_loop(lambda: os.path.lexists(path), STATS_SECONDS)
            if not exists:
                raise CsiError(Code.NOT_FOUND, f"Volume path {path} not found")
            if not mounts.mounts_at(path):
                raise CsiError(Code.INTERNAL, f"{path} is not a mount point")
            stats = await mounts.away_from_loop(lambda: os.statvfs(path), STATS_SECONDS)
        except TimeoutError:
            raise CsiError(Code.INTERNAL, f"stat volume path {path} timed out") from None
        except OSError as error:
            self.releaser.reconcile_soon(request.volume_id)
            raise CsiError(Code.INTERNAL, f"could not get stats of {path}: {error.strerror}") from error
        size = stats.f_frsize
        usage = [
            _usage("BYTES", stats.f_blocks * size, stats.f_bavail * size, (stats.f_blocks - stats.f_bfree) * size),
            _usage("INODES", stats.f_files, stats.f_ffree, stats.f_files - stats.f_ffree),
        ]
        return proto.NodeGetVolumeStatsResponse(usage=usage)

    def _alone(self, volume_id: str, target: str) -> _Alone:
        return _Alone(self._busy, volume_id, target)


class _Alone:
    """One call at a time for a target; another one is told to come back later."""

    def __init__(self, busy: set[str], volume_id: str, target: str) -> None:
        self.busy, self.volume_id, self.target = busy, volume_id, target

    def __enter__(self) -> None:
        if self.target in self.busy:
            text = f"volume {self.volume_id} target {self.target} operation is already in progress, try again later"
            raise CsiError(Code.ABORTED, text)
        self.busy.add(self.target)

    def __exit__(self, *_exc: object) -> None:
        self.busy.discard(self.target)


def _usage(unit: str, total: int, available: int, used: int) -> dict[str, Any]:
    return {"unit": unit, "total": total, "available": available, "used": used}


def _go_text(capability: Any) -> str:
    """A capability as Go prints it."""
    mode = proto.VolumeCapability.AccessMode.Mode.Name(capability.access_mode.mode)
    kind = f'fs_type:"{capability.mount.fs_type}"' if capability.mount.fs_type else ""
    return f"{capability.WhichOneof('access_type')}:{{{kind}}}  access_mode:{{mode:{mode}}}"
