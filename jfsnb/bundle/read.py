"""A file or folder as a snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from jfsnb.bundle import layout, sound
from jfsnb.bundle.archive import damaged, members_of, parsed
from jfsnb.checks.codes import Unreadable
from jfsnb.checks.parts import Each
from jfsnb.checks.snapshot import LogLine, Snapshot
from jfsnb.driver.mountpods.mount_pods import parse_time
from jfsnb.errors import UsageError
from jfsnb.queries.investigate import faults_of_file

NOT_THERE = Unreadable("it is not in the file")


def read(path: Path, at: datetime | None = None) -> Snapshot:
    """The snapshot in a file of ``jfsnb collect``, or in a folder of kubectl's output.

    Args:
        at: of a history the last moment that is not later; None: the last.

    Raises:
        BundleInvalid: damaged, or not made for this. UsageError: there is none, or the history begins later.
    """
    if path.is_dir():
        from jfsnb.bundle.folder import read_folder

        return read_folder(path)
    if not path.is_file():
        raise UsageError(f"there is no file {path}", "make one: jfsnb collect -o FILE")
    members, manifest = members_of(path, at)
    with faults_of_file(path.name):
        return _snapshot(path, members, manifest)


def _snapshot(path: Path, members: Mapping[str, bytes], manifest: Mapping[str, Any]) -> Snapshot:
    taken = parse_time(manifest["taken"])
    if taken is None or taken.tzinfo is None:
        raise damaged(path, "its manifest tells no time")
    cluster, offset = manifest["cluster"], manifest.get("clock_offset_seconds")
    parts: dict[str, Any] = {}
    for name in (*layout.LISTS, *layout.SINGLES, *layout.ANSWERS):
        member = layout.member_of(name)
        content = parsed(path, member, members[member]) if member in members else None
        parts[name] = _part(path, name, member in members, content, manifest["unreadable"].get(name))
    for name in layout.TEXTS:
        parts[name] = _texts(name, members, manifest["unreadable"].get(name))
    return Snapshot(
        now=taken,
        source=str(cluster.get("context", "")),
        tier=str(cluster.get("tier", "")),
        version=str(cluster.get("kubernetes", "")),
        account=str(manifest.get("account", "")),
        clock_offset=offset if isinstance(offset, int | float) else None,
        file=path.name,
        **parts,
    )


def _part(path: Path, name: str, there: bool, content: Any, why: Any) -> Any:
    if not there:
        return Unreadable(why) if isinstance(why, str) else NOT_THERE
    if name in layout.LISTS:
        items = content.get("items") if isinstance(content, dict) else None
        if not isinstance(items, list):
            raise damaged(path, f"{layout.member_of(name)!r} is no list")
        return _checked(path, name, items)
    if name in layout.SINGLES:
        return None if content is None else _checked(path, name, [content])[0]
    if not isinstance(content, dict):
        raise damaged(path, f"{layout.member_of(name)!r} is no table")
    found = {key: _answer(path, name, value) for key, value in content.items()}
    return Each({**found, **_whys(why)})


def _checked(path: Path, name: str, items: list[Any]) -> list[Any]:
    for item in items:
        if trouble := sound.problem(item):
            raise damaged(path, f"{layout.member_of(name)!r}: {trouble}")
    return items


def _answer(path: Path, name: str, value: Any) -> Any:
    """An entry of a table, as the snapshot has it."""
    wrong = damaged(path, f"{layout.member_of(name)!r} has an entry that makes no sense")
    if name == "csi_file_times":
        return parse_time(value) if isinstance(value, str) else None
    if name == "secret_keys":
        if value is not None and not (isinstance(value, list) and all(isinstance(key, str) for key in value)):
            raise wrong
        return value
    if not isinstance(value, dict):
        raise wrong
    found = {key: _unreadable(item) for key, item in value.items()}
    if not all(isinstance(item, str | Unreadable) for item in found.values()):
        raise wrong
    return found


def _unreadable(value: Any) -> Any:
    if isinstance(value, dict) and isinstance(value.get("unreadable"), str):
        return Unreadable(value["unreadable"])
    return value


def _whys(why: Any) -> dict[str, Unreadable]:
    told = why if isinstance(why, dict) else {}
    return {key: Unreadable(str(value)) for key, value in told.items()}


def _texts(name: str, members: Mapping[str, bytes], why: Any) -> Each[Any] | Unreadable:
    if isinstance(why, str):
        return Unreadable(why)
    found: dict[str, Any] = {}
    for member, content in members.items():
        pod = layout.pod_of(name, member)
        if pod is not None:
            text = content.decode("utf-8", "replace")
            clean = "\n".join(sound.printable(line) for line in text.split("\n"))
            found[pod] = tuple(map(LogLine.stamped, clean.splitlines())) if name in layout.LOGS else clean
    return Each({**found, **_whys(why)})


def named(text: str) -> Snapshot:
    """The snapshot that ``PATH`` or ``PATH#TIME`` names. Raises as ``read``."""
    path, mark, time = text.rpartition("#")
    return read(Path(path), moment(time)) if mark and not Path(text).exists() else read(Path(text))


def moment(text: str) -> datetime:
    """A time as people give it. Raises UsageError."""
    found = parse_time(text.replace(" ", "T"))
    if found is None:
        raise UsageError(f"{text!r} is no time", "write it as 2026-01-31T12:00:00Z")
    return found if found.tzinfo else found.astimezone()
