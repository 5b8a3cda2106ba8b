"""How a node's processes leave the machine's own ids: the node's user namespace, and what is mounted into it before.

No process of a node has the id of the machine's root, whatever it may do inside: /proc/sys, /sys and devices ask for
exactly that id. Started by root, a node gets ids that nobody else has; its files lie on disk as root's all the same,
because the mounts that show them translate (idmapped mounts), so that the kubelet, outside, reads and makes them as
ever. An ordinary user has one id to give, and no file but one's own can be reached with it. Standard library only.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jfsnb.sandbox.runtime import linux

#: First id of a node that root starts: above what distributions, systemd-nspawn and Docker give to anybody.
FIRST_ID, ID_COUNT = 0x70000000, 65536


@dataclass(frozen=True)
class Ids:
    """Ids of the machine that the ids of a node stand for.

    Args:
        first: what the node's root is outside.
        mapping: as in /proc/self/uid_map.
        translated: whether files have to be shown with other ids than they have on disk.
    """

    first: int
    mapping: str
    translated: bool = False


def own_ids(id_map: str, own: int) -> Ids:
    """Which ids a node gets.

    Args:
        id_map: text of /proc/self/uid_map (or gid_map): the ids that there are.
        own: id of this process.

    Returns:
        For the machine's root: ids that nobody has. For an ordinary user: the one that there is. For the root of a
        user namespace, whom the machine takes for an ordinary user: all that there are.
    """
    ranges = [tuple(int(number) for number in line.split()) for line in id_map.splitlines()]
    if own != 0:
        return Ids(own, f"0 {own} 1")
    if any(first == 0 and outside != 0 for first, outside, _ in ranges):
        return Ids(
            0, "\n".join(f"{first} {first} {min(n, ID_COUNT - first)}" for first, _, n in ranges if first < ID_COUNT)
        )
    if any(first <= FIRST_ID and first + count >= FIRST_ID + ID_COUNT for first, _, count in ranges):
        return Ids(FIRST_ID, f"0 {FIRST_ID} {ID_COUNT}", translated=True)
    count = max((first + count - max(first, 1) for first, _, count in ranges if first <= 1), default=0)
    return Ids(1, f"0 1 {min(count, ID_COUNT)}", translated=True)  # root of a container that has been given few


def ids(kind: str = "uid") -> Ids:
    """The user (or ``gid``) ids of a node that this process starts."""
    with open(f"/proc/self/{kind}_map", encoding="ascii") as file:
        return own_ids(file.read(), os.getuid() if kind == "uid" else os.getgid())


class Stage:
    """What can only be done as long as this process is still somebody outside: binds of what root alone can reach.

    Args:
        userns: the namespace whose ids bound trees are to be seen with; None where they are seen as they are.
        ids: of the node.
    """

    def __init__(self, userns: int | None, ids: Ids) -> None:
        self.userns, self.ids = userns, ids

    def bind_own(self, source: str, target: str, read_only: bool = False) -> None:
        """Bind a directory that is the node's own: what is root's on disk is root's in the node.

        Raises:
            OSError: its file system cannot translate ids.
        """
        if self.userns is None:
            linux.bind(source, target, read_only=read_only)
        else:
            linux.bind_translated(source, target, self.userns, read_only)

    def bind_readable(self, source: str, target: str) -> None:
        """Bind, read-only, what was given to the node to read; translated where that is possible."""
        try:
            self.bind_own(source, target, read_only=True)
        except OSError:
            linux.bind(source, target, read_only=True)

    def tmpfs(self, target: str, flags: int = 0) -> None:
        """A tmpfs that is root's of the node."""
        owner = "" if self.userns is None else f",uid={self.ids.first},gid={self.ids.first}"
        linux.mount("jfsnb", target, "tmpfs", flags, f"mode=755{owner}")

    def device(self, source: str, target: str) -> None:
        """A device that every process of the node may open, whatever the machine's own file says."""
        if self.userns is None:
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
            linux.bind(source, target, recursive=False)
            return
        os.mknod(target, 0o666 | stat.S_IFCHR, os.stat(source).st_rdev)
        os.chmod(target, 0o666)


def leave(prepare: Callable[[Stage], None], *, namespaces: int = 0) -> bool:
    """Enter a user namespace of its own, with new mount and (for children) pid namespaces.

    Args:
        prepare: called in the mount namespace: by root before it gives up its id, by anybody else after it got one.
        namespaces: further ones.

    Returns:
        Whether it was called before.

    Raises:
        OSError: this machine does not allow it.
    """
    users, groups = ids("uid"), ids("gid")
    if not users.translated:
        linux.enter_user_namespace(users.mapping, groups.mapping, deny_groups=os.getuid() != 0)
        linux.unshare(linux.CLONE_NEWNS | linux.CLONE_NEWPID | namespaces)
        linux.set_propagation("/", linux.MS_PRIVATE)
        prepare(Stage(None, users))
        return False
    userns = linux.new_user_namespace(users.mapping, users.mapping)
    try:
        linux.unshare(linux.CLONE_NEWNS)
        linux.set_propagation("/", linux.MS_PRIVATE)
        prepare(Stage(userns, users))
        linux.setns(userns, linux.CLONE_NEWUSER)
    finally:
        os.close(userns)
    os.setgroups([])
    os.setgid(0)
    os.setuid(0)
    linux.unshare(linux.CLONE_NEWNS | linux.CLONE_NEWPID | namespaces)
    return True


#: Of /proc: what container runtimes show read-only, and what they hide.
READ_ONLY = ("bus", "fs", "irq", "sys", "sysrq-trigger")
HIDDEN = (
    "acpi",
    "asound",
    "interrupts",
    "kcore",
    "keys",
    "latency_stats",
    "timer_list",
    "timer_stats",
    "sched_debug",
    "scsi",
)


def guard_proc(proc: str) -> None:
    """Make what a /proc holds of the kernel's own state read-only or hide it; also for a privileged container."""
    for name in READ_ONLY:
        with contextlib.suppress(FileNotFoundError):
            linux.bind(f"{proc}/{name}", f"{proc}/{name}", read_only=True)
    for name in HIDDEN:
        path = f"{proc}/{name}"
        if os.path.isdir(path):
            linux.mount("hidden", path, "tmpfs", linux.MS_RDONLY, "mode=000")
        elif os.path.exists(path):
            linux.bind("/dev/null", path)


def bind_sys(target: str) -> None:
    """The machine's /sys, read-only with everything that is mounted in it, without its firmware."""
    linux.bind("/sys", target)
    for point in reversed(_mounts_at(target)):
        linux.remount_read_only(point)
    if os.path.isdir(f"{target}/firmware"):
        with contextlib.suppress(OSError):
            linux.mount("hidden", f"{target}/firmware", "tmpfs", linux.MS_RDONLY, "mode=000")


def _mounts_at(target: str) -> Sequence[str]:
    """Mount points at and below a directory, outermost first."""
    real = os.path.realpath(target)
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        points = [line.split()[4].encode("latin-1", "surrogateescape").decode("unicode_escape") for line in file]
    return [point for point in points if point == real or point.startswith(f"{real}/")]
