"""Certificates and keys of a kubeconfig, kept in memory.

OpenSSL wants files, so the official client writes some below /tmp; a killed process would leave them there, keys
included. Here they are files without a name.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_FIELDS = ("ssl_ca_cert", "cert_file", "key_file")


@contextmanager
def in_memory(configuration: Any) -> Iterator[str | None]:
    """Within this block the official client may load a kubeconfig into the configuration; gives the folder to name as
    its `temp_file_path`. On systems without nameless files there is none, and nothing changes."""
    if not hasattr(os, "memfd_create"):
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="jfsnb-") as folder:
        yield folder
        memory = _Memory(folder)
        memory.take(configuration)
    hook = configuration.refresh_api_key_hook
    if hook is None:
        return

    def refresh(refreshed: Any) -> None:
        """The client's own hook writes the names of its files again, and new files when credentials changed."""
        hook(refreshed)
        memory.take(refreshed)

    configuration.refresh_api_key_hook = refresh


class _Memory:
    """What was in files below a folder."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._kept: dict[str, str] = {}  # name of the file that was -> nameless one

    def take(self, configuration: Any) -> None:
        for field in _FIELDS:
            path = str(getattr(configuration, field) or "")
            if path.startswith(self._folder):
                if os.path.exists(path):
                    self._kept[path] = _nameless(path, configuration)
                setattr(configuration, field, self._kept[path])


def _nameless(path: str, owner: object) -> str:
    """Take a file away and hand back one with its content that has no name, and lives as long as its owner."""
    memory = os.memfd_create(os.path.basename(path))
    weakref.finalize(owner, os.close, memory)
    os.write(memory, Path(path).read_bytes())
    os.unlink(path)
    return f"/proc/self/fd/{memory}"
