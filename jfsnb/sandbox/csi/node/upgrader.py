"""Smooth upgrade of a Mount Pod: another client without a new mount (reference §3.8).

The binary upgrade swaps the client in the running container; the client's own supervisor goes on with it and keeps the
FUSE session. An upgrade by re-creation needs the FUSE descriptor handed over to the driver, which this one cannot take:
it fails where the real one fails when a client does not hand it over, and the Mount Pod stays as it was.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from jfsnb.driver import client_support, names
from jfsnb.driver.mountpods.mount_pods import MountPod
from jfsnb.sandbox.apimachinery.client import ApiError, EventRecorder, Obj
from jfsnb.sandbox.csi import pod_exec
from jfsnb.sandbox.csi.cluster import mount_pod_of
from jfsnb.sandbox.csi.controller.job_runner import JobFailed, JobRunner
from jfsnb.sandbox.csi.klog import Logger
from jfsnb.sandbox.csi.node import mounts
from jfsnb.sandbox.csi.node.reconciler import Reconciler
from jfsnb.sandbox.csi.rules import job
from jfsnb.sandbox.csi.rules.recreate import renewed
from jfsnb.sandbox.csi.rules.settings import SettingsError

log = Logger("grace")
IN_PROCESS = timedelta(minutes=5)
STAMP = "%Y-%m-%d %H:%M:%S"
#: The real driver waits 5 minutes for its canary, five times what it waits for a Mount Pod; so does this one.
CANARY_PATIENCE = 5
#: In the sandbox the client of an image is bound over a placeholder; the real driver has only to remove a file.
SWAP = f"umount -l {names.CE_CLIENT} 2>/dev/null; rm -rf {names.CE_CLIENT} && mv /tmp/juicefs {names.CE_CLIENT}"
Say = Callable[[str], None]


class UpgradeFailed(Exception):
    """Told as POD-FAIL."""


@dataclass(frozen=True)
class RunningClient:
    """What a client's ``.config`` says of its process."""

    pid: int
    parent: int


