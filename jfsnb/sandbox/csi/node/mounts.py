"""Mounts of the driver's own mount namespace: bind, unmount, list, and look at a FUSE mount without hanging.

The driver's container sees the kubelet directory and /jfs with Bidirectional propagation, so what is mounted here
appears on the node, and what a Mount Pod mounts appears here.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import re
import select
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from jfsnb.sandbox.apimachinery.broadcast import Broadcast

T = TypeVar("T")
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC = 1, 32, 4096, 16384
MNT_DETACH = 2
DEAD = (errno.ENOTCONN, errno.ECONNABORTED, errno.EIO, errno.ESTALE)
ROOT_INODE = 1
WANTED_AGAIN_SECONDS = 0.1
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Mount:
    """One line of mountinfo: where, which device (``major:minor``) and directory of it, what kind."""

    mount_point: str
    device: str
    root: str
    fs_type: str
    source: str
    read_only: bool


def mount_table() -> tuple[Mount, ...]:
    """All mounts of this namespace, in the order in which they were made."""
    return tuple(map(_parse, Path("/proc/self/mountinfo").read_text().splitlines()))


def mounts_at(path: str) -> tuple[Mount, ...]:
    """The mounts stacked at a path; the last one is what one sees."""
    return tuple(m for m in mount_table() if m.mount_point == path)


def bind(source: str, target: str, read_only: bool = False) -> None:
    """``mount --bind``; raises OSError with mount's own words."""
    _mount(source, target, MS_BIND)
    if read_only:
        _mount("none", target, MS_BIND | MS_REMOUNT | MS_RDONLY)


def unmount(target: str, lazy: bool = False) -> None:
    """``umount [-l]``; raises OSError, with EINVAL when nothing is mounted there."""
    if _libc.umount2(os.fsencode(target), MNT_DETACH if lazy else 0):
        raise _error(f"umount {target}")


def unmount_all(target: str, lazy: bool = True) -> int:
    """Unmount until nothing is mounted at the target; returns how many there were."""
    count = 0
    while mounts_at(target):
        unmount(target, lazy)
        count += 1
    return count


async def away_from_loop(call: Callable[[], T], timeout: float) -> T:
    """Run a call that may hang on a dead FUSE mount in a daemon thread of its own.

    Args:
        call: does not touch the event loop.
        timeout: seconds; after them TimeoutError is raised and the thread is left alone.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def settle(value: T | None, error: BaseException | None) -> None:
        if outcome.done():
            return
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(value)  # type: ignore[arg-type]

    def work() -> None:
        try:
            value = call()
        except BaseException as error:
            loop.call_soon_threadsafe(settle, None, error)
        else:
            loop.call_soon_threadsafe(settle, value, None)

    threading.Thread(target=work, daemon=True).start()
    return await asyncio.wait_for(outcome, timeout)


async def is_corrupted(path: str, timeout: float = 5) -> bool:
    """Whether a mount is there whose server is gone (``Transport endpoint is not connected``) or does not answer."""
    try:
        await away_from_loop(lambda: _look(path), timeout)
    except TimeoutError:
        return True
    except OSError as error:
        return error.errno in DEAD
    return False


async def is_served(path: str, timeout: float = 5) -> bool:
    """Whether the root of a JuiceFS file system answers at the path (§4.2 step 8: ``stat(mountPath).ino == 1``)."""
    try:
        return (await away_from_loop(lambda: _look(path), timeout)).st_ino == ROOT_INODE
    except OSError:
        return False


def _look(path: str) -> os.stat_result:
    """``stat`` that asks the client: after its death the kernel would answer from its cache for a second."""
    os.statvfs(path)
    return os.stat(path)


class MountWatch:
    """Wakes its waiters whenever the mount table of this namespace changes.

    The kernel marks /proc/self/mountinfo with POLLPRI; an epoll descriptor of its own makes the event loop see that.
    """

    def __init__(self) -> None:
        self._file = open("/proc/self/mountinfo", "rb")  # noqa: SIM115  lives as long as the process
        self._epoll = select.epoll()
        self._epoll.register(self._file, select.EPOLLPRI)
        self._changed = Broadcast()
        asyncio.get_running_loop().add_reader(self._epoll.fileno(), self._wake)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._epoll.fileno())
        self._epoll.close()
        self._file.close()

    def _wake(self) -> None:
        self._epoll.poll(0)
        self._changed.send()

    async def served(self, path: str, timeout: float, wanted: Callable[[], bool] = lambda: True) -> bool:
        """Wait until a JuiceFS file system answers at the path.

        Args:
            timeout: seconds; after them the answer is False.
            wanted: asked now and then; when it is not wanted any more, the answer is False at once.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while (left := deadline - loop.time()) > 0 and wanted():
            if mounts_at(path) and await _while(wanted, is_served(path, min(5, left))):
                return True
            await self._changed.within(min(0.5, left))
        return False


async def _while(wanted: Callable[[], bool], question: Coroutine[Any, Any, bool]) -> bool:
    """The answer to a question; False when it is not wanted any more before the answer is there."""
    asking = asyncio.ensure_future(question)
    try:
        while not asking.done() and wanted():
            await asyncio.wait({asking}, timeout=WANTED_AGAIN_SECONDS)
        return asking.done() and asking.result()
    finally:
        asking.cancel()


def _mount(source: str, target: str, flags: int) -> None:
    if _libc.mount(os.fsencode(source), os.fsencode(target), None, ctypes.c_ulong(flags), None):
        raise _error(f"mount {source} on {target}")


def _error(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}")


def _parse(line: str) -> Mount:
    left, _, right = line.partition(" - ")
    columns, kind = left.split(" "), right.split(" ")
    read_only = "ro" in columns[5].split(",")
    return Mount(_plain(columns[4]), columns[2], _plain(columns[3]), kind[0], _plain(kind[1]), read_only)


def _plain(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), text)
