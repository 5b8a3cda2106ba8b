"""The node agent: PID 1 of a live node's own user, mount and pid namespace. Standard library only.

    python -S -P -m jfsnb.sandbox.runtime.agent SOCKET_FD

It serves requests of the runtime (runtime.py) over that socket until the other end is closed; with PID 1 the kernel
ends every process of the node, and with the last process every mount. An outer half, which stays in the machine's
namespaces, watches the process that started it: a forked worker of that process may hold the socket open.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

from jfsnb.sandbox.runtime import cgroups, container, isolation, linux, noderoot, rootfs, wire

Request = dict[str, Any]


class Agent:
    """Serves one request after the other; whatever could block happens in a forked child."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.own_pid_namespace = os.open("/proc/self/ns/pid", os.O_RDONLY)
        self.processes: dict[int, str] = {}  # pid -> process id
        self.containers: dict[str, tuple[int, Request]] = {}  # container id -> pid of its first process, its spec

    def serve(self) -> None:
        """Until the runtime closes its end."""
        woken, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(waker)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        wire.send(self.sock, {"event": "ready"})
        while True:
            readable, _, _ = select.select([self.sock.fileno(), woken], [], [])
            if woken in readable:
                with contextlib.suppress(BlockingIOError):
                    os.read(woken, 4096)
                self._reap()
            if self.sock.fileno() in readable:
                received = wire.receive(self.sock)
                if received is None:
                    return
                self._answer(*received)

    def _answer(self, request: Request, fds: list[int]) -> None:
        answer: dict[str, Any] = {"re": request["seq"]}
        opened: list[int] = []
        try:
            if request["op"] in ("run", "exec"):
                opened.append(self._start(request, fds))
            elif request["op"] == "mounts":
                with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
                    answer["text"] = file.read()
            else:
                self._in_child(request)
                return  # the child answers
        except OSError as error:
            answer |= _failure(error)
        finally:
            for fd in fds:
                os.close(fd)
        wire.send(self.sock, answer, opened)
        for fd in opened:
            os.close(fd)

    def _start(self, request: Request, fds: list[int]) -> int:
        """Fork a container's first or a further process; its pidfd."""
        if request["op"] == "run":
            partner = request["share_pid_with"]
            namespace = self._pidfd(partner) if partner else None
            pid = self._fork_in(namespace, lambda: container.start(request, fds))
            self.containers[request["id"]] = (pid, request)
        else:
            namespace = self._pidfd(request["container"])
            spec = self._exec_spec(request)
            pid = self._fork_in(namespace, lambda: container.join(spec, namespace or 0, fds))
        if namespace is not None:
            os.close(namespace)
        self.processes[pid] = request["id"]
        return os.pidfd_open(pid)

    def _exec_spec(self, request: Request) -> Request:
        """What an exec does not say is as in the container's first process."""
        _, spec = self.containers[request["container"]]
        given = {k: v for k, v in request.items() if v is not None}
        return {**spec, **given, "env": {**spec["env"], **(request["env"] or {})}}

    def _fork_in(self, pid_namespace: int | None, work: Callable[[], None]) -> int:
        """Fork a child that is the first process of a new pid namespace, or a further one of the given (a pidfd)."""
        if pid_namespace is None:
            linux.unshare(linux.CLONE_NEWPID)
        else:
            linux.setns(pid_namespace, linux.CLONE_NEWPID)
        pid = -1
        try:
            pid = os.fork()
        finally:
            if pid != 0:
                linux.setns(self.own_pid_namespace, linux.CLONE_NEWPID)
        if pid == 0:
            try:
                signal.set_wakeup_fd(-1)
                work()
            finally:
                os._exit(container.START_FAILED)
        return pid

    def _pidfd(self, container_id: str) -> int:
        if container_id not in self.containers:
            raise ProcessLookupError(3, f"container {container_id} is not running")
        return os.pidfd_open(self.containers[container_id][0])

    def _in_child(self, request: Request) -> None:
        """A file system operation, which a dead FUSE mount may block for ever."""
        if os.fork():
            return
        try:
            answer: dict[str, Any] = {"re": request["seq"]}
            try:
                OPERATIONS[request["op"]](**request["args"])
            except OSError as error:
                answer |= _failure(error)
            wire.send(self.sock, answer)
        finally:
            os._exit(0)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            process = self.processes.pop(pid, None)
            if process is None:
                continue
            if self.containers.get(process, (0,))[0] == pid:
                del self.containers[process]
            code = os.waitstatus_to_exitcode(status)
            wire.send(self.sock, {"event": "exit", "id": process, "code": 128 - code if code < 0 else code})


def _failure(error: OSError) -> dict[str, Any]:
    return {"errno": error.errno or 5, "error": error.strerror or str(error), "path": error.filename}


def _bind(source: str, target: str, recursive: bool, read_only: bool) -> None:
    rootfs.make_mount_point(target, os.path.isdir(source))
    linux.bind(source, target, recursive, read_only)


def _tmpfs(target: str, size: int, mode: int) -> None:
    rootfs.make_mount_point(target, directory=True)
    linux.mount("tmpfs", target, "tmpfs", 0, f"mode={mode:o}" + (f",size={size}" if size else ""))


def _unmount(target: str, lazy: bool) -> None:
    linux.umount(target, linux.MNT_DETACH if lazy else 0)


def _make_path(path: str, directory: bool, mode: int) -> None:
    if os.path.exists(path):
        return
    os.makedirs(path if directory else os.path.dirname(path), exist_ok=True)
    if not directory:
        noderoot.touch(path)
    os.chmod(path, mode)


OPERATIONS: dict[str, Callable[..., None]] = {
    "bind": _bind,
    "tmpfs": _tmpfs,
    "unmount": _unmount,
    "make_path": _make_path,
}


def main() -> None:
    sock = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(sock.fileno(), False)
    starter = os.pidfd_open(os.getppid())
    received = wire.receive(sock)
    if received is None:
        return
    settings, _ = received
    keep, cleaner = _clean_up_afterwards(settings["cgroup"])
    mounted = {name: settings[name] for name in ("root", "store", "host_directories", "fuse")}
    try:
        changed = isolation.leave(lambda stage: noderoot.mount_from_outside(stage, **mounted))
        pid = os.fork()
    except OSError as error:
        wire.send(sock, {"event": "failed", **_failure(error)})
        return
    if pid:
        sock.close()
        _watch(starter, pid)
        os.close(keep)
        os.waitpid(cleaner, 0)
        return
    os.close(starter)
    os.close(keep)
    os.setsid()
    try:
        noderoot.mount_from_inside(None if changed else settings["root"])
    except OSError as error:
        wire.send(sock, {"event": "failed", **_failure(error)})
        return
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    Agent(sock).serve()


def _clean_up_afterwards(cgroup: str) -> tuple[int, int]:
    """Take the node's cgroup away once this process has ended or says so: by one that still may, then.

    Returns:
        A file descriptor to be closed then, and to be held by this process only; and the pid of that one.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        os.closerange(3, reading)
        os.closerange(reading + 1, 1 << 20)
        os.read(reading, 1)
        cgroups.remove_tree(cgroup)
        os._exit(0)
    os.close(reading)
    return writing, pid


def _watch(starter: int, node: int) -> None:
    """The outer half: ends with the node, and ends the node with the process that started it."""
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    handle = os.pidfd_open(node)
    ended, _, _ = select.select([starter, handle], [], [])
    if starter in ended:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    os.waitpid(node, 0)


if __name__ == "__main__":
    main()
