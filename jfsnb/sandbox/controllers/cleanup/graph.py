"""Who owns whom: a graph of the metadata of all objects, kept current by one informer per kind.

The garbage collector and namespace deletion read it. Kinds come from the API server's discovery.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from jfsnb.sandbox.apimachinery.client import ApiClient
from jfsnb.sandbox.controllers.cluster import KINDS, Cluster, SharedInformer
from jfsnb.sandbox.controllers.controller import EXPECTED
from jfsnb.sandbox.controllers.objects import Key, Obj

#: Kept out, as by the real garbage collector: many, short-lived, and owned by nobody.
IGNORED = {("", "events"), ("events.k8s.io", "events")}
RETRY_SECONDS = 0.5
KEPT = {
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
    "ownerReferences",
    "finalizers",
}
NEEDED = {"delete", "list", "watch"}


@dataclass(frozen=True)
class Kind:
    """One kind of object that can be listed, watched and deleted."""

    group_version: str
    kind: str
    plural: str
    namespaced: bool

    @property
    def root(self) -> str:
        return f"/apis/{self.group_version}" if "/" in self.group_version else f"/api/{self.group_version}"

    @property
    def resource(self) -> str:
        """As the conditions of a namespace name it: ``configmaps.``, ``deployments.apps``."""
        group = self.group_version.partition("/")[0] if "/" in self.group_version else ""
        return f"{self.plural}.{group}"

    def collection(self, namespace: str = "") -> str:
        inside = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{self.root}{inside}/{self.plural}"


@dataclass(frozen=True)
class Node:
    """One object of the graph: what the garbage collector has to know of it."""

    kind: Kind
    key: Key
    uid: str
    version: str
    owners: tuple[Obj, ...]
    finalizers: tuple[str, ...]
    deleting: bool

    @property
    def path(self) -> str:
        return f"{self.kind.collection(self.key[0])}/{self.key[1]}"


async def discover(api: ApiClient) -> list[Kind]:
    """All kinds that can be listed, watched and deleted, each in its group's preferred version."""
    groups = (await api.get("/apis")).get("groups") or []
    versions = ["v1", *(g["preferredVersion"]["groupVersion"] for g in groups)]
    lists = await asyncio.gather(*(api.get(f"/apis/{v}" if "/" in v else f"/api/{v}") for v in versions))
    found = []
    for version, listing in zip(versions, lists, strict=True):
        group = version.partition("/")[0] if "/" in version else ""
        for entry in listing.get("resources") or ():
            usable = set(entry.get("verbs") or ()) >= NEEDED and "/" not in entry["name"]
            if usable and (group, entry["name"]) not in IGNORED:
                found.append(Kind(version, entry["kind"], entry["name"], bool(entry["namespaced"])))
    return found


def metadata_only(obj: Obj) -> Obj:
    """What is kept of an object in the cache of an informer that only the graph reads."""
    return {"metadata": {k: v for k, v in obj["metadata"].items() if k in KEPT}}


class MetadataInformer(SharedInformer):
    """An informer that forgets everything but the metadata that matters for deletion."""

    async def _apply(self, kind: str, obj: Obj) -> None:
        await super()._apply(kind, metadata_only(obj))


class Graph:
    """All objects by uid, by namespace, and by the uid of their owners."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.kinds: list[Kind] = []
        self.nodes: dict[str, Node] = {}
        self.complete = asyncio.Event()
        self._dependents: dict[str, set[str]] = defaultdict(set)
        self._namespaces: dict[str, set[str]] = defaultdict(set)
        self._listeners: list[Callable[[Node, bool], None]] = []

    def listen(self, listener: Callable[[Node, bool], None]) -> None:
        """Call ``listener(node, gone)`` for each change."""
        self._listeners.append(listener)

    def dependents(self, uid: str) -> list[Node]:
        return [self.nodes[u] for u in self._dependents.get(uid, ())]

    def inside(self, namespace: str) -> list[Node]:
        return [self.nodes[u] for u in self._namespaces.get(namespace, ())]

    def kind_of(self, reference: Obj) -> Kind | None:
        """The kind that an owner reference means, by group and kind; versions of a group are one."""
        group = reference["apiVersion"].rpartition("/")[0]
        matching = (k for k in self.kinds if k.kind == reference["kind"])
        return next((k for k in matching if k.group_version.rpartition("/")[0] == group), None)

    async def run(self) -> None:
        """Discover the kinds and follow them all until cancelled."""
        self.kinds = await self._discovered()
        own, all_of_them = [], []
        for kind in self.kinds:
            informer = self._shared(kind)
            if informer is None:
                informer = MetadataInformer(self.cluster.api, kind.collection())
                own.append(informer)
            self._attach(kind, informer)
            all_of_them.append(informer)
        running = [asyncio.ensure_future(informer.run()) for informer in own]
        try:
            for informer in all_of_them:
                await informer.synced.wait()
            self.complete.set()
            await asyncio.gather(*running)
        finally:
            for task in running:
                task.cancel()

    async def _discovered(self) -> list[Kind]:
        while True:
            try:
                return await discover(self.cluster.api)
            except EXPECTED:
                await asyncio.sleep(RETRY_SECONDS)

    def _shared(self, kind: Kind) -> SharedInformer | None:
        informer = self.cluster.informers.get(kind.plural)
        return informer if informer is not None and KINDS[kind.plural][0] == kind.group_version else None

    def _attach(self, kind: Kind, informer: SharedInformer) -> None:
        def see(event: str, obj: Obj, _old: Obj | None) -> None:
            self._change(_node(kind, obj), gone=event == "DELETED")

        informer.add_handler(see)
        for obj in list(informer.store.values()):
            see("ADDED", obj, None)

    def _change(self, node: Node, gone: bool) -> None:
        old = self.nodes.pop(node.uid, None)
        if old is not None:
            for reference in old.owners:
                self._drop(self._dependents, reference["uid"], node.uid)
            self._drop(self._namespaces, node.key[0], node.uid)
        if not gone:
            self.nodes[node.uid] = node
            for reference in node.owners:
                self._dependents[reference["uid"]].add(node.uid)
            self._namespaces[node.key[0]].add(node.uid)
        for listener in self._listeners:
            listener(node, gone)

    @staticmethod
    def _drop(index: dict[str, set[str]], key: str, uid: str) -> None:
        members = index.get(key)
        if members is not None:
            members.discard(uid)
            if not members:
                del index[key]

    def namespaced_kinds(self) -> Iterator[Kind]:
        return (k for k in self.kinds if k.namespaced)


def _node(kind: Kind, obj: Obj) -> Node:
    meta: dict[str, Any] = obj["metadata"]
    return Node(
        kind,
        (meta.get("namespace", ""), meta["name"]),
        meta["uid"],
        meta["resourceVersion"],
        tuple(meta.get("ownerReferences") or ()),
        tuple(meta.get("finalizers") or ()),
        bool(meta.get("deletionTimestamp")),
    )
