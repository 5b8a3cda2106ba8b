"""The FUSE descriptors of this node's Mount Pods, of which the driver keeps a duplicate each (fuse-handover §9).

A FUSE session lives as long as some process holds a descriptor of it, and while nobody reads from it, requests wait.
So a Mount Pod that dies is followed by one that asks the driver for the descriptor and goes on with the same session.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import shutil
import socket
from collections.abc import Collection, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jfsnb.sandbox.csi.klog import Logger
from jfsnb.sandbox.csi.node import fd_socket

log = Logger("passfd")
#: In each Mount Pod's directory: where the driver listens, and where the client does (with its process id behind it).
DRIVER_SOCKET, CLIENT_SOCKET = "fuse_fd_csi_comm.sock", "fuse_fd_comm."
ANSWER_SECONDS = 2.0
TAKE_ATTEMPTS, TAKE_PAUSE = 100, 0.1


class TakeFailed(Exception):
    """A client did not hand over its descriptor; the text is the driver's."""


@dataclass
class Kept:
    """What is kept for one Mount Pod and its successors.

    Args:
        fd: None before the first mount, while it is given away, and after the session has ended.
        settings: that client and kernel agreed on; opaque, handed on with the descriptor.
        session, state_path: of a client that was told to end, for its successor (``.config``: Meta.Sid, StatePath).
    """

    fd: int | None = None
    settings: bytes = fd_socket.NO_SESSION
    session: str = ""
    state_path: str = ""
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def drop(self) -> None:
        """Close the duplicate: the session is over."""
        if self.fd is not None:
            os.close(self.fd)
        self.fd, self.settings = None, fd_socket.NO_SESSION


class FuseDescriptors:
    """All that this CSI node keeps, by the Mount Pods' upgrade UUID; in memory only.

    Args:
        base: directory that holds a directory for each UUID; Mount Pods see theirs as /tmp.
    """

    def __init__(self, base: Path) -> None:
        self.base = base
        self.kept: dict[str, Kept] = {}

    def __getitem__(self, uuid: str) -> Kept:
        """What is kept for a UUID; made, with its directory, when there is nothing yet."""
        if uuid not in self.kept:
            directory = self.base / uuid
            directory.mkdir(exist_ok=True)
            directory.chmod(0o777)
            self.kept[uuid] = Kept()
        return self.kept[uuid]

    def listen(self, uuid: str) -> None:
        """Serve clients of a UUID from now on; a second time changes nothing."""
        kept = self[uuid]
        if kept.tasks:
            return
        path = self.base / uuid / DRIVER_SOCKET
        try:
            path.unlink(missing_ok=True)
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.setblocking(False)
            listener.bind(str(path))
            listener.listen()
        except OSError as error:
            return log.error(error, "serve fuse fd error", uuid=uuid)
        self._start(kept, self._accept(uuid, kept, listener))

    def close_copy(self, uuid: str) -> None:
        """Let go of a session that is to end; clients go on being served."""
        if uuid in self.kept:
            self.kept[uuid].drop()

    def stop(self, uuid: str) -> None:
        """Let go of everything that is kept for a UUID, its directory included."""
        kept = self.kept.pop(uuid, None)
        if kept is None:
            return
        for task in kept.tasks:
            task.cancel()
        kept.drop()
        shutil.rmtree(self.base / uuid, ignore_errors=True)

    def forget_handles(self, uuid: str) -> None:
        """Remove the open files that a client has written down: the next one does not continue its work."""
        for file in (self.base / uuid).glob("state*.json"):
            file.unlink(missing_ok=True)

    # ---------------------------------------------------------------- asking clients

    async def take(self, uuid: str, client: str) -> int:
        """Have a running client give its descriptor away, so that it ends for good with its next end.

        The driver closes what it gets, whose number is returned: it has a duplicate already.

        Args:
            client: file name of its socket.

        Raises:
            TakeFailed: it gave none, a hundred times.
        """
        path = str(self.base / uuid / client)
        for _ in range(TAKE_ATTEMPTS):
            with contextlib.suppress(OSError):
                async with asyncio.timeout(ANSWER_SECONDS):
                    if taken := await self._took(path):
                        return taken
            await asyncio.sleep(TAKE_PAUSE)
        raise TakeFailed(f"fail to recv FUSE fd from {path}")

    async def _took(self, path: str) -> int:
        with await fd_socket.connect(path) as connection:
            _, fds = await fd_socket.receive(connection)
            fd_socket.close(fds)
            if len(fds) < 2:
                return 0
            log.info("fd ")
            fd_socket.keep(connection)
            return fds[1]

    async def recover(self, living: Collection[str]) -> None:
        """At the driver's start: ask every client for a duplicate, and clear away what no client uses any more.

        Args:
            living: UUIDs of this node's Mount Pods that can hand on their session.
        """
        directories = [d for d in self.base.iterdir() if d.is_dir() and d.name not in self.kept]
        await asyncio.gather(*(self._fetch(d) for d in directories if d.name in living))
        for directory in directories:
            if directory.name not in living and not any(directory.glob(f"{CLIENT_SOCKET}*")):
                shutil.rmtree(directory, ignore_errors=True)

    async def _fetch(self, directory: Path) -> None:
        """Keep a duplicate of what a client has, and give it back to the client."""
        for path in directory.glob(f"{CLIENT_SOCKET}*"):
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    with await fd_socket.connect(str(path)) as connection:
                        settings, fds = await fd_socket.receive(connection)
                        if len(fds) > 1:
                            fd_socket.give(connection, settings, fds[1])
            except OSError as error:
                log.error(error, "get fuse fd error", path=str(path))
                continue
            fd_socket.close(fds[:1])
            if len(fds) > 1:
                kept = self[directory.name]
                kept.fd, kept.settings = fds[1], settings
                return self.listen(directory.name)

    # ---------------------------------------------------------------- serving clients

    async def _accept(self, uuid: str, kept: Kept, listener: socket.socket) -> None:
        with listener:
            while True:
                connection, _ = await asyncio.get_running_loop().sock_accept(listener)
                self._start(kept, self._serve(uuid, kept, connection))

    async def _serve(self, uuid: str, kept: Kept, connection: socket.socket) -> None:
        """Give what is kept; keep what comes back."""
        if kept.fd is not None and _is_over(kept.fd):
            kept.drop()
        with connection, contextlib.suppress(OSError):
            fd_socket.offer(connection, kept.settings, kept.fd)
            if kept.fd is not None:
                os.close(kept.fd)
                kept.fd = None
            text, fds = await fd_socket.receive(connection)
            if text not in (b"", fd_socket.CLOSE) and fds and kept.fd is None:
                if self.kept.get(uuid) is kept:
                    kept.fd, kept.settings = fds.pop(0), text
                else:
                    log.info("drop stale FUSE fd", uuid=uuid)
            fd_socket.close(fds)

    def _start(self, kept: Kept, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        kept.tasks.add(task)
        task.add_done_callback(kept.tasks.discard)


def _is_over(fd: int) -> bool:
    """Whether a FUSE session has ended: a client that is offered such a one mounts nothing, and ends with status 0."""
    poll = select.poll()
    poll.register(fd, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))
