"""Events are forgotten an hour after their last change, as a real API server does with etcd's leases."""

from __future__ import annotations

import asyncio
import time

from jfsnb.sandbox.apimachinery.client import ApiError
from jfsnb.sandbox.controllers.cleanup.graph import MetadataInformer
from jfsnb.sandbox.controllers.cluster import Cluster
from jfsnb.sandbox.controllers.controller import Controller
from jfsnb.sandbox.controllers.objects import Key, Obj, key_of, moment

LIFETIME = 3600.0


class EventExpiry(Controller):
    component = "event-expiry"
    workers = 1

    def __init__(self, cluster: Cluster, lifetime: float = LIFETIME) -> None:
        super().__init__(cluster)
        self._lifetime = lifetime
        self._until: dict[Key, float] = {}
        self._informer = MetadataInformer(cluster.api, "/api/v1/events")
        self._informer.add_handler(self._see)

    def _see(self, kind: str, event: Obj, old: Obj | None) -> None:
        key, now = key_of(event), time.time()
        if kind == "DELETED":
            self._until.pop(key, None)
            return
        created = moment(event["metadata"].get("creationTimestamp"))
        began = created.timestamp() if old is None and created else now
        self._until[key] = began + self._lifetime
        self.queue.add_after(key, self._until[key] - now)

    async def run(self) -> None:
        await asyncio.gather(self._informer.run(), super().run())

    async def sync(self, key: Key) -> float | None:
        until = self._until.get(key)
        if until is None:
            return None
        if until > time.time():
            return until - time.time()
        try:
            await self.cluster.api.delete(f"/api/v1/namespaces/{key[0]}/events/{key[1]}")
        except ApiError as error:
            if error.status != 404:
                raise
        return None
