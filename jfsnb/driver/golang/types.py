"""Plain data as a Go struct holds it and as Go's JSON encoder writes it (reference/csi-driver.md §3.1).

Fields come in the order of the Go type, those that are missing have their zero value, ``omitempty`` leaves empty ones
out, and what the type does not know is dropped. ``types.txt`` has the types.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jfsnb.driver.settings import quantity

#: Structs that are written as one value: they have no fields here, and ``omitempty`` does not leave them out.
_ZERO = {"string": "", "bool": False, "int32": 0, "int64": 0, "Quantity": "0", "IntOrString": 0, "Time": None}
_NEVER_EMPTY = ("Quantity", "IntOrString", "Time")
_ALIASES = {"UID": "string"}
_PACKAGES = {"UID": "types", "Quantity": "resource", "IntOrString": "intstr", "Time": "v1"}
_ESCAPED = "&<>\u2028\u2029"


@dataclass(frozen=True)
class Field:
    """A field of a Go struct.

    Args:
        name: in JSON. kind: its Go type, e.g. ``[]Volume``, ``*int64``, ``map[string]string``.
        omitempty: left out when it is empty.
        embedded: Go names of the embedded structs that it comes from, outermost first.
    """

    name: str
    kind: str
    omitempty: bool
    embedded: tuple[str, ...] = ()


def shape(value: Any, kind: str) -> Any:
    """A value as Go's JSON encoder writes one of type ``kind`` that was decoded from it.

    Args:
        value: plain data that fits the type. kind: as in ``types.txt``.
    """
    kind = resolved(kind)
    if kind.startswith("*"):
        return None if value is None else shape(value, kind[1:])
    if kind.startswith("[]"):
        return None if value is None else [shape(item, kind[2:]) for item in value]
    if kind.startswith("map["):
        inner = kind.partition("]")[2]
        return None if value is None else {key: shape(value[key], inner) for key in sorted(value)}
    if kind in _ZERO:
        return _ZERO[kind] if value is None else quantity.canonical(str(value).strip()) if kind == "Quantity" else value
    return _struct(value or {}, kind)


def _struct(value: Mapping[str, Any], kind: str) -> dict[str, Any]:
    given = by_field(value, kind)
    shaped = ((f, shape(given.get(f.name), f.kind)) for f in fields(kind).values())
    return {f.name: v for f, v in shaped if not (f.omitempty and _is_empty(v, f.kind))}


def by_field(value: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """A JSON object by the fields that Go decodes it into: case does not count, the last one wins."""
    known = fields(kind)
    if all(key in known for key in value):
        return dict(value)
    folded = {name.lower(): name for name in known}
    found = ((key if key in known else folded.get(key.lower(), ""), item) for key, item in value.items())
    return {name: item for name, item in found if name}


def merged(value: Any, kind: str) -> Any:
    """A JSON value with its fields by their own names; one that comes again in other case is decoded over the first."""
    kind = resolved(kind).lstrip("*")
    kind = resolved(kind)
    if isinstance(value, list) and kind.startswith("[]"):
        return [merged(item, kind[2:]) for item in value]
    if isinstance(value, dict) and kind.startswith("map["):
        return {key: merged(item, kind.partition("]")[2]) for key, item in value.items()}
    if not (isinstance(value, dict) and is_struct(kind)):
        return value
    known = fields(kind)
    result: dict[str, Any] = {}
    folded = {name.lower(): name for name in known}
    for key, item in value.items():
        name = key if key in known else folded.get(key.lower(), "")
        if name:
            found = merged(item, known[name].kind)
            result[name] = decoded_over(result[name], found) if name in result else found
    return result


def decoded_over(old: Any, new: Any) -> Any:
    """What Go holds after it decoded ``new`` into a variable that held ``old``."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: decoded_over(old[key], item) if key in old else item for key, item in new.items()}}
    if isinstance(old, list) and isinstance(new, list):
        return [decoded_over(old[n], item) if n < len(old) else item for n, item in enumerate(new)]
    return new


def _is_empty(value: Any, kind: str) -> bool:
    kind = resolved(kind)
    if kind.startswith("*"):
        return value is None
    return not value and kind not in _NEVER_EMPTY and not is_struct(kind)


def is_struct(kind: str) -> bool:
    """Whether a type is one of the structs of ``types.txt``."""
    return kind in _table().structs


def resolved(kind: str) -> str:
    """A type by its own name, where ``kind`` is another name for it."""
    aliases = _table().aliases
    while kind in aliases:
        kind = aliases[kind]
    return kind


def full_name(kind: str) -> str:
    """A type as Go's messages name it: ``[]*v1.CSIVolumeSource``; outermost pointers are left out."""
    kind = kind.lstrip("*")
    prefix, inner = re.match(r"((?:\[\]|\*|map\[\w+\])*)(.*)", kind).groups()  # type: ignore[union-attr]
    prefix = re.sub(r"map\[(\w+)\]", lambda key: f"map[{full_name(key[1])}]", prefix)
    package = _table().packages.get(inner, "")
    return f"{prefix}{package}.{inner}" if package else prefix + inner


def dumps(value: Any) -> str:
    """JSON as Go writes it: compact, with ``&``, ``<``, ``>`` and two line separators escaped."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for char in _ESCAPED:
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


@cache
def fields(kind: str) -> Mapping[str, Field]:
    """The fields of a struct by their names in JSON, in Go's order."""
    return {field.name: field for field in _fields(kind, ())}


def _fields(kind: str, embedded: tuple[str, ...]) -> Iterator[Field]:
    for item in _table().structs[kind]:
        if item.startswith("+"):
            yield from _fields(item[1:], (*embedded, item[1:]))
        else:
            name, _, field_kind = item.partition(":")
            yield Field(name, field_kind.removesuffix("?"), field_kind.endswith("?"), embedded)


@dataclass(frozen=True)
class _Table:
    structs: Mapping[str, tuple[str, ...]]
    aliases: Mapping[str, str]
    packages: Mapping[str, str]


@cache
def _table() -> _Table:
    structs, aliases, packages, package = {}, dict(_ALIASES), dict(_PACKAGES), ""
    for line in (Path(__file__).parent / "types.txt").read_text(encoding="utf-8").splitlines():
        words = line.split()
        if not words or words[0] == "#":
            continue
        if words[0] == "package":
            package = words[1]
            continue
        packages[words[0]] = package
        if len(words) == 3 and words[1] == "=":
            aliases[words[0]] = words[2]
        else:
            structs[words[0]] = tuple(words[1:])
    return _Table(structs, aliases, packages)
