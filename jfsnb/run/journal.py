"""The journal of a run: each change is written down, with how to undo it, before it is made."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jfsnb.cluster.client import Cluster
from jfsnb.cluster.resources import PLURALS, title_of
from jfsnb.errors import ConflictError

Obj = dict[str, Any]
CREATE, CONFIG, ANNOTATE = "create", "patch config.yaml", "annotate"


@dataclass(frozen=True)
class Entry:
    """One change.

    Args:
        number: its place, from 1; undone in reverse.
        op: ``create``, ``patch config.yaml`` or ``annotate``.
        plural, namespace, name: which object.
        details: what undoing it needs.
        uid: of a created object; empty when the run died before it could be written down.
        outcome: how undoing it ended; empty while it stands.
    """

    number: int
    op: str
    plural: str
    namespace: str
    name: str
    details: dict[str, Any] = field(default_factory=dict)
    uid: str = ""
    outcome: str = ""

    @property
    def object(self) -> str:
        return title_of(self.plural, self.namespace, self.name)


class Journal:
    """outputs/<run-id>/journal.jsonl: one line per fact, only ever appended, on disk before the change is made."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self) -> tuple[Entry, ...]:
        """All changes, with what became of them. A line that was cut by a crash is no fact."""
        found: dict[int, Obj] = {}
        for line in self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else ():
            try:
                fact = json.loads(line)
            except json.JSONDecodeError:
                continue
            fact.pop("at", None)
            found.setdefault(fact["number"], {}).update(fact)
        return tuple(Entry(**fact) for fact in found.values() if "op" in fact)

    def standing(self) -> tuple[Entry, ...]:
        """Changes that have not been undone, last one first."""
        return tuple(e for e in reversed(self.entries()) if not e.outcome)

    def plan(self, op: str, plural: str, namespace: str, name: str, **details: Any) -> int:
        """Write down a change that is about to be made; its number."""
        number = max((e.number for e in self.entries()), default=0) + 1
        self._write(number=number, op=op, plural=plural, namespace=namespace, name=name, details=details)
        return number

    def undone(self, number: int, outcome: str = "undone") -> None:
        """Write down that a change has been undone."""
        self._write(number=number, outcome=outcome)

    def create(self, cluster: Cluster, obj: Obj) -> Obj:
        """Create an object, written down before.

        Raises:
            ConflictError: an object of that name is there already; it is not ours and stays.
        """
        plural, meta = PLURALS[obj["kind"]], obj["metadata"]
        number = self.plan(CREATE, plural, meta.get("namespace", ""), meta["name"])
        try:
            made = cluster.create(obj)
        except ConflictError as error:
            self.undone(number, "never made: the name was taken")
            what = title_of(plural, meta.get("namespace", ""), meta["name"])
            raise ConflictError(f"{what} is there already: {error.what}", "delete it, or use another run_id") from error
        self._write(number=number, uid=made["metadata"]["uid"])
        return made

    def gone(self, plural: str, namespace: str, name: str, outcome: str = "deleted") -> None:
        """Write down that a created object has been deleted."""
        for entry in self.standing():
            if (entry.op, entry.plural, entry.namespace, entry.name) == (CREATE, plural, namespace, name):
                self.undone(entry.number, outcome)

    def _write(self, **fact: Any) -> None:
        fact["at"] = datetime.now(UTC).isoformat(timespec="milliseconds")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as sink:
            sink.write(json.dumps(fact, ensure_ascii=False) + "\n")
            sink.flush()
            os.fsync(sink.fileno())
