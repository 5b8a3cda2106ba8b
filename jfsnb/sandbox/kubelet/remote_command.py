"""exec and attach: a process's streams on a client's channels."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import orjson

from jfsnb.sandbox.kubelet.containers.containers import Container
from jfsnb.sandbox.runtime.process import Process
from jfsnb.sandbox.runtime.runtime import StartError
from jfsnb.sandbox.streams.channels import CLOSE, RESIZE, STDERR, STDIN, STDOUT, Channels, exited, failure, success

CHANNEL = {"stdout": STDOUT, "stderr": STDERR}
MOST_WAITING, FEW_WAITING = 4 * 1024 * 1024, 1024 * 1024  # bytes that a slow client has not taken yet


class Output:
    """What a command prints on its way to a client; a client that is slow makes the command wait."""

    def __init__(self) -> None:
        self.process: Process | None = None
        self._queue: asyncio.Queue[tuple[str, bytes] | None] = asyncio.Queue()
        self._waiting, self._paused = 0, False

    def put(self, stream: str, data: bytes) -> None:
        self._queue.put_nowait((stream, data))
        self._waiting += len(data)
        if self._waiting > MOST_WAITING and self.process is not None and not self._paused:
            self._paused = True
            self.process.pause()

    def end(self) -> None:
        self._queue.put_nowait(None)

    async def get(self) -> tuple[str, bytes] | None:
        """The next piece; None at the end."""
        item = await self._queue.get()
        self._waiting -= len(item[1]) if item else 0
        if self._paused and self._waiting < FEW_WAITING and self.process is not None:
            self._paused = False
            self.process.resume()
        return item


async def run_exec(channels: Channels, container: Container, command: list[str], stdin: bool, tty: bool) -> None:
    """Run a command in a container for a client.

    Args:
        channels: the client.
        container: running.
        command: argv.
        stdin: pass the client's input on.
        tty: give the command a terminal.
    """
    output = Output()
    try:
        output.process = process = await container.exec(command, on_output=output.put, stdin=stdin, tty=tty)
    except StartError as error:
        return await channels.finish(failure(f"error executing command in container: {error}"))
    process.exited.add_done_callback(lambda _: output.end())
    connected = False
    try:
        connected = await _serve(channels, output.get, lambda: _input(channels, process))
    finally:
        if not connected:  # nobody reads what it prints any more
            await process.signal(signal.SIGHUP if tty else signal.SIGKILL)
            process.resume()
    if connected:
        await channels.finish(exited(process.exited.result()))


async def run_attach(channels: Channels, container: Container) -> None:
    """Connect a client to the container's first process."""
    process, log = container.process, container.log
    if process is None or log is None:
        return await channels.finish(failure(f"container {container.name} is not running"))
    output: asyncio.Queue[tuple[str, bytes] | None] = asyncio.Queue()
    log.listeners.add(output)
    try:
        if await _serve(channels, output.get, lambda: _input(channels, process)):
            await channels.finish(success())
    finally:
        log.listeners.discard(output)


Next = Callable[[], Awaitable["tuple[str, bytes] | None"]]


async def _serve(channels: Channels, get: Next, read: Callable[[], Coroutine[Any, Any, None]]) -> bool:
    """Pass output on until its end and input meanwhile; False when the client went away before."""
    reading = asyncio.create_task(read())
    writing = asyncio.create_task(_output(channels, get))
    try:
        await asyncio.wait([reading, writing], return_when=asyncio.FIRST_COMPLETED)
        return writing.done() and writing.exception() is None
    finally:
        for task in (reading, writing):
            task.cancel()
        await asyncio.gather(reading, writing, return_exceptions=True)


async def _output(channels: Channels, get: Next) -> None:
    await channels.send(STDOUT, b"")  # tells the client that it is connected
    while (item := await get()) is not None:
        await channels.send(CHANNEL[item[0]], item[1])


async def _input(channels: Channels, process: Process) -> None:
    """Until the client closes the connection."""
    async for channel, data in channels.messages():
        with contextlib.suppress(BrokenPipeError):  # the process does not read any more
            if channel == STDIN:
                await process.write_stdin(data)
            elif channel == CLOSE and data[:1] == bytes([STDIN]):
                await process.close_stdin()
            elif channel == RESIZE:
                size = orjson.loads(data)
                process.resize(int(size.get("Height", 24)), int(size.get("Width", 80)))
