"""How a kind's objects are created, replaced and deleted: which parts a write may touch, and what follows from it."""

from __future__ import annotations

import uuid
from typing import Any

from jfsnb.sandbox.apimachinery import clock
from jfsnb.sandbox.apiserver.rules.admission import RECORDED
from jfsnb.sandbox.apiserver.schema.defaults import quality_of_service
from jfsnb.sandbox.apiserver.schema.resources import Resource

Obj = dict[str, Any]
#: Kinds whose ``metadata.generation`` counts the changes of the spec.
WITH_GENERATION = {
    "/pods",
    "/replicationcontrollers",
    "apps/daemonsets",
    "apps/deployments",
    "apps/replicasets",
    "apps/statefulsets",
    "batch/jobs",
    "batch/cronjobs",
    "policy/poddisruptionbudgets",
    "discovery.k8s.io/endpointslices",
    "scheduling.k8s.io/priorityclasses",
    "storage.k8s.io/csidrivers",
}
TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
#: Metadata that only the server writes.
SYSTEM = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "selfLink",
    "managedFields",
    "resourceVersion",
)
#: A PUT of one of these must say which version it replaces.
NEVER_UNCONDITIONAL = {
    "coordination.k8s.io/leases",
    "storage.k8s.io/csidrivers",
    "storage.k8s.io/csinodes",
    "storage.k8s.io/volumeattachments",
}
#: A PUT of one of these creates it, when there is none.
CREATED_BY_UPDATE = {
    "/endpoints",
    "/limitranges",
    "/services",
    "events",
    "coordination.k8s.io/leases",
    "rbac.authorization.k8s.io/clusterrolebindings",
    "rbac.authorization.k8s.io/clusterroles",
    "rbac.authorization.k8s.io/rolebindings",
    "rbac.authorization.k8s.io/roles",
}
#: Deleting one of these answers with the object instead of a Status.
RETURNS_DELETED = {
    "/pods",
    "/podtemplates",
    "/persistentvolumes",
    "/persistentvolumeclaims",
    "/resourcequotas",
    "/serviceaccounts",
    "/services",
    "storage.k8s.io/csidrivers",
    "storage.k8s.io/csinodes",
    "storage.k8s.io/storageclasses",
    "storage.k8s.io/volumeattachments",
}
IMMORTAL = ("default", "kube-system", "kube-public")
INITIAL_STATUS: dict[str, Obj] = {
    "/namespaces": {"phase": "Active"},
    "/persistentvolumeclaims": {"phase": "Pending"},
    "/persistentvolumes": {"phase": "Pending"},
    "/services": {"loadBalancer": {}},
}


def prepare_create(resource: Resource, obj: Obj) -> None:
    """Give a new object what only the server may: uid, times, generation, first status."""
    meta = obj["metadata"]
    for key in SYSTEM:
        if key != "generation" or resource.storage in WITH_GENERATION:  # others keep what they are given
            meta.pop(key, None)
    meta["uid"] = str(uuid.uuid4())
    meta["creationTimestamp"] = clock.now()
    if resource.storage in WITH_GENERATION:
        meta["generation"] = 1
    if "status" in resource.subresources:
        if resource.storage in INITIAL_STATUS:
            obj["status"] = dict(INITIAL_STATUS[resource.storage])
        elif resource.storage == "/pods":
            obj["status"] = {"phase": "Pending", "qosClass": quality_of_service(obj["spec"])}
        elif resource.storage != "/nodes":  # a node's first status comes with it
            obj.pop("status", None)
    if resource.storage == "/namespaces":
        finalizers = obj.setdefault("spec", {}).setdefault("finalizers", [])
        finalizers += [] if "kubernetes" in finalizers else ["kubernetes"]
    if resource.storage == "apps/daemonsets":
        _count_templates(obj, None)
    if resource.storage == "batch/jobs" and not obj["spec"].get("manualSelector"):
        _select_own_pods(obj)


