"""From the JSON that a client sent to the object as a real server would write it: one pass along the kind's schema.

Unknown fields are dropped and reported, nulls and empty lists and maps vanish, fields that Go always writes appear with
their zero value, quantities get their canonical form, and a value of a wrong type is refused.

Own code: a JSON Schema library neither drops unknown fields nor words its findings as the API server does.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from dataclasses import dataclass, field
from typing import Any

from jfsnb.driver.settings.quantity import NOT_A_QUANTITY, canonical
from jfsnb.sandbox.apiserver.rules.status import Failure, bad_request
from jfsnb.sandbox.apiserver.schema.resources import REF, resolve, schemas

Obj = dict[str, Any]
GO_TYPES = {"string": "string", "boolean": "bool", "map": "map", "array": "slice", "number": "float64"}
INTEGERS = {"int32": 1 << 31, "int64": 1 << 63}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)\Z")
#: Fields that Go leaves out when they are empty, false or zero, although their schema cannot tell (no pointers).
#: By (name of the object's schema, field).
ZERO_VALUES = {
    ("PersistentVolumeSpec", "storageClassName"),
    ("PersistentVolumeClaimSpec", "volumeName"),
    ("PodSpec", "nodeName"),
    ("PodSpec", "hostNetwork"),
    ("PodSpec", "hostPID"),
    ("PodSpec", "hostIPC"),
    ("EnvVar", "value"),
    ("VolumeMount", "readOnly"),
    ("VolumeMount", "subPath"),
    ("PersistentVolumeClaimVolumeSource", "readOnly"),
    ("CSIPersistentVolumeSource", "readOnly"),
    ("CSIPersistentVolumeSource", "fsType"),
    ("NodeSpec", "unschedulable"),
    ("Toleration", "key"),
    ("Toleration", "value"),
    ("Toleration", "effect"),
    ("ObjectMeta", "generateName"),
    ("ObjectMeta", "namespace"),
    ("ObjectMeta", "selfLink"),
    ("ObjectMeta", "resourceVersion"),
    ("ObjectMeta", "uid"),
    ("Container", "stdin"),
    ("Container", "tty"),
    ("Container", "stdinOnce"),
    ("Container", "workingDir"),
    ("PodStatus", "message"),
    ("PodStatus", "reason"),
    ("PersistentVolumeStatus", "message"),
    ("PersistentVolumeStatus", "reason"),
    ("PodCondition", "message"),
    ("PodCondition", "reason"),
    ("NodeCondition", "message"),
    ("NodeCondition", "reason"),
    ("EventSource", "host"),
    ("EventSource", "component"),
    ("ObjectReference", "namespace"),
    ("ObjectReference", "fieldPath"),
    ("ObjectReference", "resourceVersion"),
    ("ObjectReference", "uid"),
}
#: Free-form values may not be nested further than this (serialising them ends at 254 levels).
DEEPEST = 100
EMPTY = ("", False, 0)
#: Times that Go writes as null when they are not set.
NULL_TIMES = {
    "PodCondition": ("lastProbeTime",),
    "Event": ("eventTime", "firstTimestamp", "lastTimestamp", "deprecatedFirstTimestamp", "deprecatedLastTimestamp"),
}


@dataclass
class Node:
    """A schema, compiled.

    Args:
        kind: object, map, array, string, time, byte, integer, number, boolean, quantity, either or any.
        name: the schema's own name, for example ``PodSpec``; empty for inner ones.
        fields: an object's properties.
        inner: type of a map's values or a list's items.
        always: fields that are always written, with the value they have when absent.
        kept: lists and maps that are written even when empty.
        limit: first integer that is too large.
        enum: allowed texts.
    """

    kind: str
    name: str = ""
    fields: dict[str, Node] = field(default_factory=dict)
    inner: Node | None = None
    always: dict[str, Any] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()
    limit: int = 1 << 63
    enum: frozenset[str] = frozenset()


ANY = Node("any")
_named: dict[str, Node] = {}


def compiled(name: str) -> Node:
    """The node of a schema of the data, for example ``io.k8s.api.core.v1.Pod``; ANY where the data has none."""
    found = _named.get(name)
    if found is None:
        schema = schemas().get(name)
        if schema is None:
            return ANY
        found = _named[name] = Node(
            _kind(schema, name), name.rpartition(".")[2]
        )  # before its fields: they may refer to it
        _fill(found, schema)
    return found


def _kind(schema: Obj, name: str = "") -> str:
    kind, form = schema.get("type"), schema.get("format")
    if name.endswith(".Quantity"):
        return "quantity"
    if form == "int-or-string":
        return "either"
    if kind == "object":
        if "properties" in schema:
            return "object"
        return "map" if isinstance(schema.get("additionalProperties"), dict) else "any"
    if kind == "string":
        return {"date-time": "time", "byte": "byte"}.get(form or "", "string")
    return kind if kind in ("array", "integer", "boolean", "number") else "any"


def _of(schema: Obj) -> Node:
    ref = schema.get("$ref") or next((s["$ref"] for s in schema.get("allOf") or () if "$ref" in s), None)
    if ref is not None:
        return compiled(ref.removeprefix(REF))
    node = Node(_kind(schema))
    _fill(node, schema)
    return node


def _fill(node: Node, schema: Obj) -> None:
    if node.kind == "object":
        for key, prop in schema["properties"].items():
            node.fields[key] = _of(prop)
            default = prop.get("default")
            if default is not None and (default != {} or "properties" in resolve(prop)):
                node.always[key] = default
        node.kept = frozenset(schema.get("required") or ())
        node.always |= {key: None for key in NULL_TIMES.get(node.name, ()) if key in node.fields}
    elif node.kind == "map":
        node.inner = _of(schema["additionalProperties"])
    elif node.kind == "array":
        node.inner = _of(schema["items"])
    elif node.kind == "integer":
        node.limit = INTEGERS.get(schema.get("format") or "", 1 << 63)
    elif node.kind == "string":
        node.enum = frozenset(schema.get("enum") or ())


@dataclass
class Report:
    """What decoding found: unknown fields as a strict decoder words them, and values that no enumeration has."""

    kind: str
    version: str
    root: Node = field(default_factory=lambda: ANY)
    unknown: list[str] = field(default_factory=list)
    unsupported: list[tuple[str, str, frozenset[str]]] = field(default_factory=list)

    def wrong_type(self, path: str, said: str, go: str) -> Failure:
        where = f" field {_go_path(self.root, self.kind, path)}" if path else " value"
        return bad_request(
            f'{self.kind} in version "{self.version}" cannot be handled as a {self.kind}: '
            f"json: cannot unmarshal {said} into Go struct{where} of type {go}"
        )

    def broken(self, why: str) -> Failure:
        return bad_request(f'{self.kind} in version "{self.version}" cannot be handled as a {self.kind}: {why}')


def _go_path(node: Node, kind: str, path: str) -> str:
    """A path as Go's decoder names it: the innermost struct, then fields only, neither indices nor keys of maps."""
    struct = kind
    shown: list[str] = []
    for word in re.findall(r"[^.\[\]]+", path):
        if node.kind == "array" and node.inner is not None:
            node = node.inner
            continue  # the word is an index
        if word not in node.fields:
            break
        struct = node.name if shown and node.name else struct
        shown.append(word)
        node = node.fields[word]
    return ".".join((struct, *shown)) if shown else f"{kind}.{path}"


