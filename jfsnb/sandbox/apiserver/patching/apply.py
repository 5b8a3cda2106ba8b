"""Server-side apply: conflicts with other owners of a field, and what an apply removes.

Own code: structured-merge-diff exists in Go only. A field set is a set of paths; a path's steps are ``f:name``,
``k:{"key":"value"}`` for elements of keyed lists and ``v:value`` for elements of sets, as in ``managedFields``.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from typing import Any

from jfsnb.sandbox.apiserver.rules.status import Cause, Failure
from jfsnb.sandbox.apiserver.schema.resources import child, resolve

Obj = dict[str, Any]
Path = tuple[str, ...]
NOT_OWNED = {("f:apiVersion",), ("f:kind",), ("f:metadata",), ("f:metadata", "f:name"), ("f:metadata", "f:namespace")}
SYSTEM = {"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "deletionTimestamp", "selfLink"}


def fields_of(obj: Obj, schema: Obj) -> set[Path]:
    """The leaf paths of an object, and the ``.`` of keyed list elements."""
    found: set[Path] = set()
    _collect(obj, schema, (), found)
    return {p for p in found if p not in NOT_OWNED and not (p[0] == "f:metadata" and p[1][2:] in SYSTEM)}


def _collect(value: Any, schema: Obj, path: Path, found: set[Path]) -> None:
    if isinstance(value, dict) and value and not atomic(schema):
        for key, item in value.items():
            _collect(item, child(schema, key) or {}, (*path, f"f:{key}"), found)
        return
    if isinstance(value, list) and value and not atomic(schema):
        steps = element_steps(value, schema)
        if steps is not None:
            items = resolve(schema.get("items"))
            for step, item in zip(steps, value, strict=True):
                found.add((*path, step))
                if isinstance(item, dict):
                    _collect(item, items, (*path, step), found)
            return
    found.add(path)


def atomic(schema: Obj) -> bool:
    return schema.get("x-kubernetes-map-type") == "atomic" or schema.get("x-kubernetes-list-type") == "atomic"


def element_steps(value: list[Any], schema: Obj) -> list[str] | None:
    """The path steps of a list's elements; None when the list is atomic (also where the schema does not say)."""
    kind = schema.get("x-kubernetes-list-type")
    if kind == "map":
        items = resolve(schema.get("items"))
        properties = items.get("properties") or {}
        keys = schema.get("x-kubernetes-list-map-keys") or ()
        steps = []
        for item in value:
            named = {k: item.get(k, resolve(properties.get(k)).get("default")) for k in keys}
            steps.append(
                "k:"
                + json.dumps({k: v for k, v in named.items() if v is not None}, separators=(",", ":"), sort_keys=True)
            )
        return steps
    if kind == "set":
        return ["v:" + json.dumps(item, separators=(",", ":")) for item in value]
    return None


def to_fields_v1(paths: Iterable[Path]) -> Obj:
    tree: Obj = {}
    for path in sorted(paths):
        node = tree
        for step in path:
            node = node.setdefault(step, {})
    _mark_elements(tree)
    return tree


def _mark_elements(tree: Obj) -> None:
    for step, below in tree.items():
        if step.startswith("k:") and below:
            below.setdefault(".", {})
        if below:
            _mark_elements(below)


def from_fields_v1(tree: Obj) -> set[Path]:
    found: set[Path] = set()

    def walk(node: Obj, path: Path) -> None:
        below = {s: n for s, n in node.items() if s != "."}
        if not below or (path and path[-1].startswith("k:")):
            found.add(path)
        for step, sub in below.items():
            walk(sub, (*path, step))

    walk(tree, ())
    found.discard(())
    return found


def value_at(value: Any, schema: Obj, path: Path) -> Any:
    """The value at a path; None where there is none."""
    for step in path:
        if step.startswith("f:"):
            if not isinstance(value, dict) or step[2:] not in value:
                return None
            value, schema = value[step[2:]], child(schema, step[2:]) or {}
        else:
            steps = element_steps(value, schema) if isinstance(value, list) else None
            if steps is None or step not in steps:
                return None
            value, schema = value[steps.index(step)], resolve(schema.get("items"))
    return value


def readable(path: Path) -> str:
    """A path as the API server writes it in conflicts: ``.spec.containers[name="c"].image``."""
    text = ""
    for step in path:
        if step.startswith("f:"):
            text += "." + step[2:]
        elif step.startswith("k:"):
            text += "[" + ",".join(f"{k}={json.dumps(v)}" for k, v in json.loads(step[2:]).items()) + "]"
        else:
            text += f"[={step[2:]}]"
    return text


