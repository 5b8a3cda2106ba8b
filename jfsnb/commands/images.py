"""`jfsnb sandbox images ...`: what the subcommands print."""

from __future__ import annotations

from pathlib import Path

from jfsnb.sandbox import lifecycle
from jfsnb.sandbox.images.image import Image
from jfsnb.sandbox.images.images import ImageStore, Listed
from jfsnb.sandbox.images.progress import megabytes, on_stderr


def add(tag: str, client: Path) -> str:
    """Add a client binary as an image that every later sandbox has, too; tells what was found."""
    return _told(_store().add(tag, client))


def fetch(version: str, page: str) -> str:
    """Fetch a release's client; tells which image has it now."""
    return _told(_store().fetch(version, page, on_stderr))


def remove(tag: str) -> str:
    """Take an image's client away; tells what that freed."""
    return f"{tag}: {megabytes(_store().remove(tag))} freed"


def list_all() -> str:
    """A table of all images: client, size here, size of the download where there is one."""
    rows = [("IMAGE", "CLIENT", "SIZE"), *(_row(image) for image in _store().listed())]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"{name:{widths[0]}}  {client:{widths[1]}}  {size}".rstrip() for name, client, size in rows)


def _store() -> ImageStore:
    return ImageStore(lifecycle.home() / "default")


def _told(image: Image) -> str:
    return f"{image.reference}: client {image.client_version}, {image.id}"


def _row(image: Listed) -> tuple[str, str, str]:
    if image.download:
        return image.reference, "not fetched", f"{megabytes(image.download)} to download"
    return image.reference, image.client or "no client", megabytes(image.size) if image.size else ""
