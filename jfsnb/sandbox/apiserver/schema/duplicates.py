"""Fields that a JSON text names twice: parsers take the last one, strict field validation refuses them."""

from __future__ import annotations

import json
from typing import Any

import orjson


class _Pairs(dict[str, Any]):
    """A parsed object that remembers which of its keys came twice."""

    twice: list[str]


def duplicate_fields(raw: bytes, body: Any) -> list[str]:
    """What a strict decoder says of each, for example ``duplicate field "metadata.labels.a"``.

    Args:
        raw: the JSON text.
        body: what it was parsed to.
    """
    try:
        if raw.count(b'"') == orjson.dumps(body).count(b'"'):  # nothing was lost: the usual case, and the cheap one
            return []
        parsed = json.loads(raw, object_pairs_hook=_pairs)
    except (ValueError, RecursionError, orjson.JSONEncodeError):
        return []  # whoever reads it next will say so
    found: list[str] = []
    _collect(parsed, "", found)
    return found


def _pairs(pairs: list[tuple[str, Any]]) -> _Pairs:
    made = _Pairs(pairs)
    names = [name for name, _ in pairs]
    made.twice = [n for n in made if names.count(n) > 1] if len(made) < len(names) else []
    return made


def _collect(value: Any, path: str, found: list[str]) -> None:
    if isinstance(value, _Pairs):
        here = {name: f"{path}.{name}" if path else name for name in value}
        for name, item in value.items():
            if name in value.twice:
                found.append(f'duplicate field "{here[name]}"')
            _collect(item, here[name], found)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            _collect(item, f"{path}[{number}]", found)
