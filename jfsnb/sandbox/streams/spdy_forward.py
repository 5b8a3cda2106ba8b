"""``kubectl port-forward``: SPDY inside a websocket, a pair of streams (data, error) for each connection."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from jfsnb.sandbox.streams import spdy
from jfsnb.sandbox.streams.port_forward import CHUNK, connect

PROTOCOL = "SPDY/3.1+portforward.k8s.io"


@dataclass
class _Pair:
    """The two streams of one forwarded connection, and what the client sent on the first."""

    port: int
    streams: dict[str, int] = field(default_factory=dict)  # "data" and "error" -> stream id
    input: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)  # b"" is the client's end


class SpdyForward:
    """Serves one client until it hangs up."""

    def __init__(self, socket: web.WebSocketResponse, hosts: list[str]) -> None:
        self._socket, self._hosts = socket, hosts
        self._codec = spdy.Codec()
        self._pairs: dict[str, _Pair] = {}  # by request id
        self._by_stream: dict[int, _Pair] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        try:
            async for message in self._socket:
                if message.type == WSMsgType.BINARY:
                    for frame in self._codec.received(message.data):
                        await self._take(frame)
        except (ConnectionError, ValueError):
            await self._socket.close()
        finally:
            for task in self._tasks:
                task.cancel()

    async def _take(self, frame: spdy.Frame) -> None:
        if frame.control == spdy.SYN_STREAM:
            await self._open(frame)
        elif frame.control == spdy.PING:
            await self._socket.send_bytes(spdy.control(spdy.PING, frame.data))
        elif frame.control == spdy.RST_STREAM or frame.control == 0:
            pair = self._by_stream.get(frame.stream)
            if pair is not None and frame.stream == pair.streams.get("data"):
                if frame.data and frame.control == 0:
                    pair.input.put_nowait(frame.data)
                if frame.control or frame.flags & spdy.FIN:
                    pair.input.put_nowait(b"")

    async def _open(self, frame: spdy.Frame) -> None:
        headers = {name.lower(): value for name, value in frame.headers.items()}
        await self._socket.send_bytes(self._codec.reply(frame.stream))
        pair = self._pairs.setdefault(headers.get("requestid", ""), _Pair(int(headers["port"])))
        pair.streams[headers["streamtype"]] = frame.stream
        self._by_stream[frame.stream] = pair
        if len(pair.streams) == 2:
            task = asyncio.create_task(self._forward(pair))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _forward(self, pair: _Pair) -> None:
        error = b""
        try:
            reader, writer = await connect(self._hosts, pair.port)
        except OSError as failure:
            error = f"error forwarding port {pair.port}: {failure}".encode()
        else:
            sending = asyncio.create_task(_send(pair.input, writer))
            try:
                while data := await reader.read(CHUNK):
                    await self._socket.send_bytes(spdy.data_frame(pair.streams["data"], data))
            except ConnectionResetError:
                pass  # the Pod's side broke off; the client sees its stream end
            finally:
                sending.cancel()
                writer.close()
        with contextlib.suppress(ConnectionError):
            await self._socket.send_bytes(spdy.data_frame(pair.streams["error"], error, fin=True))
            await self._socket.send_bytes(spdy.data_frame(pair.streams["data"], b"", fin=True))


async def _send(queue: asyncio.Queue[bytes], writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await queue.get():
            writer.write(data)
            await writer.drain()
        writer.write_eof()
