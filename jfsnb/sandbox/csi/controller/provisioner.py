"""Dynamic provisioning: a PV for each claim of our StorageClasses, and its end (reference §4.5, built-in provisioner).

The real built-in provisioner calls the driver's code directly; here it goes through the CSI socket as the external
csi-provisioner does, so that the calls can be seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import grpc

from jfsnb.driver import names
from jfsnb.driver.provisioning.persistent_volume import (
    EXPAND,
    PROVISION,
    PUBLISH,
    NotProvisioned,
    pv_name_of,
    requested_bytes,
    resolved_parameters,
    secret_reference,
    volume_of,
)
from jfsnb.driver.settings.errors import SettingsError
from jfsnb.sandbox.apimachinery.client import ApiClient, ApiError, EventRecorder, Informer, Obj
from jfsnb.sandbox.apimachinery.wakeups import Wakeups
from jfsnb.sandbox.csi.cluster import Cluster, is_recorded
from jfsnb.sandbox.csi.controller.quota import can_create
from jfsnb.sandbox.csi.controller.volumes import Volumes
from jfsnb.sandbox.csi.juicefs import ClientError
from jfsnb.sandbox.csi.klog import Logger
from jfsnb.sandbox.proto import messages as proto

log = Logger("provisioner")
Work = Callable[[tuple[str, str]], Awaitable[None]]
STORAGE_PROVISIONER = "volume.kubernetes.io/storage-provisioner"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
RETRY_SECONDS = 5
CALL_SECONDS = 60

MODES = {
    "ReadWriteOnce": "SINGLE_NODE_WRITER",
    "ReadWriteOncePod": "SINGLE_NODE_WRITER",
    "ReadWriteMany": "MULTI_NODE_MULTI_WRITER",
    # The class's pathPattern names a directory that others write: it is created like any other, and mounted read-only.
    "ReadOnlyMany": "MULTI_NODE_MULTI_WRITER",
}


class Provisioner:
    """Watches claims and PVs; calls ``controller`` (a stub of csi.v1.Controller).

    Args:
        volumes: to limit a volume's size before its first mount.
    """

    def __init__(self, cluster: Cluster, controller: Any, volumes: Volumes) -> None:
        self.cluster, self.controller, self.limiter = cluster, controller, volumes
        self.api: ApiClient = cluster.api
        self.events = EventRecorder(cluster.api, f"{names.DRIVER}_juicefs-csi-controller-0")
        self.claims = Informer(self.api, "/api/v1/persistentvolumeclaims")
        self.volumes = Informer(self.api, "/api/v1/persistentvolumes")
        self._claims = Wakeups(lambda key: self._safely(self._claims, key, self._provision))
        self._volumes = Wakeups(lambda key: self._safely(self._volumes, key, self._delete))

    async def run(self) -> None:
        """Until cancelled."""
        self.claims.add_handler(lambda kind, obj, _: self._see(self._claims, kind, obj))
        self.volumes.add_handler(lambda kind, obj, _: self._see(self._volumes, kind, obj))
        await asyncio.gather(self.claims.run(), self.volumes.run())

    def _see(self, wakeups: Wakeups, kind: str, obj: Obj) -> None:
        if kind != "DELETED" and not is_recorded(obj):
            wakeups.wake(f"{obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}", 0)

    async def _safely(self, wakeups: Wakeups, key: str, work: Work) -> None:
        namespace, name = key.split("/", 1)
        try:
            await work((namespace, name))
        except (ApiError, aiohttp.ClientError, OSError, TimeoutError) as error:
            log.error(error, "provisioner error", key=key)
            wakeups.wake(key, RETRY_SECONDS)

    # ---------------------------------------------------------------- claims

    async def _provision(self, key: tuple[str, str]) -> None:
        pvc = self.claims.store.get(key)
        if pvc is None or not _wants_volume(pvc):
            return
        storage_class = await self.cluster.storage_class(pvc["spec"].get("storageClassName") or "-")
        if storage_class is None or storage_class.get("provisioner") != names.DRIVER:
            return
        node_name = (pvc["metadata"].get("annotations") or {}).get(SELECTED_NODE)
        if storage_class.get("volumeBindingMode") == "WaitForFirstConsumer" and not node_name:
            return
        if await self.cluster.pv(pv_name_of(pvc)) is not None:
            return
        claim = "/".join(key)
        self.events.event(
            pvc, "Normal", "Provisioning", f'External provisioner is provisioning volume for claim "{claim}"'
        )
        try:
            await self._make(pvc, storage_class, node_name)
        except (NotProvisioned, grpc.aio.AioRpcError) as error:
            text = _call_error(error)
            message = f'failed to provision volume with StorageClass "{storage_class["metadata"]["name"]}": {text}'
            self.events.event(pvc, "Warning", "ProvisioningFailed", message)
            self._claims.wake(claim, RETRY_SECONDS)
            return
        self.events.event(pvc, "Normal", "ProvisioningSucceeded", f"Successfully provisioned volume {pv_name_of(pvc)}")

    async def _make(self, pvc: Obj, storage_class: Obj, node_name: str | None) -> None:
        node = await self.cluster.find(f"/api/v1/nodes/{node_name}") if node_name else None
        name = pv_name_of(pvc)
        parameters = resolved_parameters(storage_class, pvc, node, name)
        secrets = await self._secrets(secret_reference(parameters, PROVISION))
        request = proto.CreateVolumeRequest(
            name=name,
            capacity_range={"required_bytes": requested_bytes(pvc)},
            volume_capabilities=[_capability(m) for m in pvc["spec"].get("accessModes") or ["ReadWriteMany"]],
            parameters={k: v for k, v in parameters.items() if not k.startswith("csi.storage.k8s.io/")},
            secrets=secrets,
        )
        await self.controller.CreateVolume(request, timeout=CALL_SECONDS)
        holds = (storage_class.get("parameters") or {}).get("secretFinalizer") == "true"
        if holds and storage_class.get("reclaimPolicy") != "Retain":
            await self._hold_secret(secret_reference(parameters, PUBLISH))
        limited = await self._limits_early(parameters)
        pv = _bound_to(volume_of(storage_class, pvc, node, name, sets_quota=bool(limited)), pvc)
        try:
            await self.api.create("/api/v1/persistentvolumes", pv)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
        if limited:
            self._later = asyncio.ensure_future(self._limit(pv, limited, requested_bytes(pvc)))

    async def _limits_early(self, parameters: dict[str, str]) -> dict[str, str]:
        """The expansion Secret, when the quota is to be set now and the client can set it on a directory to come."""
        reference = secret_reference(parameters, EXPAND)
        if reference is None or not self.limiter.sets_quota_early or not await can_create():
            return {}
        return await self.cluster.secret(reference["namespace"], reference["name"]) or {}

    async def _limit(self, pv: Obj, secrets: dict[str, str], capacity: int) -> None:
        try:
            await self.limiter.limit(pv["metadata"]["name"], secrets, capacity, pv)
        except (ClientError, SettingsError, OSError) as error:
            log.error(error, "set quota in provisioner error", pv=pv["metadata"]["name"])

    async def _secrets(self, reference: dict[str, str] | None) -> dict[str, str]:
        if reference is None:
            return {}
        found = await self.cluster.secret(reference["namespace"], reference["name"])
        if found is None:
            raise NotProvisioned(f'error getting secret {reference["name"]}: secrets "{reference["name"]}" not found')
        return found

    async def _hold_secret(self, reference: dict[str, str] | None) -> None:
        if reference is None:
            return
        path = f"/api/v1/namespaces/{reference['namespace']}/secrets/{reference['name']}"
        secret = await self.api.get(path)
        held = secret["metadata"].get("finalizers") or []
        if names.FINALIZER not in held:
            await self.api.patch(path, {"metadata": {"finalizers": [*held, names.FINALIZER]}})

    # ---------------------------------------------------------------- volumes

    async def _delete(self, key: tuple[str, str]) -> None:
        pv = self.volumes.store.get(key)
        if pv is None or not _is_done_with(pv):
            return
        csi = pv["spec"]["csi"]
        attributes = csi.get("volumeAttributes") or {}
        if self._is_shared(pv, attributes):
            log.info("subPath is used by another PV, not deleted", pv=key[1], subPath=attributes.get("subPath", ""))
        else:
            reference = secret_reference(attributes, PROVISION) or csi.get("nodePublishSecretRef")
            secrets = await self.cluster.secret(reference["namespace"], reference["name"]) if reference else None
            request = proto.DeleteVolumeRequest(volume_id=csi["volumeHandle"], secrets=secrets or {})
            try:
                await self.controller.DeleteVolume(request, timeout=CALL_SECONDS)
            except grpc.aio.AioRpcError as error:
                self.events.event(pv, "Warning", "VolumeFailedDelete", _call_error(error))
                self._volumes.wake("/".join(key), RETRY_SECONDS)
                return
        try:
            await self.api.delete(f"/api/v1/persistentvolumes/{key[1]}")
        except ApiError as error:
            if error.status != 404:
                raise

    def _is_shared(self, pv: Obj, attributes: dict[str, str]) -> bool:
        """Whether a pathPattern led another PV of the class to the same directory, or to the root."""
        if not attributes.get("pathPattern"):
            return False
        path = attributes.get("subPath", "").strip("/")
        others = (p for p in self.volumes.store.values() if p["metadata"]["name"] != pv["metadata"]["name"])
        same_class = (p for p in others if p["spec"].get("storageClassName") == pv["spec"].get("storageClassName"))
        paths = {((p["spec"].get("csi") or {}).get("volumeAttributes") or {}).get("subPath") for p in same_class}
        return not path or path in {(p or "").strip("/") for p in paths}


def _bound_to(pv: Obj, pvc: Obj) -> Obj:
    """What the provisioner library adds: whose volume it is, and who made it."""
    claim = {key: pvc["metadata"][key] for key in ("namespace", "name", "uid", "resourceVersion")}
    reference = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **claim}
    meta = {**pv["metadata"], "annotations": {PROVISIONED_BY: names.DRIVER}}
    spec = {"volumeMode": "Filesystem", **pv["spec"], "claimRef": reference}
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": meta, "spec": spec}


def _wants_volume(pvc: Obj) -> bool:
    notes = pvc["metadata"].get("annotations") or {}
    unbound = not pvc["spec"].get("volumeName") and not pvc["metadata"].get("deletionTimestamp")
    return unbound and notes.get(STORAGE_PROVISIONER) == names.DRIVER


def _is_done_with(pv: Obj) -> bool:
    made_by_us = (pv["metadata"].get("annotations") or {}).get(PROVISIONED_BY) == names.DRIVER
    spec, phase = pv["spec"], (pv.get("status") or {}).get("phase")
    ours = (spec.get("csi") or {}).get("driver") == names.DRIVER
    released = phase in ("Released", "Failed") and not pv["metadata"].get("deletionTimestamp")
    return bool(made_by_us and ours and released and spec.get("persistentVolumeReclaimPolicy") == "Delete")


def _capability(mode: str) -> dict[str, Any]:
    return {"mount": {"fs_type": "juicefs"}, "access_mode": {"mode": MODES.get(mode, "UNKNOWN")}}


def _call_error(error: Exception) -> str:
    if isinstance(error, grpc.aio.AioRpcError):
        return f"rpc error: code = {proto.code_name(error.code())} desc = {error.details()}"
    return str(error)
