"""An API server without components, in a process of its own, for tests that need nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import ssl
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
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


PATCHES = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


class Requests:
    """Raw requests to one API server."""

    def __init__(self, api: Api, token: str = "admin-token") -> None:
        self.api = api
        tls = ssl.create_default_context(cafile=str(api.state / "pki/ca.crt"))
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.client = httpx.Client(base_url=api.server, headers=headers, verify=tls, timeout=30, trust_env=False)

    def __enter__(self) -> Requests:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def send(self, method: str, path: str, body: Any = None, content_type: str = "", **params: Any) -> httpx.Response:
        headers = {"Content-Type": content_type or "application/json"} if body is not None else {}
        content = body if isinstance(body, (bytes, str)) or body is None else json.dumps(body)
        return self.client.request(method, path, content=content, headers=headers, params=params or None)

    def get(self, path: str, accept: str = "", **params: Any) -> httpx.Response:
        return self.client.get(path, params=params or None, headers={"Accept": accept} if accept else None)

    def post(self, path: str, body: Any, **params: Any) -> httpx.Response:
        return self.send("POST", path, body, **params)

    def put(self, path: str, body: Any, **params: Any) -> httpx.Response:
        return self.send("PUT", path, body, **params)

    def patch(self, kind: str, path: str, body: Any, **params: Any) -> httpx.Response:
        return self.send("PATCH", path, body, PATCHES.get(kind, kind), **params)

    def delete(self, path: str, body: Any = None, **params: Any) -> httpx.Response:
        return self.send("DELETE", path, body, **params)

    def namespace(self) -> str:
        """A new namespace that Pods can be created in."""
        name = f"t-{uuid.uuid4().hex[:8]}"
        assert self.post("/api/v1/namespaces", {"metadata": {"name": name}}).status_code == 201
        account = {"metadata": {"name": "default"}}
        assert self.post(f"/api/v1/namespaces/{name}/serviceaccounts", account).status_code == 201
        return name

    def watch(self, path: str, seconds: int = 2, accept: str = "", **params: Any) -> list[Any]:
        """All events until the stream ends."""
        params = {"watch": "1", "timeoutSeconds": str(seconds), **params}
        answer = self.client.get(path, params=params, headers={"Accept": accept} if accept else None)
        assert answer.status_code == 200, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]

    def kubectl(self, *args: str, stdin: Any = None) -> subprocess.CompletedProcess[str]:
        need_kubectl()
        text = stdin if isinstance(stdin, str) or stdin is None else json.dumps(stdin)
        command = ["kubectl", "--kubeconfig", str(self.api.kubeconfig), *args]
        return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)


def need_kubectl() -> None:
    """Skip a test where there is no kubectl."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not on PATH")


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
    from jfsnb.sandbox.apiserver.http.server import serve

    def _ready(port: int) -> None:
        os.write(int(sys.argv[2]), f"{port}\n".encode())
        os.close(int(sys.argv[2]))

    world = [_namespace(n) for n in ("default", "kube-system", "kube-public", "kube-node-lease")] + [
        _account("default")
    ]
    asyncio.run(serve(Path(sys.argv[1]), 0, _ready, world))
