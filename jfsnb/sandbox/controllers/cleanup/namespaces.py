"""Deletion of namespaces: first everything in it, then the namespace itself."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable

from jfsnb.sandbox.apimachinery.client import ApiError
from jfsnb.sandbox.controllers.cleanup.graph import Graph, Kind, Node
from jfsnb.sandbox.controllers.cluster import Cluster
from jfsnb.sandbox.controllers.controller import Controller
from jfsnb.sandbox.controllers.objects import Key, Obj, deleting, spec_of, status_of, with_condition

EVENTS = Kind("v1", "Event", "events", True)
LOOK_AGAIN = 5.0
UNSEEN = 0.5  # something is left that the graph has not shown yet


class NamespaceDeletion(Controller):
    component = "namespace-controller"

    def __init__(self, cluster: Cluster, graph: Graph) -> None:
        super().__init__(cluster)
        self.graph = graph
        self.watch("namespaces", lambda n: ("", n["metadata"]["name"]) if deleting(n) else None)
        graph.listen(self._see)

    def _see(self, node: Node, gone: bool) -> None:
        namespace = self.cluster.get("namespaces", ("", node.key[0])) if node.key[0] else None
        if namespace is not None and deleting(namespace):
            self.queue.add(("", node.key[0]))

    async def run(self) -> None:
        await self.graph.complete.wait()
        await super().run()

    async def sync(self, key: Key) -> float | None:
        namespace, name = self.cluster.get("namespaces", key), key[1]
        if (
            namespace is None
            or not deleting(namespace)
            or "kubernetes" not in (spec_of(namespace).get("finalizers") or ())
        ):
            return None
        left = self.graph.inside(name)
        await self._empty(name, {n.kind for n in left if not n.deleting})
        if left:
            await self._report(namespace, left)
            return LOOK_AGAIN
        await self._empty(name, {EVENTS})
        kinds = await self._not_empty(name)
        if kinds:
            await self._empty(name, kinds)
            return UNSEEN
        kept = [f for f in namespace["spec"]["finalizers"] if f != "kubernetes"]
        try:
            await self.cluster.update("namespaces", {**namespace, "spec": {"finalizers": kept}}, subresource="finalize")
        except ApiError as error:
            if error.status != 404:
                raise
        return None

    async def _empty(self, namespace: str, kinds: Iterable[Kind]) -> None:
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        await asyncio.gather(*(self.cluster.api.delete(k.collection(namespace), options) for k in kinds))

    async def _not_empty(self, namespace: str) -> set[Kind]:
        """Ask the API server itself, once more, before the namespace goes."""
        kinds = [*self.graph.namespaced_kinds(), EVENTS]
        lists = await asyncio.gather(*(self.cluster.api.get(k.collection(namespace), limit=1) for k in kinds))
        return {kind for kind, found in zip(kinds, lists, strict=True) if found.get("items")}

    async def _report(self, namespace: Obj, left: list[Node]) -> None:
        content = Counter(n.kind.resource for n in left)
        finalizers = Counter(f for n in left for f in n.finalizers if n.deleting)
        what = ", ".join(f"{kind} has {count} resource instances" for kind, count in sorted(content.items()))
        whose = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(finalizers.items()))
        conditions = status_of(namespace).get("conditions") or []
        for kind, reason, message in (
            ("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
            (
                "NamespaceDeletionGroupVersionParsingFailure",
                "ParsedGroupVersions",
                "All legacy kube types successfully parsed",
            ),
            (
                "NamespaceDeletionContentFailure",
                "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization",
            ),
        ):
            conditions = with_condition(conditions, kind, "False", reason, message)
        remain = ("True", "SomeResourcesRemain", f"Some resources are remaining: {what}")
        conditions = with_condition(conditions, "NamespaceContentRemaining", *remain)
        if finalizers:
            hold = ("True", "SomeFinalizersRemain", f"Some content in the namespace has finalizers remaining: {whose}")
        else:
            hold = ("False", "ContentHasNoFinalizers", "All content-preserving finalizers finished")
        conditions = with_condition(conditions, "NamespaceFinalizersRemaining", *hold)
        if conditions != status_of(namespace).get("conditions"):
            status = {"phase": "Terminating", "conditions": conditions}
            await self.cluster.update("namespaces", {**namespace, "status": status}, subresource="status")
