"""The journal of a run: each change is written down before it is made, and what became of it after."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jfsnb.cluster.client import Cluster
from jfsnb.errors import ConflictError
from jfsnb.redact import redact
from jfsnb.run.change.kinds import read
from jfsnb.run.change.model import Change, Outcome, State
from jfsnb.run.change.object_made import ObjectMade

Obj = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """One change, and how undoing it ended.

    Args:
        number: its place, from 1; undone in reverse. 0: it stands in no journal here.
        change: which one.
        outcome: in words; empty while it stands.
    """

    number: int
    change: Change
    outcome: str = ""


class Journal:
    """outputs/<run-id>/journal.jsonl: one line per fact, only ever appended, on disk before the change is made.

    It holds no secret: what undoing needs of the cluster's configuration is kept in the cluster.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def run_id(self) -> str:
        return self.path.parent.name

    @property
    def cluster(self) -> str:
        """The cluster in which the run began (``Cluster.identity``); empty before, or where that is not known."""
        return next((str(fact["cluster"]) for fact in self._facts()[0] if "cluster" in fact), "")

    def begin(self, identity: str) -> None:
        """Write down in which cluster the run begins."""
        self._write(cluster=identity)

    @property
    def damaged(self) -> tuple[int, ...]:
        """Lines that cannot be read; 0 for the file. A last one that was cut is none: nothing followed from it."""
        return self._facts()[1]

    @property
    def is_whole(self) -> bool:
        """Whether it tells of everything that the run did."""
        return not self.damaged and self.path.exists()

    def entries(self) -> tuple[Entry, ...]:
        """All changes, with what became of them."""
        found: dict[int, Entry] = {}
        for fact in self._facts()[0]:
            number = fact.get("number", 0)
            if "change" in fact:
                found[number] = Entry(number, read(fact["change"]))
            elif number in found and "made" in fact:
                change = replace(found[number].change, made=True, uid=fact["made"])
                found[number] = replace(found[number], change=change)
            elif number in found and "outcome" in fact:
                found[number] = replace(found[number], outcome=fact["outcome"])
        return tuple(found.values())

    def standing(self) -> tuple[Entry, ...]:
        """Changes that have not been undone, last one first."""
        return tuple(e for e in reversed(self.entries()) if not e.outcome)

    def plan(self, change: Change) -> int:
        """Write down a change that is about to be made; its number."""
        number = max((e.number for e in self.entries()), default=0) + 1
        self._write(number=number, change=change.to_dict())
        return number

    def undone(self, number: int, outcome: Outcome) -> None:
        """Write down that a change is undone."""
        self._write(number=number, outcome=str(outcome))

    def do(self, cluster: Cluster, change: Change, number: int = 0) -> Obj:
        """Make a change, written down before; the object as it is then.

        Args:
            number: where it is written down already.

        Raises:
            ConflictError: somebody else was there first; nothing was changed.
        """
        number = number or self.plan(change)
        try:
            made = change.do(cluster)
        except ConflictError as error:
            self.undone(number, Outcome(State.GONE, f"never made: {error.what}"))
            raise
        self._write(number=number, made=made["metadata"]["uid"])
        return made

    def create(self, cluster: Cluster, obj: Obj) -> Obj:
        """Create an object, written down before.

        Raises:
            ConflictError: an object of that name is there already; it is not ours and stays.
        """
        return self.do(cluster, ObjectMade.of(self.run_id, obj))

    def gone(self, plural: str, namespace: str, name: str) -> None:
        """Write down that a created object has been deleted."""
        for entry in self.standing():
            change = entry.change
            if (change.KIND, change.plural, change.namespace, change.name) == (
                ObjectMade.KIND,
                plural,
                namespace,
                name,
            ):
                self.undone(entry.number, Outcome(State.UNDONE, "deleted"))

    def _facts(self) -> tuple[list[Obj], tuple[int, ...]]:
        """What the lines say, and the numbers of those that say nothing."""
        found, damaged = [], []
        try:
            lines = list(self._lines())
        except OSError:
            return [], (0,)
        for number, line, cut in lines:
            try:
                fact = json.loads(line)
                _check(fact)
                found.append(fact)
            except (ValueError, TypeError, KeyError, AttributeError):
                if not cut:
                    damaged.append(number)
        return found, tuple(damaged)

    def _lines(self) -> Iterator[tuple[int, str, bool]]:
        """Number, text, and whether it was cut: the last one, without its end."""
        text = self.path.read_text(encoding="utf-8", errors="replace") if self.path.exists() else ""
        for number, line in enumerate(text.splitlines(keepends=True), 1):
            if line.strip():
                yield number, line, not line.endswith("\n")

    def _write(self, **fact: Any) -> None:
        fact["at"] = datetime.now(UTC).isoformat(timespec="milliseconds")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        cut = self.path.exists() and self.path.read_bytes()[-1:] not in (b"", b"\n")
        with self.path.open("a", encoding="utf-8") as sink:
            sink.write(("\n" if cut else "") + json.dumps(redact(fact), ensure_ascii=False) + "\n")
            sink.flush()
            os.fsync(sink.fileno())


def _check(fact: Obj) -> None:
    """Raises where a line is not one of ours."""
    if "change" in fact:
        read(fact["change"])
    told = fact["cluster"] if "cluster" in fact else fact.get("made", fact.get("outcome", fact.get("change")))
    if told is None or ("cluster" not in fact and not isinstance(fact["number"], int)):
        raise TypeError("no fact of a journal")
