"""Mount Pods where no CSI node Pod looks after them (reference §1.11, §4.6 controller side)."""

from __future__ import annotations

from jfsnb.driver import names
from jfsnb.sandbox.client import ApiError, Informer, Obj
from jfsnb.sandbox.csi.cluster import Cluster, is_recorded, mount_pod_of
from jfsnb.sandbox.csi.klog import Logger
from jfsnb.sandbox.csi.wakeups import Wakeups

log = Logger("mount-controller")
AGAIN_SECONDS = 5


class MountController:
    """Drops the finalizer of deleted Mount Pods on nodes without a living CSI node Pod."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._wakeups = Wakeups(self._look)

    async def run(self) -> None:
        """Until cancelled."""
        mount_pods: Informer = self.cluster.mount_pods
        await mount_pods.run(self._see)

    def _see(self, kind: str, pod: Obj, _old: Obj | None) -> None:
        if kind != "DELETED" and pod["metadata"].get("deletionTimestamp"):
            self._wakeups.wake(pod["metadata"]["name"], 0)

    async def _look(self, name: str) -> None:
        obj = self.cluster.cached_mount_pod(name)
        if obj is None or names.FINALIZER not in (obj["metadata"].get("finalizers") or ()):
            return
        try:
            if await self._is_looked_after(mount_pod_of(obj).node):
                self._wakeups.wake(name, AGAIN_SECONDS)
                return
            log.info("no csi node on the node of mount pod, remove its finalizer", podName=name)
            await self.cluster.drop_finalizer(name)
        except (ApiError, OSError, TimeoutError) as error:
            log.error(error, "mount controller error", podName=name)
            self._wakeups.wake(name, AGAIN_SECONDS)

    async def _is_looked_after(self, node: str) -> bool:
        query = {"labelSelector": names.CSI_NODE_SELECTOR, "fieldSelector": f"spec.nodeName={node}"}
        found = await self.cluster.api.list(f"/api/v1/namespaces/{self.cluster.namespace}/pods", **query)
        return any(not is_recorded(p) for p in found["items"])
