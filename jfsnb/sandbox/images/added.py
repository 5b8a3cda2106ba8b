"""Images that somebody added: which client or root file system stands behind a name."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from jfsnb.sandbox.images.clients import Client, cache_directory, locked, remove_client


@dataclass(frozen=True)
class Entry:
    """What an added image is made of.

    Args:
        path: its client's binary.
        version: what the client answers to ``--version``.
        sha256: the binary's hash.
        root: directory with a whole root file system; empty for the machine's userland.
    """

    path: str
    version: str
    sha256: str
    root: str = ""

    @property
    def client(self) -> Client:
        return Client(Path(self.path), self.version, self.sha256)


class AddedImages:
    """Two files of entries: of one sandbox, and of all sandboxes that share the cache.

    Args:
        own: the sandbox's file.
    """

    def __init__(self, own: Path) -> None:
        self._own = own

    def entries(self) -> dict[str, Entry]:
        """By image; those whose client is gone are left out."""
        found = _read(_shared()) | _read(self._own)
        return {name: entry for name, entry in found.items() if os.path.isfile(entry.path)}

    def put(self, name: str, entry: Entry, keep: bool) -> None:
        """Note an image. Args: keep: for later sandboxes too."""
        self._change(_shared() if keep else self._own, lambda entries: entries.update({name: entry}))

    def remove(self, name: str) -> None:
        """Forget an image, and take its client and root file system out of the cache where no other image has them."""
        gone = self.entries()[name]
        for file in (_shared(), self._own):
            self._change(file, lambda entries: entries.pop(name, None))
        left = self.entries().values()
        if gone.path not in {entry.path for entry in left}:
            remove_client(Path(gone.path).parent.name)
        if gone.root and gone.root not in {entry.root for entry in left}:
            shutil.rmtree(gone.root, ignore_errors=True)

    def _change(self, file: Path, change: Callable[[dict[str, Entry]], object]) -> None:
        with locked("images"):
            entries = _read(file)
            change(entries)
            file.parent.mkdir(parents=True, exist_ok=True)
            new = file.with_suffix(".new")
            new.write_text(json.dumps({n: asdict(e) for n, e in entries.items()}, indent=1), encoding="utf-8")
            new.rename(file)


def _shared() -> Path:
    return cache_directory() / "images.json"


def _read(file: Path) -> dict[str, Entry]:
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
        return {name: Entry(**about) for name, about in entries.items()}
    except (FileNotFoundError, json.JSONDecodeError, AttributeError, TypeError):
        return {}
