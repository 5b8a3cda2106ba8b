"""The kubelet: registers its node, watches the Pods that are bound to it, gives each a worker."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from jfsnb.sandbox.apimachinery.client import ApiClient, ApiError, EventRecorder, Informer, Obj
from jfsnb.sandbox.images.images import ImageStore
from jfsnb.sandbox.kubelet.admission import rejection
from jfsnb.sandbox.kubelet.context import NodeContext
from jfsnb.sandbox.kubelet.csi_plugins import CsiPlugins
from jfsnb.sandbox.kubelet.node_status import (
    SYNC_ANNOTATION,
    keep_alive,
    node_address,
    pod_address,
    register,
    resources,
)
from jfsnb.sandbox.kubelet.pod_worker import PodWorker, delete_for_good
from jfsnb.sandbox.kubelet.server import KubeletServer
from jfsnb.sandbox.kubelet.volumes.stats import keep_measuring
from jfsnb.sandbox.runtime.runtime import Runtime
from jfsnb.sandbox.runtime.tier import Tier

RECORDED = "sandbox.jfsnb.io/recorded"
SYNC_SECONDS = 10.0
log = logging.getLogger(__name__)


async def run_kubelet(kubeconfig: Path, node: str, state: Path, tier: Tier, stop: asyncio.Event) -> None:
    """Be the kubelet of one live node until ``stop`` is set; afterwards nothing of the node is left.

    Args:
        kubeconfig: credentials of the node.
        node: its name.
        state: the sandbox's directory.
        tier: what this machine can run.
        stop: ends it.
    """
    async with ApiClient.from_kubeconfig(kubeconfig) as api:
        recorder = EventRecorder(api, "kubelet", node)
        if tier.name == "recorded":
            return await _without_processes(api, recorder, node, tier, stop)
        runtime = await Runtime.start(state, node, tier)
        try:
            images = ImageStore(state)
            plugins = CsiPlugins(api, node, runtime.node_root)
            seconds = float(os.environ.get("JFSNB_KUBELET_SYNC_SECONDS") or SYNC_SECONDS)
            where = urlsplit(api.server)
            service = {
                "KUBERNETES_SERVICE_HOST": where.hostname or "",
                "KUBERNETES_SERVICE_PORT": str(where.port or 443),
            }
            service["KUBERNETES_SERVICE_PORT_HTTPS"] = service["KUBERNETES_SERVICE_PORT"]
            context = NodeContext(
                node, node_address(node), api, recorder, runtime, images, plugins, service, resources()[1], seconds
            )
            await Kubelet(context, state).run(stop)
        finally:
            await runtime.close()


async def _without_processes(
    api: ApiClient, recorder: EventRecorder, node: str, tier: Tier, stop: asyncio.Event
) -> None:
    """Tier ``recorded``: the node is there and Pods are bound to it, but none is run, and each is told so."""
    registered = await register(api, node, node_address(node), 0, {})

    async def tell(kind: str, pod: Obj, _old: Obj | None) -> None:
        if is_recorded(pod) or kind == "DELETED":
            return
        if pod["metadata"].get("deletionTimestamp"):
            await delete_for_good(api, pod)
        elif kind == "ADDED":
            recorder.event(pod, "Warning", "NoContainers", f"This sandbox runs no containers. {tier.reason}")

    informer = Informer(api, "/api/v1/pods", fieldSelector=f"spec.nodeName={node}")
    await _until(stop, keep_alive(api, registered), informer.run(tell))


def is_recorded(obj: Obj) -> bool:
    """Whether no process stands behind the object, on purpose."""
    return (obj["metadata"].get("annotations") or {}).get(RECORDED) == "true"


async def _until(stop: asyncio.Event, *work: Awaitable[Any]) -> None:
    """Run everything until ``stop`` is set or one of them fails."""
    tasks = [asyncio.ensure_future(w) for w in (*work, stop.wait())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Kubelet:
    """One node's Pods."""

    def __init__(self, context: NodeContext, state: Path) -> None:
        self.context, self._state = context, state
        self.workers: dict[str, PodWorker] = {}  # by Pod uid
        self._tasks: dict[str, asyncio.Task[None]] = {}
        path = "/api/v1/pods"
        self.informer = Informer(context.api, path, fieldSelector=f"spec.nodeName={context.name}")

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop`` is set."""
        context = self.context
        server = KubeletServer(self, self._state)
        port = await server.start()
        try:
            images = {ref: context.images.find(ref).id for ref in context.images.references()}
            node = await register(context.api, context.name, context.ip, port, images)
            await _until(
                stop,
                keep_alive(context.api, node),
                context.plugins.run(),
                self.informer.run(self._on_pod),
                self._sync(),
                keep_measuring(self.workers),
            )
        finally:
            await server.close()
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def worker(self, namespace: str, name: str) -> PodWorker | None:
        """The worker of the Pod of that name; the newest when an old one is still ending."""
        named = [
            w
            for w in self.workers.values()
            if (w.obj["metadata"]["namespace"], w.obj["metadata"]["name"]) == (namespace, name)
        ]
        return named[-1] if named else None

    def _on_pod(self, kind: str, pod: Obj, old: Obj | None) -> None:
        uid = pod["metadata"]["uid"]
        if old is not None and old["metadata"]["uid"] != uid:  # replaced while the watch was away
            self._removed(old["metadata"]["uid"])
        if is_recorded(pod):
            return
        if kind == "DELETED":
            return self._removed(uid)
        worker = self.workers.get(uid)
        if worker is not None:
            annotated = pod["metadata"].get("annotations") != worker.obj["metadata"].get("annotations")
            worker.update(pod)
            if annotated:
                self._refresh_soon(worker)
            return
        ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        if not ended or pod["metadata"].get("deletionTimestamp"):
            self._begin(uid, pod)

    def _begin(self, uid: str, pod: Obj) -> None:
        taken = {w.ip for w in self.workers.values()}
        ip, attempt = pod_address(uid), 0
        while ip in taken:
            attempt += 1
            ip = pod_address(f"{uid}/{attempt}")
        others = [w.obj for w in self.workers.values() if not w.over]
        refused = rejection(pod, others, self.context.allocatable)
        worker = self.workers[uid] = PodWorker(self.context, pod, ip, refused)
        task = self._tasks[uid] = asyncio.create_task(worker.run(), name=f"pod {pod['metadata']['name']}")
        task.add_done_callback(lambda done: self._finished(uid, done))

    def _finished(self, uid: str, task: asyncio.Task[None]) -> None:
        self.workers.pop(uid, None)
        self._tasks.pop(uid, None)
        if not task.cancelled() and task.exception() is not None:
            log.error("%s ended", task.get_name(), exc_info=task.exception())

    def _removed(self, uid: str) -> None:
        worker = self.workers.get(uid)
        if worker is not None:
            worker.removed()

    def _refresh_soon(self, worker: PodWorker) -> None:
        task = asyncio.create_task(worker.refresh())
        self._refreshing = task  # kept, so that it is not collected while it runs

    async def _sync(self) -> None:
        """Bring projected volumes up to date, all Pods in one round that reads each object once."""
        loop, period = asyncio.get_running_loop(), await self._sync_seconds()
        while True:
            due = loop.time() + period
            while (left := due - loop.time()) > 0:  # the period may be changed meanwhile
                await asyncio.sleep(min(left, self.context.sync_seconds))
                due += (now := await self._sync_seconds()) - period
                period = now
            cache: dict[tuple[str, str, str], Obj | None] = {}
            for worker in list(self.workers.values()):
                await worker.refresh(cache)

    async def _sync_seconds(self) -> float:
        """The node's annotation wins; it can be changed while the sandbox runs."""
        with contextlib.suppress(ApiError, aiohttp.ClientError, OSError, TimeoutError, ValueError):
            node = await self.context.api.get(f"/api/v1/nodes/{self.context.name}")
            text = (node["metadata"].get("annotations") or {}).get(SYNC_ANNOTATION)
            if text:
                return max(0.1, float(text))
        return self.context.sync_seconds
