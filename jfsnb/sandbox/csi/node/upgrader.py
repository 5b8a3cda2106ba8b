"""Smooth upgrade of a Mount Pod: another client without a new mount (reference §3.8, fuse-handover §10).

Without re-creation the client in the running container is exchanged, and its own supervisor goes on with it. With it
the client gives its FUSE descriptor away and ends; its Pod completes, and its successor gets session and mount.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from jfsnb.driver import names
from jfsnb.driver.mountpods.mount_pods import MountPod
from jfsnb.driver.mountpods.pod_state import why_not_upgradable
from jfsnb.driver.settings.errors import SettingsError
from jfsnb.driver.settings.renewal import renewed
from jfsnb.sandbox.apimachinery.client import ApiError, EventRecorder, Obj
from jfsnb.sandbox.apimachinery.remote_exec import ExecFailed
from jfsnb.sandbox.csi.cluster import mount_pod_of
from jfsnb.sandbox.csi.controller.job_runner import JobFailed, JobRunner
from jfsnb.sandbox.csi.klog import Logger
from jfsnb.sandbox.csi.node import mounts, passfd
from jfsnb.sandbox.csi.node.passfd import TakeFailed
from jfsnb.sandbox.csi.node.reconciler import Reconciler
from jfsnb.sandbox.csi.node.running_client import RunningClient, UpgradeFailed, running_client
from jfsnb.sandbox.csi.rules import batch, fuse_session, job
from jfsnb.sandbox.csi.rules.batch import BatchError

log = Logger("grace")
IN_PROCESS = timedelta(minutes=5)
STAMP = "%Y-%m-%d %H:%M:%S"
#: The real driver waits 5 minutes for its canary, five times what it waits for a Mount Pod; so does this one.
CANARY_PATIENCE = 5
#: In the sandbox the client of an image is bound over a placeholder; the real driver has only to remove a file.
SWAP = f"umount -l {names.CE_CLIENT} 2>/dev/null; rm -rf {names.CE_CLIENT} && mv /tmp/juicefs {names.CE_CLIENT}"
CONFIG_SECONDS, SUCCESSOR_SECONDS = 2, 60
TOO_BUSY = "node may be busy, upgrade mount pod timeout, please check it later manually"
Say = Callable[[str], None]


class Upgrader:
    """Upgrades Mount Pods of this node, for ``juicefs-csi-driver upgrade POD`` and ``upgrade BATCH``."""

    def __init__(self, reconciler: Reconciler) -> None:
        self.reconciler, self.cluster, self.mounter = reconciler, reconciler.cluster, reconciler.mounter
        self.descriptors, self.runner = self.mounter.descriptors, JobRunner(self.cluster)
        self.events = EventRecorder(self.cluster.api, "juicefs-csi-node", self.cluster.node)

    async def serve(self, path: str) -> None:
        """Listen on a unix socket until cancelled; one request a connection.

        ``<name> RECREATE|NORECREATE``, ``BATCH RECREATE batchConfig=<ConfigMap>,batchIndex=<number>`` or ``list``.
        """
        Path(path).unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._answer, path)
        log.info("Serve gracefully shutdown is listening", addr=path)
        async with server:
            await server.serve_forever()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        message = (await reader.read(1024)).decode("utf-8", "replace").strip()
        log.info("Received shutdown message", message=message)
        name, action, options = [*message.split(" "), "", ""][:3]

        def say(line: str) -> None:
            writer.write(f"{line}\n".encode())

        try:
            if name == "list":
                for key in sorted(self.descriptors.kept):
                    say(f"key: {key}, value: {self.descriptors.base / key / passfd.DRIVER_SOCKET}")
            elif name == "BATCH":
                chosen = dict(o.partition("=")[::2] for o in options.split(","))
                await self.upgrade_batch(chosen.get("batchConfig", ""), int(chosen.get("batchIndex") or 1), say)
            else:
                await self.upgrade(name, action == "RECREATE", say)
            await writer.drain()
        finally:
            writer.close()

    async def upgrade(self, name: str, recreate: bool, say: Say) -> None:
        """Upgrade one Mount Pod and tell how it goes."""
        say(f"POD-START [{name}] start to upgrade")
        obj = await self.cluster.pod(self.cluster.namespace, name)
        if obj is None:
            return say(f"POD-FAIL [{name}] can not get pod.")
        pod = mount_pod_of(obj)
        if pod.node != self.cluster.node:
            return say(f"POD-FAIL [{name}] pod is not on node.")
        reason = self._why_not(obj, recreate)
        if reason:
            return say(f"POD-FAIL [{name}] can not upgrade: {reason}.")
        if await self._one(obj, pod, recreate, say) and recreate:
            log.info("wait for upgrade", pod=name)
            await self._successor(pod, say)

    async def upgrade_batch(self, config: str, number: int, say: Say) -> None:
        """Upgrade by re-creation, all at once, the Mount Pods of a batch that are on this node (§3.9).

        Whether their successors come up is for the asker to see.

        Args:
            config: name of the ConfigMap. number: of the batch, from 1.
        """
        node = self.cluster.node
        try:
            wanted = batch.mount_pods_of(await self.cluster.config_map(config), number, node)
        except (BatchError, ApiError) as error:
            return say(f"CRT-BATCH-FAIL fetch pods in node {node} error: {error}")
        found = {name: await self.cluster.pod(self.cluster.namespace, name) for name in wanted}
        able = [p for p in found.values() if p is not None and not self._why_not(p, recreate=True)]
        log.info("pods to upgrade", pods=", ".join(p["metadata"]["name"] for p in able))
        for name in (name for name, pod in found.items() if pod is None):
            say(f"POD-SUCCESS [{name}] has already upgraded in node {node}.")

        async def one(obj: Obj) -> None:
            pod = mount_pod_of(obj)
            say(f"POD-START [{pod.name}] start to upgrade")
            if not await self._one(obj, pod, True, say):
                say(f"pod [{pod.name}] upgrade pod error")

        await asyncio.gather(*map(one, able))

    def _why_not(self, obj: Obj, recreate: bool) -> str:
        return why_not_upgradable(obj, recreate, self.mounter.host.env.get(fuse_session.DISABLED) == "true")

    async def _one(self, obj: Obj, pod: MountPod, recreate: bool, say: Say) -> bool:
        """Exchange one client, unless somebody does so already; False when it failed."""
        async with self.mounter.locks[pod.settings_hash]:
            if _is_in_process(pod, datetime.now()):
                say(f"POD-SKIP [{pod.name}] pod is already in upgrade process.")
                return True
            return await self._exchange(obj, pod, recreate, say)

    async def _exchange(self, obj: Obj, pod: MountPod, recreate: bool, say: Say) -> bool:
        """Prepare the new client and end the old one; False, and the reason told, when that failed."""
        try:
            client = await mounts.away_from_loop(lambda: running_client(pod), CONFIG_SECONDS)
            await self._canary(obj, pod, recreate, say)
            if recreate:
                await self._take(obj, pod, client)
            else:
                await self._swap(pod, say)
            await self._hang_up(pod, client, say)
        except TimeoutError:
            error: object = "function timeout"
        except (UpgradeFailed, SettingsError, TakeFailed, ApiError, OSError) as failure:
            error = failure
        else:
            done = f"Upgrade pod [{pod.name}] with recreating"
            if not recreate:
                done = f"[{pod.name}] Upgrade binary in {names.MOUNT_CONTAINER}"
            self.events.event({**obj, "kind": "Pod", "apiVersion": "v1"}, "Normal", "Upgrade", done)
            say(done if recreate else f"POD-SUCCESS {done}")
            return True
        log.error(error, "graceful shutdown error", pod=pod.name)
        say(f"POD-FAIL [{pod.name}] {error}.")
        if recreate:
            await self.cluster.annotate(pod.name, {}, (names.UPGRADE_PROCESS,))
        return False

    async def _take(self, obj: Obj, pod: MountPod, client: RunningClient) -> None:
        """Note what the successor needs, and have the client give its descriptor away."""
        await self.cluster.annotate(pod.name, {names.UPGRADE_PROCESS: datetime.now().strftime(STAMP)})
        key = pod.upgrade_uuid
        kept = self.descriptors[key]
        if pod.command.is_ce:
            kept.session = str(client.session)
            log.info("update sid", mountPod=pod.name, sid=client.session)
        socket_name = f"{passfd.CLIENT_SOCKET}{client.supervisor(pod, bool(obj['spec'].get('hostPID')))}"
        kept.state_path = client.state_path
        log.info("update state path", mountPod=pod.name, statePath=client.state_path)
        path = self.descriptors.base / key / socket_name
        log.info("close fuse fd in mount pod", path=str(path), pod=pod.name)
        log.info("recv FUSE fd", fd=await self.descriptors.take(key, socket_name))

    async def _swap(self, pod: MountPod, say: Say) -> None:
        """Put the client that the canary Job has fetched in the place of the one that runs."""
        log.info("upgrade binary to mount pod", pod=pod.name)
        say("upgrade binary to mount pod")
        try:
            await self.cluster.execute(pod.name, ["sh", "-c", SWAP])
        except ExecFailed as error:
            raise UpgradeFailed(f"fail to upload binary: {error}") from error

    async def _hang_up(self, pod: MountPod, client: RunningClient, say: Say) -> None:
        log.info("kill -s SIGHUP", pid=client.pid, pod=pod.name, namespace=pod.namespace)
        say(f"send SIGHUP to mount pod {pod.name}")
        try:
            await self.cluster.execute(pod.name, ["kill", "-s", "SIGHUP", str(client.pid)])
        except ExecFailed as error:
            raise UpgradeFailed(f"fail to send SIGHUP to mount pod: {error}") from error

    async def _successor(self, old: MountPod, say: Say) -> None:
        """Tell what becomes of the old Mount Pod, until a new one of the same upgrade UUID is ready."""
        found: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def look(kind: str, obj: Obj, _before: Obj | None) -> None:
            pod = mount_pod_of(obj)
            if pod.name != old.name:
                if pod.ready and not pod.deleting and not found.done():
                    found.set_result(pod.name)
            elif kind == "DELETED":
                say(f"Mount pod {pod.name} is deleted")
            elif pod.completed:
                say(f"Mount pod {pod.name} received signal and completed")

        informer = self.cluster.successors(old.upgrade_uuid)
        informer.add_handler(look)
        follow = asyncio.ensure_future(informer.run())
        try:
            name = await asyncio.wait_for(found, SUCCESSOR_SECONDS)
            say(f"POD-SUCCESS [{old.name}] Upgrade mount pod and recreate one: {name} !")
        except TimeoutError:
            say(f"POD-FAIL [{old.name}] {TOO_BUSY}.")
        finally:
            follow.cancel()

    async def _canary(self, obj: Obj, pod: MountPod, recreate: bool, say: Say) -> None:
        """Prove that the node can have the configured image, and fetch its client where that is wanted."""
        sources = await self.reconciler.replacer.sources(obj, pod)
        image = renewed(sources, self.mounter.host)["Attr"]["Image"] if sources.has_kept else pod.image
        body = job.canary(obj, image, recreate)
        name = body["metadata"]["name"]
        await self.runner.replace(body)
        log.info("create canary job", job=name, pod=pod.name)
        say(f"create canary job {name} for {pod.name}")
        log.info("wait for canary job completed", job=name)
        say(f"wait for canary job {name} for {pod.name} completed")
        try:
            await self.runner.wait(name, self.mounter.patience * CANARY_PATIENCE)
        except JobFailed as error:
            pods = await self.runner.pods(name)
            if not pods:
                raise UpgradeFailed(f"fail to wait for canary job complete, no pods found: {error}") from error
            status = mount_pod_of(pods[0])
            text = f"its pod {status.name} status: {status.reason}, err: {error}"
            raise UpgradeFailed(f"fail to wait for canary job complete, {text}") from error
        say(f"canary job of mount pod {pod.name} completed")


def _is_in_process(pod: MountPod, now: datetime) -> bool:
    try:
        since = datetime.strptime(pod.annotations.get(names.UPGRADE_PROCESS, ""), STAMP)
    except ValueError:
        return False
    return now - since < IN_PROCESS
