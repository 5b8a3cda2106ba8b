"""Wakes everybody who waits for the next change of something."""

from __future__ import annotations

import asyncio


class Broadcast:
    """Take ``next`` before you look, then wait for it: a change in between is not missed."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    @property
    def next(self) -> asyncio.Event:
        """Set at the next ``send``."""
        return self._next

    def send(self) -> None:
        """Something changed."""
        event, self._next = self._next, asyncio.Event()
        event.set()

    async def within(self, seconds: float) -> bool:
        """Wait for the next ``send``, at most that long; whether it came."""
        try:
            await asyncio.wait_for(self._next.wait(), seconds)
        except TimeoutError:
            return False
        return True
