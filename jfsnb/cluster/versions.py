"""The newest state of the cluster that was seen: a list that is older than that is not the truth any more.

A cache in front of an API server may answer with an old list, which looks like any other. What Kubernetes stores has
one ever growing resourceVersion (events may have a store of their own), and a list carries that of the moment in which
it was read. Where a resourceVersion is no number, nothing is said about it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any


def number_of(meta: Mapping[str, Any]) -> int:
    """A resourceVersion as a number; 0 where it is none."""
    text = str(meta.get("resourceVersion") or "")
    return int(text) if text.isdigit() else 0


class Newest:
    """By store; may be used from several threads."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}
        self._own_store = {"events"}
        self._lock = threading.Lock()

    def _store(self, plural: str) -> str:
        return plural if plural in self._own_store else ""

    def of(self, plural: str) -> int:
        """To be asked before a list is: that must not be older."""
        return self._seen.get(self._store(plural), 0)

    def see(self, plural: str, meta: Mapping[str, Any]) -> None:
        """Remember an object's, or a list's, resourceVersion."""
        with self._lock:
            store = self._store(plural)
            self._seen[store] = max(self._seen.get(store, 0), number_of(meta))

    def has_own_store(self, plural: str) -> None:
        """Its resourceVersions are not to be compared with those of other kinds."""
        with self._lock:
            self._own_store.add(plural)
