"""Another cluster's recorded part in place of the article's: its nodes, volumes, Mount Pods, users and configuration.

Nothing of it runs. What runs is the sandbox's own node, driver and volume, beside it and under the same configuration.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from jfsnb.driver import names
from jfsnb.sandbox.world import NAMESPACE, RECORDED

Obj = dict[str, Any]
#: What the sandbox itself mounts.
_OWN = ("songlin-test-pv", "songlin-test-pvc")
_VOLUMES = ("PersistentVolume", "PersistentVolumeClaim")
_CORE = ("Node", "Pod", *_VOLUMES)
#: What the API server or another controller of the other cluster has written.
_NOT_TAKEN = ("resourceVersion", "managedFields", "ownerReferences", "selfLink", "generation", "deletionTimestamp")


def poured(objs: Iterable[Obj], told: Iterable[Obj], config: str, namespace: str) -> list[Obj]:
    """The world with the objects of another cluster.

    Args:
        objs: the world as it is made. told: objects with their kind, as they were there.
        config: its config.yaml. namespace: of its driver, whose objects go into the sandbox's.
    """
    kept = [obj for obj in objs if not _goes(obj)]
    taken = {_key(obj) for obj in kept}
    result = [_with_config(obj, config) for obj in kept]
    new = [made for made in (_moved(obj, namespace) for obj in told) if _key(made) not in taken]
    spaces = {obj["metadata"]["namespace"] for obj in new if "namespace" in obj["metadata"]}
    return [*_namespaces(spaces, kept), *result, *new]


def _goes(obj: Obj) -> bool:
    """Whether it is of the article's recorded part."""
    meta = obj["metadata"]
    recorded = (meta.get("annotations") or {}).get(RECORDED) == "true"
    return recorded or (obj["kind"] in _VOLUMES and meta["name"] not in _OWN)


def _key(obj: Obj) -> tuple[str, str, str]:
    return obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _with_config(obj: Obj, config: str) -> Obj:
    if obj["kind"] != "ConfigMap" or obj["metadata"]["name"] != names.CONFIG_MAP:
        return obj
    return {**obj, "data": {**obj["data"], names.CONFIG_KEY: config}}


def _moved(obj: Obj, namespace: str) -> Obj:
    """An object as it is recorded here."""
    meta = {key: value for key, value in obj["metadata"].items() if key not in _NOT_TAKEN}
    meta["annotations"] = {**(meta.get("annotations") or {}), RECORDED: "true"}
    if meta.get("namespace") == namespace:
        meta["namespace"] = NAMESPACE
    kind = obj["kind"]
    made = {**obj, "apiVersion": "v1" if kind in _CORE else "storage.k8s.io/v1", "metadata": meta}
    spec = dict(obj.get("spec") or {})
    if kind == "Pod" and not spec.get("containers"):
        spec["containers"] = [{"name": "app", "image": "recorded"}]  # of app Pods a collection has no more than claims
    if kind == "PersistentVolume" and (spec.get("claimRef") or {}).get("namespace") == namespace:
        spec["claimRef"] = {**spec["claimRef"], "namespace": NAMESPACE}
    return {**made, "spec": spec} if spec else made


def _namespaces(spaces: Iterable[str], kept: Iterable[Obj]) -> Iterator[Obj]:
    like = next(obj for obj in kept if obj["kind"] == "Namespace")
    there = {obj["metadata"]["name"] for obj in kept if obj["kind"] == "Namespace"}
    for name in sorted(set(spaces) - there):
        meta = {**like["metadata"], "name": name, "labels": {"kubernetes.io/metadata.name": name}}
        yield {**like, "metadata": meta}
