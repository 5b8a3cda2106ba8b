"""The runtime of a live node: runs containers and mounts through the node agent (agent.py)."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jfsnb
from jfsnb.errors import SandboxError
from jfsnb.sandbox.images.image import host_directories
from jfsnb.sandbox.runtime import mountinfo, noderoot, waiting, wire
from jfsnb.sandbox.runtime.limits import Limits
from jfsnb.sandbox.runtime.mountinfo import MountInfo
from jfsnb.sandbox.runtime.process import OnOutput, Process
from jfsnb.sandbox.runtime.spec import BindMount, ContainerSpec
from jfsnb.sandbox.runtime.tier import Tier

START_SECONDS = 30.0
HINT = "jfsnb sandbox status --probe shows what this machine can do; JFSNB_TIER=recorded runs without containers"
CREATE_FAILED = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: "
    "runc create failed: unable to start container process: {}: unknown"
)
EXEC_FAILED = (
    'failed to exec in container: failed to start exec "{}": OCI runtime exec failed: exec failed: '
    "unable to start container process: {}: unknown"
)


__all__ = ["BindMount", "ContainerSpec", "Runtime", "StartError"]


class StartError(Exception):
    """A container or a process in it could not be started; worded as containerd words it."""


class Runtime:
    """One live node. Make it with ``start``; after ``close``, or when this process ends, nothing of it is left.

    Args:
        node_root: the node's root file system as this process sees it: plain files without what is mounted in the node.
        agent_pid: process id of the node's PID 1. ``/proc/<agent_pid>/root`` is the node's tree with its mounts, and
            short enough for unix socket paths; FUSE mounts in there deny access to this process.
    """

    def __init__(
        self,
        node_root: Path,
        sock: socket.socket,
        agent: subprocess.Popen[bytes],
        limits: Limits,
    ) -> None:
        self.node_root = node_root
        self._limits = limits
        self.agent_pid = 0
        self._sock = sock
        self._agent = agent
        self._sending = asyncio.Lock()
        self._answers: dict[int, asyncio.Future[tuple[wire.Message, list[int]]]] = {}
        self._last = 0
        self._processes: dict[str, Process] = {}
        self._ready: asyncio.Future[wire.Message] = asyncio.get_running_loop().create_future()
        self._identities: dict[str, tuple[int, int]] = {}

    @classmethod
    async def start(cls, state: Path, node: str, tier: Tier) -> Runtime:
        """Start a node's agent.

        Args:
            state: the sandbox's directory; the node's files come below ``nodes/<node>/root``.
            node: its name.
            tier: as found by ``detect``; not ``recorded``.

        Raises:
            SandboxError: this machine does not let the node be made.
        """
        root = state / "nodes" / node / "root"
        root.mkdir(parents=True, exist_ok=True)
        store = state / "store"
        store.mkdir(exist_ok=True)
        noderoot.write_plain_files(root)
        limits = Limits(tier.limits, f"jfsnb-{node}-{secrets.token_hex(4)}")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with theirs:
            agent = _spawn(theirs)
        self = cls(root, ours, agent, limits)
        asyncio.get_running_loop().add_reader(ours, self._receive)
        settings: wire.Message = {"fuse": tier.name == "full"}
        settings |= {"cgroup": limits.directory}
        settings |= {"root": str(root), "store": str(store), "host_directories": host_directories()}
        try:
            await self._send(settings)
            ready = await asyncio.wait_for(self._ready, START_SECONDS)
            if ready["event"] == "failed":
                raise SandboxError(f"node {node} cannot be made: {ready['error']} ({ready['path']})", HINT)
        except BaseException as error:
            await self.close()
            if isinstance(error, OSError):
                raise SandboxError(f"node {node} cannot be made: its agent ended ({error})", HINT) from error
            raise
        self.agent_pid = _children(agent.pid)[-1]  # the one before it waits for the end
        return self

    async def close(self) -> None:
        """End every process of the node and wait until the kernel has taken it away."""
        if self._sock.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._sock)
            self._sock.close()  # the agent's lifeline
        await waiting.ended(self._agent)
        self._lose_everything()
        self._limits.close()

    async def run(self, spec: ContainerSpec, on_output: OnOutput) -> Process:
        """Start a container.

        Args:
            spec: what to run.
            on_output: called with ``stdout`` or ``stderr`` and what came, in the event loop.

        Raises:
            StartError: it could not be started.
        """
        identity = (spec.uid, spec.gid)
        request = {"op": "run", **spec.describe()}
        process = Process(on_output, spec.stdin, spec.tty, identity)
        into = self._limits.begin(spec.id, spec.memory, process.kill)
        process.agent_fds += into
        request["cgroup"] = bool(into)
        await self._start(spec.id, request, process, CREATE_FAILED)
        self._identities[spec.id] = identity
        process.exited.add_done_callback(lambda _: self._identities.pop(spec.id, None))
        return process

    async def exec(
        self,
        container_id: str,
        argv: Sequence[str],
        *,
        on_output: OnOutput = lambda stream, data: None,
        env: Mapping[str, str] | None = None,
        uid: int | None = None,
        stdin: bool = False,
        tty: bool = False,
    ) -> Process:
        """Start a further process in a running container; what is not said is as in its first process.

        Raises:
            StartError: it could not be started, or the container does not run.
        """
        process_id = secrets.token_hex(32)
        own_uid, gid = self._identities.get(container_id, (0, 0))
        identity = (own_uid if uid is None else uid, gid)
        more = {"uid": uid, "env": dict(env) if env is not None else None, "tty": tty}
        request = {"op": "exec", "container": container_id, "id": process_id, "argv": list(argv), **more}
        process = Process(on_output, stdin, tty, identity)
        into = self._limits.join(container_id)
        process.agent_fds += into
        request["cgroup"] = bool(into)
        return await self._start(process_id, request, process, EXEC_FAILED.replace("{}", process_id, 1))

    async def bind(self, source: str, target: str, *, recursive: bool = True, read_only: bool = False) -> None:
        """Bind-mount in the node; the target is made when it is not there. Raises OSError."""
        await self._operate("bind", source=source, target=target, recursive=recursive, read_only=read_only)

    async def tmpfs(self, target: str, size: int = 0, mode: int = 0o777) -> None:
        """Mount a tmpfs in the node. Args: size in bytes, 0 for the kernel's default. Raises OSError."""
        await self._operate("tmpfs", target=target, size=size, mode=mode)

    async def unmount(self, target: str, lazy: bool = False) -> None:
        """Unmount in the node. Raises OSError: EINVAL where nothing is mounted, EBUSY while it is in use."""
        await self._operate("unmount", target=target, lazy=lazy)

    async def make_path(self, path: str, directory: bool = True, mode: int = 0o755) -> None:
        """Make a directory or an empty file in the node where nothing is, inside of mounts too. Raises OSError."""
        await self._operate("make_path", path=path, directory=directory, mode=mode)

    async def mounts(self) -> list[MountInfo]:
        """The node's mount table."""
        answer, _ = await self._call({"op": "mounts"})
        return mountinfo.parse(answer["text"])

    async def _operate(self, operation: str, **args: Any) -> None:
        await self._call({"op": operation, "args": args})

    async def _start(self, process_id: str, request: wire.Message, process: Process, failed: str) -> Process:
        """Have the agent start a process; when the caller gives up meanwhile, it is killed as soon as it is there."""
        starting = asyncio.ensure_future(self._start_whole(process_id, request, process, failed))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            process.kill()  # it may hang before its program, in a dead FUSE mount
            starting.add_done_callback(_kill_unwanted)
            raise

    async def _start_whole(self, process_id: str, request: wire.Message, process: Process, failed: str) -> Process:
        self._processes[process_id] = process
        try:
            _, pidfds = await self._call(request, process.agent_fds)
        except OSError as error:
            del self._processes[process_id]
            process.abandon()
            where = f"{error.filename}: " if error.filename else ""
            raise StartError(failed.format(f"{where}{error.strerror or error}")) from error
        reason = await process.started(pidfds[0])
        if reason:
            await process.exited
            raise StartError(failed.format(reason))
        return process

    async def _call(self, request: wire.Message, fds: Sequence[int] = ()) -> tuple[wire.Message, list[int]]:
        """Send a request and wait for its answer. Raises the OSError that the agent met."""
        self._last += 1
        number = self._last
        self._answers[number] = asyncio.get_running_loop().create_future()
        try:
            await self._send({"seq": number, **request}, fds)
            answer, received = await self._answers[number]
        finally:
            del self._answers[number]
        if "error" in answer:
            raise OSError(answer["errno"], answer["error"], answer["path"])
        return answer, received

    async def _send(self, message: wire.Message, fds: Sequence[int] = ()) -> None:
        async with self._sending:
            while True:
                try:
                    return wire.send(self._sock, message, fds)
                except BlockingIOError:
                    await waiting.writable(self._sock.fileno())

    def _receive(self) -> None:
        while True:
            try:
                received = wire.receive(self._sock)
            except BlockingIOError:
                return
            except OSError:
                received = None
            if received is None:
                asyncio.get_running_loop().remove_reader(self._sock)
                return self._lose_everything()
            message, fds = received
            if message.get("event") == "exit":
                self._ended(message["id"], message["code"])
            elif "event" in message:
                self._ready.set_result(message)
            elif (answer := self._answers.get(message["re"])) and not answer.done():
                answer.set_result((message, fds))
            else:
                for fd in fds:
                    os.close(fd)

    def _ended(self, process_id: str, code: int) -> None:
        process = self._processes.pop(process_id, None)
        over = self._limits.end(process_id)
        if process is not None:
            process.oom_killed = over
            process.ended(code)

    def _lose_everything(self) -> None:
        """The agent is gone, and with it every process of the node."""
        if not self._ready.done():
            self._ready.set_result({"event": "failed", "error": "the node agent ended", "path": self.node_root})
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(OSError(3, "the node is gone"))
        for process in self._processes.values():
            process.ended(137)
        self._processes.clear()


def _kill_unwanted(starting: asyncio.Future[Process]) -> None:
    if not starting.cancelled() and starting.exception() is None:
        starting.result().kill()


def _spawn(theirs: socket.socket) -> subprocess.Popen[bytes]:
    package = Path(jfsnb.__file__).parent.parent
    return subprocess.Popen(
        [sys.executable, "-S", "-P", "-m", "jfsnb.sandbox.runtime.agent", str(theirs.fileno())],
        stdin=subprocess.DEVNULL,
        pass_fds=[theirs.fileno()],
        env={"PYTHONPATH": str(package), "LANG": "C.UTF-8"},
        cwd="/",
    )


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
