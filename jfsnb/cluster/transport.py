"""HTTP to the API server: credentials and TLS from the official client, bodies as plain data, errors of our own.

The official client's typed calls cost about 1 ms per Pod in a list; what we need of it is its configuration, its TLS
pool and its credential plug-ins.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import orjson
import urllib3
from urllib3.exceptions import HTTPError

from jfsnb.cluster.answers import NEXT_STEP, parsed, status_of, unexpected
from jfsnb.cluster.versions import Newest
from jfsnb.errors import ConflictError, ConnectionFailed, Expired, JfsnbError, NotInCluster, PermissionMissing

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

CALL_SECONDS = 30.0
CONNECT_SECONDS = 10.0
#: Answers of a server that asks to come back later, and how long it is waited for in all.
BUSY, BUSY_SECONDS = (429, 503), 10.0
LOG = logging.getLogger(__name__)
Query = Mapping[str, str | int | None]

_ERRORS: dict[int, tuple[type[JfsnbError], str]] = {
    403: (PermissionMissing, "ask for this permission; `jfsnb doctor` lists what is missing"),
    404: (NotInCluster, "check the name and the namespace"),
    409: (ConflictError, "look at the object as it is now, and run the step again"),
}


class Transport:
    """Requests against one API server; may be used from several threads.

    Args:
        api: the official client, configured from a kubeconfig or from inside the cluster.
    """

    def __init__(self, api: ApiClient) -> None:
        self.configuration = api.configuration
        self.server: str = api.configuration.host.rstrip("/")
        self.newest = Newest()
        self._pool: urllib3.PoolManager = api.rest_client.pool_manager

    def headers(self) -> dict[str, str]:
        """Credentials for one request; a plug-in may refresh them here."""
        found = {"user-agent": "jfsnb"}
        for setting in self.configuration.auth_settings().values():
            if setting["in"] == "header" and setting["value"]:
                found[setting["key"]] = setting["value"]
        return found

    def call(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: Any = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
        what: str = "",
    ) -> dict[str, Any]:
        """One request and its answer, a JSON object; whether it is the one that was asked for: jfsnb.cluster.answers.

        Args:
            what: the object in words, for messages.

        Raises:
            ConnectionFailed, UnexpectedAnswer, PermissionMissing, NotInCluster, ConflictError: see jfsnb.errors.
            Expired: HTTP 410.
            JfsnbError: any other refusal; says what the server said.
        """
        payload = None if body is None else orjson.dumps(body)
        response = self._send(method, path, query, payload, content_type, accept, CALL_SECONDS, stream=False)
        if response.status >= 400:
            after = response.headers.get("retry-after", "")
            raise error_of(response.status, response.data, method, what or path, after)
        return parsed(response.data, what or path)

    def server_time(self) -> datetime | None:
        """What the API server's clock says, in whole seconds; None when no answer has a date."""
        response = self._send("GET", "/version", None, None, "", "application/json", CALL_SECONDS, stream=False)
        try:
            return parsedate_to_datetime(response.headers.get("date", ""))
        except ValueError:
            return None

    def open(self, path: str, query: Query, *, read_seconds: float, what: str) -> urllib3.BaseHTTPResponse:
        """A GET whose body is read as it comes. The caller closes it. Raises as ``call`` does."""
        accept = "application/json, */*"
        response = self._send("GET", path, query, None, "", accept, read_seconds, stream=True)
        if response.status >= 400:
            data = self.body(response)
            raise error_of(response.status, data, "GET", what, response.headers.get("retry-after", ""))
        if "html" in response.headers.get("content-type", ""):
            response.close()
            raise unexpected(what, "it is an HTML page")
        return response

    def body(self, response: urllib3.BaseHTTPResponse) -> bytes:
        """The rest of a body that is read as it comes. Raises ConnectionFailed."""
        try:
            return response.read()
        except HTTPError as error:
            raise connection_error(self.server, error) from error
        finally:
            response.release_conn()

    def _send(
        self,
        method: str,
        path: str,
        query: Query | None,
        payload: bytes | None,
        content_type: str,
        accept: str,
        read_seconds: float,
        *,
        stream: bool,
    ) -> urllib3.BaseHTTPResponse:
        headers = {**self.headers(), "accept": accept}
        if payload is not None:
            headers["content-type"] = content_type
        # What never reached the server is sent again; what may have reached it only when it changes nothing.
        retries = urllib3.Retry(
            total=4,
            connect=3,
            read=2 if method == "GET" and not stream else 0,
            other=0,
            redirect=0,
            status=0,
            allowed_methods=None,
            backoff_factor=0.2,
            raise_on_status=False,
        )
        fields = {key: str(value) for key, value in (query or {}).items() if value not in (None, "")}
        url = self.server + path
        if fields:
            url += "?" + urlencode(fields)
        patience = Patience()
        while True:
            try:
                response = self._pool.request(
                    method,
                    url,
                    body=payload,
                    headers=headers,
                    preload_content=not stream,
                    retries=retries,
                    timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=read_seconds),
                )
            except HTTPError as error:
                raise connection_error(self.server, error) from error
            if response.status not in BUSY or not patience.wait(self.server, response):
                return response
            response.drain_conn()