def decode(value: Any, node: Node, report: Report, path: str = "") -> Any:
    """The value as a server would keep it; None where it vanishes.

    Raises:
        Failure: 400, when a value has the wrong type.
    """
    kind = node.kind
    if kind == "string" and isinstance(value, str):
        if node.enum and value and value not in node.enum:
            report.unsupported.append((path, value, node.enum))
        return value
    if kind == "object":
        return _decode_object(value, node, report, path)
    if kind == "map":
        return _decode_map(value, node, report, path)
    if kind == "array":
        if not isinstance(value, list):
            raise report.wrong_type(path, _said(value), "slice")
        inner = node.inner or ANY
        return [_element(v, inner, report, f"{path}[{n}]") for n, v in enumerate(value)]
    if kind == "any":
        if _too_deep(value, DEEPEST):
            raise report.broken("exceeded max depth")
        return value
    return _decode_scalar(value, node, report, path)


def _too_deep(value: Any, left: int) -> bool:
    if isinstance(value, dict):
        return left == 0 or any(_too_deep(v, left - 1) for v in value.values())
    return isinstance(value, list) and (left == 0 or any(_too_deep(v, left - 1) for v in value))


def empty(node: Node) -> Any:
    """An object of a kind with nothing set, as Go writes it: its inner structs, and lists that are always there."""
    found: Obj = {}
    for key, sub in node.fields.items():
        if key in node.always:
            found[key] = empty(sub) if node.always[key] == {} else node.always[key]
        elif key in node.kept and sub.kind in ("array", "map"):
            found[key] = [] if sub.kind == "array" else {}
    return found


