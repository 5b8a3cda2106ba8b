"""Running a command in a container, over the official client's websocket."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson

from jfsnb.cluster.resources import path_of, title_of
from jfsnb.cluster.transport import CONNECT_SECONDS, Transport, error_of
from jfsnb.errors import ConnectionFailed, JfsnbError, WaitTimeout
from jfsnb.redact import redact_text


@dataclass(frozen=True)
class Executed:
    """What a command in a container said. ``code`` is its exit code."""

    stdout: str
    stderr: str
    code: int

    @property
    def ok(self) -> bool:
        return self.code == 0


def execute(
    transport: Transport, namespace: str, pod: str, command: Sequence[str], container: str, seconds: float
) -> Executed:
    """Run a command and wait for its end.

    Raises:
        WaitTimeout: it did not end in time.
        ConnectionFailed, PermissionMissing, NotInCluster, JfsnbError: it was not run.
    """
    from kubernetes.stream.ws_client import ERROR_CHANNEL, STDERR_CHANNEL, STDOUT_CHANNEL, WSClient
    from websocket import WebSocketBadStatusException, WebSocketException

    open_socket: Any = WSClient
    what = f"exec in {title_of('pods', namespace, pod)}"
    query = [("command", word) for word in command] + [("stdout", "true"), ("stderr", "true")]
    query += [("container", container)] if container else []
    url = transport.server + path_of("pods", namespace, pod, "exec") + "?" + urlencode(query)
    url = "ws" + url.removeprefix("http")
    try:
        headers = transport.headers()
        client = _within(CONNECT_SECONDS, lambda: open_socket(transport.configuration, url, headers, True), what)
        client.sock.settimeout(seconds)
    except WebSocketBadStatusException as error:
        body = error.resp_body if isinstance(error.resp_body, bytes) else str(error.resp_body or "").encode()
        raise error_of(error.status_code, body, "POST", what) from None
    except (WebSocketException, OSError) as error:
        raise ConnectionFailed(f"{what}: no connection: {error}", "try again; is the node's kubelet up?") from error
    try:
        deadline = time.monotonic() + seconds
        while client.is_open():
            client.update(timeout=min(1.0, max(0.01, deadline - time.monotonic())))
            if time.monotonic() > deadline:
                raise WaitTimeout(
                    f"{what}: {' '.join(command)[:80]!r} did not end within {seconds:.0f} s",
                    "look whether the mount or the container hangs",
                )
        stdout, stderr = client.read_channel(STDOUT_CHANNEL) or "", client.read_channel(STDERR_CHANNEL) or ""
        status = client.read_channel(ERROR_CHANNEL)
    except (WebSocketException, OSError) as error:
        raise ConnectionFailed(f"{what}: the connection broke: {error}", "try again") from error
    finally:
        client.sock.shutdown()  # close() would wait for a goodbye that nobody needs
    return Executed(stdout, stderr, _exit_code(status, what))


def _within(seconds: float, connect: Callable[[], Any], what: str) -> Any:
    """The official client waits for ever for a server that never answers; so the wait is in a thread of its own."""
    found: list[Any] = []
    abandoned = threading.Event()

    def work() -> None:
        try:
            found.append(connect())
        except BaseException as error:  # raised again by whoever waits
            found.append(error)
        if abandoned.is_set() and not isinstance(found[0], BaseException):
            found[0].sock.shutdown()

    thread = threading.Thread(target=work, name="exec", daemon=True)
    thread.start()
    thread.join(seconds)
    if not found:
        abandoned.set()
        raise ConnectionFailed(f"{what}: no answer within {seconds:.0f} s", "try again; is the node's kubelet up?")
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]


def _exit_code(status: str, what: str) -> int:
    """From the Status that ends an exec; the client's own reading fails where the command did not start."""
    try:
        answer = orjson.loads(status)
        if answer.get("status") == "Success":
            return 0
        causes = (answer.get("details") or {}).get("causes") or []
        codes = [int(c["message"]) for c in causes if c.get("reason") == "ExitCode"]
    except (ValueError, AttributeError, KeyError, TypeError):
        raise JfsnbError(f"{what}: ended without a status", "try again; the container may have ended") from None
    if not codes:
        raise JfsnbError(f"{what}: {redact_text(str(answer.get('message')))[:400]}", "is the container running?")
    return codes[0]
