"""A sandbox for tests of the kubelet, with short words for what they do to Pods."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

import orjson

from jfsnb.sandbox.apimachinery.client import ApiClient, ApiError, Obj
from jfsnb.sandbox.lifecycle import Sandbox

IMAGE = "local/debian:bookworm"
SECONDS = 30.0


def pod(script: str = "sleep 600", *, container: Obj | None = None, annotations: Obj | None = None, **spec: Any) -> Obj:
    """A Pod of one container ``c`` that stops fast."""
    main = {"name": "c", "image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": ["bash", "-c", script]}
    body = {"terminationGracePeriodSeconds": 1, "restartPolicy": "Never", "containers": [main | (container or {})]}
    meta = {"name": "p", "annotations": annotations or {}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": body | spec}


def phase(*wanted: str) -> Callable[[Obj], bool]:
    return lambda p: p["status"].get("phase") in wanted


def container(p: Obj, name: str = "c") -> Obj:
    statuses = [*p["status"].get("initContainerStatuses", ()), *p["status"].get("containerStatuses", ())]
    return next((s for s in statuses if s["name"] == name), {})


class Cluster:
    """One namespace of a running sandbox."""

    def __init__(self, sandbox: Sandbox, api: ApiClient, namespace: str) -> None:
        self.sandbox, self.api, self.namespace = sandbox, api, namespace
        self.pods = f"/api/v1/namespaces/{namespace}/pods"

    async def create(self, plural: str, obj: Obj) -> Obj:
        return await self.api.create(f"/api/v1/namespaces/{self.namespace}/{plural}", obj)

    async def start(self, body: Obj, name: str = "p") -> Obj:
        body["metadata"]["name"] = name
        return await self.create("pods", body)

    async def run(self, body: Obj, *phases: str, name: str = "p") -> Obj:
        await self.start(body, name)
        return await self.until(phase(*(phases or ("Running",))), name)

    async def until(self, wanted: Callable[[Obj], bool], name: str = "p") -> Obj:
        """Watch a Pod until it is as wanted."""
        return await asyncio.wait_for(
            self._watch(self.pods, name, lambda kind, p: kind != "DELETED" and wanted(p)), SECONDS
        )

    async def gone(self, name: str = "p") -> None:
        await asyncio.wait_for(
            self._watch(self.pods, name, lambda kind, _: kind == "DELETED", or_missing=True), SECONDS
        )

    async def event(self, wanted: Callable[[Obj], bool]) -> Obj:
        path = f"/api/v1/namespaces/{self.namespace}/events"
        return await asyncio.wait_for(self._watch(path, None, lambda _, e: wanted(e)), SECONDS)

    async def _watch(
        self, path: str, name: str | None, wanted: Callable[[str, Obj], bool], or_missing: bool = False
    ) -> Obj:
        fields = {"fieldSelector": f"metadata.name={name}"} if name else {}
        found = await self.api.list(path, **fields)
        for obj in found["items"]:
            if wanted("ADDED", obj):
                return obj
        if or_missing and not found["items"]:
            return {}
        stream = await self.api.watch(path, found["metadata"]["resourceVersion"], **fields)
        buffer = b""
        try:
            async for chunk in stream.content.iter_any():
                *lines, buffer = (buffer + chunk).split(b"\n")
                for line in filter(None, lines):
                    event = orjson.loads(line)
                    if event["type"] != "BOOKMARK" and wanted(event["type"], event["object"]):
                        return event["object"]
        finally:
            stream.close()
        raise AssertionError("the watch ended")

    async def delete(self, name: str = "p", **options: Any) -> None:
        await self.api.delete(f"{self.pods}/{name}", options or None)

    async def logs(self, name: str = "p", **params: Any) -> str:
        answer = await self.api.get(f"{self.pods}/{name}/log", **params)
        return str(answer.get("text", answer.get("value", "")))

    async def output(self, body: Obj, name: str = "p") -> str:
        """What a Pod prints until it ends."""
        ended = await self.run(body, "Succeeded", "Failed", name=name)
        text = await self.logs(name)
        assert ended["status"]["phase"] == "Succeeded", text
        return text

    async def node(self) -> Obj:
        nodes = (await self.api.get("/api/v1/nodes"))["items"]
        return next(n for n in nodes if "sandbox.jfsnb.io/recorded" not in (n["metadata"].get("annotations") or {}))


def in_namespace(sandbox: Sandbox, test: Callable[[Cluster], Any]) -> None:
    """Run an async test in a namespace of its own, and take that away."""

    async def run() -> None:
        name = f"kt-{secrets.token_hex(4)}"
        async with ApiClient.from_kubeconfig(sandbox.kubeconfig) as api:
            await api.create("/api/v1/namespaces", {"metadata": {"name": name}})
            cluster = Cluster(sandbox, api, name)
            await asyncio.wait_for(
                cluster._watch(f"/api/v1/namespaces/{name}/serviceaccounts", "default", lambda *_: True), SECONDS
            )
            try:
                await test(cluster)
            finally:
                for p in (await api.get(cluster.pods))["items"]:
                    try:
                        await cluster.delete(p["metadata"]["name"], gracePeriodSeconds=0)
                    except ApiError as error:
                        assert error.status == 404
                await api.delete(f"/api/v1/namespaces/{name}")

    asyncio.run(run())
