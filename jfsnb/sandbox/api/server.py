"""The API server: TLS, routing of requests to verbs, answers."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import ssl
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from jfsnb.sandbox.api import discovery, lists, openapi, views, watches
from jfsnb.sandbox.api.authentication import Authenticator, static_users
from jfsnb.sandbox.api.negotiation import View, accepted
from jfsnb.sandbox.api.registry import DeleteOptions, Outcome, Registry
from jfsnb.sandbox.api.request import (
    MAX_BODY,
    PATCH_TYPES,
    NotServed,
    Target,
    User,
    integer,
    media_type,
    parse_options,
    parse_path,
    read_body,
    read_json,
    read_yaml,
)
from jfsnb.sandbox.api.resources import VIRTUAL
from jfsnb.sandbox.api.status import (
    Failure,
    bad_request,
    forbidden,
    method_not_allowed,
    qualified,
    unsupported_media_type,
)
from jfsnb.sandbox.api.store import Store

Obj = dict[str, Any]
FORMS = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")
HEALTH = ("/healthz", "/livez", "/readyz")


async def serve(state: Path, port: int, ready: Callable[[int], None], restore: Iterable[Obj] = ()) -> None:
    """Serve until SIGTERM.

    Args:
        state: the sandbox's directory; ``pki/`` and ``tokens.csv`` are read.
        port: TCP port on 127.0.0.1; 0 takes a free one.
        ready: called with the port once requests are answered.
        restore: objects that exist from the start, loaded as they are.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    registry = Registry(Store())
    for obj in restore:
        registry.restore(obj)
    server = ApiServer(registry, Authenticator(static_users(state / "tokens.csv")))
    async with server.listening(state, port) as actual:
        ready(actual)
        await stop.wait()


