"""Watching a collection: list, then events, with reconnects and expired versions as normal cases."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, cast

import orjson
import urllib3
from urllib3.exceptions import HTTPError

from jfsnb.cluster.answers import checked_change
from jfsnb.cluster.lists import read_page
from jfsnb.cluster.resources import RESOURCES, path_of, title_of
from jfsnb.cluster.transport import Query, Transport, connection_error, error_of
from jfsnb.errors import ConnectionFailed, Expired, JfsnbError
from jfsnb.redact import redact_object

Obj = dict[str, Any]
EventType = Literal["ADDED", "MODIFIED", "DELETED", "SYNCED"]
#: A connection that says nothing for so long is opened anew; a dead peer would never tell.
QUIET_SECONDS = 60.0
#: How long an API server may be away before a watch gives up.
AWAY_SECONDS = 30.0
SHORT_SECONDS = 0.2


@dataclass(frozen=True)
class Event:
    """A change. ``SYNCED`` (without an object) follows once everything that was there has been told as ``ADDED``."""

    type: EventType
    object: Obj


class Watch:
    """One watch; iterate it in one thread, ``close`` it from any.

    Args:
        query: labelSelector, fieldSelector.
        seconds: the iteration ends after so long.
    """

    def __init__(self, transport: Transport, plural: str, namespace: str, query: Query, seconds: float) -> None:
        self._transport, self._plural, self._namespace = transport, plural, namespace
        self._query = dict(query)
        self._deadline = time.monotonic() + seconds
        self._known: dict[str, Obj] = {}
        self._version = ""
        self._told = 0  # events so far: what says that the server is there
        self._closed = threading.Event()
        self._response: urllib3.BaseHTTPResponse | None = None

    def close(self) -> None:
        """End the iteration, also while it waits for the server."""
        self._closed.set()
        shut(self._response)

    def __iter__(self) -> Iterator[Event]:
        """Trouble is waited out for a while, when nothing comes in between; then it is raised.

        Raises:
            JfsnbError: the collection cannot be read.
        """
        synced = False
        away_since = 0.0
        while not self._over():
            told = self._told
            try:
                if not self._version:
                    yield from self._list()
                    if not synced:
                        synced = True
                        yield Event("SYNCED", {})
                yield from self._events()
                away_since = 0.0
            except (Expired, ConnectionFailed, HTTPError, ValueError) as error:
                # ValueError: reading from a connection that close() has shut
                if self._closed.is_set():
                    return
                if isinstance(error, Expired):
                    self._version = ""
                now = time.monotonic()
                away_since = now if told != self._told else away_since or now
                if now - away_since > AWAY_SECONDS:
                    raise given_up(self._transport, error) from error
                self._closed.wait(0.2)

    def _over(self) -> bool:
        return self._closed.is_set() or time.monotonic() >= self._deadline

    def _list(self) -> Iterator[Event]:
        """Everything that is there now; after an expired version also what has gone meanwhile."""
        items, meta = read_page(self._transport, self._plural, self._namespace, self._query)
        before, self._known = self._known, {}
        for item in items:
            yield from self._see(item, before)
        for key, gone in before.items():
            if key not in self._known:
                yield Event("DELETED", gone)
        self._version = meta["resourceVersion"]

    def _see(self, item: Obj, before: dict[str, Obj]) -> Iterator[Event]:
        item = redact_object(item, RESOURCES[self._plural].kind)
        key = item["metadata"]["uid"]
        self._known[key] = item
        if key not in before:
            yield Event("ADDED", item)
        elif before[key]["metadata"].get("resourceVersion") != item["metadata"].get("resourceVersion"):
            yield Event("MODIFIED", item)

    def _events(self) -> Iterator[Event]:
        left = self._deadline - time.monotonic()
        query = {
            **self._query,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": max(1, int(left) + 1),
        }
        path, what = path_of(self._plural, self._namespace), title_of(self._plural, self._namespace)
        seconds = min(QUIET_SECONDS, left)
        self._response = response = self._transport.open(path, query, read_seconds=max(0.1, seconds), what=what)
        opened = time.monotonic()
        try:
            if self._closed.is_set():
                return
            for line in lines(response):
                kind, obj = checked_change(line, self._plural, what)
                if kind == "ERROR":
                    raise error_of(int(obj.get("code") or 500), orjson.dumps(obj), "GET", what)
                self._version = obj["metadata"].get("resourceVersion") or self._version
                self._transport.newest.see(self._plural, obj["metadata"])
                self._told += 1
                if kind == "BOOKMARK":
                    continue
                yield self._remember(kind, obj)
                if self._over():
                    return
            if time.monotonic() - opened < SHORT_SECONDS:
                self._closed.wait(SHORT_SECONDS)  # a server that ends each watch at once is not asked in a hurry
        except urllib3.exceptions.ReadTimeoutError:
            return  # quiet, or past the deadline: the outer loop decides
        finally:
            self._response = None
            discard(response)

    def _remember(self, kind: str, obj: Obj) -> Event:
        obj = redact_object(obj, RESOURCES[self._plural].kind)
        if kind == "DELETED":
            self._known.pop(obj["metadata"]["uid"], None)
        else:
            self._known[obj["metadata"]["uid"]] = obj
        return Event(cast(EventType, kind), obj)


def given_up(transport: Transport, error: Exception) -> JfsnbError:
    """An error of ours for trouble that lasts."""
    return error if isinstance(error, JfsnbError) else connection_error(transport.server, error)


def lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """Lines of a body as they come, without their ends."""
    rest = b""
    for piece in response.stream(amt=None):
        rest += piece
        *whole, rest = rest.split(b"\n")
        yield from whole
    if rest:
        yield rest


def shut(response: urllib3.BaseHTTPResponse | None) -> None:
    """Wake up a thread that reads this response."""
    if response is not None:
        with contextlib.suppress(OSError, ValueError, RuntimeError, AttributeError):
            response.shutdown()


def discard(response: urllib3.BaseHTTPResponse) -> None:
    """Close the connection of a body that was not read to its end; it cannot be used again."""
    with contextlib.suppress(OSError, HTTPError):
        response.close()
