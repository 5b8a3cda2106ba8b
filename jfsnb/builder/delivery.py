"""Getting an image to the nodes: registry, kind, minikube, k3d, containerd, or an archive that somebody else loads."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from jfsnb.builder.engine import Engine
from jfsnb.builder.process import Say, stream
from jfsnb.errors import JfsnbError, UsageError

REGISTRY, ARCHIVE, SANDBOX = "registry", "archive", "sandbox"
#: destination -> the command that loads an archive. Their syntax is from their manuals; none of them was run here.
LOADERS: dict[str, tuple[str, ...]] = {
    "kind": ("kind", "load", "image-archive", "{archive}", "--name", "{name}"),
    "minikube": ("minikube", "image", "load", "{archive}", "--profile", "{name}"),
    "k3d": ("k3d", "image", "import", "{archive}", "--cluster", "{name}"),
    "containerd": ("ctr", "--namespace", "{name}", "images", "import", "{archive}"),
}
NAMES = {"kind": "kind", "minikube": "minikube", "k3d": "k3s-default", "containerd": "k8s.io"}
_KIND = re.compile(r"^([a-z0-9]+)(?::(.+))?$", re.S)


def parse(destination: str) -> tuple[str, str]:
    """``kind:dev`` → (``kind``, ``dev``), names filled in where there is a usual one.

    Raises:
        UsageError: no such destination, or an archive without a path.
    """
    match = _KIND.match(destination)
    known = (SANDBOX, REGISTRY, ARCHIVE, *LOADERS)
    if match is None or match[1] not in known:
        raise UsageError(f"{destination!r} is no place for an image", f"use one of: {', '.join(known)}")
    if match[1] == ARCHIVE and not match[2]:
        raise UsageError("an archive needs a file to go to", "write archive:PATH.tar")
    return match[1], match[2] or NAMES.get(match[1], "")


def load_command(kind: str, name: str, archive: Path) -> list[str]:
    """What loads an archive into the nodes of a cluster."""
    return [word.format(archive=archive, name=name) for word in LOADERS[kind]]


def deliver(destination: str, engine: Engine, reference: str, archive: Path, say: Say) -> tuple[str, str]:
    """Bring an image to where nodes get it from (not into the sandbox, whose business that is).

    Returns:
        A sentence that says where it is now, and its digest there (empty where there is none).

    Raises:
        UsageError: no such destination. JfsnbError: the command failed.
    """
    kind, name = parse(destination)
    if kind == REGISTRY:
        digest = engine.push(reference, say)
        return f"pushed as {reference.partition('@')[0]}@{digest}", digest
    if kind == ARCHIVE:
        shutil.copyfile(archive, name)
        return f"written to {name}", ""
    command = load_command(kind, name, archive)
    if shutil.which(command[0]) is None:
        raise UsageError(f"{command[0]} is not installed here", f"install it, or load the archive: {' '.join(command)}")
    say(f"$ {' '.join(command)}")
    code = stream(command, say)
    if code:
        raise JfsnbError(f"{command[0]} ended with exit code {code}", "its words are above")
    return f"loaded into {kind} {name} (this way was never tested here; look at the node's images)", ""
