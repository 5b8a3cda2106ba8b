"""The cells of a table, kind by kind, as a real server prints them."""

from __future__ import annotations

from typing import Any

from jfsnb.sandbox.api.resources import Resource

Obj = dict[str, Any]


def cells(resource: Resource, obj: Obj) -> list[Any]:
    """The cells of one object, in the order of its kind's columns."""
    meta = obj["metadata"]
    return [meta["name"], meta["creationTimestamp"]]
