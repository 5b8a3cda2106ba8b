"""The kinds that the server knows, as data: one table derived from a real server's discovery and schemas."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

Obj = dict[str, Any]
DATA = Path(__file__).parents[1] / "data"
REF = "#/components/schemas/"
#: Subresources that the sandbox has nothing behind.
NOT_SERVED = {"nodes/proxy", "pods/proxy", "services/proxy", "pods/ephemeralcontainers", "pods/resize"}
#: Kinds whose answer is computed, not stored.
VIRTUAL = {
    "bindings",
    "componentstatuses",
    "tokenreviews",
    "selfsubjectreviews",
    "subjectaccessreviews",
    "selfsubjectaccessreviews",
    "selfsubjectrulesreviews",
    "localsubjectaccessreviews",
}


@dataclass(frozen=True)
class Resource:
    """One row of the table.

    Args:
        group: API group, empty for the core group.
        version: for example ``v1``.
        plural: for example ``pods``.
        kind: for example ``Pod``.
        namespaced: whether objects live in namespaces.
        verbs: what can be done with it.
        subresources: name to verbs, for example ``{"status": ("get", "patch", "update")}``.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    verbs: tuple[str, ...]
    subresources: dict[str, tuple[str, ...]] = field(default_factory=dict, hash=False, compare=False)

    @cached_property
    def group_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @cached_property
    def path(self) -> str:
        return f"apis/{self.group}/{self.version}" if self.group else f"api/{self.version}"

    @cached_property
    def storage(self) -> str:
        """Objects of events.k8s.io and of the core group's events are the same ones."""
        return "events" if self.plural == "events" else f"{self.group}/{self.plural}"

    @cached_property
    def type_meta(self) -> bytes:
        """The opening of a serialised object: its kind and apiVersion."""
        return json.dumps({"kind": self.kind, "apiVersion": self.group_version}, separators=(",", ":")).encode()[:-1]


@lru_cache(1)
def discovery() -> dict[str, Obj]:
    """A real server's discovery documents by path, of the groups that are served."""
    documents = json.loads((DATA / "discovery.json").read_text(encoding="utf-8"))
    kept = {path: found for path, found in documents.items() if path.split("/")[1:2] != ["apiextensions.k8s.io"]}
    for found in kept.values():
        if "resources" in found:
            found["resources"] = [r for r in found["resources"] if r["name"] not in NOT_SERVED]
        for row in _aggregated_rows(found):
            if "subresources" in row:
                name = row["resource"]
                row["subresources"] = [s for s in row["subresources"] if f"{name}/{s['subresource']}" not in NOT_SERVED]
    return kept


def _aggregated_rows(document: Obj) -> list[Obj]:
    versions = [v for item in document.get("items") or () for v in item.get("versions") or ()]
    return [row for version in versions for row in version.get("resources") or ()]


@lru_cache(1)
def schemas() -> dict[str, Obj]:
    """OpenAPI v3 component schemas by name."""
    with gzip.open(DATA / "schemas.json.gz") as packed:
        return json.load(packed)  # type: ignore[no-any-return]


@lru_cache(1)
def columns() -> dict[str, list[Obj]]:
    """Printer columns by ``<path>/<plural>``."""
    return json.loads((DATA / "table-columns.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


@lru_cache(1)
def table() -> dict[tuple[str, str, str], Resource]:
    """All resources by (group, version, plural)."""
    found: dict[tuple[str, str, str], Resource] = {}
    for document in discovery().values():
        if document.get("kind") != "APIResourceList":
            continue
        group, _, version = document["groupVersion"].rpartition("/")
        rows = document["resources"]
        for row in rows:
            if "/" not in row["name"]:
                subs = {
                    r["name"].partition("/")[2]: tuple(r["verbs"])
                    for r in rows
                    if r["name"].startswith(row["name"] + "/")
                }
                found[group, version, row["name"]] = Resource(
                    group, version, row["name"], row["kind"], row["namespaced"], tuple(row["verbs"]), subs
                )
    return found


def find(group: str, version: str, plural: str) -> Resource | None:
    return table().get((group, version, plural))


@lru_cache(256)
def by_kind(group_version: str, kind: str) -> Resource | None:
    """The resource whose objects say that apiVersion and kind."""
    rows = (r for r in table().values() if r.group_version == group_version and r.kind == kind)
    return next(rows, None)


def groups_known() -> set[str]:
    return {r.group for r in table().values()}


@lru_cache(1)
def _schema_names() -> dict[tuple[str, str, str], str]:
    return {
        (gvk["group"], gvk["version"], gvk["kind"]): name
        for name, schema in schemas().items()
        for gvk in schema.get("x-kubernetes-group-version-kind") or ()
        if len(schema["x-kubernetes-group-version-kind"]) == 1
    }


def schema_name(group: str, version: str, kind: str) -> str:
    """The name of a kind's schema, for example ``io.k8s.api.core.v1.Pod``; empty where the data has none."""
    return _schema_names().get((group, version, kind), "")


def schema_of(group: str, version: str, kind: str) -> Obj:
    """The schema of a kind; empty where the data has none."""
    return schemas().get(schema_name(group, version, kind), {})


_resolved: dict[int, tuple[Obj, Obj]] = {}


def resolve(schema: Obj | None) -> Obj:
    """Follow ``$ref`` and single ``allOf``; keeps the outer node's extensions (patch strategy, list type)."""
    if not schema:
        return {}
    known = _resolved.get(id(schema))
    if known is None:  # by identity, for schemas are never freed: they belong to the data or to this cache
        known = _resolved[id(schema)] = (schema, _resolve(schema))
    return known[1]


def _resolve(start: Obj) -> Obj:
    schema: Obj | None = start
    extra: Obj = {}
    while schema:
        ref = schema.get("$ref")
        if ref is None and len(schema.get("allOf") or ()) == 1:
            extra = {**{k: v for k, v in schema.items() if k.startswith("x-")}, **extra}
            schema = schema["allOf"][0]
        elif ref is not None:
            schema = schemas().get(ref.removeprefix(REF), {})
        else:
            break
    return {**(schema or {}), **extra} if extra else schema or {}


def child(schema: Obj, key: str) -> Obj | None:
    """The schema of a field of an object: a property, or the value type of a map; None when it is unknown."""
    properties = schema.get("properties")
    if properties is not None and key in properties:
        return resolve(properties[key])
    more = schema.get("additionalProperties")
    return resolve(more) if isinstance(more, dict) else None
