"""The API server as a process: its store, its TLS socket, its end."""

from __future__ import annotations

import asyncio
import signal
import ssl
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from aiohttp import web

from jfsnb.sandbox.apiserver.http.authentication import Authenticator, static_users
from jfsnb.sandbox.apiserver.http.authorization import Authorizer
from jfsnb.sandbox.apiserver.http.handler import Handler
from jfsnb.sandbox.apiserver.http.proxy import KubeletProxy
from jfsnb.sandbox.apiserver.http.request import MAX_BODY
from jfsnb.sandbox.apiserver.http.tokens import TokenSigner
from jfsnb.sandbox.apiserver.storage.bootstrap import bootstrap
from jfsnb.sandbox.apiserver.storage.registry import Registry
from jfsnb.sandbox.apiserver.storage.store import Store

Obj = dict[str, Any]


async def serve(state: Path, port: int, ready: Callable[[int], None], restore: Iterable[Obj] = ()) -> None:
    """Serve until SIGTERM.

    Args:
        state: the sandbox's directory; ``pki/`` and ``tokens.csv`` are read.
        port: TCP port on 127.0.0.1; 0 takes a free one.
        ready: called with the port once requests are answered.
        restore: objects that exist from the start, loaded as they are.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    store = Store()
    registry = Registry(store)
    bootstrap(registry, restore)
    authenticator = Authenticator(static_users(state / "tokens.csv"), TokenSigner(state / "pki/sa.key"), store)
    proxy = KubeletProxy(registry, state / "pki")
    handler = Handler(registry, authenticator, Authorizer(store), proxy)
    runner = web.ServerRunner(_server(handler), shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=_tls(state / "pki"), backlog=512).start()
        ready(runner.addresses[0][1])
        await stop.wait()
    finally:
        await runner.cleanup()
        await proxy.close()


def _server(handler: Handler) -> web.Server:
    def request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        loop = asyncio.get_running_loop()
        return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=MAX_BODY)

    return web.Server(
        handler.handle,
        request_factory=request,
        handler_cancellation=True,
        access_log=None,
        auto_decompress=False,  # Kubernetes takes a body as it comes, whatever Content-Encoding says
    )


def _tls(pki: Path) -> ssl.SSLContext:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(pki / "apiserver.crt", pki / "apiserver.key")
    return tls
