"""Tables as ``kubectl get`` prints them: columns from a real server's data, cells from the printers."""

from __future__ import annotations

from typing import Any

from jfsnb.sandbox.apiserver.schema.resources import Resource, columns
from jfsnb.sandbox.apiserver.storage.store import Entry
from jfsnb.sandbox.apiserver.tables.printers import cells

Obj = dict[str, Any]
NAME_AND_AGE = [
    {"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0},
    {"name": "Created At", "type": "date", "format": "", "description": "", "priority": 0},
]


def table(resource: Resource, entries: list[Entry], version: str, meta: Obj | None = None, include: str = "") -> Obj:
    """A Table object.

    Args:
        resource: what the objects are.
        entries: a row each.
        version: the table's resourceVersion.
        meta: list metadata with a continue token.
        include: what a row carries besides its cells: ``Metadata`` (default), ``Object`` or ``None``.
    """
    defined = columns().get(f"{resource.path}/{resource.plural}") or NAME_AND_AGE
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": meta or {"resourceVersion": version},
        "columnDefinitions": defined,
        "rows": [row(resource, e.obj, include) for e in entries],
    }


def row(resource: Resource, obj: Obj, include: str) -> Obj:
    """One row: cells, and the object's metadata or more."""
    shown: Obj = {"cells": cells(resource, obj)}
    if include == "Object":
        shown["object"] = {"kind": resource.kind, "apiVersion": resource.group_version, **obj}
    elif include != "None":
        shown["object"] = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
    return shown