class Patience:
    """How long a server that asks to come back later is waited for: a few times, and not for long."""

    def __init__(self) -> None:
        self._attempts, self._left = 3, BUSY_SECONDS

    def wait(self, server: str, response: urllib3.BaseHTTPResponse) -> bool:
        """Wait as the answer asks; False where that is too long, or was often enough."""
        asked = response.headers.get("retry-after", "")
        seconds = float(asked) if asked.isdigit() else 0.2 * 2 ** (3 - self._attempts)
        if not self._attempts or seconds > self._left:
            return False
        self._attempts, self._left = self._attempts - 1, self._left - seconds
        if seconds >= 1:
            LOG.warning("%s is busy (HTTP %s) and asks to wait %s s: waiting", server, response.status, asked)
        time.sleep(seconds)
        return True


def connection_error(server: str, error: Exception) -> ConnectionFailed:
    """No connection, in words."""
    cause: BaseException = error
    while isinstance(getattr(cause, "reason", None), BaseException):
        cause = cause.reason  # type: ignore[attr-defined]
    text = re.sub(r"^\S*Connection\w*\(.*?\): |^<.*? object at 0x.*?>: ", "", str(cause))
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return ConnectionFailed(
            f"{server} shows a certificate that the kubeconfig does not trust: {text}",
            "check certificate-authority in the kubeconfig, or a proxy between here and there",
        )
    return ConnectionFailed(f"no connection to {server}: {text}", "check address, VPN and proxy; is the cluster up?")


def error_of(status: int, data: bytes, method: str, what: str, retry_after: str = "") -> JfsnbError:
    """An error of ours for a refused request. Only a Status object's message is repeated, cut to 400 characters.

    What is no Status does not come from a Kubernetes API: that something is forbidden or is not there is believed only
    from one.
    """
    answer = status_of(data)
    verbs = {"GET": "read", "POST": "create", "PUT": "replace", "PATCH": "change", "DELETE": "delete"}
    doing = f"cannot {verbs.get(method, method)} {what}"
    if status == 401:
        return ConnectionFailed(
            f"the cluster refused the credentials (401) for {what}",
            "log in again, or check the token in the kubeconfig",
        )
    if status in BUSY:
        later = f", and asks to come back in {retry_after} s" if retry_after else ""
        return JfsnbError(f"{doing}: the API server is busy (HTTP {status}){later}", "try again later")
    if not answer:
        return JfsnbError(f"{doing}: HTTP {status}, not said by a Kubernetes API", NEXT_STEP)
    message = str(answer.get("message") or "")[:400] or f"HTTP {status}"
    if status == 410 or answer.get("reason") == "Expired":
        return Expired(f"{doing}: {message}", "try again: what was asked for has changed meanwhile")
    kind, next_step = _ERRORS.get(status, (JfsnbError, "see the message; the cluster refused the request as it is"))
    return kind(f"{doing}: {message}", next_step)