class ApiServer:
    """Requests in, answers out."""

    def __init__(self, registry: Registry, authenticator: Authenticator) -> None:
        self.registry, self.authenticator = registry, authenticator

    @contextlib.asynccontextmanager
    async def listening(self, state: Path, port: int):  # type: ignore[no-untyped-def]
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(state / "pki/apiserver.crt", state / "pki/apiserver.key")
        server = web.Server(self.handle, request_factory=_request, handler_cancellation=True, access_log=None)
        runner = web.ServerRunner(server, shutdown_timeout=0.5)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls, backlog=512)
        await site.start()
        try:
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; whatever goes wrong becomes a Status."""
        try:
            return await self._route(request)
        except Failure as failure:
            return _status(failure)
        except NotServed:
            return web.Response(status=404, text="404 page not found\n")
        except web.HTTPRequestEntityTooLarge:
            text = f"Request entity too large: limit is {MAX_BODY}"
            return _status(Failure(413, "RequestEntityTooLarge", text))
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:
            traceback.print_exc()
            details = {"causes": [{"message": str(error)}]}
            return _status(Failure(500, "InternalError", f"Internal error occurred: {error}", details))

    async def _route(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.rel_url.raw_path
        user = self.authenticator.user_of(request.headers.get("Authorization", ""))
        if path in HEALTH:
            return web.Response(text="ok")
        if request.method == "GET":
            found = discovery.document(path, request.headers.get("Accept", ""))
            if found is not None:
                return _json(found[0], content_type=found[1])
            described = openapi.document(path)
            if described is not None:
                return _json(described)
        target = parse_path(path)
        authorize(user, target)
        query = request.query
        accept = request.headers.get("Accept", "")
        view = accepted(accept, FORMS)
        if request.method == "GET":
            return await self._read(request, target, query, view)
        return await self._write(request, target, query, view, user)

    async def _read(
        self, request: web.BaseRequest, target: Target, query: Mapping[str, str], view: View
    ) -> web.StreamResponse:
        registry, resource = self.registry, target.resource
        _check_verb(target, "get" if target.name else "list")
        if query.get("watch") in watches.TRUE:
            return await watches.stream(request, registry.store, target, query, view)
        include = query.get("includeObject", "")
        if target.name:
            version = query.get("resourceVersion", "")
            if version.isdigit():
                lists.check_not_future(registry.store, int(version))
            return _json(views.encode(views.one(resource, registry.get(target), view, include), view), view=view)
        page = lists.read(registry.store, target, query)
        return _json(views.encode(views.many(resource, page.entries, page.meta, view, include), view), view=view)

    async def _write(
        self, request: web.BaseRequest, target: Target, query: Mapping[str, str], view: View, user: User
    ) -> web.StreamResponse:
        registry, method = self.registry, request.method
        options = parse_options(query)
        content_type = request.headers.get("Content-Type", "")
        raw = await request.read()
        if method == "POST":
            _check_verb(target, "create")
            if (
                target.name
                or target.resource.plural in VIRTUAL
                or (target.resource.namespaced and not target.namespace)
            ):
                raise method_not_allowed()
            outcome = registry.create(target, read_body(raw, content_type), options, user)
        elif method == "PUT" and target.name:
            _check_verb(target, "update")
            outcome = registry.update(target, read_body(raw, content_type), options, user)
        elif method == "PATCH" and target.name:
            _check_verb(target, "patch")
            kind = media_type(content_type)
            if kind not in PATCH_TYPES:
                raise unsupported_media_type(PATCH_TYPES)
            body = read_yaml(raw) if kind.endswith("yaml") else read_json(raw)
            outcome = registry.patch(target, kind, body, options, user)
        elif method == "DELETE" and not target.subresource:
            wanted = delete_options(raw, content_type, query)
            if not target.name:
                return self._delete_collection(target, query, wanted, view)
            _check_verb(target, "delete")
            outcome = registry.delete(target, wanted)
        else:
            raise method_not_allowed()
        return self._answer(target, outcome, view)

    def _answer(self, target: Target, outcome: Outcome, view: View) -> web.Response:
        if outcome.status is not None:
            return _json(views.encode(orjson.dumps(outcome.status), view), outcome.code, view)
        body = views.one(target.resource, outcome.entry, view)
        return _json(views.encode(body, view), outcome.code, view, warnings=outcome.warnings)

    def _delete_collection(
        self, target: Target, query: Mapping[str, str], options: DeleteOptions, view: View
    ) -> web.Response:
        _check_verb(target, "deletecollection")
        if target.resource.namespaced and not target.namespace:
            raise method_not_allowed()
        page = lists.read(self.registry.store, target, query)
        deleted = []
        for entry in page.entries:
            name = entry.key.partition("/")[2]
            one = Target(target.resource, target.namespace, name)
            with contextlib.suppress(Failure):
                deleted.append(self.registry.delete(one, options).entry)
        meta = {"resourceVersion": str(self.registry.store.revision)}
        return _json(views.encode(views.many(target.resource, deleted, meta, view), view), view=view)


def authorize(user: User, target: Target) -> None:
    """Raises Failure 403 for those who may not."""
    if "system:masters" not in user.groups:
        shown = qualified(target.resource.plural, target.resource.group)
        raise forbidden(f'{shown} is forbidden: User "{user.name}" cannot access resource', target.name)


def _check_verb(target: Target, verb: str) -> None:
    """Raises Failure 405, when the resource does not have the verb."""
    resource = target.resource
    verbs = resource.subresources[target.subresource] if target.subresource else resource.verbs
    if verb not in verbs:
        raise method_not_allowed()


def delete_options(raw: bytes, content_type: str, query: Mapping[str, str]) -> DeleteOptions:
    """DeleteOptions from the body, completed from the query.

    Raises:
        Failure: 400 for values of a wrong type.
    """
    body = read_body(raw, content_type) if raw.strip() else {}
    if not isinstance(body, dict):
        raise bad_request("couldn't get version/kind; json parse error")
    grace = body.get("gracePeriodSeconds")
    if grace is None and query.get("gracePeriodSeconds"):
        grace = integer(query, "gracePeriodSeconds")
    if grace is not None and (isinstance(grace, bool) or not isinstance(grace, int)):
        raise bad_request("json: cannot unmarshal into Go struct field DeleteOptions.gracePeriodSeconds of type int64")
    propagation = body.get("propagationPolicy") or query.get("propagationPolicy") or ""
    if body.get("orphanDependents") is True or query.get("orphanDependents") == "true":
        propagation = "Orphan"
    if propagation not in ("", "Background", "Foreground", "Orphan"):
        text = f'propagationPolicy: Unsupported value: "{propagation}"'
        text += ': supported values: "Background", "Foreground", "Orphan"'
        raise Failure(422, "Invalid", f'DeleteOptions.meta.k8s.io "" is invalid: {text}')
    conditions = body.get("preconditions") or {}
    if not isinstance(conditions, dict):
        raise bad_request("json: cannot unmarshal into Go struct field DeleteOptions.preconditions")
    dry_run = body.get("dryRun") == ["All"] or query.get("dryRun") == "All"
    uid, version = conditions.get("uid") or "", conditions.get("resourceVersion") or ""
    return DeleteOptions(grace, str(propagation), str(uid), str(version), dry_run)


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=MAX_BODY)


def _json(
    body: bytes, code: int = 200, view: View | None = None, content_type: str = "", warnings: Iterable[str] = ()
) -> web.Response:
    kind = content_type or (view.media_type if view else "application/json")
    answer = web.Response(body=body, status=code, headers={"Content-Type": kind, "Cache-Control": "no-cache, private"})
    for text in warnings:
        quoted = text.replace("\\", "\\\\").replace('"', '\\"')
        answer.headers.add("Warning", f'299 - "{quoted}"')
    return answer


def _status(failure: Failure) -> web.Response:
    answer = _json(orjson.dumps(failure.status()), failure.code)
    seconds = (failure.details or {}).get("retryAfterSeconds")
    if seconds:
        answer.headers["Retry-After"] = str(seconds)
    return answer
