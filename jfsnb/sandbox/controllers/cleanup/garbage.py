"""The garbage collector: deletes what has lost its owners, and carries out foreground and orphan deletion."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from jfsnb.sandbox.apimachinery.client import ApiError
from jfsnb.sandbox.controllers.cleanup.graph import Graph, Node
from jfsnb.sandbox.controllers.cluster import Cluster
from jfsnb.sandbox.controllers.controller import Controller
from jfsnb.sandbox.controllers.objects import Key, Obj

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"


@dataclass
class Owners:
    """An object's owner references, sorted by the state of the owners."""

    alive: list[Obj] = field(default_factory=list)
    waiting: list[Obj] = field(default_factory=list)  # in foreground deletion: wait for this object to be gone
    gone: list[Obj] = field(default_factory=list)


class GarbageCollector(Controller):
    """Keys are ("", uid)."""

    component = "garbage-collector-controller"

    def __init__(self, cluster: Cluster, graph: Graph) -> None:
        super().__init__(cluster)
        self.graph = graph
        self._absent: set[str] = set()  # uids that the API server has said do not exist (uids are never used again)
        graph.listen(self._see)

    def _see(self, node: Node, gone: bool) -> None:
        if gone:
            self._absent.add(node.uid)
            for reference in node.owners:
                self.queue.add(("", reference["uid"]))
        if node.owners or (node.deleting and {FOREGROUND, ORPHAN} & set(node.finalizers)):
            self.queue.add(("", node.uid))
        if gone or node.deleting:
            for dependent in self.graph.dependents(node.uid):
                self.queue.add(("", dependent.uid))

    async def run(self) -> None:
        await self.graph.complete.wait()
        await super().run()

    async def sync(self, key: Key) -> None:
        node = self.graph.nodes.get(key[1])
        if node is None:
            self._forget(key[1])
            return
        if node.deleting and ORPHAN in node.finalizers:
            return await self._orphan(node)
        if node.deleting and FOREGROUND in node.finalizers:
            return await self._foreground(node)
        if node.owners and not node.deleting:
            await self._judge(node)

    def _forget(self, uid: str) -> None:
        """An absence needs to be remembered only while something refers to it."""
        if not self.graph.dependents(uid):
            self._absent.discard(uid)

    async def _judge(self, node: Node) -> None:
        """Delete the object when no owner is left; drop references to owners that are gone."""
        owners = await self._owners(node)
        if owners.alive:
            if owners.gone or owners.waiting:
                await self._set_owners(node, owners.alive)
            return
        dependents = self.graph.dependents(node.uid)
        if owners.waiting and dependents:
            return await self._delete(node, "Foreground")
        if not owners.gone and not owners.waiting:
            return
        policy = (
            "Orphan" if ORPHAN in node.finalizers else "Foreground" if FOREGROUND in node.finalizers else "Background"
        )
        await self._delete(node, policy)

    async def _owners(self, node: Node) -> Owners:
        result = Owners()
        for reference in node.owners:
            owner = self.graph.nodes.get(reference["uid"])
            if owner is not None and owner.key[0] not in ("", node.key[0]):
                self._complain(node, reference)
                (result.gone if node.key[0] else result.alive).append(reference)
            elif owner is None and await self._is_absent(node, reference):
                result.gone.append(reference)
            elif owner is not None and owner.deleting and FOREGROUND in owner.finalizers:
                result.waiting.append(reference)
            else:
                result.alive.append(reference)
        return result

    def _complain(self, node: Node, reference: Obj) -> None:
        """An owner in another namespace does not count; that of a cluster-scoped object is not even looked at."""
        namespace, name = node.key
        about = {
            "apiVersion": node.kind.group_version,
            "kind": node.kind.kind,
            "metadata": {"namespace": namespace, "name": name, "uid": node.uid, "resourceVersion": node.version},
        }
        owner = f"{reference['apiVersion']}/{reference['kind']}, namespace: {namespace}, name: {reference['name']}"
        words = f'ownerRef [{owner}, uid: {reference["uid"]}] does not exist in namespace "{namespace}"'
        self.events.event(about, "Warning", "OwnerRefInvalidNamespace", words)

    async def _is_absent(self, node: Node, reference: Obj) -> bool:
        """Ask the API server itself: the graph may not have seen the owner yet."""
        uid, kind = reference["uid"], self.graph.kind_of(reference)
        if kind is None or (kind.namespaced and not node.key[0]):
            return False  # nothing that can be looked up: leave the object alone
        if uid in self._absent:
            return True
        try:
            found = await self.cluster.api.get(f"{kind.collection(node.key[0])}/{reference['name']}")
        except ApiError as error:
            if error.status != 404:
                raise
            found = {}
        if found.get("metadata", {}).get("uid") == uid:
            return False
        self._absent.add(uid)
        return True

    async def _delete(self, node: Node, policy: str) -> None:
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": policy,
            "preconditions": {"uid": node.uid, "resourceVersion": node.version},
        }
        try:
            await self.cluster.api.delete(node.path, options)
        except ApiError as error:
            if error.status != 404:
                raise

    async def _foreground(self, owner: Node) -> None:
        """The owner goes when no dependent that blocks it is left."""
        blocking = [d for d in self.graph.dependents(owner.uid) if _blocks(d, owner.uid)]
        if blocking:
            for dependent in self.graph.dependents(owner.uid):
                if not dependent.deleting:
                    self.queue.add(("", dependent.uid))
            return
        await self._drop_finalizer(owner, FOREGROUND)

    async def _orphan(self, owner: Node) -> None:
        dependents = self.graph.dependents(owner.uid)
        kept = [(d, [r for r in d.owners if r["uid"] != owner.uid]) for d in dependents]
        await asyncio.gather(*(self._set_owners(dependent, references) for dependent, references in kept))
        await self._drop_finalizer(owner, ORPHAN)

    async def _set_owners(self, node: Node, references: list[Obj]) -> None:
        await self._patch(
            node, {"uid": node.uid, "resourceVersion": node.version, "ownerReferences": references or None}
        )

    async def _drop_finalizer(self, node: Node, finalizer: str) -> None:
        kept = [f for f in node.finalizers if f != finalizer]
        await self._patch(node, {"uid": node.uid, "resourceVersion": node.version, "finalizers": kept or None})

    async def _patch(self, node: Node, metadata: Obj) -> None:
        try:
            await self.cluster.api.patch(node.path, {"metadata": metadata})
        except ApiError as error:
            if error.status != 404:
                raise


def _blocks(dependent: Node, owner: str) -> bool:
    return any(r["uid"] == owner and r.get("blockOwnerDeletion") for r in dependent.owners)
