"""What changed between two moments, in the words of the questions."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

from jfsnb.checks.parts import NotRead
from jfsnb.checks.snapshot import Snapshot
from jfsnb.queries import investigate
from jfsnb.queries.finding import Finding
from jfsnb.queries.model import Row, Table
from jfsnb.redact import redact_text

#: Of the row of a Mount Pod.
FIELDS = ("image", "client", "desired_image", "next_mount", "phase", "ready", "serves", "verdict")


def compare(before: Snapshot, after: Snapshot) -> Finding:
    """Rows: what (Mount Pod, node, finding), object, field, before, after. Table "configuration": lines of a diff.

    Raises:
        NotRead: one of them does not know its Mount Pods.
    """
    old, new = investigate.mounts(before), investigate.mounts(after)
    loaded = [_by(found.tables["configuration in force"], "node") for found in (old, new)]
    rows = [
        *_changes("Mount Pod", _by(old.rows, "name"), _by(new.rows, "name"), FIELDS),
        *_changes("node", loaded[0], loaded[1], ("pod", "state")),
        *_changes("finding", _findings(before), _findings(after), ("verdict",)),
    ]
    lines = difflib.unified_diff(_config(before), _config(after), "before", "after", lineterm="")
    return Finding(tuple(rows), tables={"configuration": tuple({"line": line} for line in lines)})


def _by(rows: Table, key: str) -> dict[str, Row]:
    return {str(row[key]): row for row in rows}


def _findings(snapshot: Snapshot) -> dict[str, Row]:
    rows = investigate.doctor(snapshot).rows
    return {f"{row['code']} {row['reason']}": row for row in rows if row["verdict"] != "PASS"}


def _config(snapshot: Snapshot) -> list[str]:
    try:
        return redact_text(snapshot.config_text or "").splitlines()
    except NotRead as error:
        return [f"({error.what})"]


def _changes(what: str, before: Mapping[str, Row], after: Mapping[str, Row], fields: tuple[str, ...]) -> Iterator[Row]:
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            first = fields[0]
            there = {"before": "" if old is None else old[first], "after": "" if new is None else new[first]}
            yield {"what": what, "object": name, "field": "new" if old is None else "gone", **there}
            continue
        for field in fields:
            if old[field] != new[field]:
                yield {"what": what, "object": name, "field": field, "before": old[field], "after": new[field]}
