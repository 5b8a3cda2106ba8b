"""Kubernetes' streams over a websocket: each message begins with the number of its channel.

Subprotocols: ``v5.channel.k8s.io`` (as v4, and a channel can be closed), ``v4.channel.k8s.io`` and
``v4.base64.channel.k8s.io``.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import orjson
from aiohttp import WSMsgType, web

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io", "v4.base64.channel.k8s.io", "channel.k8s.io")


class Channels:
    """One connection. Make it with ``accept``."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket
        self._base64 = "base64" in (socket.ws_protocol or "")

    @classmethod
    async def accept(cls, request: web.Request) -> Channels:
        """Answer the upgrade."""
        socket = web.WebSocketResponse(protocols=PROTOCOLS, max_msg_size=0, autoclose=True)
        await socket.prepare(request)
        return cls(socket)

    @property
    def socket(self) -> web.WebSocketResponse:
        return self._socket

    async def send(self, channel: int, data: bytes) -> None:
        """Raises ConnectionError when the client has gone."""
        if self._base64:
            await self._socket.send_str(f"{channel}{base64.b64encode(data).decode()}")
        else:
            await self._socket.send_bytes(bytes([channel]) + data)

    async def messages(self) -> AsyncIterator[tuple[int, bytes]]:
        """(channel, data) until the client closes the connection."""
        async for message in self._socket:
            if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT) or not message.data:
                continue
            if self._base64:
                yield int(message.data[0]), base64.b64decode(message.data[1:])
                continue
            raw = message.data if isinstance(message.data, bytes) else message.data.encode()  # both kinds are in use
            yield raw[0], raw[1:]

    async def finish(self, status: Any) -> None:
        """Say how it went, then close."""
        await self.send(ERROR, orjson.dumps(status))
        await self._socket.close()


def success() -> dict[str, Any]:
    return {"metadata": {}, "status": "Success"}


def exited(code: int) -> dict[str, Any]:
    """How a command ended, as a Status that clients take the exit code from."""
    if code == 0:
        return success()
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: command terminated with exit code {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def failure(message: str) -> dict[str, Any]:
    """The command could not be run at all."""
    text = f"Internal error occurred: {message}"
    details = {"causes": [{"message": message}]}
    status = {"metadata": {}, "status": "Failure", "message": text, "reason": "InternalError"}
    return {**status, "details": details, "code": 500}
