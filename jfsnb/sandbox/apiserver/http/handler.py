"""From a request to its answer: who asks, what for, may they, and which verb answers."""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aiohttp import web

from jfsnb.sandbox.apiserver.http import discovery, openapi
from jfsnb.sandbox.apiserver.http.authentication import Authenticator, impersonated
from jfsnb.sandbox.apiserver.http.authorization import Attributes, Authorizer, attributes
from jfsnb.sandbox.apiserver.http.bodies import typed
from jfsnb.sandbox.apiserver.http.negotiation import View, accepted
from jfsnb.sandbox.apiserver.http.options import delete_options
from jfsnb.sandbox.apiserver.http.proxy import PATHS, KubeletProxy
from jfsnb.sandbox.apiserver.http.replies import reply, reply_failure, reply_object
from jfsnb.sandbox.apiserver.http.request import (
    MAX_BODY,
    PATCH_TYPES,
    NotServed,
    Options,
    Target,
    User,
    media_type,
    parse_options,
    parse_path,
    read_body,
    read_json,
    read_yaml,
)
from jfsnb.sandbox.apiserver.rules.status import Failure, bad_request, method_not_allowed, unsupported_media_type
from jfsnb.sandbox.apiserver.schema.duplicates import duplicate_fields
from jfsnb.sandbox.apiserver.schema.resources import VIRTUAL
from jfsnb.sandbox.apiserver.storage import lists, subresources, views, watches
from jfsnb.sandbox.apiserver.storage.registry import DeleteOptions, Outcome, Registry
from jfsnb.sandbox.apiserver.storage.reviews import Reviewer

Obj = dict[str, Any]
FORMS = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")
HEALTH = ("healthz", "livez", "readyz")
HEALTH_CHECKS = ("ping", "log", "etcd")
SCALABLE = "scale"
#: What the bodies of subresources and of ``bindings`` are.
KINDS = {
    "binding": ("", "v1", "Binding"),
    "bindings": ("", "v1", "Binding"),
    "eviction": ("policy", "v1", "Eviction"),
    "token": ("authentication.k8s.io", "v1", "TokenRequest"),
    SCALABLE: ("autoscaling", "v1", "Scale"),
}
APPLY = "application/apply-patch+yaml"


