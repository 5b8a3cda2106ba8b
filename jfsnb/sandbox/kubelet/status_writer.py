"""Keeps the API server's copy of a Pod's status up to date."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import aiohttp

from jfsnb.sandbox.apimachinery.client import ApiError, Obj
from jfsnb.sandbox.kubelet.status import OWN_CONDITIONS, pod_status, stamp

if TYPE_CHECKING:
    from jfsnb.sandbox.kubelet.pod_worker import PodWorker

RETRY_SECONDS = 0.2
log = logging.getLogger(__name__)


class StatusWriter:
    """Sends what a worker sees of its Pod; several changes in a row become one request.

    Args:
        pod: the worker.
        gone: set once the object does not exist any more.
    """

    def __init__(self, pod: PodWorker, gone: asyncio.Event) -> None:
        self._pod, self._gone = pod, gone
        self._dirty, self._writing = asyncio.Event(), asyncio.Lock()
        self._sent: Obj = {}

    def changed(self) -> None:
        """Something that the status shows is different now."""
        self._dirty.set()

    async def run(self) -> None:
        """Send changes until the object is gone."""
        while not self._gone.is_set():
            await self._dirty.wait()
            await self.send()

    async def send(self) -> None:
        """Bring the API server up to date now; returns when it is."""
        async with self._writing:
            self._dirty.clear()
            while not self._gone.is_set():
                self._dirty.clear()
                status = self.current()
                if status == self._sent or await self._patch(status):
                    return
                await asyncio.sleep(RETRY_SECONDS)

    def current(self) -> Obj:
        """The status as it is now, sent or not."""
        return pod_status(self._with_sent_conditions(), self._pod.view(), stamp())

    def _with_sent_conditions(self) -> Obj:
        """The Pod as the API server has it, and what it may not have sent back yet."""
        pod = self._pod.obj
        if not self._sent:
            return pod
        status = pod.get("status") or {}
        others = [c for c in status.get("conditions") or () if c["type"] not in OWN_CONDITIONS]
        mine = [c for c in self._sent["conditions"] if c["type"] in OWN_CONDITIONS]
        return {**pod, "status": {**status, "conditions": [*mine, *others]}}

    async def _patch(self, status: Obj) -> bool:
        """Send a status; whether there is nothing more to try."""
        meta = self._pod.obj["metadata"]
        gone = dict.fromkeys(self._sent.keys() - status.keys())
        body = {"metadata": {"uid": self._pod.uid}, "status": {**status, **gone}}
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/status"
        try:
            await self._pod.node.api.patch(path, body)
        except ApiError as error:
            if error.status not in (404, 409):
                log.warning("status of %s: %s", meta["name"], error)
            return error.status in (404, 409, 422)  # the Pod is gone, or another one has its name
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False
        self._sent = status
        return True
