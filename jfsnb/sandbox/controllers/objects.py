"""What several control loops need to know about objects: owners, conditions, label selectors, templates."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from jfsnb.driver.settings.quantity import value_of

Obj = dict[str, Any]
Key = tuple[str, str]
RECORDED = "sandbox.jfsnb.io/recorded"
#: Letters of generated names: no vowels, so no words (as the API server's generateName).
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def quantity(text: str | int) -> Decimal:
    """The number that a quantity stands for (bytes, cores or pieces); the API server has checked that it is one."""
    return value_of(str(text)) or Decimal()


def key_of(obj: Mapping[str, Any]) -> Key:
    """(namespace, name); the namespace is empty for cluster-scoped objects."""
    meta = obj["metadata"]
    return meta.get("namespace", ""), meta["name"]


def labels_of(obj: Mapping[str, Any]) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}


def annotations_of(obj: Mapping[str, Any]) -> dict[str, str]:
    return obj["metadata"].get("annotations") or {}


def spec_of(obj: Mapping[str, Any]) -> Obj:
    return obj.get("spec") or {}


def status_of(obj: Mapping[str, Any]) -> Obj:
    return obj.get("status") or {}


def deleting(obj: Mapping[str, Any]) -> bool:
    return bool(obj["metadata"].get("deletionTimestamp"))


def recorded(obj: Mapping[str, Any]) -> bool:
    """True when no process stands behind the object: the control loops leave it alone."""
    return annotations_of(obj).get(RECORDED) == "true"


def stamp(moment: datetime | None = None) -> str:
    """A time as in ``creationTimestamp`` (now, if none is given)."""
    return (moment or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str | None) -> datetime | None:
    """The time of a timestamp, with or without fractions of a second; None for none."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None


def condition(obj: Mapping[str, Any], kind: str) -> Obj | None:
    return next((c for c in status_of(obj).get("conditions") or () if c["type"] == kind), None)


def condition_is(obj: Mapping[str, Any], kind: str, status: str = "True") -> bool:
    found = condition(obj, kind)
    return found is not None and found["status"] == status


def with_condition(
    conditions: Iterable[Obj], kind: str, status: str, reason: str, message: str, **more: Any
) -> list[Obj]:
    """The conditions with one of them set; its lastTransitionTime moves only when its status does."""
    result, now = [], stamp()
    old = next((c for c in conditions if c["type"] == kind), None)
    fresh = {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": now, **more}
    if old is not None and old["status"] == status:
        fresh["lastTransitionTime"] = old.get("lastTransitionTime", now)
    for existing in conditions:
        result.append(fresh if existing["type"] == kind else existing)
    return result if old is not None else [*result, fresh]


def controller_of(obj: Mapping[str, Any]) -> Obj | None:
    """The owner reference that has ``controller: true``."""
    return next((r for r in obj["metadata"].get("ownerReferences") or () if r.get("controller")), None)


def controlled_by(obj: Mapping[str, Any], owner: Mapping[str, Any]) -> bool:
    found = controller_of(obj)
    return found is not None and found["uid"] == owner["metadata"]["uid"]


def owner_reference(owner: Mapping[str, Any], block: bool = True) -> Obj:
    """The reference that makes ``owner`` the controller of an object."""
    meta = owner["metadata"]
    ref = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": meta["name"], "uid": meta["uid"]}
    return {**ref, "controller": True, "blockOwnerDeletion": block}


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector object selects these labels; none selects nothing, an empty one everything."""
    if selector is None:
        return False
    if any(labels.get(k) != v for k, v in (selector.get("matchLabels") or {}).items()):
        return False
    return all(requirement_met(e, labels) for e in selector.get("matchExpressions") or ())


def requirement_met(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """One match expression (In, NotIn, Exists, DoesNotExist, Gt, Lt), of label and node selectors alike."""
    key, operator, values = expression["key"], expression["operator"], expression.get("values") or []
    if operator in ("Exists", "DoesNotExist"):
        return bool((key in labels) == (operator == "Exists"))
    if operator == "In":
        return bool(key in labels and labels[key] in values)
    if operator == "NotIn":
        return bool(labels.get(key) not in values)
    try:
        have, limit = int(labels[key]), int(values[0])
    except (KeyError, ValueError, IndexError):
        return False
    return have > limit if operator == "Gt" else have < limit


def terminated(pod: Mapping[str, Any]) -> bool:
    return status_of(pod).get("phase") in ("Succeeded", "Failed")


def ready(pod: Mapping[str, Any]) -> bool:
    return condition_is(pod, "Ready") and not deleting(pod)


def claims_of(pod: Mapping[str, Any]) -> list[str]:
    """Names of the claims that a Pod's volumes use, generic ephemeral ones included."""
    names = []
    for volume in spec_of(pod).get("volumes") or ():
        if volume.get("persistentVolumeClaim"):
            names.append(volume["persistentVolumeClaim"]["claimName"])
        elif volume.get("ephemeral"):
            names.append(f"{pod['metadata']['name']}-{volume['name']}")
    return names


def template_hash(template: Any, collisions: int = 0) -> str:
    """A short name for a Pod template; equal templates have equal names."""
    text = json.dumps([template, collisions], sort_keys=True).encode()
    number = int.from_bytes(hashlib.sha256(text).digest()[:6], "big")
    letters = []
    for _ in range(10):
        number, index = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[index])
    return "".join(letters)


def random_suffix(length: int = 5) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def pod_from_template(template: Mapping[str, Any], owner: Mapping[str, Any], **labels: str) -> Obj:
    """A Pod of a controller's template, owned by the controller; the API server names it."""
    meta = template.get("metadata") or {}
    pod_meta: Obj = {
        "generateName": owner["metadata"]["name"] + "-",
        "namespace": owner["metadata"]["namespace"],
        "labels": {**(meta.get("labels") or {}), **labels},
        "ownerReferences": [owner_reference(owner)],
    }
    if meta.get("annotations"):
        pod_meta["annotations"] = dict(meta["annotations"])
    if meta.get("finalizers"):
        pod_meta["finalizers"] = list(meta["finalizers"])
    return {"apiVersion": "v1", "kind": "Pod", "metadata": pod_meta, "spec": json.loads(json.dumps(template["spec"]))}
