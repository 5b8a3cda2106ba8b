"""Image archives, as `docker save` writes and `docker load` reads them: read what is in one, write one.

Own code: the clients of engines can only hand archives through, and looking into one must not need an engine.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import posixpath
import tarfile
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from jfsnb.builder import unpack
from jfsnb.errors import JfsnbError, UsageError

WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
LINKS = 40
MOST_ABOUT = 16 << 20  # bytes of a manifest


@dataclass(frozen=True)
class Layer:
    """One layer. Args: name in the archive; digest of its uncompressed content; size in bytes; what made it."""

    name: str
    digest: str
    size: int
    made_by: str


@dataclass(frozen=True)
class Entry:
    """A file of the image: in which layer, under which name there, and what it is (as in tarfile)."""

    layer: str
    member: tarfile.TarInfo


class ImageArchive(AbstractContextManager["ImageArchive"]):
    """An archive, opened for reading.

    Args:
        path: a file from ``docker save``, ``podman save`` or ``write``.

    Raises:
        UsageError: it is no such archive.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._tar = tarfile.open(path)  # noqa: SIM115 - closed by __exit__
        except (OSError, tarfile.TarError) as error:
            raise UsageError(f"{path} cannot be read as an archive: {error}", "give a file of `docker save`") from error
        self._limit = unpack.limit_of(path.stat().st_size)
        try:
            manifest = json.loads(self._bytes("manifest.json"))[0]
            config = self._bytes(manifest["Config"])
            self.tags = tuple(map(str, manifest.get("RepoTags") or ()))
            self.config: dict[str, Any] = dict(json.loads(config))
            self._names = tuple(dict.fromkeys(map(str, manifest["Layers"])))
        except (KeyError, IndexError, TypeError, AttributeError, ValueError, tarfile.TarError) as error:
            self._tar.close()
            raise UsageError(f"{path} is no image archive: {error}", "give a file of `docker save`") from error
        self.id = f"sha256:{hashlib.sha256(config).hexdigest()}"

    def __exit__(self, *_: object) -> None:
        self._tar.close()

    @property
    def platform(self) -> str:
        """``linux/amd64``, ``linux/arm64/v8``."""
        parts = (self.config.get(k) or "" for k in ("os", "architecture", "variant"))
        return "/".join(filter(None, parts))

    @property
    def labels(self) -> dict[str, str]:
        return dict((self.config.get("config") or {}).get("Labels") or {})

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Base first."""
        digests = (self.config.get("rootfs") or {}).get("diff_ids") or []
        made = [h.get("created_by", "") for h in self.config.get("history") or [] if not h.get("empty_layer")]
        made = made if len(made) == len(self._names) else [""] * len(self._names)
        try:
            sizes = [self._tar.getmember(name).size for name in self._names]
        except KeyError as error:
            raise JfsnbError(f"the archive lacks a layer: {error}", "write it again") from error
        return tuple(map(Layer, self._names, digests, sizes, made))

    def files(self) -> dict[str, Entry]:
        """Every file by its path (without the leading /), as the layers make it together."""
        found: dict[str, Entry] = {}
        for name in self._names:
            gone, emptied, added = set[str](), set[str](), dict[str, Entry]()
            for member in self._layer(name):
                path = posixpath.normpath(member.name).lstrip("/")
                folder, base = posixpath.split(path)
                if base == OPAQUE:
                    emptied.add(folder)
                elif base.startswith(WHITEOUT):
                    gone.add(posixpath.join(folder, base.removeprefix(WHITEOUT)))
                else:
                    if path in found and found[path].member.isdir() and not member.isdir():
                        gone.add(path)
                    added[path] = Entry(name, member)
            if gone or emptied:
                found = {path: entry for path, entry in found.items() if not _covered(path, gone, emptied)}
            found |= added
        return found

    def extract(self, entry: Entry, target: Path) -> str:
        """Copy a file of the image to ``target`` (executable); its sha256."""
        digest = hashlib.sha256()
        if entry.member.islnk():
            entry = self.files().get(posixpath.normpath(entry.member.linkname).lstrip("/"), entry)
        with self._open(entry.layer) as layer, _members(layer, entry.layer) as tar, target.open("wb") as sink:
            member = next((m for m in tar if m.offset == entry.member.offset), entry.member)
            source = tar.extractfile(member) if member.isreg() else None
            if source is None:
                raise UsageError(f"{entry.member.name} is no file in the image", "look at how the image was made")
            while chunk := source.read(1 << 20):
                digest.update(chunk)
                sink.write(chunk)
        target.chmod(0o755)
        return digest.hexdigest()

    def unpack(self, folder: Path) -> None:
        """Write the whole root file system below ``folder``, a new one.

        Raises:
            UsageError: it unpacks to more than is allowed.
        """
        wanted = self.files()
        whole = unpack.Unpacking(folder, {path: entry.member for path, entry in wanted.items()})
        written = 0
        for name in self._names:
            with self._open(name) as layer, _members(layer, name) as tar:
                for member in tar:
                    path = posixpath.normpath(member.name).lstrip("/")
                    entry = wanted.get(path)
                    if entry is not None and entry.layer == name and entry.member.offset == member.offset:
                        written += member.size
                        if written > self._limit:  # a sparse file is larger than what stands for it
                            raise unpack.too_much(name)
                        whole.take(path, member, tar.extractfile(member) if member.isreg() else None)
        whole.finish()

    def _layer(self, name: str) -> list[tarfile.TarInfo]:
        found: list[tarfile.TarInfo] = []
        with self._open(name) as layer, _members(layer, name) as tar:
            for member in tar:
                found.append(member)
                if len(found) > unpack.MOST_MEMBERS:
                    raise UsageError(f"{name} has more than {unpack.MOST_MEMBERS} members", "do not use this archive")
        return found

    def _open(self, name: str) -> IO[bytes]:
        try:
            stream = self._tar.extractfile(name)
        except KeyError:
            stream = None
        if stream is None:
            raise JfsnbError(f"the archive lacks its layer {name}", "write it again")
        packed = stream.read(2) == b"\x1f\x8b"
        stream.seek(0)
        unpacked = cast("IO[bytes]", gzip.GzipFile(fileobj=stream)) if packed else stream
        return io.BufferedReader(unpack.Limited(unpacked, self._limit, name), 1 << 20)

    def _bytes(self, name: str) -> bytes:
        stream = self._tar.extractfile(name)
        if stream is None or self._tar.getmember(name).size > MOST_ABOUT:
            raise KeyError(name)
        return stream.read()


def find(files: Mapping[str, Entry], path: str) -> str:
    """The path of a program after all links have been followed; empty when it is not there."""
    waiting, done = [p for p in path.split("/") if p], list[str]()
    for _ in range(LINKS * 10):
        if not waiting:
            return "/".join(done) if "/".join(done) in files else ""
        part = waiting.pop(0)
        if part == "..":
            done = done[:-1]
            continue
        here = "/".join([*done, part])
        entry = files.get(here)
        if entry is not None and entry.member.issym():
            target = entry.member.linkname
            done = [] if target.startswith("/") else done
            waiting = [p for p in target.split("/") if p and p != "."] + waiting
        elif part != ".":
            done.append(part)
    return ""


@dataclass(frozen=True)
class ImageConfig:
    """What an image says besides its files.

    Args:
        architecture: as Go calls it: ``amd64``.
        created: ISO 8601, UTC.
        env, labels, entrypoint, command, working_dir, user: as in a Dockerfile.
        made_by: one line for its only layer.
    """

    architecture: str
    created: str
    env: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    working_dir: str = "/"
    user: str = ""
    made_by: str = ""

    def describe(self, digest: str) -> dict[str, Any]:
        """As an OCI image configuration with that one layer."""
        config = {
            "Env": [f"{k}={v}" for k, v in self.env.items()],
            "Labels": dict(self.labels),
            "Entrypoint": list(self.entrypoint) or None,
            "Cmd": list(self.command) or None,
            "WorkingDir": self.working_dir,
            "User": self.user,
        }
        return {
            "created": self.created,
            "architecture": self.architecture,
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [digest]},
            "history": [{"created": self.created, "created_by": self.made_by}],
        }


def write(path: Path, root: Path, config: ImageConfig, tags: Iterable[str]) -> str:
    """Write a root file system as an image of one layer; everything in it belongs to root.

    Args:
        path: the archive; it appears whole or not at all.
        root: directory.

    Returns:
        The image's id, ``sha256:…``.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".image-") as scratch:
        layer = Path(scratch) / "layer.tar"
        with tarfile.open(layer, "w") as tar:
            tar.add(root, ".", filter=_of_root)
        with layer.open("rb") as file:
            digest = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
        about = json.dumps(config.describe(digest)).encode()
        name = hashlib.sha256(about).hexdigest()
        manifest = [{"Config": f"{name}.json", "RepoTags": list(tags), "Layers": [f"{name}/layer.tar"]}]
        whole = Path(scratch) / "image.tar"
        with tarfile.open(whole, "w") as tar:
            _add(tar, f"{name}.json", about)
            tar.add(layer, f"{name}/layer.tar", filter=_of_root)
            _add(tar, "manifest.json", json.dumps(manifest).encode())
        os.replace(whole, path)
    return f"sha256:{name}"


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _of_root(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if member.ischr() or member.isblk():
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member


@contextlib.contextmanager
def _members(layer: IO[bytes], name: str) -> Iterator[tarfile.TarFile]:
    """A layer's members, in their order; tells in words what is wrong with it."""
    try:
        with tarfile.open(fileobj=layer, mode="r|") as tar:
            yield tar
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError) as error:
        raise UsageError(f"{name} cannot be unpacked: {error}", "save the image once more") from error


def _covered(path: str, gone: set[str], emptied: set[str]) -> bool:
    """Whether a later layer takes a path away: itself, what it is in, or the content of what it is in."""
    if path in gone:
        return True
    while path:
        path = posixpath.dirname(path)
        if path in gone or path in emptied:
            return True
    return False
