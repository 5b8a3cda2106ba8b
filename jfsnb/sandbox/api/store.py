"""The objects: current state, revisions, history for watches, snapshots for paging. No HTTP, no rules.

Own code: etcd is no Python package, and what the sandbox needs of it is a dictionary with a revision counter.
Stored objects are never changed in place, so that a snapshot is a list of references.
"""

from __future__ import annotations

import bisect
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from jfsnb.sandbox.api.status import expired

Obj = dict[str, Any]
FIRST_REVISION = 1000
KEPT_EVENTS = 4000
KEPT_SNAPSHOTS = 64


class Entry:
    """One stored object with its serialised form (without kind and apiVersion, as lists carry it)."""

    __slots__ = ("key", "obj", "raw", "revision")

    def __init__(self, key: str, obj: Obj, revision: int) -> None:
        self.key, self.obj, self.revision = key, obj, revision
        self.raw = orjson.dumps(obj)


@dataclass(frozen=True, slots=True)
class Change:
    """One revision: ADDED, MODIFIED or DELETED, with the state before it."""

    revision: int
    kind: str
    entry: Entry
    before: Entry | None


class Shelf:
    """All objects of one kind, sorted by ``namespace/name`` as etcd sorts its keys."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.keys: list[str] = []
        self.history: deque[Change] = deque()
        self.compacted = FIRST_REVISION
        self.listeners: dict[int, Callable[[Change], None]] = {}

    def in_order(self, namespace: str) -> Iterator[Entry]:
        if not namespace:
            yield from (self.entries[k] for k in self.keys)
            return
        prefix = namespace + "/"
        for position in range(bisect.bisect_left(self.keys, prefix), len(self.keys)):
            key = self.keys[position]
            if not key.startswith(prefix):
                return
            yield self.entries[key]


@dataclass(frozen=True)
class Snapshot:
    """A list at one revision, of which pages are still to be read."""

    revision: int
    entries: list[Entry]


class Store:
    """All shelves under one revision counter."""

    def __init__(self) -> None:
        self.revision = FIRST_REVISION
        self.shelves: dict[str, Shelf] = {}
        self.snapshots: OrderedDict[str, Snapshot] = OrderedDict()
        self._listener = 0

    def shelf(self, storage: str) -> Shelf:
        found = self.shelves.get(storage)
        if found is None:
            found = self.shelves[storage] = Shelf()
        return found

    def get(self, storage: str, namespace: str, name: str) -> Entry | None:
        return self.shelf(storage).entries.get(f"{namespace}/{name}")

    def put(self, storage: str, obj: Obj) -> Entry:
        """Store an object as the next revision; sets its resourceVersion. The caller gives up the object."""
        shelf = self.shelf(storage)
        meta = obj["metadata"]
        key = f"{meta.get('namespace', '')}/{meta['name']}"
        before = shelf.entries.get(key)
        self.revision += 1
        meta["resourceVersion"] = str(self.revision)
        entry = Entry(key, obj, self.revision)
        shelf.entries[key] = entry
        if before is None:
            bisect.insort(shelf.keys, key)
        self._record(shelf, Change(self.revision, "MODIFIED" if before else "ADDED", entry, before))
        return entry

    def remove(self, storage: str, entry: Entry, last: Obj | None = None) -> Entry:
        """Delete; the deletion has a revision of its own, and the last state carries it."""
        shelf = self.shelf(storage)
        before = shelf.entries.pop(entry.key)
        del shelf.keys[bisect.bisect_left(shelf.keys, entry.key)]
        self.revision += 1
        obj = last if last is not None else before.obj
        final = Entry(
            entry.key, {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.revision)}}, self.revision
        )
        self._record(shelf, Change(self.revision, "DELETED", final, before))
        return final

    def _record(self, shelf: Shelf, change: Change) -> None:
        shelf.history.append(change)
        if len(shelf.history) > KEPT_EVENTS:
            shelf.compacted = shelf.history.popleft().revision
        for listener in tuple(shelf.listeners.values()):
            listener(change)

    def listen(self, storage: str, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Call ``listener`` for each change from now on; returns the function that ends it."""
        self._listener += 1
        number, listeners = self._listener, self.shelf(storage).listeners
        listeners[number] = listener
        return lambda: listeners.pop(number, None) and None

    def since(self, storage: str, revision: int) -> list[Change]:
        """Changes after a revision.

        Raises:
            Failure: 410 Expired, when history no longer reaches back that far.
        """
        shelf = self.shelf(storage)
        if revision < shelf.compacted:
            raise expired(f"too old resource version: {revision} ({shelf.compacted})")
        missed = []
        for change in reversed(shelf.history):
            if change.revision <= revision:
                break
            missed.append(change)
        missed.reverse()
        return missed

    def keep(self, token: str, snapshot: Snapshot) -> None:
        """Hold a snapshot for the pages to come; the oldest ones are given up."""
        self.snapshots[token] = snapshot
        while len(self.snapshots) > KEPT_SNAPSHOTS:
            self.snapshots.popitem(last=False)
