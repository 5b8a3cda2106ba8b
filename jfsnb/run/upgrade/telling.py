"""What an exchange looked like, as tables, in seconds from its beginning."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from jfsnb.checks.codes import Unreadable
from jfsnb.checks.upgrade import Load
from jfsnb.driver.images import same_version
from jfsnb.queries.model import Row


def tables(
    load: Load, counted: Mapping[str, int] | Unreadable, done: Mapping[str, Any], wanted: str | Unreadable
) -> dict[str, Any]:
    """The tables of ``results.UpgradeProof``.

    Args:
        counted: the records read back. done: data of ``results.Upgraded``. wanted: version of the new client.
    """
    began = float(done.get("began") or 0.0)

    def at(moment: float) -> float:
        return round(moment - began, 2)

    new = wanted if isinstance(wanted, str) else ""
    serves = [moment for moment, client in load.clients if moment >= began and same_version(client, new)]
    numbers = {} if isinstance(counted, Unreadable) else counted
    return {
        "clients": tuple({"at_seconds": at(m), "client": c} for m, c in load.clients),
        "stalls": tuple({"at_seconds": at(b), "seconds": s, "what": w} for b, s, w in load.stalls),
        "errors": tuple({"at_seconds": at(m), "what": w, "errno": e} for m, w, e in load.errors),
        "held": tuple({"what": what, "state": how} for what, how in load.held.items()),
        "counted": tuple({"what": what, "number": number} for what, number in numbers.items()),
        "said": tuple(_said(line, began) for line in done.get("lines") or ()),
        "longest": load.longest,
        "serves_after": at(serves[0]) if serves else None,
    }


def _said(line: str, began: float) -> Row:
    """A line of the tool, which begins with the node's local time in whole seconds."""
    try:
        moment = datetime.strptime(line[:19], "%Y-%m-%d %H:%M:%S").timestamp()
    except ValueError:
        return {"at_seconds": None, "line": line}
    return {"at_seconds": round(moment - began, 1), "line": line[20:]}
