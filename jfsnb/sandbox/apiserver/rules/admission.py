"""What a write is completed with, or refused for, because of other objects: namespaces, service accounts, classes."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from jfsnb.sandbox.apiserver.http.request import Target
from jfsnb.sandbox.apiserver.rules.status import Cause, forbidden, not_found, qualified
from jfsnb.sandbox.apiserver.rules.validate import requested
from jfsnb.sandbox.apiserver.storage.store import Store

Obj = dict[str, Any]
LETTERS = "bcdfghjklmnpqrstvwxz2456789"
RECORDED = "sandbox.jfsnb.io/recorded"
TOKEN_DIRECTORY = "/var/run/secrets/kubernetes.io/serviceaccount"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
SYSTEM_PRIORITIES = {"system-node-critical": 2000001000, "system-cluster-critical": 2000000000}


def suffix() -> str:
    """Five letters as generated names end with."""
    return "".join(random.choices(LETTERS, k=5))


def check_namespace(store: Store, target: Target, name: str) -> None:
    """Nothing can be created in a namespace that is missing (404) or terminating (403)."""
    if not target.namespace:
        return
    entry = store.get("/namespaces", "", target.namespace)
    if entry is None:
        raise not_found("namespaces", "", target.namespace)
    if entry.fields["status.phase"] == "Terminating":
        resource = target.resource
        because = f"unable to create new content in namespace {target.namespace} because it is being terminated"
        cause = Cause("NamespaceTerminating", f"namespace {target.namespace} is being terminated", "metadata.namespace")
        shown = qualified(resource.plural, resource.group)
        raise forbidden(f'{shown} "{name}" is forbidden: {because}', name, resource.group, resource.plural, [cause])


NODE_TROUBLE = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def admit(store: Store, target: Target, obj: Obj) -> None:
    """Complete an object that is created.

    Raises:
        Failure: 403, when something that it refers to does not exist.
    """
    kind = target.resource.storage
    if kind == "/pods" and obj["metadata"].get("annotations", {}).get(RECORDED) != "true":
        _admit_pod(store, target, obj)
    elif kind == "/persistentvolumeclaims":
        _default_class(store, obj)
        _protect(obj, "kubernetes.io/pvc-protection")
    elif kind == "/services":
        _cluster_address(store, obj)
    elif kind == "/persistentvolumes":
        _protect(obj, "kubernetes.io/pv-protection")


def _protect(obj: Obj, finalizer: str) -> None:
    finalizers = obj["metadata"].setdefault("finalizers", [])
    if finalizer not in finalizers:
        finalizers.append(finalizer)


def _cluster_address(store: Store, service: Obj) -> None:
    """An address that no other Service has; nobody routes it, for the sandbox's nodes have no kube-proxy."""
    spec = service["spec"]
    if spec.get("type") == "ExternalName":
        return
    if not spec.get("clusterIP"):
        taken = {e.obj["spec"].get("clusterIP") for e in store.shelf("/services").range("")}
        free = (f"10.96.{n // 250}.{n % 250 + 2}" for n in range(60_000))
        spec["clusterIP"] = next(address for address in free if address not in taken)
    spec["clusterIPs"] = spec.get("clusterIPs") or [spec["clusterIP"]]
    if spec.get("type") in ("NodePort", "LoadBalancer"):
        _node_ports(store, spec)


def _node_ports(store: Store, spec: Obj) -> None:
    services = [e.obj["spec"] for e in store.shelf("/services").range("")]
    taken = {p.get("nodePort") for s in (*services, spec) for p in s.get("ports") or ()}
    free = (n for n in range(30_000, 32_768) if n not in taken)
    for port in spec.get("ports") or ():
        if not port.get("nodePort"):
            port["nodePort"] = next(free)


def check_resize(store: Store, claim: Obj, old: Obj) -> None:
    """A bound claim may ask for more where its class allows that.

    Raises:
        Failure: 403 otherwise.
    """
    sizes = [requested(o) for o in (old, claim)]
    if sizes[1] <= sizes[0] or (old.get("status") or {}).get("phase") != "Bound":
        return
    name = claim["metadata"]["name"]
    found = store.get("storage.k8s.io/storageclasses", "", claim["spec"].get("storageClassName") or "")
    if found is None or not found.obj.get("allowVolumeExpansion"):
        why = (
            "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must "
            "support resize"
        )
        raise forbidden(f'persistentvolumeclaims "{name}" is forbidden: {why}', name, "", "persistentvolumeclaims")


