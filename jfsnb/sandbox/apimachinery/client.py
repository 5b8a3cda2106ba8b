"""The async Kubernetes client of the sandbox's own components: control loops, kubelets, CSI driver.

Own code, because the official client has no asyncio version and costs 30 MB and 0.4 s in each process; plain dicts
over aiohttp are all that a controller needs. Nothing here knows that the server is the sandbox's.
"""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import aiohttp
import orjson
import yaml

Obj = dict[str, Any]
SERVICE_ACCOUNT_DIR = Path("/var/run/secrets/kubernetes.io/serviceaccount")
PATCH_TYPES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


class ApiError(Exception):
    """The API server answered with a failure.

    Args:
        status: HTTP status code.
        reason: the Status object's reason, for example ``NotFound``.
        message: the Status object's message.
        body: the whole answer.
    """

    def __init__(self, status: int, reason: str, message: str, body: Obj | None = None) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status, self.reason, self.message, self.body = status, reason, message, body or {}


class ApiClient:
    """Requests to one API server; use as an async context manager."""

    def __init__(self, server: str, token: str, context: ssl.SSLContext | None, token_file: Path | None = None) -> None:
        self.server = server.rstrip("/")
        self._token, self._token_file = token, token_file
        self._ssl = context
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def from_kubeconfig(cls, path: Path | str) -> Self:
        """The current context of a kubeconfig file (bearer token or client certificate files)."""
        cfg = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        named = {
            kind: {e["name"]: e[kind[:-1]] for e in cfg.get(kind) or ()} for kind in ("clusters", "users", "contexts")
        }
        context = named["contexts"][cfg["current-context"]]
        cluster, user = named["clusters"][context["cluster"]], named["users"][context["user"]]
        tls = None
        if cluster["server"].startswith("https"):
            tls = ssl.create_default_context(cafile=cluster.get("certificate-authority"))
            if "certificate-authority-data" in cluster:
                tls.load_verify_locations(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
            if cluster.get("insecure-skip-tls-verify"):
                tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
            if "client-certificate" in user:
                tls.load_cert_chain(user["client-certificate"], user.get("client-key"))
        return cls(cluster["server"], user.get("token", ""), tls)

    @classmethod
    def in_cluster(cls) -> ApiClient:
        """The service account of the Pod that this process runs in."""
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        tls = ssl.create_default_context(cafile=str(SERVICE_ACCOUNT_DIR / "ca.crt"))
        token = SERVICE_ACCOUNT_DIR / "token"
        return cls(f"https://{host}:{port}", token.read_text().strip(), tls, token_file=token)

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=self._ssl if self._ssl is not None else True, limit=0)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, json_serialize=_dumps)
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._session is not None:
            await self._session.close()

    def _headers(self) -> dict[str, str]:
        if self._token_file is not None:  # projected tokens are rotated in place
            self._token = self._token_file.read_text().strip()
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        content_type: str = "application/json",
        timeout: float = 30,
        **params: Any,
    ) -> Obj:
        """One request; returns the parsed answer, raises ApiError (connection trouble: aiohttp.ClientError)."""
        assert self._session is not None, "use 'async with ApiClient...'"
        headers = self._headers()
        data = None
        if body is not None:
            data, headers["Content-Type"] = orjson.dumps(body), content_type
        async with self._session.request(
            method,
            self.server + path,
            data=data,
            headers=headers,
            params=_query(params),
            timeout=aiohttp.ClientTimeout(total=timeout),
        ) as answer:
            raw = await answer.read()
            parsed = _parse(raw)
            if answer.status >= 400:
                raise ApiError(
                    answer.status,
                    parsed.get("reason", ""),
                    parsed.get("message", raw[:200].decode("utf-8", "replace")),
                    parsed,
                )
            return parsed

    async def get(self, path: str, **params: Any) -> Obj:
        return await self.request("GET", path, **params)

    async def list(self, path: str, **params: Any) -> Obj:
        """The whole list (``items`` and ``metadata``); items get their kind and apiVersion filled in."""
        found = await self.request("GET", path, **params)
        _name_items(found)
        return found

    async def create(self, path: str, body: Obj, **params: Any) -> Obj:
        return await self.request("POST", path, body, **params)

    async def update(self, path: str, body: Obj, **params: Any) -> Obj:
        return await self.request("PUT", path, body, **params)

    async def patch(self, path: str, body: Any, kind: str = "merge", **params: Any) -> Obj:
        return await self.request("PATCH", path, body, content_type=PATCH_TYPES[kind], **params)

    async def delete(self, path: str, body: Obj | None = None, **params: Any) -> Obj:
        return await self.request("DELETE", path, body, **params)

    async def watch(self, path: str, resource_version: str, **params: Any) -> aiohttp.ClientResponse:
        """An open watch stream (newline separated JSON events); the caller reads and closes it."""
        assert self._session is not None, "use 'async with ApiClient...'"
        query = _query({**params, "watch": "1", "resourceVersion": resource_version, "allowWatchBookmarks": "true"})
        answer = await self._session.get(self.server + path, headers=self._headers(), params=query)
        if answer.status >= 400:
            raw = await answer.read()
            answer.release()
            parsed = _parse(raw)
            raise ApiError(answer.status, parsed.get("reason", ""), parsed.get("message", ""), parsed)
        return answer

    def websocket(
        self, path: str, query: Sequence[tuple[str, str]], protocol: str
    ) -> AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse]:
        """A websocket of a subresource; use as an async context manager."""
        assert self._session is not None, "use 'async with ApiClient...'"
        address = self.server.replace("http", "ws", 1) + path
        return self._session.ws_connect(address, params=query, headers=self._headers(), protocols=[protocol])


