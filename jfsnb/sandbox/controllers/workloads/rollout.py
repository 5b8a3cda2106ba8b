"""How a Deployment gets from one template to the next, and what its status says: pure functions of plain objects."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from jfsnb.sandbox.controllers.objects import Obj, annotations_of, condition, moment, spec_of, stamp, status_of
from jfsnb.sandbox.controllers.workloads.owning import share, transition

HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"


@dataclass(frozen=True)
class Bounds:
    """How far a rolling update may go above and below the wanted number of Pods."""

    replicas: int
    surge: int
    unavailable: int

    @classmethod
    def of(cls, deployment: Obj) -> Bounds:
        replicas = spec_of(deployment).get("replicas", 1)
        if not rolling(deployment):
            return cls(replicas, 0, 0)
        rule = (spec_of(deployment).get("strategy") or {}).get("rollingUpdate") or {}
        surge = share(rule.get("maxSurge"), replicas, "25%", up=True)
        unavailable = share(rule.get("maxUnavailable"), replicas, "25%", up=False)
        return cls(replicas, surge, min(unavailable if surge or unavailable else 1, replicas))


def rolling(deployment: Obj) -> bool:
    return bool((spec_of(deployment).get("strategy") or {}).get("type", "RollingUpdate") == "RollingUpdate")


def replicas_of(replica_set: Obj) -> int:
    return int(spec_of(replica_set).get("replicas", 1))


def same_template(replica_set: Obj, deployment: Obj) -> bool:
    """Whether a ReplicaSet has the Deployment's template (its own hash label aside)."""
    template = copy.deepcopy(replica_set["spec"]["template"])
    (template.get("metadata", {}).get("labels") or {}).pop(HASH, None)
    return bool(template == deployment["spec"]["template"])


def revision_of(obj: Obj) -> int:
    return int(annotations_of(obj).get(REVISION, 0))


def rolling_step(bounds: Bounds, new: Obj, old: Iterable[Obj]) -> dict[str, int]:
    """The next sizes of a rolling update, by ReplicaSet name; empty when there is nothing to change now."""
    old = [r for r in old if replicas_of(r)]
    total = replicas_of(new) + sum(map(replicas_of, old))
    room = bounds.replicas + bounds.surge - total
    if replicas_of(new) > bounds.replicas or (replicas_of(new) < bounds.replicas and room > 0):
        return {new["metadata"]["name"]: min(bounds.replicas, replicas_of(new) + max(room, 0))}
    new_unavailable = replicas_of(new) - status_of(new).get("availableReplicas", 0)
    spare = total - (bounds.replicas - bounds.unavailable) - new_unavailable
    sizes: dict[str, int] = {}
    for replica_set in sorted(old, key=lambda r: r["metadata"].get("creationTimestamp", "")):  # the sick ones first
        sick = replicas_of(replica_set) - status_of(replica_set).get("availableReplicas", 0)
        fewer = min(sick, spare)
        if fewer > 0:
            sizes[replica_set["metadata"]["name"]] = replicas_of(replica_set) - fewer
            spare -= fewer
    available = sum(status_of(r).get("availableReplicas", 0) for r in (new, *old))
    spare = available - (bounds.replicas - bounds.unavailable)
    for replica_set in sorted(old, key=lambda r: r["metadata"].get("creationTimestamp", "")):
        name = replica_set["metadata"]["name"]
        size = sizes.get(name, replicas_of(replica_set))
        fewer = min(size, spare)
        if fewer > 0:
            sizes[name] = size - fewer
            spare -= fewer
    return sizes


def status(deployment: Obj, new: Obj | None, sets: Iterable[Obj], now: datetime) -> Obj:
    """The Deployment's status, conditions included."""
    sets = list(sets)
    total = sum(status_of(r).get("replicas", 0) for r in sets)
    available = sum(status_of(r).get("availableReplicas", 0) for r in sets)
    updated = status_of(new).get("replicas", 0) if new else 0
    wanted = sum(map(replicas_of, sets))
    fresh: Obj = {
        "observedGeneration": deployment["metadata"].get("generation", 1),
        "replicas": total or None,
        "updatedReplicas": updated or None,
        "readyReplicas": sum(status_of(r).get("readyReplicas", 0) for r in sets) or None,
        "availableReplicas": available or None,
        "unavailableReplicas": max(wanted - available, 0) or None,
        "collisionCount": status_of(deployment).get("collisionCount"),
    }
    fresh["conditions"] = _conditions(deployment, new, fresh, now)
    return fresh


