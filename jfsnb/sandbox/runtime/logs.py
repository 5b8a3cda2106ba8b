"""Container logs as files in the CRI's format, and reading them with the options of ``kubectl logs``.

A line in a file is ``2026-11-24T03:59:09.123456789Z stdout F text``; ``P`` marks a piece without its newline.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from jfsnb.sandbox.apimachinery.broadcast import Broadcast

LONGEST_LINE = 16 * 1024  # bytes; longer lines are stored in pieces
ROTATE_BYTES = 10 * 1024 * 1024
KEEP_ROTATED = 4
MOST_WAITING = 1024  # pieces of output for an attached client
READ_BYTES = 256 * 1024


@dataclass(frozen=True)
class LogOptions:
    """What ``kubectl logs`` can ask for.

    Args:
        follow: go on until the container ends.
        tail: only that many entries from the end; None for all.
        since: only entries from this moment on; None for all.
        timestamps: begin each line with its time.
        limit: at most that many bytes; None for all.
    """

    follow: bool = False
    tail: int | None = None
    since: datetime | None = None
    timestamps: bool = False
    limit: int | None = None


class ContainerLog:
    """The log file of one start of a container; written from the event loop, read by any number of followers."""

    def __init__(self, path: Path, rotate_bytes: int = ROTATE_BYTES) -> None:
        self.path, self._rotate_bytes = path, rotate_bytes
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        self._size = os.fstat(self._fd).st_size
        self._rest = {"stdout": b"", "stderr": b""}
        self.changed = Broadcast()
        self.listeners: set[asyncio.Queue[tuple[str, bytes] | None]] = set()  # attached clients
        self.closed = False

    def write(self, stream: str, chunk: bytes) -> None:
        """Append output; an unfinished line waits for its end."""
        for queue in self.listeners:
            if queue.qsize() < MOST_WAITING:  # an attached client that does not keep up misses something
                queue.put_nowait((stream, chunk))
        *lines, rest = (self._rest[stream] + chunk).split(b"\n")
        entries = [(line, b"F") for line in lines]
        while len(rest) > LONGEST_LINE:
            entries.append((rest[:LONGEST_LINE], b"P"))
            rest = rest[LONGEST_LINE:]
        self._rest[stream] = rest
        if entries:
            self._append(stream, entries)

    def close(self) -> None:
        """The container ended: store unfinished lines, let followers finish."""
        if self.closed:
            return
        for stream, rest in self._rest.items():
            if rest:
                self._append(stream, [(rest, b"P")])
        self.closed = True
        os.close(self._fd)
        for queue in self.listeners:
            queue.put_nowait(None)
        self.changed.send()

    def _append(self, stream: str, entries: list[tuple[bytes, bytes]]) -> None:
        head = _now() + b" " + stream.encode() + b" "
        data = b"".join(head + tag + b" " + line + b"\n" for line, tag in entries)
        os.write(self._fd, data)
        self._size += len(data)
        if self._size > self._rotate_bytes:
            self._rotate()
        self.changed.send()

    def _rotate(self) -> None:
        os.close(self._fd)
        self.path.rename(f"{self.path}.{time.time_ns()}")
        for old in sorted(self.path.parent.glob(f"{self.path.name}.*"))[:-KEEP_ROTATED]:
            old.unlink()
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        self._size = 0


async def read(path: Path, options: LogOptions, live: ContainerLog | None = None) -> AsyncIterator[bytes]:
    """The text of a log, in pieces.

    Args:
        path: the log file; a missing one is empty.
        options: what to show of it.
        live: the log while it is being written; needed to follow.
    """
    left = options.limit
    async for data in _pieces(path, options, live):
        if left is not None:
            data = data[:left]
            left -= len(data)
        if data:
            yield data
        if left == 0:
            return


async def _pieces(path: Path, options: LogOptions, live: ContainerLog | None) -> AsyncIterator[bytes]:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    printer = _Printer(options)
    try:
        lines = file.read().splitlines(keepends=True)
        unread = b"" if not lines or lines[-1].endswith(b"\n") else lines.pop()
        tail = lines if options.tail is None else lines[len(lines) - options.tail if options.tail < len(lines) else 0 :]
        yield printer.text(tail)
        while options.follow and live is not None:
            closed, changed = live.closed, live.changed.next  # before reading, so that nothing is missed in between
            data = file.read(READ_BYTES)
            if data:
                *whole, unread = (unread + data).splitlines(keepends=True)
                if unread.endswith(b"\n"):
                    whole, unread = [*whole, unread], b""
                yield printer.text(whole)
            elif _rotated(file.fileno(), path):
                file.close()
                file = path.open("rb")
            elif closed:
                return
            else:
                await changed.wait()
    finally:
        file.close()


def _rotated(fd: int, path: Path) -> bool:
    try:
        return os.fstat(fd).st_ino != path.stat().st_ino
    except FileNotFoundError:
        return False


class _Printer:
    """Turns stored entries into text."""

    def __init__(self, options: LogOptions) -> None:
        self._timestamps = options.timestamps
        self._since = b"" if options.since is None else _format(int(options.since.timestamp() * 1e9))
        self._line_begins = True

    def text(self, entries: list[bytes]) -> bytes:
        shown = []
        for entry in entries:
            moment, _, rest = entry.partition(b" ")
            if moment < self._since:
                continue
            _stream, tag, line = rest.split(b" ", 2)
            if self._timestamps and self._line_begins:
                shown.append(moment + b" ")
            shown.append(line if tag == b"F" else line[:-1])
            self._line_begins = tag == b"F"
        return b"".join(shown)


def _now() -> bytes:
    return _format(time.time_ns())


def _format(nanoseconds: int) -> bytes:
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z".encode()
