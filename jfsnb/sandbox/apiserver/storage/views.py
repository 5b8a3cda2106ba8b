"""Stored objects as bytes to answer with: objects, lists, tables, metadata only, and watch events."""

from __future__ import annotations

from typing import Any

import orjson
import yaml

from jfsnb.sandbox.apiserver.http.negotiation import YAML, View
from jfsnb.sandbox.apiserver.schema.resources import Resource
from jfsnb.sandbox.apiserver.storage.events import is_new_form, to_new_form
from jfsnb.sandbox.apiserver.storage.store import Change, Entry
from jfsnb.sandbox.apiserver.tables.tables import row, table

Obj = dict[str, Any]
PARTIAL = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}


def type_meta(resource: Resource, kind: str) -> bytes:
    return orjson.dumps({"kind": kind, "apiVersion": resource.group_version})[:-1]


def one(resource: Resource, entry: Entry, view: View, include: str = "") -> bytes:
    """One object."""
    if view.is_table:
        return orjson.dumps(table(resource, [entry], entry.obj["metadata"]["resourceVersion"], include=include))
    if view.is_partial:
        return orjson.dumps({**PARTIAL, "metadata": entry.obj["metadata"]})
    return _full(resource, entry)


def _full(resource: Resource, entry: Entry) -> bytes:
    return resource.type_meta + b"," + _raw(resource, entry)[1:]


def _raw(resource: Resource, entry: Entry) -> bytes:
    return orjson.dumps(to_new_form(entry.obj)) if is_new_form(resource) else entry.raw


def many(resource: Resource, entries: list[Entry], meta: Obj, view: View, include: str = "") -> bytes:
    """A list; its items carry neither kind nor apiVersion."""
    if view.is_table:
        return orjson.dumps(table(resource, entries, meta["resourceVersion"], meta, include))
    if view.is_partial:
        items = [{**PARTIAL, "metadata": e.obj["metadata"]} for e in entries]
        head = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": meta}
        return orjson.dumps({**head, "items": items})
    opening = type_meta(resource, resource.kind + "List") + b',"metadata":' + orjson.dumps(meta) + b',"items":['
    return opening + b",".join([_raw(resource, e) for e in entries]) + b"]}"


def event(kind: str, obj: bytes) -> bytes:
    """One line of a watch stream."""
    return b'{"type":"' + kind.encode() + b'","object":' + obj + b"}\n"


def watch_event(resource: Resource, change: Change) -> bytes:
    """A change as it is, serialised once for all its watchers."""
    known = change.lines.get(resource.type_meta)
    if known is None:
        known = change.lines[resource.type_meta] = event(change.kind, _full(resource, change.entry))
    return known


def watch_row(resource: Resource, entry: Entry, include: str, columns: bool) -> bytes:
    """An object as a table of one row, as table watches get it; columns come with the first one only."""
    shown = table(resource, [], entry.obj["metadata"]["resourceVersion"])
    if not columns:
        del shown["columnDefinitions"]
    shown["metadata"] = {"resourceVersion": entry.obj["metadata"]["resourceVersion"]}
    shown["rows"] = [row(resource, entry.obj, include)]
    return orjson.dumps(shown)


def encode(body: bytes, view: View) -> bytes:
    """JSON in the media type that the client asked for."""
    if view.media_type == YAML:
        return yaml.safe_dump(orjson.loads(body), allow_unicode=True).encode()
    return body
