"""Keep secrets out of everything that is shown or kept: by kind for objects, by pattern for text."""

from __future__ import annotations

import re
from typing import Any

Obj = dict[str, Any]
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
HIDDEN = "***"


def _hide(match: re.Match[str]) -> str:
    """A value behind ``key: `` would be a YAML alias without quotes."""
    kept = match["keep"]
    return kept + (f"'{HIDDEN}'" if re.search(r":\s+$", kept) else HIDDEN)


_TEXT = (
    # scheme://user:password@host and scheme://:password@host
    (re.compile(r"(?P<keep>\b[a-z][a-z0-9+.-]*://[^\s:/@'\"]*:)[^\s@'\"]+(?=@)", re.I), rf"\g<keep>{HIDDEN}"),
    (re.compile(r"(?P<keep>\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}", re.I), rf"\g<keep>{HIDDEN}"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*"), HIDDEN),
    # env entries of a YAML list: the value stands on the line after a telling name
    (
        re.compile(
            r"(?P<keep>name:\s*['\"]?\w*(?:password|passwd|passphrase|secret|token|credential|access_?key)\w*['\"]?"
            r"\s*(?:\n|\\n)\s*value:\s*)(?:(?!\\n)[^\n])+",
            re.I,
        ),
        _hide,
    ),
    # key=value and "key": "value"; placeholders such as ${secretkey} stay readable
    (
        re.compile(
            r"(?P<keep>(?:password|passwd|passphrase|secret-?_?key2?|access-?_?key2?|session-?_?token|(?<![\w-])token)"
            r"['\"]?\s*[=:]\s*['\"]?)(?!\$\{)[^\s'\",;]+",
            re.I,
        ),
        _hide,
    ),
)


def redact_text(text: str) -> str:
    """The text with passwords in addresses, tokens and values of telling keys replaced by ``***``.

    YAML stays YAML: a bare value is replaced by a quoted one.
    """
    for pattern, replacement in _TEXT:
        text = pattern.sub(replacement, text)
    return text


def redact_object(obj: Obj, kind: str = "") -> Obj:
    """The object without field managers and, for a Secret, with the size of each value in place of the value.

    Args:
        kind: for items of a list, which do not carry their kind.
    """
    meta = obj.get("metadata")
    if isinstance(meta, dict):
        meta.pop("managedFields", None)
    if (obj.get("kind") or kind) == "Secret":
        for field in ("data", "stringData"):
            if obj.get(field):
                obj[field] = {key: f"<{len(value)} characters>" for key, value in obj[field].items()}
        if isinstance(meta, dict):
            (meta.get("annotations") or {}).pop(LAST_APPLIED, None)
    return obj
