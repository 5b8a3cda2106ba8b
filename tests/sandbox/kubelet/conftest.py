"""A real node per test: its agent, containers and mounts on this machine."""

from __future__ import annotations

import asyncio
import os
import select
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from jfsnb.errors import SandboxError
from jfsnb.sandbox.images.catalogue import BASELINE, CATALOGUE, TESTED
from jfsnb.sandbox.images.images import ImageStore
from jfsnb.sandbox.images.wheels import fetch_clients
from jfsnb.sandbox.runtime.process import Process
from jfsnb.sandbox.runtime.runtime import ContainerSpec, Runtime
from jfsnb.sandbox.runtime.tier import Tier, detect

HOST = "local/debian:bookworm"
sys.path.insert(0, str(Path(__file__).parent))  # for kubelet_cluster.py


@dataclass
class Output:
    """Collects what a process writes; ``line`` waits for a text to come."""

    chunks: list[tuple[str, bytes]] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, stream: str, data: bytes) -> None:
        self.chunks.append((stream, data))
        self.arrived.set()

    def text(self, stream: str | None = None) -> str:
        return b"".join(data for name, data in self.chunks if stream in (None, name)).decode()

    async def line(self, text: str) -> None:
        while text not in self.text():
            self.arrived.clear()
            await asyncio.wait_for(self.arrived.wait(), 20)


@dataclass
class Node:
    """A runtime with shorter words for tests."""

    runtime: Runtime
    images: ImageStore
    started: int = 0

    async def start(self, *argv: str, image: str = HOST, **more: Any) -> tuple[Process, Output]:
        self.started += 1
        output = Output()
        values = {"id": f"c{self.started}", "hostname": f"pod{self.started}", "env": {}} | more
        spec = ContainerSpec(image=self.images.find(image), argv=argv, **values)
        return await self.runtime.run(spec, output), output

    async def sh(self, script: str, **more: Any) -> tuple[int, str]:
        """Run a shell script in a container of its own: exit code, what it wrote."""
        process, output = await self.start("sh", "-c", script, **more)
        return await process.exited, output.text()

    async def exec(self, container: str, *argv: str, **more: Any) -> tuple[int, str]:
        output = Output()
        process = await self.runtime.exec(container, argv, on_output=output, **more)
        return await process.exited, output.text()

    async def mount_table(self, wanted: Callable[[set[str]], bool]) -> None:
        """Until the set of FUSE mount points of the node is as wanted."""
        with open(f"/proc/{self.runtime.agent_pid}/mountinfo") as table:
            changes = select.poll()
            changes.register(table, select.POLLPRI)
            for _ in range(20):
                if wanted({m.mount_point for m in await self.runtime.mounts() if m.fstype == "fuse.juicefs"}):
                    return
                await asyncio.to_thread(changes.poll, 1000)
        fuse = [m for m in await self.runtime.mounts() if m.fstype.startswith("fuse")]
        raise AssertionError(f"mounts never came to be as wanted: {fuse}")


@pytest.fixture(scope="session")
def tier() -> Tier:
    found = detect()
    if found.name == "recorded":
        pytest.skip(found.reason)
    return found


@pytest.fixture(scope="session")
def clients(tier: Tier) -> None:
    """Two clients, and a machine where they can mount."""
    if tier.name != "full":
        pytest.skip(tier.reason)
    try:
        fetch_clients([CATALOGUE[BASELINE], CATALOGUE[TESTED]])
    except SandboxError as error:
        pytest.skip(str(error))


@pytest.fixture(name="machine_mounts")
def the_machine_mounts() -> Callable[[], set[str]]:
    return machine_mounts


@pytest.fixture
def on_node(tier: Tier, tmp_path: Path) -> Iterator[Callable[[Callable[[Node], Awaitable[None]]], None]]:
    """Runs a test on a live node, then sees to it that the machine is as before."""

    def run(test: Callable[[Node], Awaitable[None]], tier: Tier = tier) -> None:
        asyncio.run(_with_node(test, tmp_path, tier))

    before = _traces()
    yield run
    assert _traces() == before


async def _with_node(test: Callable[[Node], Awaitable[None]], state: Path, tier: Tier) -> None:
    runtime = await Runtime.start(state, "node1", tier)
    try:
        await test(Node(runtime, ImageStore(state)))
    finally:
        await runtime.close()


def machine_mounts() -> set[str]:
    """Mounts of this machine, but for those that container engines make meanwhile."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return {line for line in lines if not line.split()[4].startswith(("/var/lib/containers/", "/var/lib/docker/"))}


def _traces() -> tuple[set[str], set[str], list[int]]:
    """What a node could leave behind here: mounts, open files, children."""
    files = {f"{fd}: {target}" for fd, target in _open_files() if "/proc/" not in target}
    children = [int(pid) for pid in Path("/proc/self/task", str(os.getpid()), "children").read_text().split()]
    return machine_mounts(), files, children


def _open_files() -> Iterator[tuple[str, str]]:
    for fd in os.listdir("/proc/self/fd"):
        try:
            yield fd, os.readlink(f"/proc/self/fd/{fd}")
        except FileNotFoundError:  # the directory listing's own
            continue
