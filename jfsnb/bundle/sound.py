"""Objects of an origin that nobody vouches for: is each shaped as an API object, as far as the questions rely on it?"""

from __future__ import annotations

import re
from typing import Any

#: No terminal and no page should meet these; JSON has them escaped.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_ESCAPED = re.compile(rb"\\[bfru]")
_MAPPINGS = ("metadata", "spec", "status", "data")
_STRINGS = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp")
_OF_STRINGS = ("labels", "annotations")


def problem(obj: Any) -> str:
    """What is wrong with an API object; empty when nothing is."""
    if not isinstance(obj, dict) or not isinstance(meta := obj.get("metadata"), dict):
        return "an object without metadata"
    name = meta.get("name")
    if not isinstance(name, str) or not name:
        return "an object without a name"
    for field in _MAPPINGS:
        if not isinstance(obj.get(field, {}), dict):
            return f"{name[:80]}: {field} is no mapping"
    for field in _STRINGS:
        if not isinstance(meta.get(field, ""), str):
            return f"{name[:80]}: metadata.{field} is no text"
    for field in _OF_STRINGS:
        told = meta.get(field) or {}
        if not isinstance(told, dict) or not all(isinstance(value, str) for value in told.values()):
            return f"{name[:80]}: metadata.{field} is no mapping of texts"
    return ""


def may_play(content: bytes) -> bool:
    """Whether JSON may hold characters that ``printable`` takes out; cheap."""
    return not content.isascii() or _ESCAPED.search(content) is not None


def printable(value: Any) -> Any:
    """The same without control characters and without marks that turn the direction of writing."""
    if isinstance(value, str):
        return value if value.isascii() and value.isprintable() else CONTROL.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, dict):
        return {printable(key): printable(item) for key, item in value.items()}
    return [printable(item) for item in value] if isinstance(value, list) else value
