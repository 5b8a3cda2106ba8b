"""The frame of every control loop: keys from informers into a queue, workers that bring one object at a time right."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import aiohttp

from jfsnb.sandbox.apimachinery.client import ApiError
from jfsnb.sandbox.apimachinery.queue import WorkQueue
from jfsnb.sandbox.controllers.cluster import Cluster
from jfsnb.sandbox.controllers.objects import Key, Obj, key_of

log = logging.getLogger(__name__)
#: What goes wrong in the normal course of things: conflicts, an object that is gone, an API server that restarts.
EXPECTED = (ApiError, aiohttp.ClientError, OSError, TimeoutError)


class Controller:
    """Subclasses register what they watch in ``__init__`` and bring one object right in ``sync``."""

    #: The name that its events carry.
    component = ""
    workers = 4

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.queue: WorkQueue[Key] = WorkQueue()
        self.events = cluster.recorder(self.component)
        self._watched: set[str] = set()

    async def sync(self, key: Key) -> float | None:
        """Bring the object of this key right; return seconds after which to look again, or None."""
        raise NotImplementedError

    def watch(self, plural: str, keys: Callable[[Obj], Key | list[Key] | None] = key_of) -> None:
        """Queue the keys that ``keys`` names for an object of a kind, whenever one changes (old and new state)."""

        def see(_kind: str, obj: Obj, old: Obj | None) -> None:
            for state in (obj,) if old is None else (obj, old):
                found = keys(state)
                for key in [found] if isinstance(found, tuple) else found or ():
                    self.queue.add(key)

        self._watched.add(plural)
        self.cluster.on(plural, see)

    def read(self, *plurals: str) -> None:
        """Kinds that ``sync`` reads from the cache."""
        for plural in plurals:
            self._watched.add(plural)
            self.cluster.informer(plural)

    async def run(self) -> None:
        """Work until cancelled."""
        for plural in self._watched:
            await self.cluster.informer(plural).synced.wait()
        try:
            await asyncio.gather(*(self._work() for _ in range(self.workers)))
        finally:
            self.queue.close()

    async def _work(self) -> None:
        while True:
            key = await self.queue.get()
            try:
                again = await self.sync(key)
                self.queue.succeeded(key)
                if again is not None:
                    self.queue.add_after(key, again)
            except EXPECTED as error:
                if not (isinstance(error, ApiError) and (error.status in (404, 409) or _namespace_ends(error))):
                    log.warning("%s %s: %s", type(self).__name__, "/".join(key), error)
                self.queue.retry(key)
            except Exception:
                log.exception("%s %s", type(self).__name__, "/".join(key))
                self.queue.retry(key)
            finally:
                self.queue.done(key)


def _namespace_ends(error: ApiError) -> bool:
    """Nothing can be created in a terminating namespace; whatever wanted it goes, too."""
    causes = (error.body.get("details") or {}).get("causes") or ()
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)
