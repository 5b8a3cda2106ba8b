"""The CSI Controller service (reference §4.1, §4.5): argument checks, status codes, and what a volume is to the driver.

A volume is a directory of the file system: nothing is made for it until a Mount Pod mounts it, so creating is naming.
"""

from __future__ import annotations

import re
from typing import Any

import grpc

from jfsnb.driver.settings.errors import SettingsError
from jfsnb.sandbox.apimachinery.client import ApiError
from jfsnb.sandbox.csi.cluster import Cluster
from jfsnb.sandbox.csi.controller.job_runner import JobFailed
from jfsnb.sandbox.csi.controller.snapshots import Snapshots
from jfsnb.sandbox.csi.controller.volumes import Volumes
from jfsnb.sandbox.csi.juicefs import ClientError
from jfsnb.sandbox.csi.klog import Logger
from jfsnb.sandbox.csi.node.node_service import required
from jfsnb.sandbox.csi.rules.capabilities import Mode, are_supported
from jfsnb.sandbox.proto import messages as proto
from jfsnb.sandbox.proto.messages import CsiError

log = Logger("controller")
Code = grpc.StatusCode
Rpc = proto.ControllerServiceCapability.RPC
CAPABILITIES = (Rpc.CREATE_DELETE_VOLUME, Rpc.EXPAND_VOLUME, Rpc.CREATE_DELETE_SNAPSHOT)
DYNAMIC = re.compile(r"^pvc-\w{8}(-\w{4}){3}-\w{12}$")


class ControllerService:
    """Volumes by name.

    Args:
        cluster: to know volumes that were made before this process, or by hand; None without a cluster.
        volumes: to remove and to limit them; None without a cluster.
    """

    def __init__(self, cluster: Cluster | None, volumes: Volumes | None = None) -> None:
        self.cluster, self.volumes = cluster, volumes
        self._sizes: dict[str, int] = {}
        self._snapshots = Snapshots()

    async def ControllerGetCapabilities(self, _request: Any) -> Any:
        return proto.ControllerGetCapabilitiesResponse(capabilities=[{"rpc": {"type": kind}} for kind in CAPABILITIES])

    async def CreateVolume(self, request: Any) -> Any:
        required(request.name, "Volume Name cannot be empty")
        required(request.volume_capabilities, "Volume Capabilities cannot be empty")
        if not are_supported(request.volume_capabilities):
            raise CsiError(Code.INVALID_ARGUMENT, "Volume capabilities not supported")
        if any(c.access_mode.mode == Mode.MULTI_NODE_READER_ONLY for c in request.volume_capabilities):
            raise CsiError(Code.INVALID_ARGUMENT, "Dynamic mount read-only is not supported")
        size = _size(request.capacity_range)
        known = self._sizes.get(request.name)
        limit = request.capacity_range.limit_bytes
        if known is not None and (known < size or 0 < limit < known):
            raise CsiError(Code.ALREADY_EXISTS, f"Volume: {request.name!r}, capacity bytes: {known}".replace("'", '"'))
        await self._fill(request)
        self._sizes[request.name] = size if known is None else known
        context = {**request.parameters, "subPath": request.name, "capacity": str(size)}
        volume = {"volume_id": request.name, "capacity_bytes": self._sizes[request.name], "volume_context": context}
        if request.HasField("volume_content_source"):
            volume["content_source"] = request.volume_content_source
        return proto.CreateVolumeResponse(volume=volume)

    async def _fill(self, request: Any) -> None:
        if not request.HasField("volume_content_source"):
            return
        source = request.volume_content_source
        if source.WhichOneof("type") != "snapshot":
            raise CsiError(Code.INVALID_ARGUMENT, "Unsupported volume content source")
        await self._snapshots.restore(source.snapshot.snapshot_id, request.name, dict(request.secrets))

    async def DeleteVolume(self, request: Any) -> Any:
        required(request.volume_id, "Volume ID not provided")
        volume_id, secrets = request.volume_id, dict(request.secrets)
        if DYNAMIC.match(volume_id) and secrets and self.volumes is not None:
            try:
                await self.volumes.remove(volume_id, secrets)
            except (JobFailed, SettingsError) as error:
                raise CsiError(Code.INTERNAL, f"Could not delVol in juicefs: {error}") from error
            except ApiError as error:
                raise CsiError(Code.INTERNAL, f"Could not delVol in juicefs: {error.message}") from error
        self._sizes.pop(volume_id, None)
        return proto.DeleteVolumeResponse()

    async def ValidateVolumeCapabilities(self, request: Any) -> Any:
        required(request.volume_id, "Volume ID not provided")
        required(request.volume_capabilities, "Volume capabilities not provided")
        await self._check_exists(request.volume_id)
        if not are_supported(request.volume_capabilities):
            return proto.ValidateVolumeCapabilitiesResponse(message="a capability is not supported")
        confirmed = proto.ValidateVolumeCapabilitiesResponse.Confirmed(
            volume_capabilities=request.volume_capabilities,
            volume_context=request.volume_context,
            parameters=request.parameters,
        )
        return proto.ValidateVolumeCapabilitiesResponse(confirmed=confirmed)

    async def ControllerExpandVolume(self, request: Any) -> Any:
        """A volume's size is a quota; clients before 1.1 have none: the new size is accepted and not enforced."""
        if self.volumes is not None and not self.volumes.sets_quota:
            raise CsiError(Code.INVALID_ARGUMENT, "EnableSetQuota is false in config, skipping set quota")
        required(request.volume_id, "Volume ID not provided")
        required(request.HasField("capacity_range"), "Capacity range not provided")
        size = _size(request.capacity_range)
        if self.cluster is not None or request.volume_id in self._sizes:
            await self._check_exists(request.volume_id)
        if self.volumes is not None:
            try:
                await self.volumes.limit(request.volume_id, dict(request.secrets), size)
            except (ClientError, SettingsError) as error:
                raise CsiError(Code.INTERNAL, f"Could not set quota: {error}") from error
        self._sizes[request.volume_id] = size
        log.info("volume expanded", volumeId=request.volume_id, capacity=size)
        return proto.ControllerExpandVolumeResponse(capacity_bytes=size, node_expansion_required=False)

    async def CreateSnapshot(self, request: Any) -> Any:
        required(request.name, "Snapshot name not provided")
        required(request.source_volume_id, "Source volume ID not provided")
        source = request.source_volume_id
        await self._check_exists(source)
        size = self._sizes.get(source, 0)
        made = await self._snapshots.create(request.name, source, size, dict(request.secrets))
        return proto.CreateSnapshotResponse(snapshot=made.message())

    async def DeleteSnapshot(self, request: Any) -> Any:
        required(request.snapshot_id, "Snapshot ID not provided")
        await self._snapshots.delete(request.snapshot_id, dict(request.secrets))
        return proto.DeleteSnapshotResponse()

    async def _check_exists(self, volume_id: str) -> None:
        if volume_id in self._sizes:
            return
        if self.cluster is None or await self.cluster.pv(volume_id) is None:
            raise CsiError(Code.NOT_FOUND, f"Could not get volume by ID {volume_id!r}".replace("'", '"'))


def _size(capacity: Any) -> int:
    """Bytes that are asked for.

    Raises:
        CsiError: negative, or more than the limit.
    """
    size, limit = int(capacity.required_bytes), int(capacity.limit_bytes)
    if size < 0 or limit < 0:
        raise CsiError(Code.INVALID_ARGUMENT, "Capacity must not be negative")
    if 0 < limit < size:
        raise CsiError(Code.OUT_OF_RANGE, f"Required bytes {size} exceed the limit {limit}")
    return size or limit
