"""Which engines can build here, and the way of a built image into the sandbox."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from jfsnb.builder import delivery
from jfsnb.builder.cli_engines import find_engines
from jfsnb.builder.engine import Engine
from jfsnb.builder.process import Say
from jfsnb.errors import UsageError
from jfsnb.run.building import DAEMONLESS, Deliver

#: ``sandbox:whole``: the image's own root file system, not only its client.
WHOLE = "whole"
NAMES = ("docker", "podman", "buildah", DAEMONLESS)


def engines(wanted: str = "", bases: Mapping[str, Path] | None = None) -> list[Engine]:
    """The engines that answer, the best first; jfsnb's own builder is always the last.

    Args:
        wanted: only this one: docker, podman, buildah or daemonless.
        bases: base images for jfsnb's own builder.

    Raises:
        UsageError: the wanted one does not answer here.
    """
    found = [] if wanted == DAEMONLESS else find_engines()
    if not wanted or wanted == DAEMONLESS:
        from jfsnb.sandbox.building.daemonless import DaemonlessEngine

        found.append(DaemonlessEngine(bases or {}))
    chosen = [engine for engine in found if wanted in ("", engine.name)]
    if not chosen:
        answer = ", ".join(engine.name for engine in found) or "none"
        raise UsageError(f"{wanted} does not answer here (what does: {answer})", "start it, or choose another --engine")
    return chosen


def deliverer(destination: str, engine: Engine, say: Say) -> Deliver | None:
    """What brings an image to a destination (see builder/delivery.py, and ``sandbox``); None for none.

    Raises:
        UsageError: no such destination.
    """
    if not destination:
        return None
    kind, how = delivery.parse(destination)
    if kind == delivery.SANDBOX and how not in ("", WHOLE):
        raise UsageError(f"{destination!r} is no place for an image", f"use sandbox (its client), or sandbox:{WHOLE}")
    if kind == delivery.SANDBOX:
        return lambda facts, archive, client: (into_sandbox(facts.reference, archive if how else client, bool(how)), "")
    return lambda facts, archive, client: delivery.deliver(destination, engine, facts.reference, archive, say)


def into_sandbox(reference: str, file: Path, whole: bool = False) -> str:
    """Make an image of the sandbox; where it is then.

    Args:
        file: the client binary; or, when it is to be the ``whole`` image, its archive.

    Raises:
        UsageError: the name is one that every sandbox has, or claims another version; or it is no client.
    """
    from jfsnb.sandbox.images.images import ImageStore

    with tempfile.TemporaryDirectory(prefix="jfsnb-add-") as nowhere:
        store = ImageStore(Path(nowhere))
        image = store.add_whole(reference, file) if whole else store.add(reference, file)
    userland = "its own" if whole else "this machine's"
    return (
        f"in every sandbox, as {image.reference} ({image.id[:19]}): its client is this image's, byte for byte; "
        f"its userland is {userland}"
    )
