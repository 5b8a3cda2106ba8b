"""Image archives, as `docker save` writes and `docker load` reads them: read what is in one, write one.

Own code: the clients of engines can only hand archives through, and looking into one must not need an engine.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import posixpath
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from jfsnb.errors import JfsnbError, UsageError

WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
LINKS = 40


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
        try:
            manifest = json.loads(self._bytes("manifest.json"))[0]
            config = self._bytes(manifest["Config"])
        except (KeyError, IndexError, ValueError) as error:
            self._tar.close()
            raise UsageError(f"{path} is no image archive: {error}", "give a file of `docker save`") from error
        self.tags = tuple(manifest.get("RepoTags") or ())
        self.id = f"sha256:{hashlib.sha256(config).hexdigest()}"
        self.config: dict[str, Any] = json.loads(config)
        self._names: list[str] = manifest["Layers"]

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
        sizes = [self._tar.getmember(name).size for name in self._names]
        return tuple(map(Layer, self._names, digests, sizes, made))

    def files(self) -> dict[str, Entry]:
        """Every file by its path (without the leading /), as the layers make it together."""
        found: dict[str, Entry] = {}
        for name in self._names:
            members = [(posixpath.normpath(m.name).lstrip("/"), m) for m in self._layer(name)]
            for path, _ in members:
                folder, base = posixpath.split(path)
                if base == OPAQUE:
                    _drop(found, folder, itself=False)
                elif base.startswith(WHITEOUT):
                    _drop(found, posixpath.join(folder, base.removeprefix(WHITEOUT)))
            for path, member in members:
                if not posixpath.basename(path).startswith(WHITEOUT):
                    if path in found and found[path].member.isdir() and not member.isdir():
                        _drop(found, path)
                    found[path] = Entry(name, member)
        return found

    def extract(self, entry: Entry, target: Path) -> str:
        """Copy a file of the image to ``target`` (executable); its sha256."""
        digest = hashlib.sha256()
        with self._open(entry.layer) as layer, tarfile.open(fileobj=layer) as tar, target.open("wb") as sink:
            source = tar.extractfile(entry.member.name)
            assert source is not None
            while chunk := source.read(1 << 20):
                digest.update(chunk)
                sink.write(chunk)
        target.chmod(0o755)
        return digest.hexdigest()

    def unpack(self, folder: Path) -> None:
        """Write the whole root file system below ``folder``; what would lead out of it is refused."""
        wanted = self.files()
        for name in self._names:
            with self._open(name) as layer, tarfile.open(fileobj=layer) as tar:
                for member in tar:
                    path = posixpath.normpath(member.name).lstrip("/")
                    if path in wanted and wanted[path].layer == name and not (member.ischr() or member.isblk()):
                        tar.extract(member, folder, filter=_inside, set_attrs=True)

    def _layer(self, name: str) -> list[tarfile.TarInfo]:
        with self._open(name) as layer, tarfile.open(fileobj=layer) as tar:
            return tar.getmembers()

    def _open(self, name: str) -> IO[bytes]:
        stream = self._tar.extractfile(name)
        if stream is None:
            raise JfsnbError(f"the archive lacks its layer {name}", "write it again")
        packed = stream.read(2) == b"\x1f\x8b"
        stream.seek(0)
        return cast("IO[bytes]", gzip.open(stream)) if packed else stream

    def _bytes(self, name: str) -> bytes:
        stream = self._tar.extractfile(name)
        if stream is None:
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


def _inside(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo:
    """As tarfile's own ``tar`` filter, but absolute links stay: they mean a path in the image."""
    if member.issym():
        return member
    return tarfile.tar_filter(member, folder)


def _drop(files: dict[str, Entry], path: str, itself: bool = True) -> None:
    below = f"{path}/" if path else ""
    for known in [k for k in files if k.startswith(below)]:
        del files[known]
    if itself:
        files.pop(path, None)