class Handler:
    """Requests in, answers out."""

    def __init__(
        self, registry: Registry, authenticator: Authenticator, authorizer: Authorizer, proxy: KubeletProxy
    ) -> None:
        self.registry, self.authenticator, self.authorizer, self.proxy = registry, authenticator, authorizer, proxy
        self.reviewer = Reviewer(authenticator, authorizer)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; whatever goes wrong becomes a Status."""
        try:
            return await self._route(request)
        except Failure as failure:
            return reply_failure(failure)
        except NotServed:
            return web.Response(status=404, text="404 page not found\n")
        except web.HTTPRequestEntityTooLarge:
            text = f"Request entity too large: limit is {MAX_BODY}"
            return reply_failure(Failure(413, "RequestEntityTooLarge", text))
        except RecursionError:
            return reply_failure(bad_request("json: exceeded max depth"))
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:
            traceback.print_exc()
            details = {"causes": [{"message": str(error)}]}
            return reply_failure(Failure(500, "InternalError", f"Internal error occurred: {error}", details))

    async def _route(self, request: web.BaseRequest) -> web.StreamResponse:
        path, headers = request.rel_url.raw_path, request.headers
        user = self.authenticator.user_of(headers.get("Authorization", ""))
        if "Impersonate-User" in headers or "Impersonate-Group" in headers or "Impersonate-Uid" in headers:
            user = impersonated(user, headers, headers.getall("Impersonate-Group", []), self.authorizer)
        try:
            target = parse_path(path)
        except NotServed:
            return self._described(path, request, user)
        query = request.query
        watching = query.get("watch") in watches.TRUE and not target.name
        self.authorizer.check(user, attributes(target, request.method, watching))
        view = accepted(headers.get("Accept", ""), FORMS)
        if target.subresource in PATHS:
            return await self.proxy.websocket(request, target)
        if request.method == "GET":
            return await self._read(request, target, query, view)
        return await self._write(request, target, query, view, user)

    def _described(self, path: str, request: web.BaseRequest, user: User) -> web.Response:
        """Paths that are no objects: health, versions, discovery, OpenAPI."""
        if request.method not in ("GET", "HEAD"):
            raise NotServed
        self.authorizer.check(user, Attributes("get", path=path))
        kind, _, check = path.strip("/").partition("/")
        if kind in HEALTH and check in ("", *HEALTH_CHECKS):
            detailed = "verbose" in request.query and not check
            return web.Response(text=_health(kind) if detailed else "ok")
        found = discovery.document(path, request.headers.get("Accept", ""))
        if found is not None:
            return reply(found[0], content_type=found[1])
        described = openapi.document(path)
        if described is None:
            raise NotServed
        return reply(described)

    # ---- reading ----------------------------------------------------------------------------------------------

    async def _read(
        self, request: web.BaseRequest, target: Target, query: Mapping[str, str], view: View
    ) -> web.StreamResponse:
        registry, resource = self.registry, target.resource
        if query.get("watch") in watches.TRUE and not target.name:  # of one name: by fieldSelector
            _check_verb(target, "watch")
            return await watches.stream(request, registry.store, target, query, view)
        _check_verb(target, "get" if target.name else "list")
        if target.subresource == "log":
            return await self.proxy.logs(request, target)
        include = query.get("includeObject", "")
        if target.name:
            version = query.get("resourceVersion", "")
            if version.isdigit():
                lists.check_not_future(registry.store, int(version))
            entry = registry.get(target)
            if target.subresource == SCALABLE:
                return reply_object(subresources.scale_of(entry), view=view)
            return reply(views.one(resource, entry, view, include), view=view)
        page = lists.read(registry.store, target, query)
        return reply(views.many(resource, page.entries, page.meta, view, include), view=view)

    # ---- writing ----------------------------------------------------------------------------------------------

    async def _write(
        self, request: web.BaseRequest, target: Target, query: Mapping[str, str], view: View, user: User
    ) -> web.StreamResponse:
        method, content_type = request.method, request.headers.get("Content-Type", "")
        options = parse_options(query, request.headers.get("User-Agent", ""), request.method)
        raw = await request.read()
        if method == "POST":
            return self._post(target, raw, content_type, query, options, view, user)
        if method in ("PUT", "PATCH") and target.name:
            _check_verb(target, "update" if method == "PUT" else "patch")
            if self.registry.would_create(target, "apply" if media_type(content_type) == APPLY else method):
                self.authorizer.check(user, attributes(target, "POST", False))
            if target.subresource == SCALABLE:
                return reply_object(self._scale(target, method, raw, content_type, options), view=view)
            if method == "PUT":
                body = read_body(raw, content_type, target.resource.kind)
                outcome = self.registry.update(target, body, _with_duplicates(options, raw, content_type, body))
            else:
                outcome = self.registry.patch(target, *_patch(raw, content_type), options)
            return self._answer(target, outcome, view)
        if method == "DELETE" and not target.subresource:
            wanted = delete_options(raw, content_type, query)
            if not target.name:
                return self._delete_collection(target, query, wanted, view)
            _check_verb(target, "delete")
            return self._answer(target, self.registry.delete(target, wanted), view)
        raise method_not_allowed()

    def _post(
        self,
        target: Target,
        raw: bytes,
        content_type: str,
        query: Mapping[str, str],
        options: Options,
        view: View,
        user: User,
    ) -> web.Response:
        _check_verb(target, "create")
        resource = target.resource
        if (target.name and not target.subresource) or (resource.namespaced and not target.namespace):
            raise method_not_allowed()
        body = read_body(raw, content_type, target.resource.kind)
        options = _with_duplicates(options, raw, content_type, body)
        if target.subresource or resource.plural in VIRTUAL:
            if not isinstance(body, dict):
                raise bad_request("couldn't get version/kind; json parse error: json: cannot unmarshal into Go value")
            return reply_object(self._computed(target, body, query, options, user), 201, view)
        return self._answer(target, self.registry.create(target, body, options), view)

    def _computed(self, target: Target, body: Obj, query: Mapping[str, str], options: Options, user: User) -> Obj:
        """What a POST to a subresource or to a kind that is not stored leads to."""
        kind = KINDS.get(target.subresource or target.resource.plural)
        body = typed(kind, body) if kind else body
        if target.subresource == "binding":
            return subresources.bind(self.registry, target, body, options)
        if target.subresource == "eviction":
            wanted = delete_options(b"", "", query, body.get("deleteOptions"))
            return subresources.evict(self.registry, target, wanted)
        if target.subresource == "token":
            return subresources.token_request(self.registry, self.authenticator.signer, target, body)
        if target.resource.plural == "bindings":
            name = str((body.get("metadata") or {}).get("name") or "")
            return subresources.bind(self.registry, Target(target.resource, target.namespace, name), body, options)
        return self.reviewer.review(target, body, user)

    def _scale(self, target: Target, method: str, raw: bytes, content_type: str, options: Options) -> Obj:
        if method == "PUT":
            scale = read_body(raw, content_type)
        else:
            kind, body = _patch(raw, content_type)
            current = subresources.scale_of(self.registry.get(Target(target.resource, target.namespace, target.name)))
            scale = self.registry.patched(target.resource, kind, body, current)
        return subresources.set_scale(self.registry, target, typed(KINDS[SCALABLE], scale), options)

    def _answer(self, target: Target, outcome: Outcome, view: View) -> web.Response:
        if outcome.status is not None:
            return reply_object(outcome.status, outcome.code, view)
        body = views.one(target.resource, outcome.entry, view)
        return reply(body, outcome.code, view, warnings=outcome.warnings)

    def _delete_collection(
        self, target: Target, query: Mapping[str, str], options: DeleteOptions, view: View
    ) -> web.Response:
        _check_verb(target, "deletecollection")
        if target.resource.namespaced and not target.namespace:
            raise method_not_allowed()
        page = lists.read(self.registry.store, target, query)
        deleted = []
        for entry in page.entries:
            one = Target(target.resource, target.namespace, entry.key.partition("/")[2])
            with contextlib.suppress(Failure):
                deleted.append(self.registry.delete(one, options).entry)
        meta = {"resourceVersion": str(self.registry.store.revision)}
        return reply(views.many(target.resource, deleted, meta, view), view=view)


def _health(kind: str) -> str:
    lines = [f"[+]{check} ok" for check in HEALTH_CHECKS]
    return "\n".join([*lines, f"{kind} check passed", ""])


def _with_duplicates(options: Options, raw: bytes, content_type: str, body: Any) -> Options:
    """The options with what is to be said of fields that come twice in a JSON body."""
    if options.field_validation == "Ignore" or media_type(content_type) not in ("", "application/json"):
        return options
    return replace(options, duplicates=tuple(duplicate_fields(raw, body)))


def _patch(raw: bytes, content_type: str) -> tuple[str, Any]:
    """A patch's media type and body.

    Raises:
        Failure: 415 for another media type, 400 for what cannot be parsed.
    """
    kind = media_type(content_type)
    if kind not in PATCH_TYPES:
        raise unsupported_media_type(PATCH_TYPES)
    return kind, read_yaml(raw) if kind.endswith("yaml") else read_json(raw)


def _check_verb(target: Target, verb: str) -> None:
    """Raises Failure 405, when the resource does not have the verb."""
    resource = target.resource
    verbs = resource.subresources[target.subresource] if target.subresource else resource.verbs
    if verb not in verbs:
        raise method_not_allowed()