def _default_class(store: Store, claim: Obj) -> None:
    if "storageClassName" in claim["spec"]:
        return
    classes = [e.obj for e in store.shelf("storage.k8s.io/storageclasses").range("")]
    marked = [c for c in classes if (c["metadata"].get("annotations") or {}).get(DEFAULT_CLASS) == "true"]
    if marked:
        newest = max(marked, key=lambda c: (c["metadata"]["creationTimestamp"], c["metadata"]["name"]))
        claim["spec"]["storageClassName"] = newest["metadata"]["name"]


def _admit_pod(store: Store, target: Target, pod: Obj) -> None:
    spec, meta = pod["spec"], pod["metadata"]
    prefix = meta.get("generateName") or ""  # a name is generated after admission: until then, this is the name
    name = prefix if prefix and meta["name"].startswith(prefix) else meta["name"]
    account_name = spec.get("serviceAccountName") or "default"
    account = store.get("/serviceaccounts", target.namespace, account_name)
    if account is None:
        looked = f"error looking up service account {target.namespace}/{account_name}"
        why = f'{looked}: serviceaccount "{account_name}" not found'
        raise forbidden(f'pods "{name}" is forbidden: {why}', name, "", "pods")
    spec["serviceAccountName"] = spec["serviceAccount"] = account_name
    account_obj = account.obj
    if spec.get("automountServiceAccountToken", account_obj.get("automountServiceAccountToken", True)):
        _mount_token(spec)
    if not spec.get("imagePullSecrets") and account_obj.get("imagePullSecrets"):
        spec["imagePullSecrets"] = account_obj["imagePullSecrets"]
    _priority(store, pod, name)
    tolerate_node_trouble(spec)


def tolerate_node_trouble(spec: Obj, keys: Iterable[str] = NODE_TROUBLE) -> None:
    """Every Pod tolerates for a while that its node is not there; also one from which an update takes that away."""
    for key in keys:
        if not any(_tolerates(t, key) for t in spec.get("tolerations") or ()):
            toleration = {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            spec.setdefault("tolerations", []).append(toleration)


def _tolerates(toleration: Obj, key: str) -> bool:
    return toleration.get("effect", "") in ("", "NoExecute") and (
        toleration.get("key") == key or (not toleration.get("key") and toleration.get("operator") == "Exists")
    )


def _mount_token(spec: Obj) -> None:
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    needy = [c for c in containers if all(m["mountPath"] != TOKEN_DIRECTORY for m in c.get("volumeMounts") or ())]
    if not needy:
        return
    name = "kube-api-access-" + suffix()
    for container in needy:
        mount = {"name": name, "readOnly": True, "mountPath": TOKEN_DIRECTORY}
        container.setdefault("volumeMounts", []).append(mount)
    spec.setdefault("volumes", []).append(
        {
            "name": name,
            "projected": {
                "sources": [
                    {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                    {
                        "downwardAPI": {
                            "items": [
                                {
                                    "path": "namespace",
                                    "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
                                }
                            ]
                        }
                    },
                ],
                "defaultMode": 420,
            },
        }
    )


def _priority(store: Store, pod: Obj, name: str) -> None:
    spec = pod["spec"]
    wanted = spec.get("priorityClassName") or ""
    value, policy = 0, "PreemptLowerPriority"
    priority: Obj
    if wanted:
        found = store.get("scheduling.k8s.io/priorityclasses", "", wanted)
        if found is None and wanted not in SYSTEM_PRIORITIES:
            why = f"no PriorityClass with name {wanted} was found"
            raise forbidden(f'pods "{name}" is forbidden: {why}', name, "", "pods")
        priority = found.obj if found else {"value": SYSTEM_PRIORITIES[wanted]}
        value, policy = priority.get("value", 0), priority.get("preemptionPolicy", policy)
    else:
        for entry in store.shelf("scheduling.k8s.io/priorityclasses").range(""):
            priority = entry.obj
            if priority.get("globalDefault"):
                spec["priorityClassName"] = priority["metadata"]["name"]
                value, policy = priority.get("value", 0), priority.get("preemptionPolicy", policy)
    spec["priority"] = value
    spec["preemptionPolicy"] = policy
