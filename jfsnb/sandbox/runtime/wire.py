"""Messages between the runtime and its node agent: JSON and file descriptors over a SEQPACKET socket pair."""

from __future__ import annotations

import array
import json
import mmap
import os
import socket
from collections.abc import Sequence
from typing import Any

Message = dict[str, Any]
#: A packet must fit into the socket's buffer (208 KiB by default); what is longer travels in a memory file.
PACKET_BYTES = 32768
MAX_FDS = 8


def send(sock: socket.socket, message: Message, fds: Sequence[int] = ()) -> None:
    """Send a message and copies of file descriptors. Raises OSError; BlockingIOError when the buffer is full."""
    data = json.dumps(message).encode()
    if len(data) <= PACKET_BYTES:
        _send(sock, data, fds)
        return
    memory = os.memfd_create("message")
    try:
        with open(memory, "wb", closefd=False) as file:
            file.write(data)
        _send(sock, b"", [*fds, memory])
    finally:
        os.close(memory)


def receive(sock: socket.socket) -> tuple[Message, list[int]] | None:
    """The next message and its file descriptors (close-on-exec); None when the other side is gone."""
    data, ancillary, _, _ = sock.recvmsg(PACKET_BYTES, socket.CMSG_SPACE(MAX_FDS * array.array("i").itemsize))
    fds = array.array("i")
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
    found = list(fds)
    for fd in found:
        os.set_inheritable(fd, False)
    if data:
        return json.loads(data), found
    if not found:
        return None
    memory = found.pop()
    try:
        with mmap.mmap(memory, 0, prot=mmap.PROT_READ) as mapped:
            return json.loads(mapped[:]), found
    finally:
        os.close(memory)


def _send(sock: socket.socket, data: bytes, fds: Sequence[int]) -> None:
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sock.sendmsg([data], rights)
