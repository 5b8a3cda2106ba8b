"""The patch types that need no ownership: JSON patch, merge patch, strategic merge patch.

Own code: the JSON patch libraries raise where the API server succeeds (replace of a missing key), and no package
implements strategic merge patch.
"""

from __future__ import annotations

import copy
from typing import Any

from jfsnb.sandbox.apiserver.rules.status import Failure, bad_request
from jfsnb.sandbox.apiserver.schema.resources import child, resolve

Obj = dict[str, Any]
MISSING = object()


def unprocessable(why: str) -> Failure:
    """A real server keeps to itself why a patch cannot be applied; the reason stays in our own traceback."""
    failure = Failure(422, "Invalid", "the server rejected our request due to an error in our request", {})
    failure.add_note(why)
    return failure


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386: null deletes, objects merge, everything else replaces."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def json_patch(target: Any, operations: Any) -> Any:
    """RFC 6902, with the API server's answers.

    Raises:
        Failure: 400 for something that is no patch, 422 when an operation cannot be applied.
    """
    if not isinstance(operations, list) or not all(isinstance(o, dict) for o in operations):
        raise bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    result = copy.deepcopy(target)
    for operation in operations:
        result = _operate(result, operation)
    return result


def _operate(document: Any, operation: Obj) -> Any:
    name, path = operation.get("op"), operation.get("path")
    if not isinstance(path, str):
        raise unprocessable("the server rejected our request due to an error in our request: missing path")
    if name in ("add", "replace", "test") and "value" not in operation:
        operation = {**operation, "value": None}
    if name == "add":
        return _add(document, path, copy.deepcopy(operation["value"]))
    if name == "remove":
        return _remove(document, path)[0]
    if name == "replace":
        if path == "":
            return copy.deepcopy(operation["value"])
        parent, key = _parent(document, path)
        if isinstance(parent, list):
            parent[_index(parent, key, path, len(parent) - 1)] = copy.deepcopy(operation["value"])
        else:
            parent[key] = copy.deepcopy(operation["value"])
        return document
    if name == "test":
        if _get(document, path) != operation["value"] and not (
            operation["value"] is None and _get(document, path) is MISSING
        ):
            raise unprocessable(f"testing value {path} failed: test failed")
        return document
    if name in ("move", "copy"):
        value = _get(document, str(operation.get("from", "")))
        if value is MISSING:
            raise unprocessable(f"{name} operation does not apply: doc is missing key: {operation.get('from')}")
        if name == "move":
            document = _remove(document, operation["from"])[0]
        return _add(document, path, copy.deepcopy(value))
    raise unprocessable(f"Unexpected kind: {name}")


def _tokens(path: str) -> list[str]:
    if path and not path.startswith("/"):
        raise unprocessable(f"unable to parse JSON pointer: {path}")
    return [t.replace("~1", "/").replace("~0", "~") for t in path.split("/")[1:]]


def _step(value: Any, token: str) -> Any:
    if isinstance(value, dict):
        return value.get(token, MISSING)
    if isinstance(value, list) and token.lstrip("-").isdigit() and -len(value) <= int(token) < len(value):
        return value[int(token)]
    return MISSING


def _get(document: Any, path: str) -> Any:
    for token in _tokens(path):
        document = _step(document, token)
        if document is MISSING:
            return MISSING
    return document


def _parent(document: Any, path: str) -> tuple[Any, str]:
    *above, last = _tokens(path)
    for token in above:
        document = _step(document, token)
    if document is MISSING or not isinstance(document, (dict, list)):
        raise unprocessable(f"doc is missing path: {path}: missing value")
    return document, last


def _index(parent: list[Any], key: str, path: str, limit: int) -> int:
    if not key.isdigit() or int(key) > limit:
        raise unprocessable(f"doc is missing path: {path}: invalid index referenced")
    return int(key)


def _add(document: Any, path: str, value: Any) -> Any:
    if path == "":
        return value
    parent, key = _parent(document, path)
    if isinstance(parent, list):
        parent.insert(len(parent) if key == "-" else _index(parent, key, path, len(parent)), value)
    else:
        parent[key] = value
    return document


