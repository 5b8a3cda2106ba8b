"""CSI drivers of this node: found through their registration sockets, entered into the CSINode object.

As the kubelet's plugin watcher: whoever puts a socket into ``/var/lib/kubelet/plugins_registry`` is asked who it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from jfsnb.sandbox.apimachinery.broadcast import Broadcast
from jfsnb.sandbox.apimachinery.client import ApiClient, ApiError, Obj
from jfsnb.sandbox.kubelet.volumes.content import VolumeError
from jfsnb.sandbox.kubelet.volumes.paths import KUBELET, outside
from jfsnb.sandbox.proto import messages as proto
from jfsnb.sandbox.runtime.inotify import changes

REGISTRY = f"{KUBELET}/plugins_registry"
REGISTRATION = "pluginregistration.Registration"
CALL_SECONDS = 10.0
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plugin:
    """A registered driver: its name, what it calls this node, and its socket (path on the node)."""

    name: str
    node_id: str
    endpoint: str


class CsiPlugins:
    """Keeps track of the drivers that are registered now."""

    def __init__(self, api: ApiClient, node: str, root: Path) -> None:
        self._api, self._node, self._root = api, node, root
        self._by_socket: dict[str, Plugin] = {}
        self._turns: dict[str, asyncio.Task[None]] = {}  # per socket, one after the other
        self.changed = Broadcast()

    async def run(self) -> None:
        """Follow the registry directory until cancelled."""
        directory = outside(self._root, REGISTRY)
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        await self._write_csi_node()
        try:
            async for name, present in changes(directory):
                before = self._turns.get(name)
                self._turns[name] = asyncio.create_task(self._turn(name, present, before))
        finally:
            for task in self._turns.values():
                task.cancel()

    async def _turn(self, name: str, present: bool, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            if present:
                await asyncio.wait([before])
            else:
                before.cancel()
        try:
            await (self._appeared(name) if present else self._disappeared(name))
        except (grpc.RpcError, ApiError, OSError, TimeoutError) as error:
            log.warning("plugin %s: %s", name, error)

    async def _appeared(self, name: str) -> None:
        path = f"{REGISTRY}/{name}"
        try:
            if not stat.S_ISSOCK(outside(self._root, path).stat().st_mode):
                return
        except FileNotFoundError:
            return
        async with self._channel(path) as channel:
            registration = proto.stub(channel, REGISTRATION)
            info = await registration.GetInfo(
                proto.registration.InfoRequest(), timeout=CALL_SECONDS, wait_for_ready=True
            )
            if info.type != "CSIPlugin":
                return
            endpoint = (info.endpoint or path).removeprefix("unix://").removeprefix("unix:")
            error = ""
            try:
                async with self._channel(endpoint) as driver:
                    node = proto.stub(driver, "csi.v1.Node")
                    about = await node.NodeGetInfo(
                        proto.NodeGetInfoRequest(), timeout=CALL_SECONDS, wait_for_ready=True
                    )
                self._by_socket[name] = Plugin(info.name, about.node_id, endpoint)
                await self._write_csi_node()
            except (grpc.RpcError, ApiError) as failure:
                self._by_socket.pop(name, None)
                error = f"plugin registration failed with err: {failure}"
            done = proto.registration.RegistrationStatus(plugin_registered=not error, error=error)
            with contextlib.suppress(grpc.RpcError):
                await registration.NotifyRegistrationStatus(done, timeout=CALL_SECONDS)
        self.changed.send()

    async def _disappeared(self, name: str) -> None:
        if self._by_socket.pop(name, None) is not None:
            await self._write_csi_node()
            self.changed.send()

    async def _write_csi_node(self) -> None:
        """Create or update the CSINode object of this node."""
        drivers = [{"name": p.name, "nodeID": p.node_id, "topologyKeys": None} for p in self._by_socket.values()]
        path = "/apis/storage.k8s.io/v1/csinodes"
        try:
            await self._api.patch(f"{path}/{self._node}", {"spec": {"drivers": drivers}})
        except ApiError as error:
            if error.status != 404:
                raise
            node = await self._api.get(f"/api/v1/nodes/{self._node}")
            owner = {"apiVersion": "v1", "kind": "Node", "name": self._node, "uid": node["metadata"]["uid"]}
            body: Obj = {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "CSINode",
                "metadata": {"name": self._node, "ownerReferences": [owner]},
                "spec": {"drivers": drivers},
            }
            await self._api.create(path, body)

    @asynccontextmanager
    async def client(self, driver: str) -> AsyncIterator[Any]:
        """The ``csi.v1.Node`` stub of a driver.

        Raises:
            VolumeError: no such driver is registered.
        """
        plugin = next((p for p in self._by_socket.values() if p.name == driver), None)
        if plugin is None:
            raise VolumeError(f"driver name {driver} not found in the list of registered CSI drivers")
        async with self._channel(plugin.endpoint) as channel:
            yield proto.stub(channel, "csi.v1.Node")

    @asynccontextmanager
    async def _channel(self, path: str) -> AsyncIterator[grpc.aio.Channel]:
        """A channel to a socket of the node. Its directory is opened first: a socket's whole path may be too long."""
        directory, _, name = path.rpartition("/")
        fd = os.open(outside(self._root, directory), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        channel = grpc.aio.insecure_channel(
            f"unix:/proc/{os.getpid()}/fd/{fd}/{name}",
            options=[
                ("grpc.enable_http_proxy", 0),
                ("grpc.default_authority", "localhost"),
                ("grpc.initial_reconnect_backoff_ms", 20),  # a driver binds its socket just before it listens
                ("grpc.use_local_subchannel_pool", 1),
                ("grpc.primary_user_agent", "kubelet"),  # the driver's trace tells who called
            ],
        )
        try:
            yield channel
        finally:
            await channel.close()
            os.close(fd)
