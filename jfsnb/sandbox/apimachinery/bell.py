"""A bell: wakes everybody who waits, whenever something may have changed."""

from __future__ import annotations

import asyncio


class Bell:
    """Rung after every change; those who wait look again for themselves."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, timeout: float) -> None:
        """Return at the next ring, or after ``timeout`` seconds."""
        try:
            await asyncio.wait_for(self._event.wait(), timeout)
        except TimeoutError:
            return