def _conditions(deployment: Obj, new: Obj | None, fresh: Obj, now: datetime) -> list[Obj]:
    bounds = Bounds.of(deployment)
    enough = (fresh["availableReplicas"] or 0) >= bounds.replicas - bounds.unavailable
    if enough:
        availability = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        availability = ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    wanted = [("Available", availability), ("Progressing", _progress(deployment, new, fresh, now))]
    result = []
    for kind, (value, reason, message) in wanted:
        old = condition(deployment, kind)
        result.append(
            {
                "type": kind,
                "status": value,
                "lastUpdateTime": _last_update(deployment, kind, (value, reason, message), fresh),
                "lastTransitionTime": transition(old, value),
                "reason": reason,
                "message": message,
            }
        )
    others = [c for c in status_of(deployment).get("conditions") or () if c["type"] not in dict(wanted)]
    return [*result, *others]


def _last_update(deployment: Obj, kind: str, said: tuple[str, str, str], fresh: Obj) -> str:
    """The time moves when the condition changes; that of Progressing also with every step forward."""
    old = condition(deployment, kind)
    if old is None or (old["status"], old["reason"], old["message"]) != said:
        return stamp()
    counts = ("updatedReplicas", "readyReplicas", "availableReplicas")
    moved = any((status_of(deployment).get(c) or 0) != (fresh[c] or 0) for c in counts)
    return stamp() if kind == "Progressing" and moved and said[1] == "ReplicaSetUpdated" else str(old["lastUpdateTime"])


def complete(deployment: Obj, fresh: Obj) -> bool:
    """All Pods are new and available, and no old one is left."""
    counts = {fresh[c] or 0 for c in ("updatedReplicas", "replicas", "availableReplicas")}
    return counts == {replicas_of(deployment)}


def _progress(deployment: Obj, new: Obj | None, fresh: Obj, now: datetime) -> tuple[str, str, str]:
    old, name = condition(deployment, "Progressing"), deployment["metadata"]["name"]
    before = (old["status"], old["reason"], old["message"]) if old else None
    if spec_of(deployment).get("paused"):
        return "Unknown", "DeploymentPaused", "Deployment is paused"
    if new is None:
        return before or ("True", "ReplicaSetUpdated", f'Deployment "{name}" is progressing.')
    which = new["metadata"]["name"]
    if complete(deployment, fresh):
        return "True", "NewReplicaSetAvailable", f'ReplicaSet "{which}" has successfully progressed.'
    if before and before[1] == "NewReplicaSetAvailable" and fresh["replicas"] == fresh["updatedReplicas"]:
        return before  # a Pod that fails later does not undo the rollout
    if timed_out(deployment, fresh, now):
        return "False", "ProgressDeadlineExceeded", f'ReplicaSet "{which}" has timed out progressing.'
    if before is None:
        return "True", "NewReplicaSetCreated", f'Created new replica set "{which}"'
    return "True", "ReplicaSetUpdated", f'ReplicaSet "{which}" is progressing.'


def timed_out(deployment: Obj, fresh: Obj, now: datetime) -> bool:
    """Whether the rollout has made no step for progressDeadlineSeconds."""
    counts = ("updatedReplicas", "readyReplicas", "availableReplicas")
    moved = any((fresh[c] or 0) > (status_of(deployment).get(c) or 0) for c in counts)
    if moved or status_of(deployment).get("observedGeneration") != fresh["observedGeneration"]:
        return False
    old = condition(deployment, "Progressing")
    left = seconds_to_deadline(deployment, status_of(deployment).get("conditions") or [], now)
    return (old is not None and old["reason"] == "ProgressDeadlineExceeded") or (left is not None and left <= 0)


def seconds_to_deadline(deployment: Obj, conditions: Iterable[Obj], now: datetime) -> float | None:
    """Seconds until a rollout without progress counts as failed; None when none is under way."""
    limit = spec_of(deployment).get("progressDeadlineSeconds")
    progressing = next((c for c in conditions if c["type"] == "Progressing"), None)
    if limit is None or progressing is None:
        return None
    if progressing["reason"] in ("NewReplicaSetAvailable", "DeploymentPaused", "ProgressDeadlineExceeded"):
        return None
    since = moment(progressing["lastUpdateTime"])
    return limit - (now - since).total_seconds() if since else None