class Upgrader:
    """Upgrades Mount Pods of this node, for ``juicefs-csi-driver upgrade``."""

    def __init__(self, reconciler: Reconciler) -> None:
        self.reconciler, self.cluster, self.mounter = reconciler, reconciler.cluster, reconciler.mounter
        self.runner = JobRunner(self.cluster)
        self.events = EventRecorder(self.cluster.api, "juicefs-csi-node", self.cluster.node)

    async def serve(self, path: str) -> None:
        """Listen on a unix socket until cancelled; one request a connection: ``<name> RECREATE|NORECREATE``."""
        Path(path).unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._answer, path)
        log.info("Serve gracefully shutdown is listening", addr=path)
        async with server:
            await server.serve_forever()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name, _, action = (await reader.read(1024)).decode("utf-8", "replace").strip().partition(" ")
        try:
            await self.upgrade(name, action == "RECREATE", lambda line: writer.write(f"{line}\n".encode()))
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
        reason = why_not(obj, recreate, self.mounter.host.env.get("DISABLE_GRACE_UPGRADE") == "true")
        if reason:
            return say(f"POD-FAIL [{name}] can not upgrade: {reason}.")
        async with self.mounter.locks[pod.settings_hash]:
            if _is_in_process(pod, datetime.now()):
                return say(f"POD-SKIP [{name}] pod is already in upgrade process.")
            try:
                client = await self._prepare(obj, pod, recreate, say)
                await self._signal(obj, pod, client, say)
            except (UpgradeFailed, SettingsError, ApiError, OSError) as error:
                log.error(error, "graceful shutdown error", pod=name)
                say(f"POD-FAIL [{name}] {error}.")
                if recreate:
                    await self.cluster.annotate(name, {}, (names.UPGRADE_PROCESS,))

    async def _prepare(self, obj: Obj, pod: MountPod, recreate: bool, say: Say) -> RunningClient:
        client = await mounts.away_from_loop(lambda: running_client(pod), 2)
        sources = await self.reconciler.sources(obj, pod)
        image = renewed(sources, self.mounter.host)["Attr"]["Image"] if sources.kept else pod.image
        await self._canary(job.canary(obj, image, recreate), pod, say)
        if recreate:
            await self.cluster.annotate(pod.name, {names.UPGRADE_PROCESS: datetime.now().strftime(STAMP)})
            raise UpgradeFailed(f"fail to recv FUSE fd from /tmp/{pod.upgrade_uuid}/fuse_fd_comm.{client.parent}")
        log.info("upgrade binary to mount pod", pod=pod.name)
        say("upgrade binary to mount pod")
        try:
            await pod_exec.run(pod.namespace, pod.name, names.MOUNT_CONTAINER, ["sh", "-c", SWAP])
        except pod_exec.ExecFailed as error:
            raise UpgradeFailed(f"fail to upload binary: {error}") from error
        return client

    async def _canary(self, body: Obj, pod: MountPod, say: Say) -> None:
        """Prove that the node can have the image, and fetch its client where that is wanted."""
        name = body["metadata"]["name"]
        await self.runner.delete(name)
        await self.runner.wait_gone(name)
        say(f"create canary job {name} for {pod.name}")
        await self.runner.ensure(body)
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

    async def _signal(self, obj: Obj, pod: MountPod, client: RunningClient, say: Say) -> None:
        log.info("kill -s SIGHUP", pid=client.pid, pod=pod.name, namespace=pod.namespace)
        say(f"send SIGHUP to mount pod {pod.name}")
        command = ["kill", "-s", "SIGHUP", str(client.pid)]
        try:
            await pod_exec.run(pod.namespace, pod.name, names.MOUNT_CONTAINER, command)
        except pod_exec.ExecFailed as error:
            raise UpgradeFailed(f"fail to send SIGHUP to mount pod: {error}") from error
        done = f"[{pod.name}] Upgrade binary in {names.MOUNT_CONTAINER}"
        self.events.event({**obj, "kind": "Pod", "apiVersion": "v1"}, "Normal", "Upgrade", done)
        say(f"POD-SUCCESS {done}")


def why_not(obj: Obj, recreate: bool, disabled: bool = False) -> str:
    """Why a Mount Pod cannot be upgraded; empty when it can. What counts is the image that runs now."""
    pod = mount_pod_of(obj)
    pre_stop = json.dumps(
        ((obj["spec"]["containers"][0].get("lifecycle") or {}).get("preStop") or {}).get("exec") or {}
    )
    if disabled:
        return "smooth upgrade is disabled"
    if not pod.settings_hash:
        return "pod has no hash label"
    if not recreate and not client_support.supports_binary_upgrade(pod.image):
        return f"image {pod.image} do not support smooth binary upgrade"
    if recreate and not client_support.supports_fuse_passing(pod.image, pre_stop):
        return f"image {pod.image} do not support recreate smooth upgrade"
    if "umount" in pre_stop:
        return "mount pod has umount prestop hook, can not upgrade"
    return "" if pod.ready else "mount pod is not ready yet"


def _is_in_process(pod: MountPod, now: datetime) -> bool:
    try:
        since = datetime.strptime(pod.annotations.get(names.UPGRADE_PROCESS, ""), STAMP)
    except ValueError:
        return False
    return now - since < IN_PROCESS


def running_client(pod: MountPod) -> RunningClient:
    """The client's process as its mount tells it.

    Raises:
        UpgradeFailed: the mount has no ``.config``: clients before 1.0.
    """
    path = pod.command.config_file
    try:
        told = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UpgradeFailed(
            f"fail to read config file {path}: open {path}: {(error.strerror or str(error)).lower()}"
        ) from error
    except ValueError as error:
        raise UpgradeFailed(f"fail to parse config file: {error}") from error
    return RunningClient(int(told.get("Pid", 1)), int(told.get("PPid", 0)))
