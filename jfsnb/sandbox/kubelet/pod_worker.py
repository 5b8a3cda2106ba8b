"""The life of one Pod on its node: volumes, containers, the end, and what the API server is told about it."""

from __future__ import annotations

import asyncio
import logging
import shutil
from pathlib import Path

import aiohttp

from jfsnb.sandbox.apimachinery.broadcast import Broadcast
from jfsnb.sandbox.apimachinery.client import ApiClient, ApiError, Obj
from jfsnb.sandbox.kubelet.admission import Rejection
from jfsnb.sandbox.kubelet.containers.containers import Container
from jfsnb.sandbox.kubelet.containers.grace import Grace
from jfsnb.sandbox.kubelet.containers.hosts import hosts_file
from jfsnb.sandbox.kubelet.context import NodeContext
from jfsnb.sandbox.kubelet.status import PodView, stamp
from jfsnb.sandbox.kubelet.status import container_spec as container_spec_of
from jfsnb.sandbox.kubelet.status_writer import RETRY_SECONDS, StatusWriter
from jfsnb.sandbox.kubelet.volumes.paths import log_directory, outside, pod_directory
from jfsnb.sandbox.kubelet.volumes.pod_volumes import PodVolumes
from jfsnb.sandbox.runtime.runtime import BindMount

DEADLINE = "Pod was active on the node longer than the specified deadline"
log = logging.getLogger(__name__)


