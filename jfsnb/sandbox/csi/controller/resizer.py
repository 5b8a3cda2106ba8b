"""Volume expansion: what the csi-resizer sidecar does for a claim that asks for more than it has."""

from __future__ import annotations

from typing import Any

import grpc

from jfsnb.driver import names
from jfsnb.driver.provisioning.persistent_volume import requested_bytes
from jfsnb.driver.settings import quantity
from jfsnb.sandbox.apimachinery.client import ApiError, EventRecorder, Informer, Obj
from jfsnb.sandbox.apimachinery.wakeups import Wakeups
from jfsnb.sandbox.csi.cluster import Cluster
from jfsnb.sandbox.csi.klog import Logger
from jfsnb.sandbox.proto import messages as proto

log = Logger("resizer")
RETRY_SECONDS = 5
CALL_SECONDS = 60


class Resizer:
    """Follows an informer of claims; calls ``controller`` (a stub of csi.v1.Controller)."""

    def __init__(self, cluster: Cluster, claims: Informer, controller: Any) -> None:
        self.cluster, self.claims, self.controller = cluster, claims, controller
        self.events = EventRecorder(cluster.api, f"external-resizer {names.DRIVER}")
        self._wakeups = Wakeups(self._resize_safely)
        claims.add_handler(self._see)

    def _see(self, kind: str, pvc: Obj, _old: Obj | None) -> None:
        if kind != "DELETED" and _grows(pvc):
            self._wakeups.wake(f"{pvc['metadata']['namespace']}/{pvc['metadata']['name']}", 0)

    async def _resize_safely(self, key: str) -> None:
        namespace, name = key.split("/", 1)
        pvc = self.claims.store.get((namespace, name))
        if pvc is None or not _grows(pvc):
            return
        try:
            await self._resize(pvc)
        except (ApiError, grpc.aio.AioRpcError, OSError, TimeoutError) as error:
            text = error.details() if isinstance(error, grpc.aio.AioRpcError) else str(error)
            self.events.event(pvc, "Warning", "VolumeResizeFailed", f"resize volume failed: {text}")
            self._wakeups.wake(key, RETRY_SECONDS)

    async def _resize(self, pvc: Obj) -> None:
        pv = await self.cluster.pv(pvc["spec"]["volumeName"])
        csi = ((pv or {}).get("spec") or {}).get("csi") or {}
        if pv is None or csi.get("driver") != names.DRIVER:
            return
        size = pvc["spec"]["resources"]["requests"]["storage"]
        reference = csi.get("controllerExpandSecretRef")
        secrets = await self.cluster.secret(reference["namespace"], reference["name"]) if reference else None
        request = proto.ControllerExpandVolumeRequest(
            volume_id=csi["volumeHandle"],
            capacity_range={"required_bytes": requested_bytes(pvc)},
            secrets=secrets or {},
        )
        await self.controller.ControllerExpandVolume(request, timeout=CALL_SECONDS)
        api, meta = self.cluster.api, pvc["metadata"]
        await api.patch(
            f"/api/v1/persistentvolumes/{pv['metadata']['name']}", {"spec": {"capacity": {"storage": size}}}
        )
        claim = f"/api/v1/namespaces/{meta['namespace']}/persistentvolumeclaims/{meta['name']}"
        await api.patch(f"{claim}/status", {"status": {"capacity": {"storage": size}}})
        self.events.event(pvc, "Normal", "VolumeResizeSuccessful", "Resize volume succeeded")


def _grows(pvc: Obj) -> bool:
    """Whether a bound claim asks for more than it has."""
    status = pvc.get("status") or {}
    actual = (status.get("capacity") or {}).get("storage")
    return status.get("phase") == "Bound" and bool(actual) and requested_bytes(pvc) > quantity.parse(str(actual))
