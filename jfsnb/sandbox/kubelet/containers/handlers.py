"""Actions that probes and hooks can take: exec, httpGet, tcpSocket, grpc, sleep."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from jfsnb.sandbox.apimachinery.client import Obj

LONGEST_OUTPUT = 10 * 1024  # bytes of a probe's output that an event may show

Exec = Callable[[Sequence[str]], Awaitable[tuple[int, bytes]]]


@dataclass(frozen=True)
class Outcome:
    """How an action went.

    Args:
        ok: it succeeded.
        text: what to show when it did not.
        unknown: it could not be tried at all.
    """

    ok: bool
    text: str = ""
    unknown: bool = False


@dataclass(frozen=True)
class Target:
    """What an action is about: a container, its address, and how to run a command in it."""

    container: Obj
    ip: str
    exec: Exec


async def act(action: Obj, target: Target, timeout: float) -> Outcome:
    """Do what an entry of ``livenessProbe``, ``lifecycle.preStop`` and so on says.

    Args:
        action: holds one of exec, httpGet, tcpSocket, grpc, sleep.
        target: on which container.
        timeout: seconds.
    """
    if "exec" in action:
        return await _exec(action["exec"].get("command") or (), target, timeout)
    if "httpGet" in action:
        return await _http_get(action["httpGet"], target, timeout)
    if "tcpSocket" in action:
        return await _tcp(action["tcpSocket"], target, timeout)
    if "grpc" in action:
        return await _grpc(action["grpc"], target, timeout)
    if "sleep" in action:
        await asyncio.sleep(float(action["sleep"].get("seconds", 0)))
    return Outcome(True)


async def _exec(command: Sequence[str], target: Target, timeout: float) -> Outcome:
    try:
        code, output = await asyncio.wait_for(target.exec(command), timeout)
    except TimeoutError:
        return Outcome(False, f'command timed out: "{" ".join(command)}" timed out after {timeout:g}s')
    except OSError as error:
        return Outcome(False, f"rpc error: code = Unknown desc = failed to exec in container: {error}", unknown=True)
    return Outcome(code == 0, output[:LONGEST_OUTPUT].decode("utf-8", "replace"))


def port_number(port: Any, container: Obj) -> int:
    """A port as number, or as the name of one of the container's ports.

    Raises:
        ValueError: the container has no port of that name.
    """
    text = str(port)
    if text.isdigit():
        return int(text)
    for entry in container.get("ports") or ():
        if entry.get("name") == text:
            return int(entry["containerPort"])
    raise ValueError(f"couldn't find port: {text!r}")


async def _http_get(get: Obj, target: Target, timeout: float) -> Outcome:
    try:
        port = port_number(get["port"], target.container)
    except ValueError as error:
        return Outcome(False, str(error), unknown=True)
    scheme, path = str(get.get("scheme") or "HTTP").lower(), str(get.get("path") or "/")
    url = f"{scheme}://{get.get('host') or target.ip}:{port}/{path.removeprefix('/')}"
    headers = {"User-Agent": "kube-probe/1.36", "Accept": "*/*"}
    headers |= {h["name"]: h["value"] for h in get.get("httpHeaders") or ()}
    limit = aiohttp.ClientTimeout(total=timeout)
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE  # probes do not verify certificates
    try:
        async with aiohttp.ClientSession(timeout=limit) as session:
            async with session.get(url, headers=headers, ssl=trust, allow_redirects=False) as answer:
                if answer.status < 200 or answer.status >= 400:
                    return Outcome(False, f"HTTP probe failed with statuscode: {answer.status}")
    except TimeoutError:
        waited = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        return Outcome(False, f'Get "{url}": {waited}')
    except (aiohttp.ClientConnectorError, ConnectionError):
        address = f"{get.get('host') or target.ip}:{port}"
        return Outcome(False, f'Get "{url}": dial tcp {address}: connect: connection refused')
    except aiohttp.ClientError as error:
        return Outcome(False, f'Get "{url}": {error}')
    return Outcome(True)


async def _tcp(socket: Obj, target: Target, timeout: float) -> Outcome:
    try:
        port = port_number(socket["port"], target.container)
    except ValueError as error:
        return Outcome(False, str(error), unknown=True)
    host = str(socket.get("host") or target.ip)
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), timeout)
    except TimeoutError:
        return Outcome(False, f"dial tcp {host}:{port}: i/o timeout")
    except OSError:
        return Outcome(False, f"dial tcp {host}:{port}: connect: connection refused")
    writer.close()
    return Outcome(True)


async def _grpc(check: Obj, target: Target, timeout: float) -> Outcome:
    """The standard health service; its two messages are small enough to be written by hand."""
    import grpc

    address = f"{target.ip}:{port_number(check['port'], target.container)}"
    service = str(check.get("service") or "").encode()
    request = b"\x0a" + bytes([len(service)]) + service if service else b""  # field 1: service
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_unary("/grpc.health.v1.Health/Check")
        try:
            answer = await call(request, timeout=timeout)
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                return Outcome(False, f'timeout: failed to connect service "{address}" within {timeout:g}s')
            return Outcome(False, f"error: this server does not implement the grpc health protocol: {error.details()}")
    serving = answer[:2] == b"\x08\x01"  # field 1: status SERVING
    return Outcome(serving, "" if serving else 'service unhealthy (responded with "NOT_SERVING")')
