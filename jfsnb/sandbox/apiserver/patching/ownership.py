"""Who owns which field after an ordinary create or update: the ``managedFields`` of operation Update.

Field sets are trees as in ``fieldsV1``: ``f:name`` for fields, ``k:{…}`` for elements of keyed lists, ``v:…`` for
elements of sets; a leaf is an empty dictionary.
"""

from __future__ import annotations

from typing import Any

from jfsnb.sandbox.apiserver.patching.apply import atomic, element_steps
from jfsnb.sandbox.apiserver.schema.resources import child, resolve

Obj = dict[str, Any]
NOT_OWNED = {"apiVersion", "kind", "metadata"}
NOT_OWNED_META = {
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
}
STEPS = {"f:", "k:", "v:", "i:", "."}
MOST_UPDATERS = 10
ANCIENT = "ancient-changes"


def created(obj: Obj, schema: Obj, manager: str, version: str, now: str, empty: Obj) -> list[Obj]:
    """The ``managedFields`` of a new object: its creator owns everything in it.

    Args:
        obj: the object.
        schema: resolved schema of the kind.
        manager: who creates it.
        version: the apiVersion that it came in.
        now: the time.
        empty: an object of the kind with nothing set: what such an object always has is nobody's.
    """
    return [_entry(manager, version, now, "", _owned(obj, empty, schema, "")[0])]


def updated(
    new: Obj, old: Obj, entries: list[Obj], schema: Obj, manager: str, version: str, now: str, subresource: str
) -> list[Obj]:
    """The ``managedFields`` after an update: who changed a field owns it, alone; who removed one takes it from all.

    Args:
        new: the object as it will be.
        old: the object as it was.
        entries: the managedFields before.
        schema: resolved schema of the kind.
        manager: who updates.
        version: the apiVersion that the update came in.
        now: the time.
        subresource: ``status`` or empty.
    """
    set_fields, removed = _owned(new, old, schema, subresource)
    mine: Obj = {}
    kept = []
    for entry in entries:
        left = _without(_without(entry["fieldsV1"], removed), set_fields)
        if _is(entry, manager, subresource):
            mine = _without(entry["fieldsV1"], removed)
        elif left:
            kept.append({**entry, "fieldsV1": left} if left != entry["fieldsV1"] else entry)
    mine = _union(mine, set_fields)
    if mine:
        kept.append(_entry(manager, version, now, subresource, mine))
    return _merge_ancient(kept)


def is_valid(entry: Obj) -> bool:
    """Whether an entry that a client sent can be one: others are dropped, as a real server does."""
    named = all(isinstance(entry.get(k), str) and entry[k] for k in ("manager", "operation", "apiVersion"))
    return named and entry["operation"] in ("Apply", "Update") and _is_tree(entry.get("fieldsV1"))


def _is_tree(value: Any) -> bool:
    return isinstance(value, dict) and all(k[:2] in STEPS and _is_tree(v) for k, v in value.items())


def _entry(manager: str, version: str, now: str, subresource: str, tree: Obj) -> Obj:
    entry = {
        "manager": manager,
        "operation": "Update",
        "apiVersion": version,
        "time": now,
        "fieldsType": "FieldsV1",
        "fieldsV1": tree,
    }
    return {**entry, "subresource": subresource} if subresource else entry


def _is(entry: Obj, manager: str, subresource: str) -> bool:
    return (entry["manager"], entry["operation"], entry.get("subresource", "")) == (manager, "Update", subresource)


def _merge_ancient(entries: list[Obj]) -> list[Obj]:
    """No more than ten updaters are kept apart; the oldest ones become one."""
    updates = [e for e in entries if e["operation"] == "Update"]
    if len(updates) <= MOST_UPDATERS:
        return entries
    oldest = sorted(updates, key=lambda e: str(e.get("time", "")))[: len(updates) - MOST_UPDATERS + 1]
    tree: Obj = {}
    for entry in oldest:
        tree = _union(tree, entry["fieldsV1"])
    merged = {**oldest[-1], "manager": ANCIENT, "fieldsV1": tree}
    merged.pop("subresource", None)
    return [e for e in entries if e not in oldest] + [merged]


def _owned(new: Obj, old: Obj, schema: Obj, subresource: str) -> tuple[Obj, Obj]:
    """Trees of what is set in ``new`` other than in ``old``, and of what is gone."""
    skipped = NOT_OWNED if subresource == "status" else NOT_OWNED | {"status"}
    parts = [{k: v for k, v in obj.items() if k not in skipped} for obj in (new, old)]
    set_fields, removed = _differences(parts[0], parts[1], schema)
    metas = [{k: v for k, v in (o.get("metadata") or {}).items() if k not in NOT_OWNED_META} for o in (new, old)]
    set_meta, removed_meta = _differences(metas[0], metas[1], child(schema, "metadata") or {})
    if set_meta:
        set_fields["f:metadata"] = set_meta
    if removed_meta:
        removed["f:metadata"] = removed_meta
    return set_fields, removed


def _differences(new: Any, old: Any, schema: Obj) -> tuple[Obj, Obj]:
    """As ``_owned``, for two objects or two keyed lists."""
    now, then = _parts(new, schema), _parts(old, schema)
    set_fields: Obj = {}
    removed: Obj = {step: {} for step in then if step not in now}
    for step, (value, sub) in now.items():
        before = then.get(step)
        if before is not None and before[0] == value:
            continue
        was = (before[0] if before else None) or type(value)()  # nothing, or empty
        if not _divisible(value, sub) or (was and not _divisible(was, sub)):
            set_fields[step] = {}
            continue
        below, gone = _differences(value, was, sub)
        if below or before is None:
            if before is None:
                below["."] = {}
            set_fields[step] = below
        if gone:
            removed[step] = gone
    return set_fields, removed


def _parts(value: Any, schema: Obj) -> dict[str, tuple[Any, Obj]]:
    """The owned parts of an object or list, by step."""
    if isinstance(value, dict):
        return {f"f:{key}": (item, child(schema, key) or {}) for key, item in value.items()}
    items = resolve(schema.get("items"))
    return {step: (item, items) for step, item in zip(element_steps(value, schema) or (), value, strict=False)}


def _divisible(value: Any, schema: Obj) -> bool:
    """Whether parts of a value can have owners of their own."""
    if not value or atomic(schema):
        return False
    return isinstance(value, dict) or (isinstance(value, list) and element_steps(value, schema) is not None)


def _without(tree: Obj, minus: Obj) -> Obj:
    """A tree without the leaves (and all below them) of another."""
    if not minus:
        return tree
    left: Obj = {}
    for step, below in tree.items():
        less = minus.get(step)
        if less is None:
            left[step] = below
        elif less:
            rest = _without(below, less)
            if rest or not below:
                left[step] = rest
    return left


def _union(one: Obj, other: Obj) -> Obj:
    if not other:
        return one
    return {**one, **{step: _union(one.get(step, {}), below) for step, below in other.items()}}
