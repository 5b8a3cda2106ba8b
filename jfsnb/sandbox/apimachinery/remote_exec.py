"""Commands in a container, through the API server (``pods/exec`` over a websocket)."""

from __future__ import annotations

import json
from collections.abc import Sequence

import aiohttp

from jfsnb.sandbox.apimachinery.client import ApiClient

PROTOCOL = "v4.channel.k8s.io"
STATUS_CHANNEL = 3


class ExecFailed(Exception):
    """A command could not be started, or ended with another exit code than 0; the text has its output."""


async def run(api: ApiClient, pod: str, container: str, command: Sequence[str]) -> str:
    """What a command writes, both streams.

    Args:
        pod: path of the Pod, ``/api/v1/namespaces/…/pods/…``.

    Raises:
        ExecFailed.
    """
    query = [("command", word) for word in command]
    query += [("container", container), ("stdout", "true"), ("stderr", "true")]
    output, status = b"", b""
    try:
        async with api.websocket(f"{pod}/exec", query, PROTOCOL) as channels:
            async for message in channels:
                if message.type is not aiohttp.WSMsgType.BINARY:
                    continue
                if message.data[0] == STATUS_CHANNEL:
                    status += message.data[1:]
                else:
                    output += message.data[1:]
    except (aiohttp.ClientError, OSError) as error:
        raise ExecFailed(str(error)) from error
    said, answer = output.decode("utf-8", "replace"), json.loads(status or b"{}")
    if answer.get("status") != "Success":
        codes = [c["message"] for c in (answer.get("details") or {}).get("causes") or () if c["reason"] == "ExitCode"]
        ended = f"command terminated with exit code {codes[0]}" if codes else answer.get("message", "no answer")
        raise ExecFailed(f"{ended}: {said.strip()}")
    return said
