"""Several watches and logs at once, as one stream of items in the order in which they come.

Each source is read by a thread of its own; what they find is handed out in the thread that iterates, so that whoever
prints does it from there.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

from jfsnb.cluster.client import Cluster
from jfsnb.cluster.watch import Event


class _Source(Protocol):
    def __iter__(self) -> Iterator[Any]: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Item:
    """One thing that came in.

    Args:
        source: the name that was given to the feed.
        event: for a watch.
        line: for a log; None together with ``event`` None says that the source has ended.
    """

    source: str
    event: Event | None = None
    line: str | None = None

    @property
    def ended(self) -> bool:
        return self.event is None and self.line is None


class Feeds:
    """Open feeds; use as a context manager, which closes them all."""

    def __init__(self, cluster: Cluster, seconds: float) -> None:
        self._cluster = cluster
        self._deadline = time.monotonic() + seconds
        self._items: queue.SimpleQueue[Item | BaseException] = queue.SimpleQueue()
        self._sources: dict[str, tuple[_Source, threading.Thread]] = {}

    def __enter__(self) -> Feeds:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for source, _ in self._sources.values():
            source.close()
        for _, thread in self._sources.values():
            thread.join(2.0)

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return self._deadline - time.monotonic()

    def watch(self, name: str, plural: str, namespace: str = "", labels: str = "", fields: str = "") -> None:
        """Add a watch; its items carry ``event``."""
        self._start(name, self._cluster.watch(plural, namespace, labels=labels, fields=fields, seconds=self.left))

    def logs(
        self, name: str, namespace: str, pod: str, container: str = "", *, tail: int | None = None, after: str = ""
    ) -> None:
        """Add a log that is followed; its items carry ``line``, and an ended one when the container has ended."""
        self._start(name, self._cluster.follow(namespace, pod, container, seconds=self.left, tail=tail, after=after))

    def __contains__(self, name: str) -> bool:
        return name in self._sources

    def _start(self, name: str, source: _Source) -> None:
        if name in self._sources:
            raise ValueError(f"feed {name!r} is open already")

        def read() -> None:
            try:
                for found in source:
                    self._items.put(Item(name, line=found) if isinstance(found, str) else Item(name, event=found))
                self._items.put(Item(name))
            except Exception as error:  # told to the thread that iterates
                self._items.put(error)

        thread = threading.Thread(target=read, name=f"feed {name}", daemon=True)
        self._sources[name] = (source, thread)
        thread.start()

    def __iter__(self) -> Iterator[Item]:
        """Items as they come, until the deadline.

        Raises:
            JfsnbError: a source could not be read.
        """
        return self.within(self.left)

    def within(self, seconds: float) -> Iterator[Item]:
        """The same for at most so many seconds from now."""
        until = time.monotonic() + seconds
        while (left := min(until - time.monotonic(), self.left)) > 0:
            try:
                item = self._items.get(timeout=left)
            except queue.Empty:
                return
            if isinstance(item, BaseException):
                raise item
            yield item
