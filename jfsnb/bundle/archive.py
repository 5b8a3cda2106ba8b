"""Reading a zip file that nobody vouches for: into memory only, within limits, each member checked before its use."""

from __future__ import annotations

import hashlib
import stat
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from jfsnb.bundle import layout
from jfsnb.bundle.sound import may_play, printable
from jfsnb.errors import BundleInvalid

#: Of the file, of all members unpacked, of one member, and how many there may be.
FILE_BYTES, ALL_BYTES, MEMBER_BYTES, MEMBERS = 256 << 20, 1 << 30, 512 << 20, 50_000


def members_of(path: Path) -> tuple[dict[str, bytes], Mapping[str, Any]]:
    """All members by name, and the manifest.

    Raises:
        BundleInvalid: it is no such file, is damaged, or has something in it that no such file has.
    """
    try:
        if path.stat().st_size > FILE_BYTES:
            raise damaged(path, f"it is larger than {FILE_BYTES >> 20} MB")
        with zipfile.ZipFile(path) as archive:
            members = _unpacked(path, archive)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise damaged(path, f"it cannot be read as a zip file ({error})") from None
    manifest = _manifest(path, members)
    _check_sums(path, members, manifest)
    return members, manifest


def damaged(path: Path, why: str) -> BundleInvalid:
    """The one error for such a file."""
    return BundleInvalid(f"{path.name} is no usable collection: {why}", "collect again: jfsnb collect")


def _unpacked(path: Path, archive: zipfile.ZipFile) -> dict[str, bytes]:
    infos = archive.infolist()
    if len(infos) > MEMBERS:
        raise damaged(path, f"it has more than {MEMBERS} members")
    found: dict[str, bytes] = {}
    left = ALL_BYTES
    for info in infos:
        name = info.filename
        if name in found or not _is_plain(info):
            raise damaged(path, f"it has a member that has no business there ({name[:80]!r})")
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


def _manifest(path: Path, members: Mapping[str, bytes]) -> Mapping[str, Any]:
    manifest = parsed(path, layout.MANIFEST, members.get(layout.MANIFEST, b"null"))
    if not isinstance(manifest, dict) or manifest.get("format") != layout.FORMAT:
        raise damaged(path, "it has no manifest of jfsnb's")
    if manifest.get("version") != layout.VERSION:
        raise damaged(path, f"its format is version {str(manifest.get('version'))[:20]}, known is {layout.VERSION}")
    shapes = {"members": dict, "unreadable": dict, "cluster": dict, "taken": str}
    for name, shape in shapes.items():
        if not isinstance(manifest.get(name), shape):
            raise damaged(path, f"its manifest tells no {name}")
    return manifest


def _check_sums(path: Path, members: Mapping[str, bytes], manifest: Mapping[str, Any]) -> None:
    listed = manifest["members"]
    strange = set(members) - {layout.MANIFEST} ^ set(listed)
    if strange:
        raise damaged(path, f"manifest and content differ ({min(strange)[:80]!r})")
    for name, told in listed.items():
        if not isinstance(told, dict) or told.get("sha256") != hashlib.sha256(members[name]).hexdigest():
            raise damaged(path, f"{name!r} is not what its checksum says")


def parsed(path: Path, name: str, content: bytes) -> Any:
    """A member as JSON, without characters that play with a terminal or a page."""
    try:
        found = orjson.loads(content)
        return printable(found) if may_play(content) else found
    except (orjson.JSONDecodeError, RecursionError):
        raise damaged(path, f"{name!r} is no JSON") from None
