"""Memory limits of containers: cgroups of version 2 or 1, where this process may make some. Standard library only.

A node has one directory; below it, each container with a limit has one. The kernel ends what goes over its limit.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass

LIMIT = {2: "memory.max", 1: "memory.limit_in_bytes"}
#: As the kubelet: no swap, and all of a container ends. Version 1 cannot do the latter: see NodeCgroups.alarm.
ALSO = {2: {"memory.swap.max": "0", "memory.oom.group": "1"}, 1: {}}
EVENTS = {2: "memory.events", 1: "memory.oom_control"}


@dataclass(frozen=True)
class Place:
    """A directory of a cgroup file system in which cgroups with a memory limit can be made.

    Args:
        directory: its path on this machine.
        version: of the cgroup file system.
    """

    directory: str
    version: int


def candidates(mounts: str, own: str) -> tuple[Place, ...]:
    """Where it could work, the best first.

    Args:
        mounts: text of /proc/self/mountinfo.
        own: text of /proc/self/cgroup: this process's own cgroups.
    """
    paths = dict(line.split(":", 2)[1:] for line in own.splitlines() if line.count(":") >= 2)
    found = []
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        words, (kind, _, options) = before.split(), (after.split() + [""] * 3)[:3]
        if kind == "cgroup2":
            # Processes and children with limits cannot be in one cgroup, so beside one's own, not below it.
            inside = _below(words, paths.get("", "/"))
            found += [Place(d, 2) for d in dict.fromkeys((os.path.dirname(inside), words[4])) if d.startswith(words[4])]
        elif kind == "cgroup" and "memory" in options.split(","):
            own_path = next((path for names, path in paths.items() if "memory" in names.split(",")), "/")
            found += [Place(d, 1) for d in dict.fromkeys((_below(words, own_path), words[4]))]
    return tuple(found)


def _below(mount: list[str], path: str) -> str:
    """A cgroup's directory: the mount shows the tree below its own root."""
    root, point = mount[3], mount[4]
    inside = path.removeprefix(root.rstrip("/")).strip("/")
    return f"{point}/{inside}" if inside else point


def find_place() -> Place | str:
    """Where limits hold on this machine, found by making one and going into it; or why nowhere."""
    why = "this machine has no cgroups for memory"
    try:
        with open("/proc/self/mountinfo") as mounts, open("/proc/self/cgroup") as own:
            places = candidates(mounts.read(), own.read())
    except OSError as error:
        return str(error)
    for place in places:
        try:
            _try(place)
            return place
        except OSError as error:
            why = f"{error.filename or place.directory}: {error.strerror}"
    return why


def _try(place: Place) -> None:
    """Make a cgroup, give it a limit, put a child in. Raises OSError."""
    node = NodeCgroups(place, f"jfsnb-trial-{os.getpid()}")
    try:
        procs = node.make("trial", 64 << 20)
        pid = os.fork()
        if pid == 0:
            with contextlib.suppress(BaseException):
                os.write(procs, b"0")
                os._exit(0)
            os._exit(1)
        os.close(procs)
        if os.waitpid(pid, 0)[1]:
            raise PermissionError(1, "a process may not be put in", node.directory)
    finally:
        node.remove()


class NodeCgroups:
    """The cgroups of one node's containers.

    Args:
        place: where they can be made.
        name: of the node's directory; unique on this machine.

    Raises:
        OSError: they cannot be made after all.
    """

    def __init__(self, place: Place, name: str) -> None:
        self.directory, self._version = f"{place.directory.rstrip('/')}/{name}", place.version
        if self._version == 2:
            _must_hand_down(place.directory)
        os.mkdir(self.directory)
        if self._version == 2:
            _write(f"{self.directory}/cgroup.subtree_control", "+memory")

    def make(self, container: str, memory: int) -> int:
        """A cgroup with a limit.

        Args:
            container: its id.
            memory: bytes.

        Returns:
            A file descriptor: a process that writes ``0`` to it goes in, with all its children to come.
        """
        home = f"{self.directory}/{container}"
        os.mkdir(home)
        _write(f"{home}/{LIMIT[self._version]}", str(memory))
        for file, text in ALSO[self._version].items():
            with contextlib.suppress(FileNotFoundError):  # a kernel without swap, or an old one
                _write(f"{home}/{file}", text)
        return self.open(container)

    def open(self, container: str) -> int:
        """The same for a further process of a container."""
        return os.open(f"{self.directory}/{container}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)

    def alarm(self, container: str) -> int:
        """Version 1: an eventfd that becomes readable when the kernel ends a process in it; -1 with version 2."""
        if self._version == 2:
            return -1
        home, alarm = f"{self.directory}/{container}", os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        control = os.open(f"{home}/memory.oom_control", os.O_RDONLY)
        try:
            _write(f"{home}/cgroup.event_control", f"{alarm} {control}")
        finally:
            os.close(control)
        return alarm

    def end(self, container: str) -> bool:
        """Take a container's cgroup away; whether the kernel had to end something in it."""
        home = f"{self.directory}/{container}"
        try:
            with open(f"{home}/{EVENTS[self._version]}") as file:
                killed = oom_kills(file)
        except OSError:
            return False
        with contextlib.suppress(OSError):  # a process is still on its way out: the node's end takes it away
            os.rmdir(home)
        return killed > 0

    def remove(self) -> None:
        """Take all of them away, once every process has ended; nothing happens when they are gone already."""
        remove_tree(self.directory)


def oom_kills(lines: Iterable[str]) -> int:
    """``oom_kill N`` of memory.events or memory.oom_control."""
    return next((int(count) for name, _, count in (line.partition(" ") for line in lines) if name == "oom_kill"), 0)


def remove_tree(directory: str) -> None:
    """Take a node's cgroups away; all their processes must have ended. What cannot be removed stays."""
    with contextlib.suppress(OSError):
        for entry in os.scandir(directory):
            if entry.is_dir(follow_symlinks=False):
                os.rmdir(entry.path)
        os.rmdir(directory)


def _must_hand_down(directory: str) -> None:
    """Version 2: children have memory limits only where their parent says so, and a parent that is not ours is left."""
    file = f"{directory}/cgroup.subtree_control"
    with open(file) as controllers:
        if "memory" not in controllers.read().split():
            raise PermissionError(1, "memory limits are not handed down to its children", file)


def _write(file: str, text: str) -> None:
    fd = os.open(file, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
