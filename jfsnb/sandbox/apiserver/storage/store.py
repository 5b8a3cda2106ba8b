"""The objects: current state, revisions, and history for watches and consistent pages. No HTTP, no rules.

Own code: etcd is no Python package, and what the sandbox needs of it is a dictionary with a revision counter.
Objects are kept serialised: a list or watch joins bytes, nobody can change a stored object in place, and an object
costs a fifth of the memory that its dictionaries would take.
"""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from jfsnb.sandbox.apiserver.rules.selectors import selectable
from jfsnb.sandbox.apiserver.rules.status import expired

Obj = dict[str, Any]
FIRST_REVISION = 1000
#: Changes of one kind that a watch can be resumed over.
KEPT_CHANGES = 2000


class Entry:
    """One stored object: serialised without kind and apiVersion (as lists carry it), and what selectors look at."""

    __slots__ = ("fields", "key", "labels", "raw", "revision", "uid")

    def __init__(self, storage: str, key: str, obj: Obj, revision: int) -> None:
        self.key, self.revision = key, revision
        self.raw = orjson.dumps(obj)
        self.uid: str = obj["metadata"].get("uid", "")
        self.labels: dict[str, str] = obj["metadata"].get("labels") or {}
        self.fields = selectable(storage, obj)

    @property
    def obj(self) -> Obj:
        """A fresh copy of the object, the caller's to change."""
        return orjson.loads(self.raw)  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Change:
    """One revision: ADDED, MODIFIED or DELETED, with the state before it.

    Args:
        lines: the change as watch event, by type meta; serialised once for all watchers.
    """

    revision: int
    kind: str
    entry: Entry
    before: Entry | None
    lines: dict[bytes, bytes] = field(default_factory=dict, compare=False)


class Shelf:
    """All objects of one kind, sorted by ``namespace/name`` as etcd sorts its keys."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.keys: list[str] = []
        self.history: deque[Change] = deque()
        self.compacted = FIRST_REVISION
        self.listeners: dict[int, Callable[[Change], None]] = {}

    def range(self, namespace: str, after: str = "") -> list[Entry]:
        """The entries of a namespace (all of them when empty) in order, those after a key only."""
        return [self.entries[k] for k in _slice(self.keys, namespace, after)]

    def range_at(self, changes: Iterable[Change], namespace: str, after: str) -> list[Entry]:
        """As ``range``, with the given changes (newest last) undone."""
        past = dict(self.entries)
        for change in reversed(list(changes)):
            if change.before is None:
                past.pop(change.entry.key, None)
            else:
                past[change.entry.key] = change.before
        return [past[k] for k in _slice(sorted(past), namespace, after)]


def _slice(keys: list[str], namespace: str, after: str) -> list[str]:
    prefix = namespace + "/" if namespace else ""
    start = bisect.bisect_left(keys, prefix)
    end = bisect.bisect_left(keys, namespace + "0") if namespace else len(keys)  # "0" follows "/"
    if after:
        start = max(start, bisect.bisect_right(keys, after))
    return keys[start:end]


class Store:
    """All shelves under one revision counter."""

    def __init__(self) -> None:
        self.revision = FIRST_REVISION
        self.shelves: dict[str, Shelf] = {}
        self._listener = 0

    def shelf(self, storage: str) -> Shelf:
        found = self.shelves.get(storage)
        if found is None:
            found = self.shelves[storage] = Shelf()
        return found

    def get(self, storage: str, namespace: str, name: str) -> Entry | None:
        return self.shelf(storage).entries.get(f"{namespace}/{name}")

    def put(self, storage: str, obj: Obj) -> Entry:
        """Store an object as the next revision; sets its resourceVersion."""
        shelf = self.shelf(storage)
        meta = obj["metadata"]
        key = f"{meta.get('namespace', '')}/{meta['name']}"
        before = shelf.entries.get(key)
        self.revision += 1
        meta["resourceVersion"] = str(self.revision)
        entry = Entry(storage, key, obj, self.revision)
        shelf.entries[key] = entry
        if before is None:
            bisect.insort(shelf.keys, key)
        self._record(shelf, Change(self.revision, "MODIFIED" if before else "ADDED", entry, before))
        return entry

    def remove(self, storage: str, entry: Entry, last: Obj | None = None) -> Entry:
        """Delete; the deletion has a revision of its own, and the last state carries it.

        Args:
            storage: the shelf.
            entry: what is deleted.
            last: its last state, when that is not what is stored.
        """
        shelf = self.shelf(storage)
        before = shelf.entries.pop(entry.key)
        del shelf.keys[bisect.bisect_left(shelf.keys, entry.key)]
        self.revision += 1
        obj = last if last is not None else before.obj
        obj["metadata"]["resourceVersion"] = str(self.revision)
        final = Entry(storage, entry.key, obj, self.revision)
        self._record(shelf, Change(self.revision, "DELETED", final, before))
        return final

    def _record(self, shelf: Shelf, change: Change) -> None:
        shelf.history.append(change)
        if len(shelf.history) > KEPT_CHANGES:
            shelf.compacted = shelf.history.popleft().revision
        for listener in tuple(shelf.listeners.values()):
            listener(change)
        change.lines.clear()  # history would hold every object twice

    def listen(self, storage: str, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Call ``listener`` for each change from now on; returns the function that ends it."""
        self._listener += 1
        number, listeners = self._listener, self.shelf(storage).listeners
        listeners[number] = listener

        def end() -> None:
            listeners.pop(number, None)

        return end

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