class PodWorker:
    """Runs one Pod from its binding to the final delete.

    Args:
        node: the node's services.
        pod: the Pod object.
        ip: an address for it; not used with hostNetwork.
        rejected: why the node does not take it; None when it does.
    """

    def __init__(self, node: NodeContext, pod: Obj, ip: str, rejected: Rejection | None = None) -> None:
        self.node, self.obj, self.uid = node, pod, str(pod["metadata"]["uid"])
        spec = pod["spec"]
        self.host_network = bool(spec.get("hostNetwork"))
        self.ip = node.ip if self.host_network else ip
        self.resync = Broadcast()
        self.volumes = PodVolumes(self)
        self.volume_stats: dict[str, Obj] = {}
        self.containers = [
            Container(self, c, "sidecar" if c.get("restartPolicy") == "Always" else "init")
            for c in spec.get("initContainers") or ()
        ]
        self.containers += [Container(self, c, "main") for c in spec["containers"]]
        self._start_time = stamp()
        self._sandbox_ready = self._ended = self._stopped = False
        self._reason = self._message = ""
        self._grace: Grace | None = None
        self._stop_wanted, self._delete_wanted = asyncio.Event(), asyncio.Event()
        self._gone = asyncio.Event()
        self._status = StatusWriter(self, self._gone)
        if rejected is not None:
            self._reject(rejected)

    # ------------------------------------------------------------ facts

    @property
    def all_specs(self) -> list[Obj]:
        return [*(self.obj["spec"].get("initContainers") or ()), *self.obj["spec"]["containers"]]

    @property
    def has_inits(self) -> bool:
        return bool(self.obj["spec"].get("initContainers"))

    @property
    def initialized(self) -> bool:
        """Whether the last init container is through, or a main container has begun."""
        records = [c.record for c in self.containers]
        inits = [r for r in records if r.kind != "main"]
        begun = any("waiting" not in r.state or r.last_state for r in records if r.kind == "main")
        return begun or not inits or inits[-1].complete

    @property
    def hostname(self) -> str:
        if self.host_network:
            return self.node.name
        return str(self.obj["spec"].get("hostname") or self.obj["metadata"]["name"])[:63]

    @property
    def grace_seconds(self) -> float:
        """What a container gets to stop when nobody asks for less."""
        seconds = self.obj["spec"].get("terminationGracePeriodSeconds")
        return 30.0 if seconds is None else float(seconds)

    @property
    def log_directory(self) -> Path:
        meta = self.obj["metadata"]
        return outside(self.node.root, log_directory(meta["name"], meta["namespace"], self.uid))

    def container(self, name: str) -> Container | None:
        return next((c for c in self.containers if c.name == name), None)

    def facts(self) -> Obj:
        """The Pod with its addresses, as the downward API shows them."""
        ips = {"hostIP": self.node.ip, "hostIPs": [{"ip": self.node.ip}]}
        ips |= {"podIP": self.ip, "podIPs": [{"ip": self.ip}]}
        return {**self.obj, "status": {**(self.obj.get("status") or {}), **ips}}

    def as_seen_here(self) -> Obj:
        """The Pod with its latest status, sent or not."""
        return {"kind": "Pod", "apiVersion": "v1", **self.obj, "status": self._status.current()}

    def own_mounts(self, container: Container) -> tuple[BindMount, ...]:
        """What the kubelet itself puts into a container: /etc/hosts and the termination message."""
        result = []
        taken = {m["mountPath"].rstrip("/") for m in container.spec.get("volumeMounts") or ()}
        if not self.host_network and "/etc/hosts" not in taken:
            result.append(BindMount(f"{pod_directory(self.uid)}/etc-hosts", "/etc/hosts"))
        message = outside(self.node.root, container.termination_file)
        message.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        message.write_bytes(b"")
        message.chmod(0o666)
        target = container.spec.get("terminationMessagePath") or "/dev/termination-log"
        return (*result, BindMount(container.termination_file, target))

    def shared_pid(self, container: Container) -> str | None:
        """With shareProcessNamespace, the first container that runs owns the processes of all (there is no pause)."""
        if not self.obj["spec"].get("shareProcessNamespace"):
            return None
        return next((c.id for c in self.containers if c is not container and c.process is not None), None)

    # ------------------------------------------------------------ what the API server says

    def update(self, pod: Obj) -> None:
        """The Pod changed. New annotations or labels make an immediate resync, as every change does in a kubelet."""
        old, self.obj = self.obj, pod
        self.changed()  # readiness gates, or a new generation
        for container in self.containers:
            container.redefine(container_spec_of(pod, container.name))
        meta = pod["metadata"]
        if any(meta.get(k) != old["metadata"].get(k) for k in ("annotations", "labels")):
            self.resync.send()
        if meta.get("deletionTimestamp"):
            self._delete_wanted.set()
            self._ask_to_stop(float(meta.get("deletionGracePeriodSeconds") or 0))

    def removed(self) -> None:
        """The object is gone, perhaps by force: end without saying anything more to the API server."""
        self._gone.set()
        self._delete_wanted.set()
        self._ask_to_stop(1.0)

    def _ask_to_stop(self, seconds: float) -> None:
        if self._grace is None:
            self._grace = Grace(seconds)
        self._grace.shorten(seconds)
        self._stop_wanted.set()

    # ------------------------------------------------------------ life

    async def run(self) -> None:
        """From now until the Pod is gone."""
        if self.obj["metadata"].get("deletionTimestamp"):
            self.update(self.obj)
        writer, deadline = asyncio.create_task(self._status.run()), self._deadline()
        try:
            if not self._stopped:
                await self._live_until_stopped()
                await self._stop_containers()
                self._stopped = True
            await self._status.send()
            await self.volumes.unmount()
            await self._delete_wanted.wait()
            await self._remove()
        finally:
            if deadline is not None:
                deadline.cancel()
            writer.cancel()

    @property
    def over(self) -> bool:
        """Whether nothing of the Pod runs any more, nor will."""
        return self._stopped

    def _reject(self, why: Rejection) -> None:
        """End before anything began."""
        self.containers = []
        self._ended = self._stopped = True
        self._reason, self._message = why.reason, f"Pod was rejected: {why.message}"
        self.node.event(self.obj, "Warning", why.reason, why.message)

    def _deadline(self) -> asyncio.TimerHandle | None:
        seconds = self.obj["spec"].get("activeDeadlineSeconds")
        return None if seconds is None else asyncio.get_running_loop().call_later(float(seconds), self._too_long)

    def _too_long(self) -> None:
        if not self._ended:
            self._reason, self._message = "DeadlineExceeded", DEADLINE
            self.node.event(self.obj, "Normal", "DeadlineExceeded", DEADLINE)
            self._ask_to_stop(self.grace_seconds)

    async def _live_until_stopped(self) -> None:
        self.changed()
        living = asyncio.create_task(self._live())
        asked = asyncio.create_task(self._stop_wanted.wait())
        try:
            await asyncio.wait([living, asked], return_when=asyncio.FIRST_COMPLETED)
        finally:
            asked.cancel()
            living.cancel()
            await asyncio.wait([living])
        self._ended = True
        if not living.cancelled() and (error := living.exception()) is not None:
            log.error("%s", self.obj["metadata"]["name"], exc_info=error)
            self._reason, self._message = "KubeletError", f"The sandbox's kubelet failed: {error!r}"

    async def _live(self) -> None:
        """Until no container is to be started any more."""
        await self.volumes.mount()
        self._prepare()
        sidecars: list[asyncio.Task[None]] = []
        try:
            for container in self.containers:
                if container.kind == "init":
                    await container.supervise()
                    if container.record.exit_code != 0:
                        return
                elif container.kind == "sidecar":
                    sidecars.append(asyncio.create_task(container.supervise()))
                    await container.up.wait()
            async with asyncio.TaskGroup() as group:
                for container in self.containers:
                    if container.kind == "main":
                        group.create_task(container.supervise())
        finally:
            for task in sidecars:
                task.cancel()
            if sidecars:
                await asyncio.wait(sidecars)

    def _prepare(self) -> None:
        self._sandbox_ready = True
        hosts = outside(self.node.root, f"{pod_directory(self.uid)}/etc-hosts")
        hosts.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        hosts.write_text(hosts_file(self.obj, self.hostname, self.ip), encoding="utf-8")
        self.changed()

    async def _stop_containers(self) -> None:
        """First everything but the sidecars, then these one after the other, the last one started first."""
        if self._grace is None:
            self._grace = Grace(self.grace_seconds)
        grace = self._grace
        first = [c for c in self.containers if c.kind != "sidecar"]
        await asyncio.gather(*(self._stop(c, grace) for c in first))
        for container in reversed([c for c in self.containers if c.kind == "sidecar"]):
            await self._stop(container, grace)
        if self.initialized:  # otherwise the main containers go on waiting for the init containers
            for container in self.containers:
                container.never_started()

    async def _stop(self, container: Container, grace: Grace) -> None:
        if container.process is not None:
            container.event("Normal", "Killing", f"Stopping container {container.name}")
            await container.stop(grace)

    async def _remove(self) -> None:
        """The final delete, once nothing of the Pod is left on the node."""
        for leftover in (outside(self.node.root, pod_directory(self.uid)), self.log_directory):
            await asyncio.to_thread(shutil.rmtree, leftover, ignore_errors=True)
        self.node.objects.forget(self.uid)
        while not self._gone.is_set():
            try:
                await delete_for_good(self.node.api, self.obj)
                break
            except (ApiError, aiohttp.ClientError, OSError, TimeoutError):
                await asyncio.sleep(RETRY_SECONDS)
        await self._gone.wait()  # finalizers may keep the object

    # ------------------------------------------------------------ status

    def changed(self) -> None:
        """Something that the status shows is different now."""
        self._status.changed()

    def view(self) -> PodView:
        return PodView(
            [c.record for c in self.containers],
            self.node.ip,
            self._start_time,
            self._sandbox_ready,
            self.ip if self._sandbox_ready else "",
            self._ended,
            self._stopped,
            self._reason,
            self._message,
        )

    async def refresh(self, cache: dict[tuple[str, str, str], Obj | None] | None = None) -> None:
        """Bring projected volumes up to date."""
        if not self._stopped:
            await self.volumes.refresh(cache)


async def delete_for_good(api: ApiClient, pod: Obj) -> None:
    """The kubelet's last word about a Pod that is being deleted; another Pod of that name is not meant."""
    meta = pod["metadata"]
    body = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0, "preconditions": {"uid": meta["uid"]}}
    try:
        await api.delete(f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}", body)
    except ApiError as error:
        if error.status not in (404, 409):
            raise