def apply(
    live: Obj | None,
    applied: Obj,
    schema: Obj,
    manager: str,
    now: str,
    force: bool,
    subresource: str = "",
) -> Obj:
    """The object after ``manager`` applied ``applied``.

    Raises:
        Failure: 409 with a FieldManagerConflict cause for each field that another manager owns with another value.
    """
    applied = copy.deepcopy(applied)
    applied.get("metadata", {}).pop("managedFields", None)
    wanted = fields_of(applied, schema)
    entries = list(((live or {}).get("metadata") or {}).get("managedFields") or ())
    mine = next((e for e in entries if _is(e, manager, subresource)), None)
    before = from_fields_v1(mine["fieldsV1"]) if mine else set()
    others = [e for e in entries if e is not mine]
    base = live or {}
    conflicts = _conflicts(base, applied, schema, wanted, others)
    if conflicts and not force:
        raise _conflict(conflicts)
    owned_by_others = {p for e in others for p in from_fields_v1(e["fieldsV1"])}
    result: Obj = _merge(base, applied, schema)
    for path in sorted(before - wanted, key=len):  # a list element goes before the fields that name it
        if path not in owned_by_others and not any(p[: len(path)] == path for p in wanted | owned_by_others):
            _delete(result, schema, path)
    taken = {p for p, _ in conflicts}
    result.setdefault("metadata", {})
    kept = [_without(e, taken) for e in others]
    entry = {
        "manager": manager,
        "operation": "Apply",
        "apiVersion": applied.get("apiVersion", ""),
        "time": mine["time"] if mine and before == wanted else now,
        "fieldsType": "FieldsV1",
        "fieldsV1": to_fields_v1(wanted),
    }
    if subresource:
        entry["subresource"] = subresource
    result["metadata"]["managedFields"] = [entry, *(e for e in kept if e["fieldsV1"])]
    return result


def _is(entry: Obj, manager: str, subresource: str) -> bool:
    return (entry["manager"], entry["operation"], entry.get("subresource", "")) == (manager, "Apply", subresource)


def _conflicts(live: Obj, applied: Obj, schema: Obj, wanted: set[Path], others: list[Obj]) -> list[tuple[Path, Obj]]:
    found = []
    for entry in others:
        for path in sorted(from_fields_v1(entry["fieldsV1"]) & wanted):
            if path[-1].startswith("k:"):
                continue
            if value_at(live, schema, path) != value_at(applied, schema, path):
                found.append((path, entry))
    return found


def _conflict(conflicts: list[tuple[Path, Obj]]) -> Failure:
    causes, lines = [], []
    for path, entry in conflicts:
        by = f'"{entry["manager"]}"'
        by += f' with subresource "{entry["subresource"]}"' if entry.get("subresource") else ""
        by += f" using {entry['apiVersion']}" if entry["operation"] == "Update" else ""
        causes.append(Cause("FieldManagerConflict", f"conflict with {by}", readable(path)))
        lines.append(readable(path))
    owners = sorted({c.message for c in causes})
    count = "1 conflict" if len(causes) == 1 else f"{len(causes)} conflicts"
    if len(causes) == 1:
        text = f"Apply failed with 1 conflict: {owners[0]}: {lines[0]}"
    else:
        blocks = []
        for owner in owners:
            blocks.append(
                f"conflicts {owner.removeprefix('conflict ')}:\n"
                + "\n".join(f"- {c.field}" for c in causes if c.message == owner)
            )
        text = f"Apply failed with {count}: " + "\n".join(blocks)
    return Failure(
        409,
        "Conflict",
        text,
        {"causes": [c.to_dict() for c in causes]},
    )


def _without(entry: Obj, paths: set[Path]) -> Obj:
    owned = from_fields_v1(entry["fieldsV1"])
    return {**entry, "fieldsV1": to_fields_v1(owned - paths)} if owned & paths else entry


def _merge(live: Any, applied: Any, schema: Obj) -> Any:
    if isinstance(applied, dict) and isinstance(live, dict) and not atomic(schema):
        result = dict(live)
        for key, value in applied.items():
            result[key] = _merge(live.get(key), value, child(schema, key) or {})
        return result
    if isinstance(applied, list) and isinstance(live, list) and not atomic(schema):
        old, new = element_steps(live, schema), element_steps(applied, schema)
        if old is not None and new is not None:
            items = resolve(schema.get("items"))
            merged = dict(zip(old, live, strict=True))
            for step, value in zip(new, applied, strict=True):
                merged[step] = _merge(merged[step], value, items) if step in merged else copy.deepcopy(value)
            return list(merged.values())
    return copy.deepcopy(applied)


def _delete(obj: Any, schema: Obj, path: Path) -> None:
    *above, last = path
    parent_schema = schema
    value = obj
    for step in above:
        if step.startswith("f:"):
            if not isinstance(value, dict) or step[2:] not in value:
                return
            copied = copy.copy(value[step[2:]])
            value[step[2:]] = copied
            value, parent_schema = copied, child(parent_schema, step[2:]) or {}
        else:
            steps = element_steps(value, parent_schema) if isinstance(value, list) else None
            if steps is None or step not in steps:
                return
            at = steps.index(step)
            value[at] = copy.copy(value[at])
            value, parent_schema = value[at], resolve(parent_schema.get("items"))
    if last.startswith("f:"):
        if isinstance(value, dict):
            value.pop(last[2:], None)
    elif isinstance(value, list):
        steps = element_steps(value, parent_schema)
        if steps and last in steps:
            del value[steps.index(last)]
