"""ConfigMaps, Secrets and tokens that Pods of this node need, read from the API server."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Iterable
from typing import Any

from jfsnb.sandbox.apimachinery.client import ApiClient, ApiError, Obj

Cache = dict[tuple[str, str, str], Obj | None]
REFRESH_AT = 0.8  # of a token's life


class Objects:
    """Reads objects by name; what is not there is left out."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api
        self._tokens: dict[tuple[str, ...], tuple[str, float]] = {}

    async def config_maps(self, namespace: str, names: Iterable[str], cache: Cache | None = None) -> dict[str, Obj]:
        return await self._named("configmaps", namespace, names, cache)

    async def secrets(self, namespace: str, names: Iterable[str], cache: Cache | None = None) -> dict[str, Obj]:
        return await self._named("secrets", namespace, names, cache)

    async def _named(self, plural: str, namespace: str, names: Iterable[str], cache: Cache | None) -> dict[str, Obj]:
        wanted = sorted(set(names))
        found = await asyncio.gather(*(self._one(plural, namespace, n, cache) for n in wanted))
        return {name: obj for name, obj in zip(wanted, found, strict=True) if obj is not None}

    async def _one(self, plural: str, namespace: str, name: str, cache: Cache | None) -> Obj | None:
        key = (plural, namespace, name)
        if cache is not None and key in cache:
            return cache[key]
        try:
            obj = await self._api.get(f"/api/v1/namespaces/{namespace}/{plural}/{name}")
        except ApiError as error:
            if error.status != 404:
                raise
            obj = None
        if cache is not None:
            cache[key] = obj
        return obj

    async def token(self, pod: Obj, source: Obj) -> str:
        """The token of a Pod's service account, bound to the Pod; a new one when most of its life is over.

        Args:
            pod: whose.
            source: a ``serviceAccountToken`` projection (audience, expirationSeconds).
        """
        meta = pod["metadata"]
        account = pod["spec"].get("serviceAccountName") or "default"
        audience = source.get("audience") or ""
        key = (meta["uid"], account, audience)
        token, fresh_until = self._tokens.get(key, ("", 0.0))
        if time.time() < fresh_until:
            return token
        seconds = int(source.get("expirationSeconds") or 3600)
        bound = {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"]}
        spec: Obj = {"expirationSeconds": seconds, "boundObjectRef": bound}
        if audience:
            spec["audiences"] = [audience]
        path = f"/api/v1/namespaces/{meta['namespace']}/serviceaccounts/{account}/token"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        token = str((await self._api.create(path, body))["status"]["token"])
        self._tokens[key] = (token, time.time() + REFRESH_AT * _life(token, seconds))
        return token

    def forget(self, pod_uid: str) -> None:
        """The Pod is gone: so are its tokens."""
        self._tokens = {key: value for key, value in self._tokens.items() if key[0] != pod_uid}


def _life(token: str, asked: int) -> float:
    """Seconds from now that a token says it lives; what was asked for when it does not say."""
    try:
        body = token.split(".")[1]
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return float(claims["exp"]) - time.time()
    except (IndexError, ValueError, KeyError):
        return float(asked)
