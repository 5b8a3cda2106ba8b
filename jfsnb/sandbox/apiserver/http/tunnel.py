"""``kubectl port-forward``: SPDY inside a websocket on the client's side, a websocket per connection on the node's.

kubectl opens two streams for each local connection, ``error`` and ``data``, under one request id. The node's websocket
carries data on channel 0 and errors on channel 1, and begins both with the port number.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import aiohttp
from aiohttp import WSMsgType, web

from jfsnb.sandbox.apiserver.http import spdy

PROTOCOL = "SPDY/3.1+portforward.k8s.io"
NODE_PROTOCOL = "v4.channel.k8s.io"
#: Opens the node's websocket for a port.
Connect = Callable[[str], Awaitable[aiohttp.ClientWebSocketResponse]]


@dataclass
class _Forward:
    """One local connection: its streams, and what came before the node was connected."""

    port: str
    error: int = 0
    data: int = 0
    waiting: list[bytes] = field(default_factory=list)
    node: aiohttp.ClientWebSocketResponse | None = None
    task: asyncio.Task[None] | None = None


class Tunnel:
    """One ``kubectl port-forward``."""

    def __init__(self, client: web.WebSocketResponse, connect: Connect) -> None:
        self._client, self._connect = client, connect
        self._session = spdy.Session()
        self._forwards: dict[str, _Forward] = {}
        self._by_stream: dict[int, _Forward] = {}

    async def run(self) -> None:
        """Until the client goes."""
        try:
            async for message in self._client:
                if message.type == WSMsgType.BINARY:
                    for frame in self._session.feed(message.data):
                        await self._take(frame)
        except (ValueError, ConnectionError):
            await self._client.close(code=1002)
        finally:
            tasks = [f.task for f in self._forwards.values() if f.task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _take(self, frame: spdy.Frame) -> None:
        if isinstance(frame, spdy.Opened):
            await self._open(frame)
        elif isinstance(frame, spdy.Pinged):
            await self._client.send_bytes(spdy.pong(frame.number))
        elif isinstance(frame, spdy.Reset):
            forward = self._by_stream.get(frame.stream)
            if forward is not None and forward.data == frame.stream and forward.task is not None:
                forward.task.cancel()
        else:
            forward = self._by_stream.get(frame.stream)
            if forward is None or forward.data != frame.stream or not frame.data:
                return
            if forward.node is None:
                forward.waiting.append(frame.data)
            else:
                await _send(forward.node, frame.data)

    async def _open(self, frame: spdy.Opened) -> None:
        headers = frame.headers
        request = headers.get("requestid", "")
        forward = self._forwards.setdefault(request, _Forward(headers.get("port", "")))
        if headers.get("streamtype") == "error":
            forward.error = frame.stream
        else:
            forward.data = frame.stream
        self._by_stream[frame.stream] = forward
        await self._client.send_bytes(self._session.accept(frame.stream))
        if forward.error and forward.data and forward.task is None:
            forward.task = asyncio.get_running_loop().create_task(self._forward(request, forward))

    async def _forward(self, request: str, forward: _Forward) -> None:
        try:
            async with await self._connect(forward.port) as node:
                for data in forward.waiting:
                    await _send(node, data)
                forward.node = node
                await self._receive(node, forward)
        except (aiohttp.ClientError, OSError) as error:
            text = f"error forwarding port {forward.port}: {error}"
            await self._client.send_bytes(spdy.data(forward.error, text.encode()))
        finally:
            self._forwards.pop(request, None)
            for stream in (forward.error, forward.data):
                self._by_stream.pop(stream, None)
                if not self._client.closed:
                    await self._client.send_bytes(spdy.data(stream, b"", finished=True))

    async def _receive(self, node: aiohttp.ClientWebSocketResponse, forward: _Forward) -> None:
        begun: set[int] = set()
        async for message in node:
            if message.type != WSMsgType.BINARY or not message.data:
                continue
            channel, payload = message.data[0], message.data[1:]
            if channel not in begun:  # each channel begins with the port's two bytes
                begun.add(channel)
                payload = payload[2:]
            if payload:
                await self._client.send_bytes(spdy.data(forward.error if channel else forward.data, payload))


async def _send(node: aiohttp.ClientWebSocketResponse, data: bytes) -> None:
    await node.send_bytes(b"\x00" + data)
