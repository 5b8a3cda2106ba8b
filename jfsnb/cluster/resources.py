"""Where each kind of object lives in the API."""

from __future__ import annotations

from typing import NamedTuple


class Resource(NamedTuple):
    """One kind: its group and version as a path, whether it lives in a namespace, and its name in messages."""

    root: str
    kind: str
    namespaced: bool
    group: str = ""

    @property
    def api_version(self) -> str:
        return self.root.removeprefix("/apis/").removeprefix("/api/")


RESOURCES = {
    "nodes": Resource("/api/v1", "Node", False),
    "namespaces": Resource("/api/v1", "Namespace", False),
    "pods": Resource("/api/v1", "Pod", True),
    "events": Resource("/api/v1", "Event", True),
    "configmaps": Resource("/api/v1", "ConfigMap", True),
    "secrets": Resource("/api/v1", "Secret", True),
    "persistentvolumes": Resource("/api/v1", "PersistentVolume", False),
    "persistentvolumeclaims": Resource("/api/v1", "PersistentVolumeClaim", True),
    "storageclasses": Resource("/apis/storage.k8s.io/v1", "StorageClass", False, "storage.k8s.io"),
    "csidrivers": Resource("/apis/storage.k8s.io/v1", "CSIDriver", False, "storage.k8s.io"),
    "csinodes": Resource("/apis/storage.k8s.io/v1", "CSINode", False, "storage.k8s.io"),
    "daemonsets": Resource("/apis/apps/v1", "DaemonSet", True, "apps"),
    "statefulsets": Resource("/apis/apps/v1", "StatefulSet", True, "apps"),
    "deployments": Resource("/apis/apps/v1", "Deployment", True, "apps"),
    "jobs": Resource("/apis/batch/v1", "Job", True, "batch"),
}
PLURALS = {resource.kind: plural for plural, resource in RESOURCES.items()}


def path_of(plural: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """The path of a collection, an object or a subresource."""
    resource = RESOURCES[plural]
    parts = [resource.root]
    if resource.namespaced and namespace:
        parts += ["namespaces", namespace]
    parts += [part for part in (plural, name, subresource) if part]
    return "/".join(parts)


def title_of(plural: str, namespace: str = "", name: str = "") -> str:
    """For messages: ``Pod juicefs-system/smoke``, ``Nodes``."""
    kind = RESOURCES[plural].kind
    if not name:
        return f"{kind}s" + (f" in {namespace}" if namespace else "")
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
