"""Following a container's log to its end, through dropped connections, without losing or repeating a line."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

from urllib3.exceptions import HTTPError, ReadTimeoutError

from jfsnb.cluster.resources import path_of, title_of
from jfsnb.cluster.transport import Transport
from jfsnb.cluster.watch import AWAY_SECONDS, discard, given_up, lines, shut
from jfsnb.errors import ConnectionFailed
from jfsnb.redact import redact_lines


class LogFollower:
    """The lines of one container; iterate it in one thread, ``close`` it from any.

    Args:
        container: empty where the Pod has only one.
        seconds: the iteration ends after so long, or with the container.
        tail: start with so many of the lines that are there already; None for all.
        after: start after the line with this time stamp.
    """

    def __init__(
        self,
        transport: Transport,
        namespace: str,
        pod: str,
        container: str,
        seconds: float,
        tail: int | None = None,
        after: str = "",
    ) -> None:
        self._transport = transport
        self._path = path_of("pods", namespace, pod, "log")
        self._what = f"the log of {title_of('pods', namespace, pod)}"
        self._container, self._tail = container, tail
        self._deadline = time.monotonic() + seconds
        self._closed = threading.Event()
        self._response: Any = None
        self._last = after  # time stamp of the last line, to go on from there

    def close(self) -> None:
        """End the iteration, also while it waits for a line."""
        self._closed.set()
        shut(self._response)

    def __iter__(self) -> Iterator[str]:
        return redact_lines(self._lines())

    def _lines(self) -> Iterator[str]:
        away_since = 0.0
        while not self._closed.is_set() and time.monotonic() < self._deadline:
            try:
                yield from self._read()
                return
            except ReadTimeoutError:
                away_since = 0.0
            except (
                ConnectionFailed,
                HTTPError,
                ValueError,
            ) as error:  # ValueError: reading from a connection shut by close()
                if self._closed.is_set():
                    return
                now = time.monotonic()
                away_since = away_since or now
                if now - away_since > AWAY_SECONDS:
                    raise given_up(self._transport, error) from error
                self._closed.wait(0.2)

    def _read(self) -> Iterator[str]:
        query: dict[str, str | int | None] = {"follow": "true", "timestamps": "true", "container": self._container}
        if self._last:
            query["sinceTime"] = self._last
        elif self._tail is not None:
            query["tailLines"] = self._tail
        seconds = max(0.1, self._deadline - time.monotonic())
        self._response = response = self._transport.open(self._path, query, read_seconds=seconds, what=self._what)
        resumed_after = self._last
        try:
            for raw in lines(response):
                stamp, _, text = raw.decode("utf-8", "replace").partition(" ")
                if resumed_after and stamp <= resumed_after:
                    continue  # sinceTime has whole seconds: these were told before the connection dropped
                self._last = stamp
                yield text
        finally:
            self._response = None
            discard(response)