def _element(value: Any, node: Node, report: Report, path: str) -> Any:
    if value is None:
        return {} if node.kind in ("object", "map") else "" if node.kind == "string" else None
    return decode(value, node, report, path)


def _decode_object(value: Any, node: Node, report: Report, path: str) -> Obj:
    if not isinstance(value, dict):
        raise report.wrong_type(path, _said(value), node.name or "struct")
    found: Obj = {}
    for key, item in value.items():
        sub = node.fields.get(key)
        if sub is None:
            report.unknown.append(f'unknown field "{path}.{key}"' if path else f'unknown field "{key}"')
        elif item is not None:
            decoded = decode(item, sub, report, f"{path}.{key}" if path else key)
            if decoded is None or (not decoded and _vanishes(decoded, key, sub, node)):
                continue
            found[key] = decoded
    for key, default in node.always.items():
        if key not in found:
            found[key] = decode({}, node.fields[key], report) if default == {} else default
    return found


def _vanishes(value: Any, key: str, sub: Node, node: Node) -> bool:
    if sub.kind in ("array", "map"):
        return key not in node.kept
    return (node.name, key) in ZERO_VALUES and value in EMPTY


def _decode_map(value: Any, node: Node, report: Report, path: str) -> Obj:
    if not isinstance(value, dict):
        raise report.wrong_type(path, _said(value), "map[string]string")
    inner = node.inner or ANY
    found: Obj = {}
    for key, item in value.items():
        if item is not None:
            found[key] = decode(item, inner, report, f"{path}.{key}")
        elif inner.kind in ("string", "byte"):
            found[key] = ""
    return found


def _decode_scalar(value: Any, node: Node, report: Report, path: str) -> Any:
    kind = node.kind
    if kind == "quantity":
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            try:
                return canonical(str(value).strip())
            except ValueError as error:
                raise report.broken(str(error)) from error
        raise report.broken(NOT_A_QUANTITY)
    if kind == "either":
        if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        raise report.wrong_type(path, _said(value), "intstr.IntOrString")
    if kind == "integer":
        return _integer(value, node, report, path)
    if kind == "boolean" and isinstance(value, bool):
        return value
    if kind == "number" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    if kind in ("time", "byte") and isinstance(value, str):
        return _text(value, kind, report)
    raise report.wrong_type(path, _said(value), GO_TYPES.get(kind, "string"))


def _integer(value: Any, node: Node, report: Report, path: str) -> int:
    go = "int32" if node.limit == 1 << 31 else "int64"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise report.wrong_type(path, _said(value), go)
    if isinstance(value, float) and (not math.isfinite(value) or value != int(value)):
        raise report.wrong_type(path, f"number {value}", go)
    if not -node.limit <= value < node.limit:
        raise report.wrong_type(path, f"number {int(value)}", go)
    return int(value)


def _text(value: str, kind: str, report: Report) -> str | None:
    if kind == "byte":
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            at = next((n for n, c in enumerate(value) if not (c.isalnum() or c in "+/=")), len(value))
            raise report.broken(f"illegal base64 data at input byte {at}") from None
        return value
    if not value:
        return None
    if not TIME.match(value):
        raise report.broken(f'parsing time "{value}" as "2006-01-02T15:04:05Z07:00": cannot parse "{value}" as "2006"')
    return value


def _said(value: Any) -> str:
    return {str: "string", bool: "bool", dict: "object", list: "array", type(None): "null"}.get(type(value), "number")
