"""Mount Pods where no CSI node Pod looks after them (reference §1.11, §4.6 controller side)."""

from __future__ import annotations

from jfsnb.driver import names
from jfsnb.sandbox.apimachinery.client import ApiError, Informer, Obj
from jfsnb.sandbox.apimachinery.wakeups import Wakeups
from jfsnb.sandbox.csi.cluster import Cluster, is_recorded, mount_pod_of
from jfsnb.sandbox.csi.klog import Logger

log = Logger("mount-controller")
AGAIN_SECONDS = 5
PENDING_AGAIN_SECONDS = 600


class MountController:
    """Looks after Mount Pods that no CSI node Pod does.

    Deleted ones on nodes without a CSI node Pod lose their finalizer; ones that wait for a node although their users
    are gone are deleted.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._wakeups = Wakeups(self._look)

    async def run(self) -> None:
        """Until cancelled."""
        mount_pods: Informer = self.cluster.mount_pods
        await mount_pods.run(self._see)

    def _see(self, kind: str, pod: Obj, _old: Obj | None) -> None:
        if kind != "DELETED" and (pod["metadata"].get("deletionTimestamp") or _waits_for_a_node(pod)):
            self._wakeups.wake(pod["metadata"]["name"], 0)

    async def _look(self, name: str) -> None:
        obj = self.cluster.cached_mount_pod(name)
        if obj is None or names.FINALIZER not in (obj["metadata"].get("finalizers") or ()):
            return
        try:
            if not obj["metadata"].get("deletionTimestamp"):
                return await self._look_at_waiting(obj)
            node = obj["spec"].get("nodeName", "")  # one that was never scheduled is no CSI node's
            if node and await self._is_looked_after(node):
                self._wakeups.wake(name, AGAIN_SECONDS)
                return
            log.info("csi node did not exist. remove finalizer of pod", node=node, name=name)
            await self.cluster.drop_finalizer(name)
        except (ApiError, OSError, TimeoutError) as error:
            log.error(error, "mount controller error", podName=name)
            self._wakeups.wake(name, AGAIN_SECONDS)

    async def _look_at_waiting(self, obj: Obj) -> None:
        """Delete a Mount Pod that waits for a node and has no living user (a custom scheduler may never place it)."""
        if not _waits_for_a_node(obj) or is_recorded(obj):
            return
        pod = mount_pod_of(obj)
        here = {"fieldSelector": f"spec.nodeName={pod.node}"} if pod.node else {}
        found = await self.cluster.api.list("/api/v1/pods", labelSelector=names.UNIQUE_ID, **here)
        alive = {p["metadata"]["uid"] for p in found["items"]}
        if any(r.pod_uid in alive for r in pod.references):
            self._wakeups.wake(pod.name, PENDING_AGAIN_SECONDS)
            return
        log.info("No app pods reference this pending mount pod, deleting it", mountPod=pod.name)
        await self.cluster.delete_mount_pod(pod.name)

    async def _is_looked_after(self, node: str) -> bool:
        query = {"labelSelector": names.CSI_NODE_SELECTOR, "fieldSelector": f"spec.nodeName={node}"}
        found = await self.cluster.api.list(f"/api/v1/namespaces/{self.cluster.namespace}/pods", **query)
        return any(not is_recorded(p) for p in found["items"])


def _waits_for_a_node(pod: Obj) -> bool:
    status, spec = pod.get("status") or {}, pod.get("spec") or {}
    return status.get("phase") == "Pending" and not spec.get("nodeName")
