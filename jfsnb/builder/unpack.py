"""Unpacking a layer of an image that nobody vouches for: nothing outside the folder is touched, and there is an end.

What a member's path means is worked out among the members, as a container would see it; on disk links come last. So
while files are written no link is there that could lead elsewhere, and a hard link can only be one to a file of the
image. What is no file, folder or link is left out.
"""

from __future__ import annotations

import io
import os
import posixpath
import shutil
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from jfsnb.errors import UsageError

#: Of all layers: bytes unpacked, at most and for each byte packed; and how many members.
MOST_BYTES, RATIO, FREE_BYTES, MOST_MEMBERS = 64 << 30, 100, 256 << 20, 1_000_000
LINKS = 40
_PIECE = 1 << 20


def limit_of(packed: int) -> int:
    """How many bytes an archive of so many may unpack to: images pack to a third or so, what is made to harm to a
    thousandth."""
    return min(MOST_BYTES, FREE_BYTES + RATIO * packed)


def too_much(layer: str) -> UsageError:
    return UsageError(f"{layer} unpacks to more than is allowed", "do not use this archive; ask who made it")


class Limited(io.RawIOBase):
    """A stream that ends with an error where it holds more than it may.

    Args:
        stream: of unpacked bytes.
        limit: how many there may be.
        name: of the layer, for the message.
    """

    def __init__(self, stream: IO[bytes], limit: int, name: str) -> None:
        self._stream, self._left, self._name = stream, limit, name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(min(len(buffer), self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise too_much(self._name)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


def real_path(members: Mapping[str, tarfile.TarInfo], path: str) -> str | None:
    """Where a path leads inside the image when its parents' links are followed; None where they go round in circles.

    Args:
        members: every member of the image by its path.
    """
    waiting, done, links = [part for part in path.split("/") if part not in ("", ".")], list[str](), 0
    while waiting:
        part = waiting.pop(0)
        if part == "..":
            done = done[:-1]
            continue
        member = members.get("/".join([*done, part]))
        if member is not None and member.issym() and waiting:
            links += 1
            if links > LINKS:
                return None
            done = [] if member.linkname.startswith("/") else done
            waiting = [p for p in member.linkname.split("/") if p not in ("", ".")] + waiting
        else:
            done.append(part)
    return "/".join(done)


class Unpacking:
    """The root file system of an image, written below a folder.

    Args:
        folder: a new one.
        members: every member of the image by its path, as its layers make it together.
    """

    def __init__(self, folder: Path, members: Mapping[str, tarfile.TarInfo]) -> None:
        self._folder, self._members = folder, members
        self._later: list[Callable[[], None]] = []
        self._modes: list[tuple[Path, tarfile.TarInfo]] = []
        folder.mkdir(parents=True, exist_ok=True)

    def take(self, path: str, member: tarfile.TarInfo, content: IO[bytes] | None) -> None:
        """Write one member; links are kept for ``finish``.

        Args:
            path: its normalised name.
            content: of a file.
        """
        inside = real_path(self._members, path)
        if not inside:
            return
        target = self._folder / inside
        if member.isdir():
            self._folder_at(target)
            self._modes.append((target, member))
        elif member.isfile() and content is not None:
            self._folder_at(target.parent)
            with _new(target) as sink:
                shutil.copyfileobj(content, sink, _PIECE)
            _give(target, member)
        elif member.issym():
            self._later.append(lambda: self._link(target, member))
        elif member.islnk():
            linked = real_path(self._members, posixpath.normpath(member.linkname).lstrip("/"))
            self._later.insert(0, lambda: self._same(target, linked or ""))

    def finish(self) -> None:
        """Make the links, hard ones first, and give folders their modes."""
        for make in self._later:
            make()
        for folder, member in reversed(self._modes):
            _give(folder, member)

    def _folder_at(self, folder: Path) -> None:
        """A folder and those above it; a file that stands where one has to be gives way."""
        for part in reversed([folder, *folder.parents][: len(folder.relative_to(self._folder).parts)]):
            if part.is_symlink() or not part.is_dir():
                part.unlink(missing_ok=True)
                part.mkdir(mode=0o755)

    def _link(self, target: Path, member: tarfile.TarInfo) -> None:
        if target.is_dir() and not target.is_symlink():
            return  # files of the image were written below it
        self._folder_at(target.parent)
        target.unlink(missing_ok=True)
        os.symlink(member.linkname, target)

    def _same(self, target: Path, linked: str) -> None:
        source = self._folder / linked
        if not linked or source.is_symlink() or not source.is_file() or source == target:
            return  # to nothing that the image has
        self._folder_at(target.parent)
        target.unlink(missing_ok=True)
        os.link(source, target, follow_symlinks=False)


def _new(target: Path) -> IO[bytes]:
    """A file that was not there before: what is in its place goes."""
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    target.unlink(missing_ok=True)
    return open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "wb")


def _give(target: Path, member: tarfile.TarInfo) -> None:
    """Owner and mode, without what gives rights to whoever runs it; its owner can read and remove it."""
    if os.geteuid() == 0 and max(member.uid, member.gid) < 1 << 16:
        os.chown(target, member.uid, member.gid, follow_symlinks=False)
    target.chmod(member.mode & 0o755 | (0o700 if member.isdir() else 0o400))
