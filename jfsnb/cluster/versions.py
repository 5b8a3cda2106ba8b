"""The newest state that was seen of each kind of object: a list that is older than that is not the truth any more.

A cache in front of an API server may answer with an old list. resourceVersions of one kind only grow, and are numbers
wherever Kubernetes stores them; where one is not, nothing is said about it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from jfsnb.cluster.answers import unexpected


def _number(meta: Mapping[str, Any]) -> int:
    text = str(meta.get("resourceVersion") or "")
    return int(text) if text.isdigit() else 0


class Newest:
    """By plural; may be used from several threads."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}
        self._lock = threading.Lock()

    def of(self, plural: str) -> int:
        """To be asked before a list is: it must not be older than this."""
        return self._seen.get(plural, 0)

    def see(self, plural: str, meta: Mapping[str, Any]) -> None:
        """Remember an object's, or a list's, resourceVersion."""
        with self._lock:
            self._seen[plural] = max(self._seen.get(plural, 0), _number(meta))

    def check(self, plural: str, meta: Mapping[str, Any], at_least: int, what: str) -> None:
        """Raises UnexpectedAnswer where a list is older than what had been seen before it was asked for."""
        number = _number(meta)
        if number and number < at_least:
            raise unexpected(what, f"it is older (resourceVersion {number}) than what was seen before ({at_least})")
        self.see(plural, meta)
