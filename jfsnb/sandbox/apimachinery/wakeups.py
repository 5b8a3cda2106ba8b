"""One worker a name: a wake-up during its work leads to exactly one more round."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class Wakeups:
    """Calls ``work(name)`` after ``wake(name, seconds)``; never twice at the same time for one name."""

    def __init__(self, work: Callable[[str], Awaitable[None]]) -> None:
        self._work = work
        self._wanted: set[str] = set()
        self._running: dict[str, asyncio.Task[None]] = {}

    def wake(self, name: str, seconds: float) -> None:
        """Ask for a round, now or in so many seconds."""
        loop = asyncio.get_running_loop()
        if seconds > 0:
            loop.call_later(seconds, self.wake, name, 0)
            return
        self._wanted.add(name)
        if name not in self._running:
            self._running[name] = loop.create_task(self._run(name))

    async def _run(self, name: str) -> None:
        try:
            while name in self._wanted:
                self._wanted.discard(name)
                await self._work(name)
        finally:
            self._running.pop(name, None)
