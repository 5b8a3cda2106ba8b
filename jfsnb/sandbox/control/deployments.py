"""Deployments: one ReplicaSet for each template, and the way from one to the next."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from jfsnb.sandbox.client import ApiError
from jfsnb.sandbox.control.cluster import Cluster
from jfsnb.sandbox.control.objects import (
    Key,
    Obj,
    annotations_of,
    condition,
    controller_of,
    deleting,
    key_of,
    moment,
    owner_reference,
    spec_of,
    stamp,
    status_of,
    template_hash,
    terminated,
)
from jfsnb.sandbox.control.owning import PodOwner, share, transition

HASH = "pod-template-hash"
PREFIX = "deployment.kubernetes.io/"
REVISION, DESIRED, MAXIMUM = PREFIX + "revision", PREFIX + "desired-replicas", PREFIX + "max-replicas"
NOT_COPIED = {
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    DESIRED,
    MAXIMUM,
    PREFIX + "revision-history",
}


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


class Deployments(PodOwner):
    component = "deployment-controller"
    kind, plural, dependents = "Deployment", "deployments", "replicasets"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.watch("pods", self._of_pod)

    def _of_pod(self, pod: Obj) -> Key | None:
        """A Recreate Deployment waits for old Pods to be gone."""
        ref = controller_of(pod)
        if ref is None or ref["kind"] != "ReplicaSet":
            return None
        replica_set = self.cluster.get("replicasets", (pod["metadata"]["namespace"], ref["name"]))
        owner = controller_of(replica_set) if replica_set else None
        return (pod["metadata"]["namespace"], owner["name"]) if owner and owner["kind"] == "Deployment" else None

    async def sync(self, key: Key) -> float | None:
        deployment = self.cluster.get("deployments", key)
        if deployment is None:
            return None
        sets = await self.claimed(deployment)
        new = next((r for r in sorted(sets, key=_age) if same_template(r, deployment)), None)
        if deleting(deployment):
            return await self._report(deployment, new, sets)
        if spec_of(deployment).get("paused"):
            await self._scale_all(deployment, new, sets)
        elif rolling(deployment):
            new = await self._new_set(deployment, new, sets)
            old = [r for r in sets if r["metadata"]["uid"] != new["metadata"]["uid"]]
            for name, size in rolling_step(Bounds.of(deployment), new, old).items():
                await self._scale(deployment, next(r for r in (new, *old) if r["metadata"]["name"] == name), size)
        else:
            new = await self._recreate(deployment, new, sets)
        sets = self._owned.get(deployment["metadata"]["uid"])
        new = next((r for r in sets if new is not None and r["metadata"]["uid"] == new["metadata"]["uid"]), None)
        again = await self._report(self.cluster.get("deployments", key) or deployment, new, sets)
        await self._forget_old(deployment, new, sets)
        return again

    async def _recreate(self, deployment: Obj, new: Obj | None, sets: list[Obj]) -> Obj | None:
        old = [r for r in sets if new is None or r["metadata"]["uid"] != new["metadata"]["uid"]]
        shrinking = [r for r in old if replicas_of(r)]
        for replica_set in shrinking:
            await self._scale(deployment, replica_set, 0)
        if shrinking or any(self._has_pods(r) for r in old):
            return new
        new = await self._new_set(deployment, new, sets)
        if replicas_of(new) != replicas_of(deployment):
            await self._scale(deployment, new, replicas_of(deployment))
        return new

    def _has_pods(self, replica_set: Obj) -> bool:
        uid = replica_set["metadata"]["uid"]
        pods = self.cluster.all("pods", replica_set["metadata"]["namespace"])
        return any((r := controller_of(p)) and r["uid"] == uid and not terminated(p) for p in pods)

    async def _scale_all(self, deployment: Obj, new: Obj | None, sets: list[Obj]) -> None:
        """A paused Deployment follows its number of replicas, but not its template."""
        growing = new or next(iter(sorted((r for r in sets if replicas_of(r)), key=revision_of, reverse=True)), None)
        others = sum(replicas_of(r) for r in sets if r is not growing)
        wanted = max(replicas_of(deployment) - others, 0)
        if growing is not None and replicas_of(growing) != wanted:
            await self._scale(deployment, growing, wanted)

    async def _new_set(self, deployment: Obj, new: Obj | None, sets: list[Obj]) -> Obj:
        """The ReplicaSet of the current template, with the newest revision number."""
        others = [r for r in sets if new is None or r["metadata"]["uid"] != new["metadata"]["uid"]]
        number = max(map(revision_of, others), default=0) + 1
        if new is None:
            new = await self._create_set(deployment, number, others)
        notes = self._notes(deployment, new, number)
        if any(annotations_of(new).get(k) != v for k, v in notes.items()):
            new = await self.cluster.patch("replicasets", key_of(new), {"metadata": {"annotations": notes}})
        minimum = spec_of(deployment).get("minReadySeconds", 0)
        if spec_of(new).get("minReadySeconds", 0) != minimum:
            new = await self.cluster.patch("replicasets", key_of(new), {"spec": {"minReadySeconds": minimum}})
        if revision_of(deployment) != revision_of(new):
            note = {"metadata": {"annotations": {REVISION: annotations_of(new)[REVISION]}}}
            await self.cluster.patch("deployments", key_of(deployment), note)
        return new

    def _notes(self, deployment: Obj, replica_set: Obj, number: int) -> dict[str, str]:
        bounds = Bounds.of(deployment)
        notes = {k: v for k, v in annotations_of(deployment).items() if k not in NOT_COPIED}
        notes[REVISION] = str(max(number, revision_of(replica_set)))
        notes[DESIRED], notes[MAXIMUM] = str(bounds.replicas), str(bounds.replicas + bounds.surge)
        return notes

    async def _create_set(self, deployment: Obj, number: int, others: list[Obj]) -> Obj:
        spec, meta = deployment["spec"], deployment["metadata"]
        hashed = template_hash(spec["template"], status_of(deployment).get("collisionCount", 0))
        template = copy.deepcopy(spec["template"])
        labels = {**(template.get("metadata", {}).get("labels") or {}), HASH: hashed}
        template.setdefault("metadata", {})["labels"] = labels
        selector = copy.deepcopy(spec["selector"])
        selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH: hashed}
        bounds = Bounds.of(deployment)
        room = bounds.replicas + bounds.surge - sum(map(replicas_of, others))
        size = min(max(room, 0), bounds.replicas) if rolling(deployment) else bounds.replicas
        body: Obj = {
            "metadata": {
                "name": f"{meta['name']}-{hashed}",
                "namespace": meta["namespace"],
                "labels": labels,
                "ownerReferences": [owner_reference(deployment)],
            },
            "spec": {"replicas": size, "selector": selector, "template": template},
        }
        if spec.get("minReadySeconds"):
            body["spec"]["minReadySeconds"] = spec["minReadySeconds"]
        body["metadata"]["annotations"] = self._notes(deployment, body, number)
        try:
            made = await self.cluster.create("replicasets", body)
        except ApiError as error:
            if error.status != 409:
                raise
            count = {"status": {"collisionCount": status_of(deployment).get("collisionCount", 0) + 1}}
            await self.cluster.patch("deployments", key_of(deployment), count, subresource="status")
            raise
        if size:
            self._say_scaled(deployment, made, 0, size)
        return made

    async def _scale(self, deployment: Obj, replica_set: Obj, size: int) -> None:
        before = replicas_of(replica_set)
        bounds = Bounds.of(deployment)
        notes = {DESIRED: str(bounds.replicas), MAXIMUM: str(bounds.replicas + bounds.surge)}
        guard = {"resourceVersion": replica_set["metadata"]["resourceVersion"], "annotations": notes}
        await self.cluster.patch("replicasets", key_of(replica_set), {"metadata": guard, "spec": {"replicas": size}})
        self._say_scaled(deployment, replica_set, before, size)

    def _say_scaled(self, deployment: Obj, replica_set: Obj, before: int, after: int) -> None:
        way, name = "up" if after > before else "down", replica_set["metadata"]["name"]
        words = f"Scaled {way} replica set {name} from {before} to {after}"
        self.events.event(deployment, "Normal", "ScalingReplicaSet", words)

    async def _report(self, deployment: Obj, new: Obj | None, sets: list[Obj]) -> float | None:
        fresh = status(deployment, new, sets, datetime.now(UTC))
        await self.write_status(deployment, fresh)
        return seconds_to_deadline(deployment, fresh["conditions"], datetime.now(UTC))

    async def _forget_old(self, deployment: Obj, new: Obj | None, sets: list[Obj]) -> None:
        limit = spec_of(deployment).get("revisionHistoryLimit", 10)
        old = [r for r in sets if new is None or r["metadata"]["uid"] != new["metadata"]["uid"]]
        empty = [r for r in old if not replicas_of(r) and not status_of(r).get("replicas") and not deleting(r)]
        for replica_set in sorted(empty, key=revision_of)[: max(len(empty) - limit, 0)]:
            await self.cluster.delete("replicasets", replica_set)


def _age(replica_set: Obj) -> str:
    return str(replica_set["metadata"].get("creationTimestamp", ""))


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
