"""Subresources that are verbs of their own: binding, eviction, scale, tokens."""

from __future__ import annotations

from typing import Any

from jfsnb.sandbox.apimachinery import clock
from jfsnb.sandbox.apiserver.http.request import Options, Target
from jfsnb.sandbox.apiserver.http.tokens import ISSUER, TokenSigner
from jfsnb.sandbox.apiserver.rules.status import Cause, bad_request, conflict, invalid
from jfsnb.sandbox.apiserver.schema.resources import find
from jfsnb.sandbox.apiserver.storage.registry import DeleteOptions, Registry
from jfsnb.sandbox.apiserver.storage.store import Entry

Obj = dict[str, Any]
SUCCESS: Obj = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
SHORTEST_TOKEN, LONGEST_TOKEN = 600, 1 << 32


def bind(registry: Registry, target: Target, body: Obj, options: Options) -> Obj:
    """Assign a Pod to a node, as the scheduler does.

    Raises:
        Failure: 409, when it is assigned already or being deleted.
    """
    node = (body.get("target") or {}).get("name")
    if not node:
        raise invalid("Binding", "", target.name, [Cause("FieldValueRequired", "Required value", "target.name")])

    def assigned(pod: Obj) -> Obj:
        if pod["metadata"].get("deletionTimestamp"):
            raise conflict("pods/binding", "", target.name, f"pod {target.name} is being deleted, cannot be assigned")
        if pod["spec"].get("nodeName"):
            why = f'pod {target.name} is already assigned to node "{pod["spec"]["nodeName"]}"'
            raise conflict("pods/binding", "", target.name, why)
        pod["spec"]["nodeName"] = node
        notes = (body.get("metadata") or {}).get("annotations")
        if notes:
            pod["metadata"].setdefault("annotations", {}).update(notes)
        conditions = [c for c in pod["status"].get("conditions") or () if c["type"] != "PodScheduled"]
        scheduled = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": clock.now()}
        status = {"phase": pod["status"].get("phase", "Pending"), "conditions": [*conditions, scheduled]}
        pod["status"] = {**status, **{k: v for k, v in pod["status"].items() if k not in status}}
        return pod

    pods = Target(_resource("", "v1", "pods"), target.namespace, target.name)
    registry.rewrite(pods, assigned, options)
    return SUCCESS


def evict(registry: Registry, target: Target, options: DeleteOptions) -> Obj:
    """Delete a Pod. Disruption budgets are stored, and nobody counts them."""
    registry.delete(Target(target.resource, target.namespace, target.name), options)
    return SUCCESS


def token_request(registry: Registry, signer: TokenSigner, target: Target, body: Obj) -> Obj:
    """Issue a service account token.

    Raises:
        Failure: 404 without the account, 422 for a bad duration, 409 when what it is bound to is another object.
    """
    account = registry.get(Target(target.resource, target.namespace, target.name)).obj
    spec = body.get("spec") or {}
    seconds = spec.get("expirationSeconds") or 3600
    if seconds < SHORTEST_TOKEN or seconds > LONGEST_TOKEN:
        why = "may not specify a duration less than 10 minutes"
        if seconds > LONGEST_TOKEN:
            why = "may not specify a duration larger than 2^32 seconds"
        cause = Cause("FieldValueInvalid", f"Invalid value: {seconds}: {why}", "spec.expirationSeconds")
        raise invalid("TokenRequest", "authentication.k8s.io", target.name, [cause])
    reference = spec.get("boundObjectRef")
    bound = _bound(registry, target, reference) if reference else None
    audiences = spec.get("audiences") or [ISSUER]
    token = signer.issue(target.namespace, account, audiences, seconds, bound)
    asked = {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": reference}
    meta = {"name": target.name, "namespace": target.namespace, "creationTimestamp": clock.now()}
    return {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": meta,
        "spec": asked,
        "status": {"token": token, "expirationTimestamp": clock.now(seconds)},
    }


def _bound(registry: Registry, target: Target, reference: Obj) -> Obj:
    kind, name = reference.get("kind"), reference.get("name") or ""
    plural = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}.get(str(kind))
    if plural is None:
        raise bad_request(
            f"cannot bind token for serviceaccount {target.name!r} to object kind {kind!r}".replace("'", '"')
        )
    namespace = "" if plural == "nodes" else target.namespace
    entry = registry.get(Target(_resource("", "v1", plural), namespace, name))
    wanted = reference.get("uid") or entry.uid
    if wanted != entry.uid:
        why = f"the UID in the bound object reference ({wanted}) does not match the UID in record."
        raise conflict(plural, "", name, why + " The object might have been deleted and then recreated")
    if plural == "pods" and entry.fields["spec.serviceAccountName"] != target.name:
        raise bad_request(
            f'cannot bind token for serviceaccount "{target.name}" to pod running with different serviceaccount name.'
        )
    return {plural[:-1]: {"name": name, "uid": entry.uid}}


def scale_of(entry: Entry) -> Obj:
    """The Scale of a workload."""
    obj = entry.obj
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    selector = spec.get("selector") or {}
    labels = selector.get("matchLabels", selector if "matchExpressions" not in selector else {})
    shown: Obj = {"replicas": status.get("replicas", 0)}
    shown["selector"] = ",".join(f"{k}={v}" for k, v in sorted(labels.items()))
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {k: meta[k] for k in kept if k in meta},
        "spec": {"replicas": spec["replicas"]} if spec.get("replicas") else {},
        "status": shown,
    }


def set_scale(registry: Registry, target: Target, scale: Obj, options: Options) -> Obj:
    """Give a workload the replicas of a Scale.

    Raises:
        Failure: 409 for a stale resourceVersion, 422 for a negative number.
    """
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        raise bad_request("json: cannot unmarshal into Go struct field ScaleSpec.spec.replicas of type int32")
    if replicas < 0:
        text = f"Invalid value: {replicas}: must be greater than or equal to 0"
        cause = Cause("FieldValueInvalid", text, "spec.replicas")
        raise invalid("Scale", "autoscaling", target.name, [cause])
    version = (scale.get("metadata") or {}).get("resourceVersion")

    def scaled(obj: Obj) -> Obj:
        if version:
            obj["metadata"]["resourceVersion"] = version
        obj["spec"]["replicas"] = replicas
        return obj

    whole = Target(target.resource, target.namespace, target.name)
    return scale_of(registry.edit(whole, scaled, options).entry)


def _resource(group: str, version: str, plural: str) -> Any:
    found = find(group, version, plural)
    assert found is not None
    return found
