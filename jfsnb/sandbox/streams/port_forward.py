"""Port forwarding over websocket channels: for the n-th port, channel 2n carries data and 2n+1 errors."""

from __future__ import annotations

import asyncio
import struct

from jfsnb.sandbox.streams.channels import Channels

CHUNK = 64 * 1024


async def run_port_forward(channels: Channels, hosts: list[str], ports: list[int]) -> None:
    """Connect a client to ports of a Pod until it hangs up.

    Args:
        channels: the client.
        hosts: addresses to try, in this order.
        ports: of the Pod.
    """
    writers: dict[int, asyncio.StreamWriter] = {}
    pumps: list[asyncio.Task[None]] = []
    try:
        for number, port in enumerate(ports):
            for channel in (2 * number, 2 * number + 1):
                await channels.send(channel, struct.pack("<H", port))
            try:
                reader, writers[2 * number] = await connect(hosts, port)
            except OSError as error:
                await channels.send(2 * number + 1, f"error forwarding port {port}: {error}".encode())
                continue
            pumps.append(asyncio.create_task(_pump(channels, 2 * number, reader)))
        async for channel, data in channels.messages():
            if channel in writers:
                writers[channel].write(data)
                await writers[channel].drain()
    except ConnectionError:
        pass  # either side hung up
    finally:
        for pump in pumps:
            pump.cancel()
        for writer in writers.values():
            writer.close()


async def connect(hosts: list[str], port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The first address that answers. Raises OSError when none does."""
    last: OSError = OSError("no address")
    for host in hosts:
        try:
            return await asyncio.open_connection(host, port)
        except ConnectionRefusedError:
            last = ConnectionRefusedError(f"dial tcp4 {host}:{port}: connect: connection refused")
        except OSError as error:
            last = error
    raise last


async def _pump(channels: Channels, channel: int, reader: asyncio.StreamReader) -> None:
    while data := await reader.read(CHUNK):
        await channels.send(channel, data)
    await channels.socket.close()
