"""One exchange of a FUSE descriptor over a unix socket, as clients and driver make it (fuse-handover §5).

No framing, no acknowledgement: the listener speaks first, the other side answers or closes. Each message is a block of
settings, which client and kernel have agreed on, with descriptors beside it; a listener's first descriptor is a dummy.
"""

from __future__ import annotations

import array
import contextlib
import os
import socket
from collections.abc import Iterable, Iterator

from jfsnb.sandbox.runtime.waiting import readable

#: Settings before there was a session, and the answer of who took a descriptor and gives none back.
NO_SESSION, CLOSE = b"FUSE", b"CLOSE"
LONGEST, MOST_DESCRIPTORS = 120, 4
_FD = array.array("i").itemsize


def offer(sock: socket.socket, settings: bytes, fd: int | None) -> None:
    """A listener's first word: settings, and the FUSE descriptor if it has one. Raises OSError."""
    with _dummy() as dummy:
        socket.send_fds(sock, [settings], [dummy] if fd is None else [dummy, fd])


def give(sock: socket.socket, settings: bytes, fd: int) -> None:
    """Answer a listener with a FUSE descriptor, which it keeps if it has none. Raises OSError."""
    socket.send_fds(sock, [settings], [fd])


def keep(sock: socket.socket) -> None:
    """Answer a listener that it gets nothing back. Raises OSError."""
    with _dummy() as dummy:
        socket.send_fds(sock, [CLOSE], [dummy])


async def receive(sock: socket.socket) -> tuple[bytes, list[int]]:
    """(text, all descriptors), which are the caller's now; an empty text when the other side has closed.

    They close on exec (with ``socket.recv_fds`` children would inherit them, and keep a dead session alive).

    Raises:
        OSError: the connection broke.
    """
    await readable(sock.fileno())
    text, controls, _, _ = sock.recvmsg(LONGEST, socket.CMSG_SPACE(MOST_DESCRIPTORS * _FD), socket.MSG_CMSG_CLOEXEC)
    fds = array.array("i")
    for level, kind, data in controls:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(data[: len(data) - len(data) % _FD])
    return text, list(fds)


async def connect(path: str) -> socket.socket:
    """A connection to a listener.

    Raises:
        OSError: nobody listens there.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        sock.connect(path)
    except OSError:
        sock.close()
        raise
    return sock


def close(fds: Iterable[int]) -> None:
    for fd in fds:
        os.close(fd)


@contextlib.contextmanager
def _dummy() -> Iterator[int]:
    """A descriptor of no interest: where no other is sent, the protocol wants one all the same."""
    fd = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)
