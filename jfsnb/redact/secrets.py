"""API objects of kind Secret: their values are learned, so that they can be removed elsewhere, and then hidden."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from jfsnb.redact.addresses import passwords
from jfsnb.redact.known import KNOWN
from jfsnb.redact.names import telling

Obj = dict[str, Any]
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
#: Keys whose values are no secrets (reference §5.2, and of service accounts and certificates).
_PUBLIC = frozenset(
    (
        *("name", "storage", "bucket", "bucket2", "subdir", "block-size", "compress", "trash-days", "capacity"),
        *("inodes", "shards", "format-options", "check_mount.sh", "namespace", "ca.crt", "tls.crt", "username", "user"),
        *("type", "server", "host", "port", "region", "endpoint", "email"),
    )
)
_LINE = 16


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
            if isinstance(obj.get(field), dict):
                learn_secret(obj[field], encoded=field == "data")
                obj[field] = {key: f"<{len(str(value))} characters>" for key, value in obj[field].items()}
        if isinstance(meta, dict):
            (meta.get("annotations") or {}).pop(LAST_APPLIED, None)
    return obj


def learn_secret(data: Mapping[str, Any], encoded: bool = True) -> None:
    """Remember what a Secret keeps.

    Args:
        data: its values.
        encoded: whether they are base64.
    """
    for key, value in data.items():
        plain = _decoded(str(value)) if encoded else str(value)
        KNOWN.learn(*_values(str(key), plain))


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return ""


def _values(key: str, value: str) -> Iterator[str]:
    yield from passwords(value)
    if (inner := _parsed(value)) is not None:
        yield from _leaves(key, inner)
    elif key not in _PUBLIC and "://" not in value and (telling(key) or len(value) >= 8):
        yield value
        if "\n" in value:
            yield from (line for line in map(str.strip, value.splitlines()) if len(line) >= _LINE and "---" not in line)


def _parsed(value: str) -> Any:
    """A value that is a document itself: jfsSettings, envs, initconfig, a registry's login."""
    if value.lstrip()[:1] not in ("{", "[") and not ("\n" in value and ":" in value and "-----BEGIN" not in value):
        return None
    try:
        found = json.loads(value) if value.lstrip()[:1] in ("{", "[") else yaml.safe_load(value)
    except (ValueError, yaml.YAMLError):
        return None
    return found if isinstance(found, dict | list) else None


def _leaves(key: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        label = str(value.get("name") or "")
        for name, item in value.items():
            yield from _leaves(label if name == "value" and label else str(name), item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(key, item)
    elif isinstance(value, str):
        yield from passwords(value)
        if key == "auth" and ":" in (login := _decoded(value)):
            yield login.partition(":")[2]
        if (inner := _parsed(value)) is not None:
            yield from _leaves(key, inner)
        elif telling(key) and "://" not in value:
            yield value
