"""A control plane for tests: the API server, all control loops, and a kubelet that only pretends to run Pods.

Run as a program it is the API server with control loops; ``control_plane`` starts it and waits until it answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import yaml

from jfsnb.sandbox.pki import make_pki

Obj = dict[str, Any]
NODE = "live"


class Plane:
    """One control plane, through plain HTTP."""

    def __init__(self, server: str, token: str, ca: Path, pid: int) -> None:
        self.pid = pid
        headers = {"Authorization": f"Bearer {token}"}
        self.http = httpx.Client(
            base_url=server, headers=headers, verify=ssl.create_default_context(cafile=str(ca)), timeout=20
        )

    def request(self, method: str, path: str, body: Any = None, kind: str = "application/json", **params: Any) -> Obj:
        """Raises AssertionError for anything but success."""
        content = json.dumps(body) if body is not None else None
        headers = {"Content-Type": kind} if body is not None else {}
        answer = self.http.request(method, path, content=content, headers=headers, params=params)
        assert answer.status_code < 400, f"{method} {path}: {answer.status_code} {answer.text[:300]}"
        return answer.json()

    def get(self, path: str, **params: Any) -> Obj:
        return self.request("GET", path, **params)

    def post(self, path: str, body: Obj) -> Obj:
        return self.request("POST", path, body)

    def patch(self, path: str, body: Obj) -> Obj:
        return self.request("PATCH", path, body, kind="application/merge-patch+json")

    def delete(self, path: str, **options: Any) -> Obj:
        return self.request("DELETE", path, options or None)

    def exists(self, path: str) -> bool:
        return self.http.get(path).status_code != 404

    def items(self, path: str, **params: Any) -> list[Obj]:
        return self.get(path, **params)["items"]

    def until(self, path: str, wanted: Callable[[list[Obj]], Any], seconds: float = 20, **params: Any) -> Any:
        """Watch a collection until ``wanted(its objects)`` is true; returns what it returned."""
        found = self.get(path, **params)
        objects = {o["metadata"]["uid"]: o for o in found["items"]}
        value = wanted(list(objects.values()))
        if value:
            return value
        query = {
            **params,
            "watch": "1",
            "resourceVersion": found["metadata"]["resourceVersion"],
            "timeoutSeconds": str(seconds),
        }
        with self.http.stream("GET", path, params=query, timeout=seconds + 10) as stream:
            for line in stream.iter_lines():
                event = json.loads(line)
                uid = event["object"]["metadata"].get("uid")
                if event["type"] == "DELETED":
                    objects.pop(uid, None)
                elif event["type"] != "BOOKMARK":
                    objects[uid] = event["object"]
                value = wanted(list(objects.values()))
                if value:
                    return value
        raise AssertionError(f"not within {seconds} s: {path}: {json.dumps(list(objects.values()))[:2000]}")

    def until_one(self, path: str, wanted: Callable[[Obj], Any], seconds: float = 20) -> Obj:
        """Watch one object until ``wanted(it)`` is true; returns the object."""
        collection, _, name = path.rpartition("/")

        def found(objects: list[Obj]) -> Obj | None:
            return next((o for o in objects if wanted(o)), None)

        return self.until(collection, found, seconds, fieldSelector=f"metadata.name={name}")

    def until_gone(self, path: str, seconds: float = 20) -> None:
        collection, _, name = path.rpartition("/")
        self.until(collection, lambda objects: not objects, seconds, fieldSelector=f"metadata.name={name}")

    def cut(self) -> None:
        """Cut all connections between the API server and the control loops, as its restart does."""
        os.kill(self.pid, signal.SIGUSR1)

    def namespace(self) -> str:
        """A new namespace, with its service account."""
        name = f"t-{secrets.token_hex(4)}"
        self.post("/api/v1/namespaces", {"metadata": {"name": name}})
        self.until_one(f"/api/v1/namespaces/{name}/serviceaccounts/default", bool)
        return name

    def event(self, namespace: str, name: str, reason: str, seconds: float = 20) -> Obj:
        """An event about an object, once it is there."""
        path, where = f"/api/v1/namespaces/{namespace}/events", f"involvedObject.name={name}"
        return self.until(
            path, lambda es: next((e for e in es if e["reason"] == reason), None), seconds, fieldSelector=where
        )


@contextlib.contextmanager
def control_plane(state: Path, world: str = "small") -> Iterator[Plane]:
    """A running control plane; ``world`` is ``small`` (one live node) or ``article``."""
    make_pki(state)
    token = secrets.token_hex(8)
    (state / "tokens.csv").write_text(f'{token},admin,admin,"system:masters"\n', encoding="utf-8")
    reading, writing = os.pipe()
    command = [sys.executable, __file__, str(state), str(writing), token, world]
    process = subprocess.Popen(command, pass_fds=[writing])
    os.close(writing)
    try:
        with os.fdopen(reading) as pipe:
            port = pipe.readline().strip()
        assert port, "the control plane did not start"
        plane = Plane(f"https://127.0.0.1:{port}", token, state / "pki/ca.crt", process.pid)
        yield plane
        plane.http.close()
    finally:
        process.terminate()
        process.wait(10)


class PretendKubelet:
    """Reports a node as ready, its Pods as running (or as label ``pretend`` says), and takes deleted ones away."""

    def __init__(self, api: Any, node: str) -> None:
        self.api, self.node = api, node

    async def run(self) -> None:
        from jfsnb.sandbox.apimachinery.client import Informer

        size = {"cpu": "8", "memory": "16Gi", "pods": "110"}
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "message": "kubelet is posting ready status",
        }
        status = {"capacity": size, "allocatable": size, "conditions": [ready]}
        await self.api.patch(f"/api/v1/nodes/{self.node}/status", {"status": status})
        await Informer(self.api, "/api/v1/pods", fieldSelector=f"spec.nodeName={self.node}").run(self._see)

    async def _see(self, kind: str, pod: Obj, _old: Obj | None) -> None:
        from jfsnb.sandbox.apimachinery.client import ApiError

        meta, path = (
            pod["metadata"],
            f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}",
        )
        with contextlib.suppress(ApiError):
            if kind == "DELETED":
                return
            if meta.get("deletionTimestamp"):
                await self.api.delete(path, {"gracePeriodSeconds": 0, "preconditions": {"uid": meta["uid"]}})
            elif pod["status"].get("phase", "Pending") == "Pending" and "podIP" not in pod["status"]:
                await self.api.patch(f"{path}/status", {"status": self._status(pod)})

    def _status(self, pod: Obj) -> Obj:
        phase = (pod["metadata"].get("labels") or {}).get("pretend", "Running")
        value = "True" if phase == "Running" else "False"
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        conditions = [
            {"type": t, "status": v, "lastTransitionTime": since}
            for t, v in (("PodScheduled", "True"), ("Ready", value), ("ContainersReady", value))
        ]
        return {"phase": phase, "conditions": conditions, "podIP": "127.9.9.9", "hostIP": "127.0.0.1"}


def _small_world() -> list[Obj]:
    names = ("default", "kube-system", "kube-public", "kube-node-lease")
    meta = {"name": NODE, "labels": {"kubernetes.io/hostname": NODE}}
    result: list[Obj] = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": n}} for n in names]
    for namespace in result:
        namespace |= {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
    return [*result, {"apiVersion": "v1", "kind": "Node", "metadata": meta, "spec": {}, "status": {}}]


def _kubeconfig(state: Path, server: str, token: str) -> Path:
    config = {
        "clusters": [{"name": "c", "cluster": {"server": server, "certificate-authority": str(state / "pki/ca.crt")}}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    path = state / "kubeconfig"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


class Relay:
    """What the control loops connect to; their connections can be cut."""

    def __init__(self, port: int) -> None:
        self.port, self.writers = port, set[asyncio.StreamWriter]()

    async def start(self) -> int:
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self.cut)
        return int(server.sockets[0].getsockname()[1])

    def cut(self) -> None:
        for writer in tuple(self.writers):
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward, back = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers |= {writer, back}
        try:
            await asyncio.gather(self._pump(reader, back), self._pump(onward, writer))
        finally:
            self.writers -= {writer, back}

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
        target.close()


async def _serve(state: Path, pipe: int, token: str, world: str) -> None:
    from jfsnb.sandbox.apimachinery.client import ApiClient
    from jfsnb.sandbox.apiserver.http.server import serve
    from jfsnb.sandbox.controllers import run_control
    from jfsnb.sandbox.world import ARTICLE_NODE, objects

    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    restored = objects() if world == "article" else _small_world()
    server = asyncio.ensure_future(serve(state, 0, port.set_result, restored))
    relay = Relay(await port)
    kubeconfig = _kubeconfig(state, f"https://127.0.0.1:{await relay.start()}", token)
    stop = asyncio.Event()
    async with ApiClient.from_kubeconfig(kubeconfig) as api:
        kubelet = asyncio.ensure_future(PretendKubelet(api, ARTICLE_NODE if world == "article" else NODE).run())
        control = asyncio.ensure_future(run_control(kubeconfig, stop))
        os.write(pipe, f"{port.result()}\n".encode())
        os.close(pipe)
        await asyncio.wait([server, control, kubelet], return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        kubelet.cancel()
        for task in (control, server):
            await task


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]))