def _select_own_pods(job: Obj) -> None:
    """A Job selects its Pods by its own uid, under old and new label names."""
    uid, name = job["metadata"]["uid"], job["metadata"]["name"]
    own = {"batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": name}
    own |= {"controller-uid": uid, "job-name": name}
    meta = job["spec"]["template"].setdefault("metadata", {})
    meta["labels"] = {**(meta.get("labels") or {}), **own}
    job["spec"].setdefault("selector", {}).setdefault("matchLabels", {})["batch.kubernetes.io/controller-uid"] = uid


def _count_templates(new: Obj, old: Obj | None) -> None:
    """A DaemonSet counts its templates in an annotation; its Pods are labelled with the number."""
    number = "1"
    if old is not None:
        number = (old["metadata"].get("annotations") or {}).get(TEMPLATE_GENERATION, "1")
        if new["spec"].get("template") != old["spec"].get("template") and number.isdigit():
            number = str(int(number) + 1)
    new["metadata"].setdefault("annotations", {})[TEMPLATE_GENERATION] = number


def prepare_update(resource: Resource, new: Obj, old: Obj, subresource: str = "") -> Obj:
    """The object that an update leads to: the new one, except for what this way of writing cannot change."""
    result = {**old, "status": new.get("status", {}), "metadata": new["metadata"]} if subresource == "status" else new
    if subresource != "status" and "status" in resource.subresources:
        if "status" in old:
            result["status"] = old["status"]
        else:
            result.pop("status", None)
    meta, before = result["metadata"], old["metadata"]
    for key in (*SYSTEM, "namespace", "name"):
        if key in before:
            meta[key] = before[key]
        else:
            meta.pop(key, None)
    if subresource == "status":
        if "ownerReferences" in before:
            meta["ownerReferences"] = before["ownerReferences"]
        else:
            meta.pop("ownerReferences", None)
    if resource.storage == "/namespaces" and subresource != "finalize":
        result["spec"] = old.get("spec", {})
    if resource.storage == "apps/daemonsets":
        _count_templates(result, old)
    if resource.storage in WITH_GENERATION and _spec(result) != _spec(old):
        meta["generation"] = before.get("generation", 0) + 1
    return result


def _spec(obj: Obj) -> Obj:
    return {k: v for k, v in obj.items() if k not in ("metadata", "status")}


def grace_period(resource: Resource, obj: Obj, asked: int | None) -> int | None:
    """Seconds until a deleted object goes; None for kinds that know no grace, 0 for at once."""
    if resource.storage != "/pods":
        return None
    spec, status = obj["spec"], obj.get("status") or {}
    recorded = (obj["metadata"].get("annotations") or {}).get(RECORDED) == "true"
    if not spec.get("nodeName") or recorded or status.get("phase") in ("Succeeded", "Failed"):
        return 0
    grace = asked if asked is not None else spec.get("terminationGracePeriodSeconds", 30)
    return 1 if grace < 0 else grace


def mark_deleted(resource: Resource, obj: Obj, grace: int | None) -> bool:
    """Set the time at which an object's grace ends, in place; False when that changes nothing."""
    meta = obj["metadata"]
    if resource.storage == "/namespaces":
        obj.setdefault("status", {})["phase"] = "Terminating"
    if "deletionTimestamp" in meta:
        left = meta.get("deletionGracePeriodSeconds", 0)
        if grace is None or grace >= left:
            return False
        meta["deletionTimestamp"] = clock.shifted(meta["deletionTimestamp"], grace - left)
        meta["deletionGracePeriodSeconds"] = grace
        return True
    meta["deletionTimestamp"] = clock.now(grace or 0)
    if resource.storage != "/namespaces":
        meta["deletionGracePeriodSeconds"] = grace or 0
    if "generation" in meta:
        meta["generation"] += 1
    return True


def is_gone(resource: Resource, obj: Obj) -> bool:
    """Whether nothing keeps an object any more that is being deleted."""
    meta = obj["metadata"]
    if "deletionTimestamp" not in meta or meta.get("finalizers") or meta.get("deletionGracePeriodSeconds"):
        return False
    return not (resource.storage == "/namespaces" and (obj.get("spec") or {}).get("finalizers"))