OnEvent = Callable[[str, Obj, Obj | None], Awaitable[None] | None]


class Informer:
    """A local copy of a list that a watch keeps current.

    ``store`` maps (namespace, name) to the object; ``synced`` is set after the first list. ``run`` lists and watches
    for ever: a 410, a dropped connection or a restarted API server leads to a new list, whose differences are reported
    as events too, so that a handler sees each change at least once.
    """

    def __init__(self, api: ApiClient, path: str, **params: Any) -> None:
        self.api, self.path, self.params = api, path, params
        self.store: dict[tuple[str, str], Obj] = {}
        self.synced = asyncio.Event()
        self._handlers: list[OnEvent] = []

    def add_handler(self, on_event: OnEvent) -> None:
        """Call ``on_event(type, object, old object or None)`` for each ADDED, MODIFIED and DELETED."""
        self._handlers.append(on_event)

    async def run(self, on_event: OnEvent | None = None) -> None:
        if on_event is not None:
            self.add_handler(on_event)
        backoff = 0.05
        while True:
            try:
                version = await self._relist()
                backoff = 0.05
                await self._follow(version)
            except (ApiError, aiohttp.ClientError, OSError, TimeoutError, asyncio.IncompleteReadError):
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, 2.0)

    async def _relist(self) -> str:
        found = await self.api.list(self.path, **self.params)
        fresh = {_key(obj): obj for obj in found.get("items") or ()}
        gone = [self.store[k] for k in self.store.keys() - fresh.keys()]
        for obj in gone:
            await self._apply("DELETED", obj)
        for key, obj in fresh.items():
            old = self.store.get(key)
            if old is None:
                await self._apply("ADDED", obj)
            elif old["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"]:
                await self._apply("MODIFIED", obj)
        self.synced.set()
        return str(found["metadata"]["resourceVersion"])

    async def _follow(self, version: str) -> None:
        while True:
            stream = await self.api.watch(self.path, version, **self.params)
            try:
                version = await self._read(stream, version)
            finally:
                stream.close()

    async def _read(self, stream: aiohttp.ClientResponse, version: str) -> str:
        buffer = b""
        async for chunk in stream.content.iter_any():
            *lines, buffer = (buffer + chunk).split(b"\n")
            for line in lines:
                if not line.strip():
                    continue
                event = orjson.loads(line)
                obj = event["object"]
                if event["type"] == "ERROR":
                    raise ApiError(obj.get("code", 500), obj.get("reason", ""), obj.get("message", ""), obj)
                version = obj["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    await self._apply(event["type"], obj)
        return version

    async def _apply(self, kind: str, obj: Obj) -> None:
        key = _key(obj)
        old = self.store.get(key)
        if kind == "DELETED":
            self.store.pop(key, None)
        else:
            self.store[key] = obj
        for handler in self._handlers:
            outcome = handler(kind, obj, old)
            if outcome is not None:
                await outcome


class EventRecorder:
    """Writes Kubernetes events without making the caller wait; equal events are counted up, as kubelet does."""

    def __init__(self, api: ApiClient, component: str, host: str = "") -> None:
        self.api, self.component, self.host = api, component, host
        self._seen: dict[tuple[str, ...], Obj] = {}
        self._queue: asyncio.Queue[tuple[str, Obj, Obj | None]] = asyncio.Queue()
        self._writer: asyncio.Task[None] | None = None

    def event(
        self,
        obj: Mapping[str, Any],
        kind: str,
        reason: str,
        message: str,
        field_path: str | None = None,
        reporting: bool = False,
        action: str = "Binding",
    ) -> None:
        """Record one event.

        Args:
            obj: the object it is about (needs kind, apiVersion and metadata).
            kind: ``Normal`` or ``Warning``.
            reason: CamelCase word, for example ``FailedMount``.
            message: the sentence that ``kubectl describe`` shows.
            field_path: for example ``spec.containers{app}``.
            reporting: new style (``reportingComponent``, ``eventTime``, empty source), as the scheduler writes them.
            action: what the component was doing; new style events only.
        """
        meta = obj["metadata"]
        ref = {
            "kind": obj.get("kind", "Pod"),
            "namespace": meta.get("namespace", ""),
            "name": meta["name"],
            "uid": meta.get("uid", ""),
            "apiVersion": obj.get("apiVersion", "v1"),
            "resourceVersion": meta.get("resourceVersion", ""),
        }
        if field_path:
            ref["fieldPath"] = field_path
        now = datetime.now(UTC)
        stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        namespace = ref["namespace"] or "default"
        identity = (ref["uid"] or ref["name"], kind, reason, message, field_path or "")
        known = self._seen.get(identity)
        if known is not None:
            if reporting:
                count = known.get("series", {}).get("count", 1) + 1
                patch: Obj = {"series": {"count": count, "lastObservedTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}}
            else:
                patch = {"count": known["count"] + 1, "lastTimestamp": stamp}
            known.update(patch)
            self._put(f"/api/v1/namespaces/{namespace}/events", known, patch)
            return
        name = f"{meta['name']}.{time.time_ns():x}"
        body: Obj = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": ref,
            "type": kind,
            "reason": reason,
            "message": message[:1024],
        }
        if reporting:
            body |= {
                "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
                "reportingComponent": self.component,
                "reportingInstance": f"{self.component}-{os.uname().nodename}",
                "action": action,
                "source": {},
                "firstTimestamp": None,
                "lastTimestamp": None,
            }
        else:
            body |= {
                "source": {"component": self.component, **({"host": self.host} if self.host else {})},
                "firstTimestamp": stamp,
                "lastTimestamp": stamp,
                "count": 1,
                "reportingComponent": self.component,
                "reportingInstance": self.host,
            }
        self._seen[identity] = body
        if len(self._seen) > 4096:
            self._seen.pop(next(iter(self._seen)))
        self._put(f"/api/v1/namespaces/{namespace}/events", body, None)

    async def flush(self) -> None:
        """Wait until everything that was recorded has been sent, for who changes a status that the events explain."""
        if self._writer is not None:
            await asyncio.shield(self._writer)

    def _put(self, path: str, event: Obj, patch: Obj | None) -> None:
        self._queue.put_nowait((path, event, patch))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        while not self._queue.empty():
            path, event, patch = self._queue.get_nowait()
            try:
                if patch is None or not await self._count(f"{path}/{event['metadata']['name']}", patch):
                    await self.api.create(path, event)
            except (ApiError, aiohttp.ClientError, OSError, TimeoutError):
                continue  # events are a courtesy: losing one must not stop a controller

    async def _count(self, path: str, patch: Obj) -> bool:
        """Bring an event up to date; False when it has been forgotten meanwhile."""
        try:
            await self.api.patch(path, patch)
        except ApiError as error:
            if error.status != 404:
                raise
            return False
        return True


def _dumps(value: Any) -> str:
    return orjson.dumps(value).decode()


def _query(params: Mapping[str, Any]) -> dict[str, str]:
    return {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in params.items() if v is not None}


def _parse(raw: bytes) -> Obj:
    try:
        value = orjson.loads(raw) if raw else {}
    except orjson.JSONDecodeError:
        return {"text": raw.decode("utf-8", "replace")}
    return value if isinstance(value, dict) else {"value": value}


def _name_items(found: Obj) -> None:
    kind, version = found.get("kind", ""), found.get("apiVersion", "")
    for item in found.get("items") or ():
        item.setdefault("kind", kind.removesuffix("List"))
        item.setdefault("apiVersion", version)


def _key(obj: Mapping[str, Any]) -> tuple[str, str]:
    meta = obj["metadata"]
    return meta.get("namespace", ""), meta["name"]
