"""The time that is left to something that has been asked to stop."""

from __future__ import annotations

import asyncio
from typing import Any


class Grace:
    """A deadline that can come nearer: a second delete may ask for less, never for more."""

    def __init__(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._end = self._loop.time() + seconds
        self._timer = self._loop.call_at(self._end, self._over.set)

    def shorten(self, seconds: float) -> None:
        """At most ``seconds`` from now."""
        end = self._loop.time() + seconds
        if end < self._end:
            self._end = end
            self._timer.cancel()
            self._timer = self._loop.call_at(end, self._over.set)

    @property
    def left(self) -> float:
        """Seconds; 0 when it is over."""
        return max(0.0, self._end - self._loop.time())

    async def over(self) -> None:
        """Until the time is up."""
        await self._over.wait()

    async def wait(self, what: asyncio.Future[Any]) -> bool:
        """Until ``what`` is done or the time is up; whether it is done. Does not cancel it."""
        limit = asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait([what, limit], return_when=asyncio.FIRST_COMPLETED)
        finally:
            limit.cancel()
        return what.done()