def _remove(document: Any, path: str) -> tuple[Any, Any]:
    parent, key = _parent(document, path)
    if isinstance(parent, list):
        return document, parent.pop(_index(parent, key, path, len(parent) - 1))
    if key not in parent:
        raise unprocessable(f"remove operation does not apply: doc is missing path: {path}: missing value")
    return document, parent.pop(key)


def strategic_merge(target: Any, patch: Any, schema: Obj) -> Any:
    """Kubernetes' strategic merge patch: lists with a merge key merge by it; with all its ``$`` directives.

    Args:
        target: the object as it is.
        patch: the patch body.
        schema: resolved schema of the object (``x-kubernetes-patch-merge-key`` and ``-strategy``).
    """
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    directive = patch.get("$patch")
    if directive == "replace":
        return {k: copy.deepcopy(v) for k, v in patch.items() if k != "$patch"}
    if directive == "delete":
        return {}
    result = dict(target) if isinstance(target, dict) else {}
    retained = patch.get("$retainKeys")
    if retained is not None:
        result = {k: v for k, v in result.items() if k in retained}
    for key, value in patch.items():
        if key in ("$patch", "$retainKeys"):
            continue
        if key.startswith("$setElementOrder/"):
            field = key.partition("/")[2]
            if field not in patch and isinstance(result.get(field), list):
                merge_key = (child(schema, field) or {}).get("x-kubernetes-patch-merge-key")
                result[field] = _ordered(result[field], value, result[field], merge_key)
            continue
        if key.startswith("$deleteFromPrimitiveList/"):
            field = key.partition("/")[2]
            if field in result:
                result[field] = [v for v in result[field] if v not in value]
        elif value is None:
            result.pop(key, None)
        else:
            sub = child(schema, key) or {}
            order = patch.get(f"$setElementOrder/{key}")
            result[key] = _merge_field(result.get(key), value, sub, order)
    return result


def _merge_field(old: Any, new: Any, schema: Obj, order: list[Any] | None) -> Any:
    if isinstance(new, dict):
        if new.get("$patch") == "delete":
            return None
        return strategic_merge(old, new, schema)
    if not isinstance(new, list):
        return new
    strategies = str(schema.get("x-kubernetes-patch-strategy", "")).split(",")
    if "merge" not in strategies:
        return copy.deepcopy(new)
    merge_key = schema.get("x-kubernetes-patch-merge-key")
    old = old if isinstance(old, list) else []
    if not merge_key:
        merged = [*old, *(v for v in new if v not in old)]
    elif any(isinstance(e, dict) and e == {"$patch": "replace"} for e in new):
        return [copy.deepcopy(e) for e in new if e != {"$patch": "replace"}]
    else:
        merged = _merge_list(old, new, str(merge_key), resolve(schema.get("items")))
    return _ordered(merged, new if order is None else order, old, merge_key)


def _merge_list(old: list[Any], new: list[Any], key: str, items: Obj) -> list[Any]:
    result = list(old)
    for element in new:
        if not isinstance(element, dict):
            raise bad_request("map: unexpected element in a list that merges by key")
        if key not in element:
            raise bad_request(f"map: {element} does not contain declared merge key: {key}")
        at = next((n for n, e in enumerate(result) if e.get(key) == element[key]), None)
        if element.get("$patch") == "delete":
            if at is not None:
                del result[at]
        elif at is None:
            result.append(strategic_merge({}, element, items))
        else:
            result[at] = strategic_merge(result[at], element, items)
    return result


def _ordered(merged: list[Any], first: Any, live: list[Any], key: str | None) -> list[Any]:
    """A merged list in the server's order: what the patch names in the patch's order, everything else where it was.

    An element of the live list comes before one of the patch only where the live list had them in that order; so a
    new element comes first.
    """

    def name(element: Any) -> Any:
        return element.get(key) if key and isinstance(element, dict) else element

    wanted = [name(e) for e in first] if isinstance(first, list) else []
    had = [name(e) for e in live]
    named = sorted((e for e in merged if name(e) in wanted), key=lambda e: wanted.index(name(e)))
    others = sorted((e for e in merged if name(e) not in wanted), key=lambda e: had.index(name(e)))
    result: list[Any] = []
    while named and others:
        before = name(named[0]) in had and had.index(name(others[0])) < had.index(name(named[0]))
        result.append((others if before else named).pop(0))
    return [*result, *named, *others]
