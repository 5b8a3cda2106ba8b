"""JSON as Go's package ``encoding/json`` decodes it: the same texts are refused, in the same words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from jfsnb.driver.golang.json_syntax import syntax_error
from jfsnb.driver.golang.quoting import json_number
from jfsnb.driver.golang.types import fields, full_name, resolved
from jfsnb.driver.settings.quantity import Quantity

_RANGES = {"int32": 1 << 31, "int64": 1 << 63}


def unmarshal(text: str, kind: str) -> Any:
    """The value of a JSON text that is decoded into type ``kind`` (golang.types); ``shape`` makes it complete.

    Raises:
        ValueError: no JSON, or of another type; the text is Go's.
    """
    problem = syntax_error(text)
    if problem:
        raise ValueError(problem)
    value = json.loads(text, strict=False)
    for problem in type_errors(value, kind):
        raise ValueError(problem)
    return value


def type_errors(value: Any, kind: str, struct: str = "", path: tuple[str, ...] = ()) -> Iterator[str]:
    """Go's complaints about a value that does not fit a type, in the order in which it finds them.

    Args:
        struct: innermost struct that holds the value. path: of fields from the outermost one.
    """
    named, kind = kind, resolved(kind)
    if value is None:
        return
    if kind.startswith("*"):
        yield from type_errors(value, kind[1:], struct, path)
    elif kind.startswith("[]") and isinstance(value, list):
        for item in value:
            yield from type_errors(item, kind[2:], struct, path)
    elif kind.startswith("map[") and isinstance(value, dict):
        for item in value.values():
            yield from type_errors(item, kind.partition("]")[2], struct, path)
    elif kind == "Quantity":
        yield from _quantity_errors(value)
    elif kind == "IntOrString":
        if not isinstance(value, str):
            yield from type_errors(value, "int32", struct, path)
    elif kind[0].isupper() and isinstance(value, dict):
        yield from _struct_errors(value, kind, path)
    elif not _fits(value, kind):
        place = f"Go struct field {struct}.{'.'.join(path)}" if path else "Go value"
        yield f"json: cannot unmarshal {_json_name(value, kind)} into {place} of type {full_name(named)}"


def _struct_errors(value: Mapping[str, Any], kind: str, path: tuple[str, ...]) -> Iterator[str]:
    known = fields(kind)
    folded = {name.lower(): name for name in known}
    for key, item in value.items():
        name = key if key in known else folded.get(key.lower(), "")
        if name:
            field = known[name]
            yield from type_errors(item, field.kind, kind, (*path, *field.embedded, name))


def _quantity_errors(value: Any) -> Iterator[str]:
    text = value if isinstance(value, str) else json.dumps(value)
    try:
        Quantity.of(text.strip())
    except ValueError as error:
        yield str(error)


def _fits(value: Any, kind: str) -> bool:
    if kind in ("string", "Time"):
        return isinstance(value, str)
    if kind == "bool":
        return isinstance(value, bool)
    limit = _RANGES.get(kind, 0)
    return isinstance(value, int) and not isinstance(value, bool) and -limit <= value < limit


def _json_name(value: Any, kind: str) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list):
        return "array"
    return f"number {json_number(value)}" if kind in _RANGES else "number"
