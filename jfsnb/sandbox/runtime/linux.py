"""The few Linux system calls of namespaces and mounts, which Python's standard library does not have.

Own code instead of a library: the node agent runs on the standard library alone, and these are ten calls.
"""

from __future__ import annotations

import ctypes
import os
import sys

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x4000000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID = 0x10000000, 0x20000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_MOVE, MS_REC = 4096, 8192, 16384
MS_PRIVATE, MS_SLAVE, MS_SHARED = 1 << 18, 1 << 19, 1 << 20
MNT_DETACH = 2
#: Flags of an inherited mount that a user namespace may not drop when it remounts.
LOCKED_FLAGS = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC
ID_COUNT = 65536

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _call(name: str, *args: object) -> None:
    if _libc is None:
        raise OSError(f"{name} is a Linux system call")
    if getattr(_libc, name)(*args) != 0:
        number = ctypes.get_errno()
        words = ", ".join(a.decode() if isinstance(a, bytes) else str(getattr(a, "value", a)) for a in args)
        raise OSError(number, os.strerror(number), f"{name}({words})")


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else os.fsencode(text)


def mount(source: str | None, target: str, fstype: str | None = None, flags: int = 0, data: str | None = None) -> None:
    """mount(2). Raises OSError."""
    _call("mount", _bytes(source), _bytes(target), _bytes(fstype), ctypes.c_ulong(flags), _bytes(data))


def umount(target: str, flags: int = 0) -> None:
    """umount2(2). Raises OSError."""
    _call("umount2", _bytes(target), flags)


def unshare(flags: int) -> None:
    """unshare(2): new namespaces for this process (a new pid namespace: for its children). Raises OSError."""
    _call("unshare", flags)


def setns(fd: int, flags: int) -> None:
    """setns(2): join the namespaces of a pidfd, or one by its file. Raises OSError."""
    _call("setns", fd, flags)


def sethostname(name: str) -> None:
    _call("sethostname", name.encode(), len(name.encode()))


def set_propagation(path: str, kind: int, recursive: bool = True) -> None:
    """Make a mount (and those below it) MS_PRIVATE, MS_SLAVE or MS_SHARED."""
    mount(None, path, None, kind | (MS_REC if recursive else 0))


def bind(source: str, target: str, recursive: bool = True, read_only: bool = False) -> None:
    """Bind mount; ``read_only`` holds for the top mount only, as in a container runtime."""
    mount(source, target, None, MS_BIND | (MS_REC if recursive else 0))
    if read_only:
        remount_read_only(target)


def remount_read_only(target: str) -> None:
    kept = os.statvfs(target).f_flag & LOCKED_FLAGS
    mount(None, target, None, MS_REMOUNT | MS_BIND | MS_RDONLY | kept)


def change_root(new_root: str) -> None:
    """Make a mount point this process's root and let go of the old one, with everything mounted there.

    The old tree is made a slave first: else detaching it would unmount the node's shared mounts with it.
    """
    os.chdir(new_root)
    os.makedirs(".old", mode=0o700, exist_ok=True)
    try:
        _call("pivot_root", b".", b".old")
    except PermissionError:  # Docker's seccomp profile denies pivot_root even with SYS_ADMIN
        os.rmdir(".old")
        set_propagation("/", MS_SLAVE, recursive=False)  # else the move would reach the node, a peer of the old root
        mount(new_root, "/", None, MS_MOVE)
        os.chroot(".")
        os.chdir("/")
        return
    os.chdir("/")
    set_propagation("/.old", MS_SLAVE)
    umount("/.old", MNT_DETACH)
    os.rmdir("/.old")


def enter_user_namespace() -> None:
    """Become root of a new user namespace with as many ids as may be mapped.

    Root maps its own ids to themselves, so that chown and runAsUser work; an ordinary user has one id to give.
    A process outside writes the map: from inside only a single id may be mapped. Raises OSError.
    """
    uid, gid = os.getuid(), os.getgid()
    ready_reading, ready_writing = os.pipe()
    mapped, parent = os.pipe(), os.getpid()
    helper = os.fork()
    if helper == 0:
        failure = b""
        try:
            os.read(ready_reading, 1)
            _write_maps(parent, uid, gid)
        except OSError as error:
            failure = f"{error.errno} user namespace: {error.strerror}".encode()
        os.write(mapped[1], failure)
        os._exit(0)
    os.close(mapped[1])
    try:
        unshare(CLONE_NEWUSER)
        os.write(ready_writing, b"x")
    finally:
        os.close(ready_reading)
        os.close(ready_writing)
        failure = os.read(mapped[0], 200)
        os.close(mapped[0])
        os.waitpid(helper, 0)
    if failure:
        number, _, text = failure.decode().partition(" ")
        raise OSError(int(number), text)
    os.setgid(0)
    os.setuid(0)


def _write_maps(pid: int, uid: int, gid: int) -> None:
    if uid != 0:
        _write(f"/proc/{pid}/setgroups", "deny")
    for kind, own in (("uid", uid), ("gid", gid)):
        _write(f"/proc/{pid}/{kind}_map", _identity_map(f"/proc/self/{kind}_map") if uid == 0 else f"0 {own} 1")


def _identity_map(available: str) -> str:
    """All ids that this process's own namespace has, below 65536, mapped to themselves."""
    with open(available, encoding="ascii") as file:
        ranges = [(int(first), int(count)) for first, _, count in (line.split() for line in file)]
    return "\n".join(f"{first} {first} {min(count, ID_COUNT - first)}" for first, count in ranges if first < ID_COUNT)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
