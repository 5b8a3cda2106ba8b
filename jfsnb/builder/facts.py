"""What an image is, read from its archive: nothing is believed that the build said about it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jfsnb.builder import archive
from jfsnb.builder.minimal import SMOKE_PROGRAMS
from jfsnb.builder.recipe import CLIENT, MOUNT

#: What the driver's command lines name, or call by name, in a Mount Pod's image (reference/csi-driver.md 1.6, 2.7).
BY_PATH = (CLIENT, MOUNT)
BY_NAME = ("sh", "umount", "rmdir", "stat")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SHELL_WORDS = ("kill",)  # every shell knows it, so it need not be a file


@dataclass(frozen=True)
class ImageFacts:
    """What an image is.

    Args:
        reference: its name.
        id: ``sha256:…`` of its configuration.
        platform: ``linux/amd64``.
        size: bytes of all layers, uncompressed.
        created: ISO 8601.
        labels: on the image.
        layers: columns layer, size (bytes), made_by.
        programs: what the driver calls → where it is; empty where it is not.
        smoke_programs: the same for what the smoke test and the proof call.
        client_sha256, client_size: of the juicefs binary; empty and 0 without one.
        version: what the client prints when it runs in the image; empty when it could not be asked.
        asked: how it was asked.
        digest: in a registry, after a push.
    """

    reference: str
    id: str = ""
    platform: str = ""
    size: int = 0
    created: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    layers: tuple[Mapping[str, object], ...] = ()
    programs: Mapping[str, str] = field(default_factory=dict)
    smoke_programs: Mapping[str, str] = field(default_factory=dict)
    client_sha256: str = ""
    client_size: int = 0
    version: str = ""
    asked: str = ""
    digest: str = ""


def read(path: Path, reference: str, client: Path | None = None) -> ImageFacts:
    """Read an image archive.

    Args:
        path: the archive.
        reference: the image's name.
        client: where its juicefs binary is to be copied to.

    Raises:
        UsageError: it is no image archive.
    """
    with archive.ImageArchive(path) as image, tempfile.TemporaryDirectory(prefix="jfsnb-client-") as folder:
        files = image.files()
        binary = archive.find(files, CLIENT)
        sha256 = image.extract(files[binary], client or Path(folder) / "juicefs") if binary else ""
        return ImageFacts(
            reference=reference,
            id=image.id,
            platform=image.platform,
            size=sum(layer.size for layer in image.layers),
            created=str(image.config.get("created", "")),
            labels=image.labels,
            layers=tuple({"layer": x.digest[:19], "size": x.size, "made_by": x.made_by} for x in image.layers),
            programs=_programs(image, files, (*BY_PATH, *BY_NAME, *SHELL_WORDS)),
            smoke_programs=_programs(image, files, SMOKE_PROGRAMS),
            client_sha256=sha256,
            client_size=files[binary].member.size if binary else 0,
        )


def _programs(image: archive.ImageArchive, files: Mapping[str, archive.Entry], names: Iterable[str]) -> dict[str, str]:
    env = dict(pair.partition("=")[::2] for pair in (image.config.get("config") or {}).get("Env") or [])
    folders = env.get("PATH", PATH).split(":")

    def where(name: str) -> str:
        places = (name,) if name.startswith("/") else tuple(f"{folder}/{name}" for folder in folders)
        found = (archive.find(files, place) for place in places)
        return next((f"/{path}" for path in found if path and files[path].member.mode & 0o111), "")

    shell = "a word of the shell" if where("sh") else ""
    return {name: where(name) or (shell if name in SHELL_WORDS else "") for name in names}
