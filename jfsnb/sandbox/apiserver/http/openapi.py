"""OpenAPI v3, made from the schema data: what ``kubectl explain`` and client-side validation read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import orjson

from jfsnb.sandbox.apiserver.schema.resources import REF, Resource, discovery, schema_name, schemas, table

Obj = dict[str, Any]
STRING = {"type": "string", "uniqueItems": True}
#: HTTP method and action by verb, for a collection's path and for an object's.
COLLECTION = {"list": ("get", "list"), "create": ("post", "post"), "deletecollection": ("delete", "deletecollection")}
ITEM = {"get": ("get", "get"), "update": ("put", "put"), "patch": ("patch", "patch"), "delete": ("delete", "delete")}
WRITES = {"post", "put", "patch"}


def document(path: str) -> bytes | None:
    """The answer for ``/openapi/v3`` or ``/openapi/v3/<group version path>``; None for anything else."""
    path = path.strip("/")
    if path == "openapi/v3":
        return _index()
    prefix = "openapi/v3/"
    return _of_group(path.removeprefix(prefix)) if path.startswith(prefix) else None


@lru_cache(1)
def _index() -> bytes:
    paths = {}
    for group in _group_paths():
        digest = hashlib.sha256(group.encode()).hexdigest()[:32].upper()
        paths[group] = {"serverRelativeURL": f"/openapi/v3/{group}?hash={digest}"}
    return orjson.dumps({"paths": paths})


def _group_paths() -> list[str]:
    return [path for path, document in discovery().items() if document.get("kind") == "APIResourceList"]


@lru_cache(32)
def _of_group(group: str) -> bytes | None:
    rows = [r for r in table().values() if r.path == group]
    if not rows:
        return None
    paths: Obj = {}
    for row in rows:
        paths |= _paths(row)
    names = {n for r in rows for k in (r.kind, r.kind + "List") if (n := schema_name(r.group, r.version, k))}
    components = {"schemas": {name: schemas()[name] for name in sorted(_closure(names))}}
    body = {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.36.2"}, "paths": paths}
    return orjson.dumps({**body, "components": components})


def _closure(names: set[str]) -> set[str]:
    found, todo = set(), list(names)
    while todo:
        name = todo.pop()
        if name not in found and name in schemas():
            found.add(name)
            todo += _references(schemas()[name])
    return found


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref":
                yield item.removeprefix(REF)
            else:
                yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def _paths(row: Resource) -> Obj:
    root = f"/{row.path}/namespaces/{{namespace}}/{row.plural}" if row.namespaced else f"/{row.path}/{row.plural}"
    found = {root: _operations(row, COLLECTION)}
    if "get" in row.verbs:
        found[root + "/{name}"] = _operations(row, ITEM)
    return {path: operations for path, operations in found.items() if operations}


def _operations(row: Resource, by_verb: dict[str, tuple[str, str]]) -> Obj:
    gvk = {"group": row.group, "version": row.version, "kind": row.kind}
    found: Obj = {}
    for verb, (method, action) in by_verb.items():
        if verb in row.verbs:
            operation: Obj = {"x-kubernetes-action": action, "x-kubernetes-group-version-kind": gvk}
            if method in WRITES:
                names = ("dryRun", "fieldManager", "fieldValidation")
                operation["parameters"] = [{"name": n, "in": "query", "schema": STRING} for n in names]
            operation["responses"] = {"200": {"description": "OK", "content": _content(row)}}
            found[method] = operation
    return found


def _content(row: Resource) -> Obj:
    name = schema_name(row.group, row.version, row.kind)
    return {"application/json": {"schema": {"$ref": REF + name}}} if name else {}
