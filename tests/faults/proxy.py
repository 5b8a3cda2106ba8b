"""A proxy in front of an API server that sees which verbs and resources are used, and spoils one of them on request."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import socket
import ssl
import struct
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import urllib3
import yaml

_PATH = re.compile(
    r"/(?:api|apis/[^/]+)/v1/(?:namespaces/[^/]+/(?=[a-z]))?(?P<plural>[a-z]+)(?:/(?P<name>[^/?]+))?(?:/(?P<sub>[a-z]+))?$"
)
_VERBS = {"POST": "create", "PATCH": "patch", "PUT": "update", "DELETE": "delete"}
#: How long a request is held that is never answered; the client gives up before.
HELD_SECONDS = 60.0


class Cell(NamedTuple):
    """One verb and resource, as RBAC has them."""

    verb: str
    resource: str


#: Fault -> status and body; those without are made where the answer is known.
STATUSES = {
    "403": (403, "Forbidden"),
    "404": (404, "NotFound"),
    "410": (410, "Expired"),
    "429": (429, "TooManyRequests"),
    "500": (500, "InternalError"),
    "503": (503, "ServiceUnavailable"),
}
BODIES = {
    "html": b"<html><body>Please log in</body></html>",
    "{}": b"{}",
    "null": b"null",
    "status 200": b'{"kind":"Status","apiVersion":"v1","status":"Failure","message":"not now","code":200}',
}
FOR_LISTS = ("empty list", "stale list")
FAULTS = (*STATUSES, "reset", "timeout", "truncated", *BODIES, *FOR_LISTS)


@dataclass
class Proxy:
    """Serves plain HTTP on loopback for whoever has the kubeconfig that it writes; use as a context manager.

    Args:
        kubeconfig: of the API server behind it.
        used: what was asked for since it was cleared.
        fault: what is spoilt and how, for the first so many requests of that cell; None for nothing.
        past: bodies of lists by path and query, to be served as stale ones; recorded while ``recording``.
    """

    kubeconfig: Path
    used: set[Cell] = field(default_factory=set)
    fault: tuple[Cell, str] | None = None
    times: int = 1 << 30
    past: dict[str, bytes] = field(default_factory=dict)
    recording: bool = False
    hits: int = 0

    def __enter__(self) -> Proxy:
        self._config = yaml.safe_load(self.kubeconfig.read_text(encoding="utf-8"))
        cluster = self._config["clusters"][0]["cluster"]
        self._behind = urlsplit(cluster["server"])
        ca = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._tls = ssl.create_default_context(cadata=ca)
        self._pool = urllib3.PoolManager(ssl_context=self._tls, retries=False, maxsize=16)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._over = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._listener.close()

    def write_kubeconfig(self, path: Path) -> Path:
        """The same credentials, by way of the proxy."""
        port = self._listener.getsockname()[1]
        config = json.loads(json.dumps(self._config))
        config["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{port}"}
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        return path

    def spoil(self, cell: Cell | None, fault: str = "", times: int = 1 << 30) -> None:
        """From now on; None for nothing."""
        self.fault, self.times, self.hits = (None if cell is None else (cell, fault)), times, 0

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, urllib3.exceptions.HTTPError), client:
            stream = client.makefile("rb")
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                line = stream.readline()
                if not line:
                    return
                head += line
            request, *lines = head.decode("latin-1").rstrip().split("\r\n")
            method, target, _ = request.split(" ")
            headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
            body = stream.read(int(headers.get("content-length") or 0))
            cell = cell_of(method, target, headers)
            self.used.add(cell)
            fault = self._next_fault(cell)
            if fault is not None and self._spoilt(client, fault, method, target, headers, body):
                return
            if cell.verb == "watch" or cell.resource in ("pods/exec", "pods/log"):
                self._tunnel(client, head, body, cut=fault == "truncated")
                return
            status, content_type, data = self._ask(method, target, headers, body)
            if self.recording and cell.verb == "list":
                self.past[target] = data
            _answer(client, status, data, content_type)

    def _next_fault(self, cell: Cell) -> str | None:
        if self.fault is None or self.fault[0] != cell or self.hits >= self.times:
            return None
        self.hits += 1
        return self.fault[1]

    def _spoilt(
        self, client: socket.socket, fault: str, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> bool:
        """Answer with the fault; False where the answer has to be the true one first (a stream that is cut)."""
        if fault in STATUSES:
            code, reason = STATUSES[fault]
            status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason}
            more = {"retry-after": "3600"} if code == 429 else {}
            _answer(client, code, json.dumps(status | {"message": f"spoilt: {reason}"}).encode(), more=more)
        elif fault in BODIES:
            _answer(client, 200, BODIES[fault], "text/html" if fault == "html" else "application/json")
        elif fault == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif fault == "timeout":
            client.settimeout(HELD_SECONDS)
            client.recv(1)
        elif fault == "truncated":
            cell = cell_of(method, target, headers)
            if cell.verb == "watch" or "/" in cell.resource:
                return False
            status, content_type, data = self._ask(method, target, headers, body)
            _answer(client, status, data[: len(data) // 2], content_type)
        else:
            status, content_type, data = self._ask(method, target, headers, body)
            if fault == "empty list":
                data = json.dumps(json.loads(data) | {"items": []}).encode()
            _answer(client, status, self.past.get(target, data) if fault == "stale list" else data, content_type)
        return True

    def _ask(self, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
        kept = {k: v for k, v in headers.items() if k in ("authorization", "accept", "content-type", "user-agent")}
        answer = self._pool.request(method, self._behind.geturl() + target, headers=kept, body=body or None)
        return answer.status, answer.headers.get("content-type", ""), answer.data

    def _tunnel(self, client: socket.socket, head: bytes, body: bytes, cut: bool) -> None:
        """Byte by byte in both directions: watches, logs, and exec over a websocket."""
        raw = socket.create_connection((str(self._behind.hostname), int(self._behind.port or 443)))
        with self._tls.wrap_socket(raw, server_hostname=self._behind.hostname) as behind:
            if b"upgrade:" not in head.lower():  # the next request must come by here, not through this tunnel
                head = head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
            behind.sendall(head + body)

            def forth() -> None:
                with contextlib.suppress(OSError):
                    while data := client.recv(65536):
                        behind.sendall(data)
                    behind.shutdown(socket.SHUT_RDWR)

            threading.Thread(target=forth, daemon=True).start()
            while data := behind.recv(65536):
                begun = b"\r\n\r\n" in data
                client.sendall(data[: max(1, len(data) // 2)] if cut and not begun else data)
                if cut and not begun:
                    return


def _answer(
    client: socket.socket, status: int, body: bytes, content_type: str = "", more: dict[str, str] | None = None
) -> None:
    headers = {"content-type": content_type or "application/json", "content-length": str(len(body))}
    lines = [
        f"HTTP/1.1 {status} Spoilt",
        *(f"{k}: {v}" for k, v in (headers | {"connection": "close"} | (more or {})).items()),
    ]
    client.sendall("\r\n".join([*lines, "", ""]).encode() + body)


def cell_of(method: str, target: str, headers: dict[str, str]) -> Cell:
    """Verb and resource of a request."""
    url = urlsplit(target)
    found = _PATH.match(url.path)
    if found is None:
        return Cell("get", url.path.strip("/"))
    resource = found["plural"] + (f"/{found['sub']}" if found["sub"] else "")
    if method != "GET":
        return Cell(_VERBS[method], resource)
    if resource == "pods/exec":
        return Cell("create", resource)
    watch = parse_qs(url.query).get("watch") == ["true"]
    return Cell("watch" if watch else "get" if found["name"] else "list", resource)


def short_lived() -> Any:
    """A folder for a kubeconfig."""
    return tempfile.TemporaryDirectory(prefix="jfsnb-faults-")
