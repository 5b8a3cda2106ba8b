"""Waiting for file descriptors in the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess


async def readable(fd: int) -> None:
    """Until there is something to read, or the other end is closed."""
    loop = asyncio.get_running_loop()
    event = asyncio.Event()
    loop.add_reader(fd, event.set)
    try:
        await event.wait()
    finally:
        loop.remove_reader(fd)


async def writable(fd: int) -> None:
    """Until a write would not block."""
    loop = asyncio.get_running_loop()
    event = asyncio.Event()
    loop.add_writer(fd, event.set)
    try:
        await event.wait()
    finally:
        loop.remove_writer(fd)


async def ended(process: subprocess.Popen[bytes]) -> None:
    """Until a child has ended; it is reaped."""
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(process.pid)
        try:
            await readable(handle)
        finally:
            os.close(handle)
    process.wait()
