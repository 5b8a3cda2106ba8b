"""An API server without components, in a process of its own, for tests that need nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from jfsnb.sandbox.pki import make_pki

TOKENS = {"admin-token": ("admin", "system:masters"), "nobody-token": ("nobody", "")}


@dataclass(frozen=True)
class Api:
    """Where it listens, and a kubeconfig of its admin."""

    server: str
    kubeconfig: Path
    state: Path
    pid: int


@contextlib.contextmanager
def api_only(state: Path) -> Iterator[Api]:
    """A running API server with the world's objects of nobody: an empty cluster but for four namespaces."""
    make_pki(state)
    rows = [f'{token},{user},{user},"{groups}"\n' for token, (user, groups) in TOKENS.items()]
    (state / "tokens.csv").write_text("".join(rows), encoding="utf-8")
    reading, writing = os.pipe()
    process = subprocess.Popen([sys.executable, __file__, str(state), str(writing)], pass_fds=[writing])
    os.close(writing)
    try:
        with os.fdopen(reading) as pipe:
            port = pipe.readline().strip()
        assert port, "the API server did not start"
        server = f"https://127.0.0.1:{port}"
        yield Api(server, _kubeconfig(state, server), state, process.pid)
    finally:
        process.terminate()
        process.wait(10)


def _kubeconfig(state: Path, server: str, token: str = "admin-token") -> Path:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server, "certificate-authority": str(state / "pki/ca.crt")}}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    path = state / "kubeconfig"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def _namespace(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _account(namespace: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": namespace}}


if __name__ == "__main__":
    from jfsnb.sandbox.api.server import serve

    def _ready(port: int) -> None:
        os.write(int(sys.argv[2]), f"{port}\n".encode())
        os.close(int(sys.argv[2]))

    world = [_namespace(n) for n in ("default", "kube-system", "kube-public", "kube-node-lease")] + [
        _account("default")
    ]
    asyncio.run(serve(Path(sys.argv[1]), 0, _ready, world))
