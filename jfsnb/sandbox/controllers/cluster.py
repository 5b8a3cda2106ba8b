"""What all control loops share: one informer for each kind, and writes that wait until the informer has seen them.

A loop that writes and then looks again would otherwise decide from what the cache held before its own write, and
create a second Pod for the one that it has just created.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from jfsnb.sandbox.apimachinery.client import ApiClient, ApiError, EventRecorder, Informer
from jfsnb.sandbox.controllers.objects import Key, Obj, key_of

SEEN_SECONDS = 5.0
#: The kinds that control loops read or write by plural: group/version, kind, namespaced.
KINDS: dict[str, tuple[str, str, bool]] = {
    "configmaps": ("v1", "ConfigMap", True),
    "endpoints": ("v1", "Endpoints", True),
    "namespaces": ("v1", "Namespace", False),
    "nodes": ("v1", "Node", False),
    "persistentvolumeclaims": ("v1", "PersistentVolumeClaim", True),
    "persistentvolumes": ("v1", "PersistentVolume", False),
    "pods": ("v1", "Pod", True),
    "serviceaccounts": ("v1", "ServiceAccount", True),
    "services": ("v1", "Service", True),
    "controllerrevisions": ("apps/v1", "ControllerRevision", True),
    "daemonsets": ("apps/v1", "DaemonSet", True),
    "deployments": ("apps/v1", "Deployment", True),
    "replicasets": ("apps/v1", "ReplicaSet", True),
    "statefulsets": ("apps/v1", "StatefulSet", True),
    "jobs": ("batch/v1", "Job", True),
    "leases": ("coordination.k8s.io/v1", "Lease", True),
    "endpointslices": ("discovery.k8s.io/v1", "EndpointSlice", True),
    "csinodes": ("storage.k8s.io/v1", "CSINode", False),
    "storageclasses": ("storage.k8s.io/v1", "StorageClass", False),
}
Handler = Callable[[str, Obj, Obj | None], None]


def collection(plural: str, namespace: str = "") -> str:
    """The path of all objects of a kind, in one namespace or everywhere."""
    version, _, namespaced = KINDS[plural]
    root = f"/api/{version}" if "/" not in version else f"/apis/{version}"
    return f"{root}/namespaces/{namespace}/{plural}" if namespaced and namespace else f"{root}/{plural}"


def path_of(plural: str, key: Key, subresource: str = "") -> str:
    """The path of one object or of one of its subresources."""
    return f"{collection(plural, key[0])}/{key[1]}" + (f"/{subresource}" if subresource else "")


class SharedInformer(Informer):
    """An informer that knows how far it has seen, keeps indexes, and lets writers wait."""

    def __init__(self, api: ApiClient, path: str, **params: Any) -> None:
        super().__init__(api, path, **params)
        self.version = 0
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    async def _apply(self, kind: str, obj: Obj) -> None:
        await super()._apply(kind, obj)
        self._reached(obj["metadata"]["resourceVersion"])

    async def _relist(self) -> str:
        version = await super()._relist()
        self._reached(version)
        return version

    def _reached(self, version: str) -> None:
        self.version = max(self.version, int(version))
        for waiter in [w for w in self._waiting if w[1].done() or w[0]()]:
            self._waiting.remove(waiter)
            if not waiter[1].done():
                waiter[1].set_result(None)

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait until the cache is as wanted; give up silently after a few seconds (the caller looks again anyway)."""
        if reached():
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((reached, future))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(future, SEEN_SECONDS)


class Index:
    """Objects of an informer by some value of theirs (an object may have several)."""

    def __init__(self, informer: Informer, values: Callable[[Obj], Iterable[str]]) -> None:
        self._values = values
        self._found: dict[str, dict[Key, Obj]] = defaultdict(dict)
        informer.add_handler(self._see)

    def get(self, value: str) -> list[Obj]:
        return list(self._found.get(value, {}).values())

    def _see(self, kind: str, obj: Obj, old: Obj | None) -> None:
        key = key_of(obj)
        for value in self._values(old) if old is not None else ():
            bucket = self._found.get(value)
            if bucket is not None:
                bucket.pop(key, None)
                if not bucket:
                    del self._found[value]
        if kind != "DELETED":
            for value in self._values(obj):
                self._found[value][key] = obj


class Cluster:
    """The API server as the control loops see it."""

    def __init__(self, api: ApiClient) -> None:
        self.api = api
        self.informers: dict[str, SharedInformer] = {}
        self._namespaced: dict[str, Index] = {}

    def informer(self, plural: str) -> SharedInformer:
        """The shared informer of a kind; made at the first call, before ``run``."""
        if plural not in self.informers:
            informer = self.informers[plural] = SharedInformer(self.api, collection(plural))
            self._namespaced[plural] = Index(informer, lambda obj: (obj["metadata"].get("namespace", ""),))
        return self.informers[plural]

    def on(self, plural: str, handler: Handler) -> None:
        """Call ``handler(type, object, old object)`` for each change of a kind."""
        self.informer(plural).add_handler(handler)

    def recorder(self, component: str) -> EventRecorder:
        return EventRecorder(self.api, component)

    def get(self, plural: str, key: Key) -> Obj | None:
        return self.informers[plural].store.get(key)

    def all(self, plural: str, namespace: str | None = None) -> list[Obj]:
        """What the cache holds of a kind; treat the objects as read-only."""
        if namespace is None:
            return list(self.informers[plural].store.values())
        return self._namespaced[plural].get(namespace)

    async def create(self, plural: str, obj: Obj) -> Obj:
        version, kind, _ = KINDS[plural]
        body = {"apiVersion": version, "kind": kind, **obj}
        return await self._seen(
            plural, await self.api.create(collection(plural, body["metadata"].get("namespace", "")), body)
        )

    async def update(self, plural: str, obj: Obj, subresource: str = "") -> Obj:
        """Replace an object; a conflict (409) means that the cache was behind: look again."""
        version, kind, _ = KINDS[plural]
        body = {"apiVersion": version, "kind": kind, **obj}
        return await self._seen(plural, await self.api.update(path_of(plural, key_of(obj), subresource), body))

    async def patch(self, plural: str, key: Key, body: Any, kind: str = "merge", subresource: str = "") -> Obj:
        return await self._seen(plural, await self.api.patch(path_of(plural, key, subresource), body, kind))

    async def delete(self, plural: str, obj: Obj, grace: int | None = None, propagation: str | None = None) -> None:
        """Delete exactly this object (by uid); that it is gone already is fine."""
        options: Obj = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": obj["metadata"]["uid"]}}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        if propagation is not None:
            options["propagationPolicy"] = propagation
        key, uid = key_of(obj), obj["metadata"]["uid"]
        try:
            await self.api.delete(path_of(plural, key), options)
        except ApiError as error:
            if error.status not in (404, 409):
                raise
        informer = self.informers.get(plural)

        def gone() -> bool:
            found = informer.store.get(key) if informer is not None else None
            return found is None or found["metadata"]["uid"] != uid or bool(found["metadata"].get("deletionTimestamp"))

        if informer is not None:
            await informer.until(gone)

    async def _seen(self, plural: str, written: Obj) -> Obj:
        informer, version = self.informers.get(plural), int(written["metadata"]["resourceVersion"])
        if informer is not None:
            await informer.until(lambda: informer.version >= version)
        return written

    async def run(self) -> None:
        """Keep all informers current until cancelled."""
        await asyncio.gather(*(informer.run() for informer in self.informers.values()))
