"""Certificates and keys of a kubeconfig, kept in memory.

OpenSSL wants files, so the official client writes some below /tmp; a killed process would leave them there, keys
included. Here they are files without a name.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kubernetes.client import Configuration
from kubernetes.config import kube_config as untyped

from jfsnb.errors import ConnectionFailed

kube_config: Any = untyped
LOOPBACK = ("localhost", "127.0.0.0/8", "::1")
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


class Loader(kube_config.KubeConfigLoader):  # type: ignore[misc]
    """The official loader, but that a credential plugin that fails ends it; its own goes on without credentials."""

    def _load_from_exec_plugin(self) -> Any:
        if "exec" not in self._user:
            return None
        command = str(self._user["exec"].safe_get("command") or "(none)")
        with _heard() as said:
            loaded = super()._load_from_exec_plugin()
        if loaded:
            return loaded
        why = " ".join(" ".join(said).split()).removeprefix("exec: ")
        if not shutil.which(command, path=os.environ.get("PATH")) and not os.path.exists(command):
            why = "not found"
        elif not why or "NoneType" in why:  # its own words went to the terminal
            why = "it ended with an error"
        raise ConnectionFailed(
            f"the credential plugin {command!r} of context {self._current_context['name']!r} could not be run: {why}",
            "install it, or log in again; `kubectl get nodes` says the same",
        )


@contextlib.contextmanager
def _heard() -> Iterator[list[str]]:
    """What is logged within this block, instead of on the terminal."""
    said: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    root, ear = logging.getLogger(), Ear()
    handlers, root.handlers = root.handlers, [ear]
    try:
        yield said
    finally:
        root.handlers = handlers


def spare_loopback() -> None:
    """No proxy of the environment is used for this machine itself, as kubectl has it (Go's ``httpproxy`` rules); what
    NO_PROXY names stays named."""
    names = ("no_proxy", "NO_PROXY")
    known = next((os.environ[name] for name in names if os.environ.get(name)), "")
    if any(
        os.environ.get(name) for kind in ("http", "https", "all") for name in (f"{kind}_proxy", f"{kind}_PROXY".upper())
    ):
        listed = [entry for entry in known.split(",") if entry]
        spared = ",".join([*listed, *(entry for entry in LOOPBACK if entry not in listed)])
        os.environ.update(dict.fromkeys(names, spared))


def configured(kubeconfig: str | None, context: str) -> Configuration:
    """The configuration of a context of a kubeconfig; on systems without nameless files as the official client makes
    it.

    Raises:
        ConnectionFailed: its credential plugin fails. What the official client raises.
    """
    spare_loopback()
    with contextlib.ExitStack() as stack:
        folder: str | None = None
        made = Configuration()
        if hasattr(os, "memfd_create"):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="jfsnb-"))
            made = InMemory(folder)
        merged = kube_config.KubeConfigMerger(kubeconfig or kube_config.KUBE_CONFIG_DEFAULT_LOCATION)
        loader = Loader(config_dict=merged.config, config_base_path=None, active_context=context, temp_file_path=folder)
        loader.load_and_set(made)
        if getattr(loader, "proxy", None):
            made.no_proxy = None  # the kubeconfig's own proxy-url is for everything
        return made
