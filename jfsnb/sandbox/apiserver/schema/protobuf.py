"""Bodies in Kubernetes' protobuf form, as kubectl's create commands send them, turned into the JSON form.

Own code: generated message classes of the whole API are 10 MB, and this only reads. The field numbers are data
(``data/protobuf-fields.json.gz``: message -> number -> [name, type]), facts of the wire protocol.
"""

from __future__ import annotations

import base64
import gzip
import json
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson

from jfsnb.sandbox.apiserver.rules.status import bad_request
from jfsnb.sandbox.apiserver.schema.resources import DATA, by_kind, schema_name

Obj = dict[str, Any]
MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\x00"
MACHINERY = "io.k8s.apimachinery.pkg."
#: Go structs that JSON inlines into the one around them.
INLINE = {"localObjectReference", "ephemeralContainerCommon", "persistentVolumeSource", "handler", "volumeSource"}
#: Zeros that mean something: their fields are pointers in Go, whose other zeros are fields that nobody set.
KEPT_ZEROS = {
    "replicas",
    "completions",
    "parallelism",
    "backoffLimit",
    "terminationGracePeriodSeconds",
    "gracePeriodSeconds",
    "automountServiceAccountToken",
    "storageClassName",
    "ttlSecondsAfterFinished",
    "value",
}
RENAMED = {"uID": "uid"}
DEEPEST = 60


@lru_cache(1)
def _messages() -> dict[str, dict[int, tuple[str, str]]]:
    with gzip.open(DATA / "protobuf-fields.json.gz") as packed:
        raw = json.load(packed)
    return {name: {int(n): (f[0], f[1]) for n, f in fields.items()} for name, fields in raw.items()}


def read(raw: bytes) -> Obj:
    """The object in a protobuf body, with kind and apiVersion.

    Raises:
        Failure: 400 for what is no such body, or of a kind that is not known.
    """
    if not raw.startswith(MAGIC):
        raise bad_request("provided data does not appear to be a protobuf message")
    try:
        envelope = _message(raw[4:], MACHINERY + "runtime.Unknown", 0, raw_bytes=True)
        meta = envelope.get("typeMeta") or {}
        version, kind = meta.get("apiVersion", ""), meta.get("kind", "")
        found = _message(envelope.get("raw", b""), _message_name(version, kind), 0)
    except (ValueError, IndexError, struct.error, KeyError, RecursionError, OverflowError) as error:
        raise bad_request(f"unable to decode the protobuf body: {error}") from None
    return {"apiVersion": version, "kind": kind, **found}


def _message_name(version: str, kind: str) -> str:
    if kind == "DeleteOptions":
        return MACHINERY + "apis.meta.v1.DeleteOptions"
    group, _, number = version.rpartition("/")
    resource = by_kind(version, kind)
    name = schema_name(resource.group, resource.version, kind) if resource else schema_name(group, number, kind)
    if name not in _messages():
        raise KeyError(f"no kind {kind!r} is registered for version {version!r}")
    return name


def _message(raw: bytes, name: str, depth: int, raw_bytes: bool = False) -> Obj:
    if depth > DEEPEST:
        raise ValueError("nested too deeply")
    fields = _messages()[name]
    found: Obj = {}
    for number, value in _fields(raw):
        field = fields.get(number)
        if field is None:
            continue
        key, kind = RENAMED.get(field[0], field[0]), field[1]
        if kind.startswith("["):
            found.setdefault(key, []).append(_value(value, kind[1:], depth))
        elif kind.startswith("{"):
            entry = dict(_fields(_bytes(value)))
            map_key = _bytes(entry.get(1, b"")).decode()
            found.setdefault(key, {})[map_key] = _value(entry.get(2, b""), kind[1:], depth)
        elif key in INLINE:
            found |= _message(_bytes(value), kind, depth + 1)
        elif kind == "bytes" and raw_bytes:
            found[key] = value
        else:
            decoded = _value(value, kind, depth)
            if decoded or decoded == {} or (key in KEPT_ZEROS and decoded is not None):
                found[key] = decoded
    return found


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number where bytes are expected")
    return value


def _value(value: int | bytes, kind: str, depth: int) -> Any:
    if kind in ("int32", "int64", "bool"):
        if not isinstance(value, int):
            raise ValueError("bytes where a number is expected")
        return bool(value) if kind == "bool" else value - (1 << 64) if value >= 1 << 63 else value
    raw = _bytes(value)
    if kind == "string":
        return raw.decode()
    if kind == "bytes":
        return base64.b64encode(raw).decode()
    if kind == "double":
        return struct.unpack("<d", raw)[0]
    return _special(raw, kind, depth)


def _special(raw: bytes, kind: str, depth: int) -> Any:
    """Messages with a JSON form of their own; all others are objects."""
    short = kind.rpartition(".")[2]
    if not kind.startswith(MACHINERY) and short != "ExtraValue":
        return _message(raw, kind, depth + 1)
    if short in ("Time", "MicroTime"):
        parts = dict(_fields(raw))
        moment = datetime.fromtimestamp(int(parts.get(1, 0)), UTC)
        micro = int(parts.get(2, 0)) // 1000
        if not parts.get(1):
            return None
        return moment.strftime("%Y-%m-%dT%H:%M:%S") + (f".{micro:06d}Z" if short == "MicroTime" else "Z")
    if short == "Quantity":
        return _bytes(dict(_fields(raw)).get(1, b"0")).decode()
    if short == "IntOrString":
        parts = dict(_fields(raw))
        return _bytes(parts.get(3, b"")).decode() if parts.get(1) else int(parts.get(2, 0))
    if short in ("FieldsV1", "RawExtension"):
        return orjson.loads(_bytes(dict(_fields(raw)).get(1, b"{}")) or b"{}")
    if short == "ExtraValue":
        return [_bytes(v).decode() for _, v in _fields(raw)]
    return _message(raw, kind, depth + 1)


def _fields(raw: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values of a message's fields: varints as int, everything else as bytes."""
    at = 0
    while at < len(raw):
        tag, at = _varint(raw, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(raw, at)
            yield number, value
            continue
        if wire == 2:
            size, at = _varint(raw, at)
        else:
            size = {1: 8, 5: 4}[wire]
        if at + size > len(raw):
            raise ValueError("unexpected end")
        yield number, raw[at : at + size]
        at += size


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
        if shift > 63:
            raise ValueError("varint overflow")
