"""The kubelet's HTTPS server: logs, exec, attach and port forwarding for the API server, /pods for drivers."""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import orjson
from aiohttp import web

from jfsnb.sandbox.apimachinery.client import ApiError
from jfsnb.sandbox.kubelet.containers.containers import Container
from jfsnb.sandbox.kubelet.remote_command import run_attach, run_exec
from jfsnb.sandbox.kubelet.volumes.stats import summary
from jfsnb.sandbox.pki import issue
from jfsnb.sandbox.runtime.logs import ContainerLog, LogOptions, read
from jfsnb.sandbox.streams.channels import Channels
from jfsnb.sandbox.streams.port_forward import run_port_forward
from jfsnb.sandbox.streams.spdy_forward import PROTOCOL, SpdyForward

if TYPE_CHECKING:
    from jfsnb.sandbox.kubelet.kubelet import Kubelet
    from jfsnb.sandbox.kubelet.pod_worker import PodWorker

API_SERVER = "kube-apiserver-kubelet-client"
TOKEN_SECONDS = 60.0  # a token that was good is not asked about again for so long
FOR_TOKENS = ("/pods", "/healthz", "/stats")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class KubeletServer:
    """Serves one node's Pods at the node's address."""

    def __init__(self, kubelet: Kubelet, state: Path) -> None:
        self._kubelet, self._state = kubelet, state
        self._good: dict[str, float] = {}
        self._runner: web.AppRunner | None = None

    async def start(self) -> int:
        """Listen; returns the port."""
        context = self._kubelet.context
        app = web.Application(middlewares=[self._authorize], handler_args={"access_log": None})
        where = "/{namespace}/{pod}/{container}"
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/pods", self._pods)
        app.router.add_get("/pods/", self._pods)
        app.router.add_get("/stats/summary", self._stats)
        app.router.add_get("/containerLogs" + where, self._logs)
        for path in ("/exec" + where, "/exec/{namespace}/{pod}/{uid}/{container}"):
            app.router.add_route("*", path, self._exec)
        app.router.add_route("*", "/attach" + where, self._attach)
        app.router.add_route("*", "/portForward/{namespace}/{pod}", self._port_forward)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate, key = issue(
            self._state, f"kubelet-{context.name}", f"system:node:{context.name}", [context.name], [context.ip]
        )
        tls.load_cert_chain(certificate, key)
        tls.load_verify_locations(self._state / "pki" / "ca.crt")
        tls.verify_mode = ssl.CERT_OPTIONAL
        self._runner = web.AppRunner(app, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, context.ip, 0, ssl_context=tls).start()
        return int(self._runner.addresses[0][1])

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    # ------------------------------------------------------------ who may

    @web.middleware
    async def _authorize(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The API server's certificate opens everything, a valid bearer token only what a driver reads."""
        assert request.transport is not None
        peer = request.transport.get_extra_info("peercert") or {}
        names = [value for part in peer.get("subject", ()) for key, value in part if key == "commonName"]
        if API_SERVER in names:
            return await handler(request)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        if not token or not await self._is_good(token):
            return web.Response(status=401, text="Unauthorized")
        if not request.path.startswith(FOR_TOKENS):
            return web.Response(status=403, text="Forbidden: ask the API server")
        return await handler(request)

    async def _is_good(self, token: str) -> bool:
        if self._good.get(token, 0.0) > time.monotonic():
            return True
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
        try:
            review = await self._kubelet.context.api.create("/apis/authentication.k8s.io/v1/tokenreviews", body)
        except (ApiError, aiohttp.ClientError, OSError, TimeoutError):
            return False
        if not (review.get("status") or {}).get("authenticated"):
            return False
        self._good[token] = time.monotonic() + TOKEN_SECONDS
        return True

    # ------------------------------------------------------------ what

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _pods(self, _request: web.Request) -> web.Response:
        items = [w.as_seen_here() for w in self._kubelet.workers.values()]
        body = {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}
        return web.Response(body=orjson.dumps(body), content_type="application/json")

    async def _stats(self, _request: web.Request) -> web.Response:
        body = await summary(self._kubelet.context.name, self._kubelet.workers.values())
        return web.Response(body=orjson.dumps(body), content_type="application/json")

    def _pod(self, request: web.Request) -> PodWorker:
        namespace, name = request.match_info["namespace"], request.match_info["pod"]
        worker = self._kubelet.worker(namespace, name)
        if worker is None:
            raise web.HTTPNotFound(text=f'pod "{name}" not found')
        return worker

    def _container(self, request: web.Request) -> Container:
        worker, name = self._pod(request), request.match_info["container"]
        container = worker.container(name)
        if container is None:
            raise web.HTTPNotFound(text=f'container "{name}" not found in pod "{request.match_info["pod"]}"')
        return container

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        container = self._container(request)
        path, live = log_file(container, _flag(request, "previous"))
        options = log_options(request.query, datetime.now(UTC))
        answer = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await answer.prepare(request)
        async for piece in read(path, options, live):
            await answer.write(piece)
        await answer.write_eof()
        return answer

    async def _exec(self, request: web.Request) -> web.StreamResponse:
        container = self._container(request)
        if container.process is None:
            raise web.HTTPInternalServerError(text=f'container not found ("{container.name}")')
        channels = await Channels.accept(request)
        command = request.query.getall("command", [])
        with contextlib.suppress(ConnectionError):  # the client has gone
            await run_exec(channels, container, command, _flag(request, "stdin", "input"), _flag(request, "tty"))
        return channels.socket

    async def _attach(self, request: web.Request) -> web.StreamResponse:
        container = self._container(request)
        channels = await Channels.accept(request)
        with contextlib.suppress(ConnectionError):  # the client has gone
            await run_attach(channels, container)
        return channels.socket

    async def _port_forward(self, request: web.Request) -> web.StreamResponse:
        worker = self._pod(request)
        hosts = list(dict.fromkeys([worker.ip, "127.0.0.1"]))
        asked = request.headers.get("Sec-WebSocket-Protocol", "")
        if PROTOCOL in asked:
            socket = web.WebSocketResponse(protocols=(PROTOCOL,), max_msg_size=0)
            await socket.prepare(request)
            await SpdyForward(socket, hosts).run()
            return socket
        words = [p for key in ("ports", "port") for text in request.query.getall(key, []) for p in text.split(",")]
        channels = await Channels.accept(request)
        await run_port_forward(channels, hosts, [int(p) for p in words])
        return channels.socket


def log_file(container: Container, previous: bool) -> tuple[Path, ContainerLog | None]:
    """Where a container's log is, and the live log when it is still being written.

    Raises:
        web.HTTPBadRequest: there is none yet, or no previous one; worded as kubelet words it.
    """
    pod = container.pod.obj["metadata"]["name"]
    record = container.record
    if previous:
        if not record.last_state or (container.previous_log is None and container.log is None):
            text = f'previous terminated container "{container.name}" in pod "{pod}" not found'
            raise web.HTTPBadRequest(text=text)
        latest = container.log.path if container.log else container.previous_log
        path = latest if "waiting" in record.state else container.previous_log
        assert path is not None
        return path, None
    if container.log is None or (not record.container_id and container.process is None):
        reason = record.state.get("waiting", {}).get("reason", "ContainerCreating")
        pulling = reason in ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull")
        why = "trying and failing to pull image" if pulling else reason
        text = f'container "{container.name}" in pod "{pod}" is waiting to start: {why}'
        raise web.HTTPBadRequest(text=text)
    return container.log.path, container.log


def log_options(query: Mapping[str, str], now: datetime) -> LogOptions:
    """The options of a request. Unknown ones are left to the API server to refuse."""
    since = None
    if seconds := query.get("sinceSeconds"):
        since = now - timedelta(seconds=int(seconds))
    elif moment := query.get("sinceTime"):
        since = datetime.fromisoformat(moment)
    return LogOptions(
        follow=query.get("follow") in ("true", "1"),
        tail=_number(query.get("tailLines")),
        since=since,
        timestamps=query.get("timestamps") in ("true", "1"),
        limit=_number(query.get("limitBytes")),
    )


def _number(text: str | None) -> int | None:
    return int(text) if text else None


def _flag(request: web.Request, *names: str) -> bool:
    return any(request.query.get(name) in ("true", "1") for name in names)
