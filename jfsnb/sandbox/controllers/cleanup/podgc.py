"""Pods that no kubelet will ever take away: deleted ones of recorded nodes, and those whose node is gone."""

from __future__ import annotations

from jfsnb.sandbox.controllers.cluster import Cluster, Index
from jfsnb.sandbox.controllers.controller import Controller
from jfsnb.sandbox.controllers.objects import Key, Obj, deleting, key_of, recorded, spec_of, terminated

QUARANTINE = 40.0  # seconds that a node may be missing before its Pods are given up


class PodCollector(Controller):
    component = "pod-garbage-collector"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._missing: set[str] = set()
        self.watch("pods", lambda pod: key_of(pod) if deleting(pod) or self._lost(pod) else None)
        self._pods = Index(cluster.informer("pods"), lambda p: [n] if (n := spec_of(p).get("nodeName")) else ())
        self.watch("nodes", lambda n: [key_of(p) for p in self._pods.get(n["metadata"]["name"])])

    def _node(self, pod: Obj) -> Obj | None:
        return self.cluster.get("nodes", ("", spec_of(pod).get("nodeName", "")))

    def _lost(self, pod: Obj) -> bool:
        return bool(spec_of(pod).get("nodeName")) and self._node(pod) is None

    async def sync(self, key: Key) -> float | None:
        pod = self.cluster.get("pods", key)
        if pod is None:
            return None
        node = self._node(pod)
        if deleting(pod) and (recorded(pod) or (node is not None and recorded(node))):
            await self._take_away(pod)
        elif deleting(pod) and not spec_of(pod).get("nodeName"):
            await self.cluster.delete("pods", pod, grace=0)
        elif self._lost(pod) and not recorded(pod):
            uid = pod["metadata"]["uid"]
            if uid not in self._missing:
                self._missing.add(uid)
                return QUARANTINE
            self._missing.discard(uid)
            if not terminated(pod):
                await self._fail(pod)
            await self.cluster.delete("pods", pod, grace=0)
        else:
            self._missing.discard(pod["metadata"]["uid"])
        return None

    async def _take_away(self, pod: Obj) -> None:
        """A recorded Pod goes at once: nobody is there who would remove its finalizers."""
        if pod["metadata"].get("finalizers"):
            body = {"metadata": {"uid": pod["metadata"]["uid"], "finalizers": None}}
            await self.cluster.patch("pods", key_of(pod), body)
        await self.cluster.delete("pods", pod, grace=0)

    async def _fail(self, pod: Obj) -> None:
        target = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByPodGC",
            "message": "PodGC: node no longer exists",
        }
        body = {"status": {"phase": "Failed", "conditions": [target]}}
        await self.cluster.patch("pods", key_of(pod), body, kind="strategic", subresource="status")
