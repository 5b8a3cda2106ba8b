"""A snapshot as a zip file. The same content gives the same bytes; everything in it has passed the redactor."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import orjson

import jfsnb
from jfsnb.bundle import layout
from jfsnb.checks.codes import Unreadable
from jfsnb.checks.parts import Each
from jfsnb.checks.snapshot import LogLine, Snapshot
from jfsnb.redact import HIDDEN, may_hold_secrets, redact, redact_text

#: The earliest that a zip file can say.
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
_LEVEL = 6
#: A CSI node's config.yaml that differs from the ConfigMap's only where something is hidden still has to differ.
HIDDEN_DIFFERENCE = "# differs from the ConfigMap in something that is hidden here\n"


def write(snapshot: Snapshot, path: Path, more: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Write it down; hands back the manifest. A file of that name is replaced, and only by a whole one.

    Args:
        more: texts that no question looks at, by their name below ``more/``.
    """
    data, manifest = as_zip(snapshot, more or {})
    with _whole(path) as sink:
        sink.write(data)
    return manifest


def append(snapshot: Snapshot, path: Path, more: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Add a moment to a history, or begin one; what an earlier moment holds already is not stored again.

    Returns:
        The moment's manifest.
    """
    members = dict(sorted(_members(snapshot, more or {})))
    manifest = manifest_of(snapshot, {name: _told(content) for name, content in members.items()})
    with _whole(path) as sink:
        if path.exists():
            with open(path, "rb") as before:
                shutil.copyfileobj(before, sink)
        with zipfile.ZipFile(sink, "a", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
            there = set(archive.namelist())
            for content in members.values():
                blob = layout.BLOBS + hashlib.sha256(content).hexdigest()
                if blob not in there:
                    _add(archive, blob, content)
                    there.add(blob)
            moment = f"{layout.MOMENTS}{snapshot.now:%Y-%m-%dT%H-%M-%S.%fZ}.json"
            _add(archive, moment, orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
    return manifest


@contextmanager
def _whole(path: Path) -> Iterator[BinaryIO]:
    """A file that takes its name only when it is complete; only its owner can read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w+b") as sink:
            yield sink
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def as_zip(snapshot: Snapshot, more: Mapping[str, str]) -> tuple[bytes, dict[str, Any]]:
    """The file's bytes, and its manifest."""
    sink = io.BytesIO()
    sums: dict[str, dict[str, Any]] = {}
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for member, content in sorted(_members(snapshot, more)):
            sums[member] = _told(content)
            _add(archive, member, content)
        manifest = manifest_of(snapshot, sums)
        _add(archive, layout.MANIFEST, orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
    return sink.getvalue(), manifest


def _told(content: bytes) -> dict[str, Any]:
    """What the manifest says of a member."""
    hidden = content.count(HIDDEN.encode())
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content), "hidden": hidden}


def _add(archive: zipfile.ZipFile, member: str, content: bytes) -> None:
    info = zipfile.ZipInfo(member, _LONG_AGO)
    info.compress_type, info.create_system, info.external_attr = zipfile.ZIP_DEFLATED, 3, 0o100600 << 16
    archive.writestr(info, content)


def manifest_of(snapshot: Snapshot, members: Mapping[str, Any]) -> dict[str, Any]:
    """What was read, when, by whom, and what was not."""
    driver = next(iter([] if isinstance(snapshot.part("csi_pods"), Unreadable) else snapshot.csi_pods), None)
    return {
        "format": layout.FORMAT,
        "version": layout.VERSION,
        "taken": snapshot.now.isoformat(),
        "clock_offset_seconds": snapshot.clock_offset,
        "account": snapshot.account,
        "cluster": {"context": snapshot.source, "kubernetes": snapshot.version, "tier": snapshot.tier},
        "driver": {"namespace": driver["metadata"]["namespace"], "image": snapshot.deployment.image} if driver else {},
        "jfsnb": jfsnb.__version__,
        "unreadable": dict(_unreadable(snapshot)),
        "members": members,
    }


def _unreadable(snapshot: Snapshot) -> Iterator[tuple[str, Any]]:
    for name in (*layout.LISTS, *layout.SINGLES, *layout.TEXTS, *layout.ANSWERS):
        part = snapshot.part(name)
        if isinstance(part, Unreadable):
            yield name, redact_text(part.why)
        elif isinstance(part, Each) and part.unread:
            yield name, {key: redact_text(part.unread[key].why) for key in sorted(part.unread)}


def _members(snapshot: Snapshot, more: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    yield layout.README, layout.ABOUT.encode()
    for name in layout.LISTS:
        if not isinstance(snapshot.part(name), Unreadable):
            yield layout.member_of(name), _list(snapshot.part(name))
    for name in (*layout.SINGLES, *layout.ANSWERS):
        part = snapshot.part(name)
        if not isinstance(part, Unreadable):
            plain = {key: _plain(value) for key, value in part.items()} if isinstance(part, Each) else part
            told = plain if name in layout.NAMES else redact(plain)
            yield layout.member_of(name), _dumped(told, orjson.OPT_INDENT_2)
    for name in layout.TEXTS:
        if not isinstance(snapshot.part(name), Unreadable):
            for pod, value in snapshot.part(name).items():
                yield layout.text_member(name, pod), _text(snapshot, name, value).encode()
    for member, text in more.items():
        yield f"more/{member}", redact_text(text).encode()


def _list(items: Any) -> bytes:
    """As kubectl prints lists, but each object on a line of its own, so that two files can be compared by lines."""
    lines = sorted(((_key(item), _redacted(item)) for item in items), key=lambda pair: pair[0])
    return b'{"apiVersion":"v1","kind":"List","items":[\n' + b",\n".join(line for _, line in lines) + b"\n]}\n"


def _redacted(item: Any) -> bytes:
    """An object as JSON; only the sections of it that may hold a secret are gone through, as there are very many."""
    whole = _dumped(item)
    if not may_hold_secrets(whole.decode()):
        return whole
    return _dumped(
        {key: redact(value) if may_hold_secrets(_dumped(value).decode()) else value for key, value in item.items()}
    )


def _key(item: Any) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _dumped(value: Any, option: int = 0) -> bytes:
    return orjson.dumps(value, option=option | orjson.OPT_SORT_KEYS)


def _plain(value: Any) -> Any:
    if isinstance(value, Unreadable):
        return {"unreadable": value.why}
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, Mapping) else value


def _text(snapshot: Snapshot, part: str, value: Any) -> str:
    if part in layout.LOGS:
        return redact_text("".join(f"{_stamped(line)}\n" for line in value))  # some stand on two lines
    config = snapshot.part("config_map")
    wanted = None if isinstance(config, Unreadable) else snapshot.config_text
    text = redact_text(str(value))
    differs = wanted is not None and value != wanted and text == redact_text(wanted)
    return text + (HIDDEN_DIFFERENCE if differs else "")


def _stamped(line: str) -> str:
    at = line.at if isinstance(line, LogLine) else None
    return f"{at.isoformat()} {line}" if at else line
