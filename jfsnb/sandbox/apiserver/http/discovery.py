"""What the server serves, for clients that ask: versions, groups, resources, plain and aggregated."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import orjson

from jfsnb.sandbox.apiserver.http.negotiation import View, accepted
from jfsnb.sandbox.apiserver.schema.resources import discovery, groups_known

Obj = dict[str, Any]
AGGREGATED = ("APIGroupDiscoveryList",)
OTHER_PATHS = ("/healthz", "/livez", "/openapi/v3", "/readyz", "/version")
VERSION = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.2",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "linux/amd64",
}


def document(path: str, accept: str) -> tuple[bytes, str] | None:
    """The discovery document of a path and its content type; None when it has none."""
    path = path.strip("/")
    if not path:
        return orjson.dumps({"paths": _paths()}), "application/json"
    if path == "version":
        return orjson.dumps(VERSION), "application/json"
    if path in ("api", "apis"):
        view = accepted(accept, AGGREGATED)
        if view.form:
            return _aggregated(path, view)
        return orjson.dumps(_api() if path == "api" else _groups()), "application/json"
    if path.startswith("apis/") and path.count("/") == 1:
        found = next((g for g in _groups()["groups"] if g["name"] == path.partition("/")[2]), None)
        body = found and {"kind": "APIGroup", "apiVersion": "v1", **found}
        return (orjson.dumps(body), "application/json") if body else None
    listed = discovery().get(path)
    if listed is not None and path not in ("api", "apis"):
        return orjson.dumps({"kind": "APIResourceList", "apiVersion": "v1", **listed}), "application/json"
    return None


@lru_cache(1)
def _paths() -> list[str]:
    """What the root lists."""
    listed = {f"/{p}" for p in discovery() if " " not in p}
    groups = {f"/apis/{g['name']}" for g in _groups()["groups"]}
    return sorted({*listed, *groups, *OTHER_PATHS})


def _api() -> Obj:
    return {**discovery()["api"], "serverAddressByClientCIDRs": []}


@lru_cache(1)
def _groups() -> Obj:
    found = discovery()["apis"]
    groups = [g for g in found["groups"] if g["name"] in groups_known()]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


@lru_cache(8)
def _aggregated(path: str, view: View) -> tuple[bytes, str]:
    found = discovery()[f"/{path} aggregated"]
    served = groups_known()
    items = [i for i in found["items"] if i["metadata"].get("name", "") in served]
    kind = {"kind": "APIGroupDiscoveryList", "apiVersion": f"apidiscovery.k8s.io/{view.version}"}
    body = orjson.dumps({**kind, "metadata": {}, "items": items})
    return body, f"application/json;g=apidiscovery.k8s.io;v={view.version};as=APIGroupDiscoveryList"
