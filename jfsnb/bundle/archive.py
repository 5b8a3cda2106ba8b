"""Reading a zip file that nobody vouches for: into memory only, within limits, each member checked before its use."""

from __future__ import annotations

import hashlib
import stat
import zipfile
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from jfsnb.bundle import layout
from jfsnb.bundle.sound import may_play, printable
from jfsnb.errors import BundleInvalid, UsageError

#: Of the file, of all members unpacked, of one member, and how many there may be.
FILE_BYTES, ALL_BYTES, MEMBER_BYTES, MEMBERS = 256 << 20, 1 << 30, 512 << 20, 50_000


def members_of(path: Path, at: datetime | None = None) -> tuple[dict[str, bytes], Mapping[str, Any]]:
    """All members by name, and the manifest; of a history those of one moment.

    Args:
        at: the last moment that is not later; None: the last.

    Raises:
        BundleInvalid: it is no such file, is damaged, or has something in it that no such file has.
        UsageError: the history begins later.
    """
    try:
        if path.stat().st_size > FILE_BYTES:
            raise damaged(path, f"it is larger than {FILE_BYTES >> 20} MB")
        with zipfile.ZipFile(path) as archive:
            infos = _checked(path, archive)
            moments = sorted(name for name in infos if name.startswith(layout.MOMENTS))
            if moments and layout.MANIFEST not in infos:
                return _moment(path, archive, infos, moments, at)
            members = _read(path, archive, list(infos.values()))
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise damaged(path, f"it cannot be read as a zip file ({error})") from None
    manifest = _manifest(path, members.get(layout.MANIFEST, b"null"))
    strange = set(members) - {layout.MANIFEST} ^ set(manifest["members"])
    if strange:
        raise damaged(path, f"manifest and content differ ({min(strange)[:80]!r})")
    _check_sums(path, members, manifest)
    return members, manifest


def _moment(
    path: Path,
    archive: zipfile.ZipFile,
    infos: Mapping[str, zipfile.ZipInfo],
    moments: list[str],
    at: datetime | None,
) -> tuple[dict[str, bytes], Mapping[str, Any]]:
    """The members of one moment of a history."""
    stamp = f"{layout.MOMENTS}{at.astimezone(UTC):%Y-%m-%dT%H-%M-%S.%fZ}.json" if at else moments[-1]
    earlier = [name for name in moments if name <= stamp]
    if not earlier:
        raise UsageError(f"{path.name} begins later", f"its first moment: {_time_of(moments[0])}")
    manifest = _manifest(path, _read(path, archive, [infos[earlier[-1]]])[earlier[-1]])
    blobs = {name: layout.BLOBS + str(told.get("sha256")) for name, told in manifest["members"].items()}
    missing = sorted(set(blobs.values()) - set(infos))
    if missing:
        raise damaged(path, f"it lacks {missing[0][:80]!r}")
    content = _read(path, archive, [infos[blob] for blob in dict.fromkeys(blobs.values())])
    members = {name: content[blob] for name, blob in blobs.items()}
    _check_sums(path, members, manifest)
    return members, manifest


def _time_of(moment: str) -> str:
    day, _, time = moment.removeprefix(layout.MOMENTS).removesuffix(".json").partition("T")
    return f"{day}T{time.replace('-', ':')}"


def damaged(path: Path, why: str) -> BundleInvalid:
    """The one error for such a file."""
    return BundleInvalid(f"{path.name} is no usable collection: {why}", "collect again: jfsnb collect")


def _checked(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The members by name, when each has a business there."""
    infos = archive.infolist()
    if len(infos) > MEMBERS:
        raise damaged(path, f"it has more than {MEMBERS} members")
    found: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        if info.filename in found or not _is_plain(info):
            raise damaged(path, f"it has a member that has no business there ({info.filename[:80]!r})")
        found[info.filename] = info
    return found


def _read(path: Path, archive: zipfile.ZipFile, infos: list[zipfile.ZipInfo]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    left = ALL_BYTES
    for info in infos:
        name = info.filename
        with archive.open(info) as source:
            found[name] = source.read(min(MEMBER_BYTES, left) + 1)  # its own word on its size is not believed
        left -= len(found[name])
        if len(found[name]) > MEMBER_BYTES or left < 0:
            raise damaged(path, f"{name[:80]!r} unpacks to more than is allowed")
    return found


def _is_plain(info: zipfile.ZipInfo) -> bool:
    """A regular file, not encrypted, with a relative path of ordinary characters."""
    name, kind = info.filename, stat.S_IFMT(info.external_attr >> 16)
    parts = name.split("/")
    ordinary = name.isascii() and name.isprintable() and "\\" not in name and ":" not in name and len(name) < 400
    return ordinary and kind in (0, stat.S_IFREG) and not info.flag_bits & 1 and not {"", ".", ".."} & set(parts)


def _manifest(path: Path, content: bytes) -> Mapping[str, Any]:
    manifest = parsed(path, layout.MANIFEST, content)
    if not isinstance(manifest, dict) or manifest.get("format") != layout.FORMAT:
        raise damaged(path, "it has no manifest of jfsnb's")
    if manifest.get("version") != layout.VERSION:
        raise damaged(path, f"its format is version {str(manifest.get('version'))[:20]}, known is {layout.VERSION}")
    shapes = {"members": dict, "unreadable": dict, "cluster": dict, "taken": str}
    for name, shape in shapes.items():
        if not isinstance(manifest.get(name), shape):
            raise damaged(path, f"its manifest tells no {name}")
    if not all(isinstance(told, dict) for told in manifest["members"].values()):
        raise damaged(path, "its manifest tells no members")
    return manifest


def _check_sums(path: Path, members: Mapping[str, bytes], manifest: Mapping[str, Any]) -> None:
    for name, told in manifest["members"].items():
        if told.get("sha256") != hashlib.sha256(members[name]).hexdigest():
            raise damaged(path, f"{name!r} is not what its checksum says")


def parsed(path: Path, name: str, content: bytes) -> Any:
    """A member as JSON, without characters that play with a terminal or a page."""
    try:
        found = orjson.loads(content)
        return printable(found) if may_play(content) else found
    except (orjson.JSONDecodeError, RecursionError):
        raise damaged(path, f"{name!r} is no JSON") from None
