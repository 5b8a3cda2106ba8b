"""/proc/<pid>/mountinfo (proc(5)) as data."""

from __future__ import annotations

import re
from dataclasses import dataclass

_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class MountInfo:
    """One mount.

    Args:
        mount_id, parent_id: as the kernel numbers them.
        root: which directory of the file system is mounted.
        mount_point: where.
        options: per mount, like ``ro``.
        propagation: ``shared:N``, ``master:N``; empty for a private mount.
        fstype, source, super_options: of the file system.
    """

    mount_id: int
    parent_id: int
    root: str
    mount_point: str
    options: tuple[str, ...]
    propagation: tuple[str, ...]
    fstype: str
    source: str
    super_options: tuple[str, ...]


def parse(text: str) -> list[MountInfo]:
    """All mounts of a mountinfo file, in the order in which they were made."""
    return [_parse_line(line) for line in text.splitlines() if line]


def _parse_line(line: str) -> MountInfo:
    before, _, after = line.partition(" - ")
    number, parent, _, root, mount_point, options, *propagation = before.split(" ")
    fstype, source, super_options = after.split(" ", 2)
    return MountInfo(
        int(number),
        int(parent),
        _unescape(root),
        _unescape(mount_point),
        tuple(options.split(",")),
        tuple(propagation),
        fstype,
        _unescape(source),
        tuple(super_options.split(",")),
    )


def _unescape(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)
