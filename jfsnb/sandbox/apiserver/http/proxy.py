"""Requests that a Pod's node answers: logs as a stream, exec, attach and port-forward as websockets."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import WSMsgType, web

from jfsnb.sandbox.apiserver.http.request import Target, integer
from jfsnb.sandbox.apiserver.rules.status import Cause, Failure, bad_request, invalid
from jfsnb.sandbox.apiserver.storage.registry import Registry

Obj = dict[str, Any]
PATHS = {"exec": "exec", "attach": "attach", "portforward": "portForward"}
REASONS = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict"}
#: Numbers among the options of logs, and the least that they may be.
LEAST = {"tailLines": 0, "sinceSeconds": 1, "limitBytes": 1}


@dataclass
class KubeletProxy:
    """Talks to kubelets with the API server's client certificate."""

    registry: Registry
    pki: Path
    _session: aiohttp.ClientSession | None = field(default=None, init=False)

    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            tls = ssl.create_default_context(cafile=str(self.pki / "ca.crt"))
            tls.check_hostname = False  # a node's certificate is for its address, which the node itself reports
            tls.load_cert_chain(self.pki / "kubelet-client.crt", self.pki / "kubelet-client.key")
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls, limit=0), timeout=timeout)
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _node_url(self, pod: Obj) -> str:
        """Where the kubelet of a Pod's node listens.

        Raises:
            Failure: 503, when nobody does.
        """
        name = pod["spec"]["nodeName"]
        entry = self.registry.store.get("/nodes", "", name)
        status = (entry.obj.get("status") or {}) if entry else {}
        address = next((a["address"] for a in status.get("addresses") or () if a["type"] == "InternalIP"), None)
        port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port")
        if not address or not port:
            raise unreachable(f"https://{address or name}:10250", "connect: connection refused")
        return f"https://{address}:{port}"

    async def logs(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        """Stream a container's log.

        Raises:
            Failure: 400 for an unknown or ambiguous container, or as the kubelet says.
        """
        pod = self.registry.get(Target(target.resource, target.namespace, target.name)).obj
        query = dict(request.query)
        container = _container(pod, query.pop("container", ""))
        _check_log_options(query, target.name)
        if not pod["spec"].get("nodeName"):
            return web.Response(status=204)
        url = f"{self._node_url(pod)}/containerLogs/{target.namespace}/{target.name}/{container}"
        try:
            async with self.session().get(url, params=query) as source:
                if source.status >= 300:
                    raise _failure(source.status, await source.text())
                answer = web.StreamResponse(headers={"Content-Type": "text/plain"})
                answer.enable_chunked_encoding()
                await answer.prepare(request)
                async for chunk in source.content.iter_any():
                    await answer.write(chunk)
                await answer.write_eof()
                return answer
        except aiohttp.ClientConnectorError as error:
            raise unreachable(url, str(error.os_error)) from None

    async def websocket(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        """Carry exec, attach or port-forward to the node and back, frame by frame.

        Raises:
            Failure: 400 for a request that is no websocket or a container that is not there, or as the kubelet says.
        """
        pod = self.registry.get(Target(target.resource, target.namespace, target.name)).obj
        query = [(k, v) for k, v in request.query.items() if k != "container"]
        path = f"{PATHS[target.subresource]}/{target.namespace}/{target.name}"
        if target.subresource != "portforward":
            path += "/" + _container(pod, request.query.get("container", ""))
        if not pod["spec"].get("nodeName"):
            raise bad_request(f"pod {target.name} does not have a host assigned")
        node_url = self._node_url(pod)
        if "websocket" not in request.headers.get("Upgrade", "").lower():
            raise bad_request("unable to upgrade: only websockets are served (kubectl 1.31 and newer)")
        offered = [p.strip() for p in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if p.strip()]
        url = f"{node_url}/{path}"
        try:
            async with self.session().ws_connect(url, params=query, protocols=offered, max_msg_size=0) as node:
                chosen = (node.protocol,) if node.protocol else ()
                client = web.WebSocketResponse(protocols=chosen, max_msg_size=0, compress=False)
                await client.prepare(request)
                await _carry(client, node)
                return client
        except aiohttp.WSServerHandshakeError as error:
            raise _failure(error.status, error.message) from None
        except aiohttp.ClientConnectorError as error:
            raise unreachable(url, str(error.os_error)) from None


async def _carry(client: web.WebSocketResponse, node: aiohttp.ClientWebSocketResponse) -> None:
    """Both directions, until either side closes; what the node still says is delivered before."""
    to_node = asyncio.ensure_future(_pour(client, node))
    to_client = asyncio.ensure_future(_pour(node, client))
    try:
        await asyncio.wait([to_node, to_client], return_when=asyncio.FIRST_COMPLETED)
        if not client.closed:  # the node does not listen any more, but may have said how it ended
            await asyncio.wait([to_client])
    finally:
        for way in (to_node, to_client):
            way.cancel()
        await asyncio.gather(to_node, to_client, return_exceptions=True)
        code = node.close_code if node.close_code and node.close_code < 1005 else 1000
        await client.close(code=code)


async def _pour(source: Any, sink: Any) -> None:
    async for message in source:
        if message.type == WSMsgType.BINARY:
            await sink.send_bytes(message.data)
        elif message.type == WSMsgType.TEXT:
            await sink.send_str(message.data)


def _check_log_options(query: Mapping[str, str], name: str) -> None:
    """Raises Failure: 400 for what is no number, 422 for one that makes no sense."""
    causes = []
    for option, least in LEAST.items():
        value = integer(query, option, least)
        if value < least:
            why = "must be greater than 0" if least else "must be greater than or equal to 0"
            causes.append(Cause("FieldValueInvalid", f"Invalid value: {value}: {why}", option))
    if query.get("sinceSeconds") and query.get("sinceTime"):
        text = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
        causes.append(Cause("FieldValueForbidden", text, ""))
    if causes:
        raise invalid("PodLogOptions", "", name, causes)


def _container(pod: Obj, asked: str) -> str:
    """The container that a request means.

    Raises:
        Failure: 400, when there is none of that name, or several and none was named.
    """
    name, spec = pod["metadata"]["name"], pod["spec"]
    main = [c["name"] for c in spec.get("containers") or ()]
    first = [c["name"] for c in spec.get("initContainers") or ()]
    if asked:
        if asked not in [*main, *first]:
            raise bad_request(f"container {asked} is not valid for pod {name}")
        return asked
    if len(main) == 1:
        return str(main[0])
    text = f"a container name must be specified for pod {name}, choose one of: [{' '.join(main)}]"
    if first:
        text += f" or one of the init containers: [{' '.join(first)}]"
    raise bad_request(text)


def unreachable(url: str, why: str) -> Failure:
    """The failure when a node does not answer."""
    host = url.partition("//")[2].partition("/")[0]
    return Failure(503, "ServiceUnavailable", f'Get "{url}": dial tcp {host}: {why}')


def _failure(code: int, text: str) -> Failure:
    """A kubelet's refusal as Status, under the kubelet's own words."""
    return Failure(code, REASONS.get(code, "InternalError" if code >= 500 else ""), text.strip())
