"""Certificates and keys of a kubeconfig, kept in memory.

OpenSSL wants files, so the official client writes some below /tmp; a killed process would leave them there, keys
included. Here they are files without a name.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from pathlib import Path
from typing import Any

from kubernetes import config as untyped
from kubernetes.client import Configuration

config: Any = untyped
_FILES = ("ssl_ca_cert", "cert_file", "key_file")


class InMemory(Configuration):
    """The official client's configuration, where files below its folder become files without a name.

    The client names its files again whenever it refreshes credentials, and makes new ones when they changed.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._kept: dict[str, str] = {}  # name of the file that was -> nameless one
        super().__init__()

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _FILES and value and str(value).startswith(self._folder):
            if os.path.exists(value):
                self._kept[value] = self._nameless(value)
            value = self._kept[value]
        super().__setattr__(name, value)

    def _nameless(self, path: str) -> str:
        memory = os.memfd_create(os.path.basename(path))
        weakref.finalize(self, os.close, memory)
        os.write(memory, Path(path).read_bytes())
        os.unlink(path)
        return f"/proc/self/fd/{memory}"


def configured(kubeconfig: str | None, context: str) -> Configuration:
    """The configuration of a context of a kubeconfig; on systems without nameless files as the official client makes
    it. Raises what the official client raises."""
    if not hasattr(os, "memfd_create"):
        plain = Configuration()
        config.load_kube_config(kubeconfig, context, plain, persist_config=False)
        return plain
    with tempfile.TemporaryDirectory(prefix="jfsnb-") as folder:
        made = InMemory(folder)
        config.load_kube_config(kubeconfig, context, made, persist_config=False, temp_file_path=folder)
    return made
