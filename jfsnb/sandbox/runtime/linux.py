"""The few Linux system calls of namespaces and mounts, which Python's standard library does not have.

Own code instead of a library: the node agent runs on the standard library alone, and these are ten calls.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import sys
from collections.abc import Iterator

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x4000000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID = 0x10000000, 0x20000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_MOVE, MS_REC = 4096, 8192, 16384
MS_PRIVATE, MS_SLAVE, MS_SHARED = 1 << 18, 1 << 19, 1 << 20
MNT_DETACH = 2
#: Flags of an inherited mount that a user namespace may not drop when it remounts.
LOCKED_FLAGS = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC
SYS_OPEN_TREE, SYS_MOVE_MOUNT, SYS_MOUNT_SETATTR = 428, 429, 442
AT_FDCWD, AT_EMPTY_PATH, OPEN_TREE_CLONE, MOVE_MOUNT_F_EMPTY_PATH = -100, 0x1000, 1, 4
MOUNT_ATTR_RDONLY, MOUNT_ATTR_IDMAP = 1, 0x100000

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
    old = os.open("/", os.O_PATH | os.O_CLOEXEC)
    os.chdir(new_root)
    try:
        _call("pivot_root", b".", b".")  # the old root now lies on top of the new one; no directory has to be made
        os.fchdir(old)
    except PermissionError:  # Docker's seccomp profile denies pivot_root even with SYS_ADMIN
        set_propagation("/", MS_SLAVE, recursive=False)  # else the move would reach the node, a peer of the old root
        mount(new_root, "/", None, MS_MOVE)
        os.chroot(".")
        os.chdir("/")
        os.close(old)
        return
    set_propagation(".", MS_SLAVE)
    umount(".", MNT_DETACH)
    os.chdir("/")
    os.close(old)


def enter_user_namespace(uid_map: str, gid_map: str, deny_groups: bool = False) -> None:
    """Become root of a new user namespace.

    A process outside writes the map: from inside only a single id may be mapped. Raises OSError.

    Args:
        uid_map, gid_map: as in /proc/self/uid_map.
        deny_groups: as the kernel wants it of an ordinary user, who may not drop groups.
    """
    with _mapped_by_a_helper(uid_map, gid_map, deny_groups):
        unshare(CLONE_NEWUSER)
    os.setgid(0)
    os.setuid(0)


def new_user_namespace(uid_map: str, gid_map: str) -> int:
    """A new user namespace, without going there: a file descriptor of it. Raises OSError."""
    reading, writing = os.pipe()
    ready, done = os.pipe()
    child = os.fork()
    if child == 0:
        failure = b""
        try:
            with _mapped_by_a_helper(uid_map, gid_map, False):
                unshare(CLONE_NEWUSER)
        except OSError as error:
            failure = f"{error.errno} user namespace: {error.strerror}".encode()
        os.write(writing, failure or b"ok")
        os.close(done)
        os.read(ready, 1)
        os._exit(0)
    os.close(writing)
    os.close(ready)
    try:
        answer = os.read(reading, 200)
        if answer != b"ok":
            number, _, text = answer.decode().partition(" ")
            raise OSError(int(number or 5), text)
        return os.open(f"/proc/{child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(reading)
        os.close(done)
        os.waitpid(child, 0)


@contextlib.contextmanager
def _mapped_by_a_helper(uid_map: str, gid_map: str, deny_groups: bool) -> Iterator[None]:
    """Around an unshare: a helper, which stays outside, gives the new namespace its ids."""
    ready_reading, ready_writing = os.pipe()
    mapped, parent = os.pipe(), os.getpid()
    helper = os.fork()
    if helper == 0:
        failure = b""
        try:
            os.read(ready_reading, 1)
            if deny_groups:
                _write(f"/proc/{parent}/setgroups", "deny")
            _write(f"/proc/{parent}/uid_map", uid_map)
            _write(f"/proc/{parent}/gid_map", gid_map)
        except OSError as error:
            failure = f"{error.errno} user namespace: {error.strerror}".encode()
        os.write(mapped[1], failure)
        os._exit(0)
    os.close(mapped[1])
    try:
        yield
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


def bind_translated(source: str, target: str, userns: int, read_only: bool = False) -> None:
    """Bind a directory (without what is mounted below it) so that ids on disk are seen as ids of a user namespace.

    Raises:
        OSError: its file system cannot do that (overlay, NFS, FUSE), or the kernel is older than 5.12.
    """
    tree = _syscall(SYS_OPEN_TREE, AT_FDCWD, _bytes(source), OPEN_TREE_CLONE | os.O_CLOEXEC)
    try:
        wanted = MOUNT_ATTR_IDMAP | (MOUNT_ATTR_RDONLY if read_only else 0)
        attributes = struct.pack("=QQQQ", wanted, 0, 0, userns)
        _syscall(SYS_MOUNT_SETATTR, tree, b"", AT_EMPTY_PATH, attributes, len(attributes))
        _syscall(SYS_MOVE_MOUNT, tree, b"", AT_FDCWD, _bytes(target), MOVE_MOUNT_F_EMPTY_PATH)
    finally:
        os.close(tree)


def _syscall(number: int, *args: object) -> int:
    """A system call that the C library may not have a function for; the numbers are the same on every machine."""
    if _libc is None:
        raise OSError("this is a Linux system call")
    found = int(_libc.syscall(ctypes.c_long(number), *(ctypes.c_long(a) if isinstance(a, int) else a for a in args)))
    if found < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), f"system call {number}")
    return found


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
