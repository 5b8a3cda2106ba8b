"""YAML data as sigs.k8s.io/yaml turns it into JSON for a Go type (reference/csi-driver.md §2.1).

Where the type wants a string, numbers and booleans become text, but not below the fields of an embedded struct: the
library looks for those in the wrong place.
"""

from __future__ import annotations

import math
from typing import Any

from jfsnb.driver.golang.quoting import go_number, go_syntax
from jfsnb.driver.golang.types import fields, is_struct, resolved

_OWN_DECODING = ("Quantity", "IntOrString", "Time", "FieldsV1")


def to_json(value: Any, kind: str = "") -> Any:
    """The JSON for a YAML value, keys in order.

    Args:
        kind: Go type that it is decoded into (golang.types); empty when none is known.

    Raises:
        ValueError: no JSON can hold it; the text is the library's.
    """
    kind = _target(kind)
    if isinstance(value, dict):
        found = {_key(key, item): item for key, item in value.items()}
        return {key: to_json(found[key], _kind_of_key(kind, key)) for key in sorted(found)}
    if isinstance(value, list):
        return [to_json(item, kind[2:] if kind.startswith("[]") else "") for item in value]
    if kind == "string" and isinstance(value, bool | int | float):
        return scalar_text(value)
    if isinstance(value, float):
        return _json_number(value)
    return value


def scalar_text(value: Any) -> str:
    """A YAML scalar where Go wants a string."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return go_number(value, 32) if isinstance(value, float) else str(value)


def _target(kind: str) -> str:
    kind = resolved(kind.lstrip("*"))
    return "" if kind in _OWN_DECODING else kind.lstrip("*")


def _kind_of_key(kind: str, key: str) -> str:
    if kind.startswith("map["):
        return kind.partition("]")[2]
    if not is_struct(kind):
        return ""
    known = fields(kind)
    name = key if key in known else next((n for n in known if n.lower() == key.lower()), "")
    if not name:
        return ""
    return known[name].embedded[0] if known[name].embedded else known[name].kind


def _key(key: Any, item: Any) -> str:
    if isinstance(key, float):
        return {"+Inf": ".inf", "-Inf": "-.inf", "NaN": ".nan"}.get(go_number(key, 32), go_number(key, 32))
    if isinstance(key, bool | int | str):
        return scalar_text(key) if not isinstance(key, str) else key
    shown = "<nil>" if item is None else go_syntax(item)
    raise ValueError(f"unsupported map key of type: %!s(<nil>), key: <nil>, value: {shown}")


def _json_number(value: float) -> int | float:
    if not math.isfinite(value):
        raise ValueError(f"json: unsupported value: {go_number(value)}")
    return int(value) if value.is_integer() and abs(value) < 1e21 else value
