"""What the driver asks of the API server and changes there; everything else works on plain data."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Mapping, Sequence
from typing import Any

from jfsnb.driver import names
from jfsnb.driver.mountpods.mount_pods import MountPod, is_mount_pod
from jfsnb.sandbox.apimachinery import remote_exec
from jfsnb.sandbox.apimachinery.broadcast import Broadcast
from jfsnb.sandbox.apimachinery.client import ApiClient, ApiError, Informer, Obj
from jfsnb.sandbox.csi.klog import Logger

log = Logger("secret")
RECORDED = "sandbox.jfsnb.io/recorded"
NODE_CACHE_SECONDS = 60


def is_recorded(obj: Mapping[str, Any]) -> bool:
    """Nobody runs such an object; the driver leaves it alone."""
    return (obj["metadata"].get("annotations") or {}).get(RECORDED) == "true"


def mount_pod_of(obj: Obj) -> MountPod:
    return MountPod.from_object(obj)


class Cluster:
    """The API server as the driver on one node uses it.

    Args:
        api: with the driver's service account.
        namespace: of the Mount Pods.
        node: that this process serves; empty for the controller.
    """

    def __init__(self, api: ApiClient, namespace: str, node: str = "") -> None:
        self.api, self.namespace, self.node = api, namespace, node
        self.mount_pods = Informer(api, self._pods(), labelSelector=names.MOUNT_POD_SELECTOR)
        self.app_pods = Informer(
            api, "/api/v1/pods", labelSelector=names.UNIQUE_ID, fieldSelector=f"spec.nodeName={node}"
        )
        self.changed = Broadcast()
        self.mount_pods.add_handler(lambda *_: self.changed.send())
        self._node: tuple[float, Obj | None] = (float("-inf"), None)

    def _pods(self, name: str = "", namespace: str = "") -> str:
        return f"/api/v1/namespaces/{namespace or self.namespace}/pods" + (f"/{name}" if name else "")

    # ---------------------------------------------------------------- reading

    async def find(self, path: str) -> Obj | None:
        """An object, or None when there is none."""
        try:
            return await self.api.get(path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def pv(self, name: str) -> Obj | None:
        return await self.find(f"/api/v1/persistentvolumes/{name}")

    async def pvc(self, namespace: str, name: str) -> Obj | None:
        return await self.find(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}")

    async def pod(self, namespace: str, name: str) -> Obj | None:
        return await self.find(self._pods(name, namespace))

    async def storage_class(self, name: str) -> Obj | None:
        return await self.find(f"/apis/storage.k8s.io/v1/storageclasses/{name}")

    async def config_map(self, name: str) -> Obj:
        """A ConfigMap of the driver's namespace. Raises ApiError."""
        return await self.api.get(f"/api/v1/namespaces/{self.namespace}/configmaps/{name}")

    async def secret(self, namespace: str, name: str) -> dict[str, str] | None:
        """A Secret's data, decoded."""
        found = await self.find(f"/api/v1/namespaces/{namespace}/secrets/{name}")
        if found is None:
            return None
        return {k: base64.b64decode(v).decode() for k, v in (found.get("data") or {}).items()}

    async def own_node(self) -> Obj | None:
        """The Node object, at most a minute old."""
        read, node = self._node
        if time.monotonic() - read > NODE_CACHE_SECONDS:
            node = await self.find(f"/api/v1/nodes/{self.node}")
            self._node = time.monotonic(), node
        return node

    async def nodes_with_hostname(self, hostname: str) -> list[str]:
        found = await self.api.list("/api/v1/nodes", labelSelector=f"kubernetes.io/hostname={hostname}")
        return [n["metadata"]["name"] for n in found["items"]]

    async def claim_of(self, volume_id: str, pv: Obj | None, app_pod: Obj | None) -> tuple[Obj | None, Obj | None]:
        """(PV, PVC) of a volume: the PV named like the volumeHandle, else by walking the app Pod's claims (§2.3)."""
        if pv is not None:
            claim = (pv.get("spec") or {}).get("claimRef") or {}
            return pv, await self.pvc(claim["namespace"], claim["name"]) if claim.get("name") else None
        for volume in ((app_pod or {}).get("spec") or {}).get("volumes") or ():
            name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
            pvc = await self.pvc(app_pod["metadata"]["namespace"], name) if name and app_pod else None
            bound = await self.pv(pvc["spec"].get("volumeName") or "-") if pvc else None
            if bound and (bound["spec"].get("csi") or {}).get("volumeHandle") == volume_id:
                return bound, pvc
        return None, None

    async def mount_pods_here(self, unique_id: str) -> list[Obj]:
        """Mount Pods of a unique id on this node, as the API server has them now; recorded ones are no candidates."""
        found = await self.api.list(self._pods(), labelSelector=names.mount_pod_selector(unique_id))
        return [p for p in found["items"] if self.is_ours(p)]

    def is_ours(self, pod: Obj) -> bool:
        """Whether a Mount Pod is this node's business, also one that may go nowhere else and waits to be scheduled."""
        return is_mount_pod(pod) and mount_pod_of(pod).node == self.node and not is_recorded(pod)

    def is_bound_here(self, pod: Obj) -> bool:
        """Whether a Mount Pod runs, or is to run, on this node: the driver's loops see no other."""
        return self.is_ours(pod) and pod["spec"].get("nodeName") == self.node

    async def app_pod_uids(self) -> set[str]:
        """UIDs of the node's Pods that use JuiceFS, as the API server has them now (§4.6, API watch)."""
        query = {"labelSelector": names.UNIQUE_ID, "fieldSelector": f"spec.nodeName={self.node}"}
        found = await self.api.list("/api/v1/pods", **query)
        return {p["metadata"]["uid"] for p in found["items"]}

    def cached_mount_pod(self, name: str) -> Obj | None:
        return self.mount_pods.store.get((self.namespace, name))

    def successors(self, upgrade_uuid: str) -> Informer:
        """The Mount Pods that follow each other under one upgrade UUID; to be run by the caller."""
        return Informer(self.api, self._pods(), labelSelector=f"{names.UPGRADE_UUID}={upgrade_uuid}")

    async def logs(self, name: str, container: str, lines: int) -> str:
        """The last lines of a container's log; empty when there are none to be had."""
        try:
            found = await self.api.get(f"{self._pods(name)}/log", container=container, tailLines=lines)
        except ApiError:
            return ""
        return str(found.get("text", ""))

    async def execute(self, mount_pod: str, command: Sequence[str]) -> str:
        """Output of a command in a Mount Pod's container. Raises ExecFailed."""
        return await remote_exec.run(self.api, self._pods(mount_pod), names.MOUNT_CONTAINER, command)

    # ---------------------------------------------------------------- changing

    async def label_app_pod(self, namespace: str, name: str) -> None:
        """Mark an app Pod as one that uses JuiceFS (§1.10)."""
        patch = {"metadata": {"labels": {names.UNIQUE_ID: ""}}}
        await self.api.patch(self._pods(name, namespace), patch, kind="strategic")

    async def create_mount_pod(self, pod: Obj) -> Obj:
        return await self.api.create(self._pods(), pod)

    async def delete_mount_pod(self, name: str) -> None:
        """DELETE; a Pod that is gone already is fine."""
        try:
            await self.api.delete(self._pods(name))
        except ApiError as error:
            if error.status != 404:
                raise

    async def annotate(self, name: str, add: Mapping[str, str], remove: tuple[str, ...] = ()) -> Obj:
        """Set and remove annotations of a Mount Pod, each by itself: others' edits are not overwritten."""
        values: dict[str, str | None] = {**add, **dict.fromkeys(remove)}
        return await self.api.patch(self._pods(name), {"metadata": {"annotations": values}})

    async def add_reference(self, name: str, target: str) -> None:
        """One more user; it also cancels a pending deletion (§1.10)."""
        await self.annotate(name, {names.reference_key(target): target}, (names.DELETE_AT,))

    async def drop_references(self, name: str, targets: tuple[str, ...]) -> Obj:
        return await self.annotate(name, {}, tuple(map(names.reference_key, targets)))

    async def drop_finalizer(self, name: str) -> None:
        """Let a deleted Mount Pod go."""
        while (pod := await self.find(self._pods(name))) is not None:
            meta = pod["metadata"]
            left = [f for f in meta.get("finalizers") or () if f != names.FINALIZER]
            if left == (meta.get("finalizers") or []):
                return
            patch = {"metadata": {"finalizers": left or None, "resourceVersion": meta["resourceVersion"]}}
            try:
                await self.api.patch(self._pods(name), patch)
                return
            except ApiError as error:
                if error.status == 404:
                    return
                if error.status != 409:
                    raise
                await asyncio.sleep(0)

    async def write_secret(self, name: str, data: Mapping[str, str], owner: Obj | None) -> None:
        """Create the driver-made Secret, or bring it up to date when a key differs or the owner is missing (§1.8)."""
        log.info("secret", name=name, namespace=self.namespace)
        encoded = {k: base64.b64encode(v.encode()).decode() for k, v in data.items()}
        path = f"/api/v1/namespaces/{self.namespace}/secrets"
        owners = [_owner_reference(owner)] if owner else []
        found = await self.find(f"{path}/{name}")
        if found is None:
            meta = {"name": name, "namespace": self.namespace, "labels": {"juicefs/secret": "true"}}
            body = {"apiVersion": "v1", "kind": "Secret", "metadata": {**meta, "ownerReferences": owners}}
            try:
                await self.api.create(path, {**body, "type": "Opaque", "data": encoded})
                return
            except ApiError as error:
                if error.reason != "AlreadyExists":
                    raise
                found = await self.api.get(f"{path}/{name}")
        known = found["metadata"].get("ownerReferences") or []
        missing = [o for o in owners if o["uid"] not in {k.get("uid") for k in known}]
        if found.get("data") == encoded and not missing:
            return
        patch = [
            {"op": "add", "path": "/data", "value": encoded},
            {"op": "add", "path": "/metadata/ownerReferences", "value": [*known, *missing]},
        ]
        await self.api.patch(f"{path}/{name}", patch, kind="json")


def _owner_reference(owner: Obj) -> Obj:
    return {
        "apiVersion": owner.get("apiVersion", "v1"),
        "kind": owner.get("kind", "PersistentVolume"),
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": False,
    }
