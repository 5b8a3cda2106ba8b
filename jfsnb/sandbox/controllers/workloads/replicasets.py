"""ReplicaSets: as many Pods of a template as wanted."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from jfsnb.sandbox.controllers.objects import (
    Key,
    Obj,
    annotations_of,
    deleting,
    labels_of,
    pod_from_template,
    ready,
    spec_of,
    status_of,
    terminated,
)
from jfsnb.sandbox.controllers.workloads.owning import PodOwner, available

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


def dispensable(pods: Iterable[Obj]) -> list[Obj]:
    """Pods in the order in which they are given up: not yet placed, not ready, cheap, youngest first."""
    phases = {"Pending": 0, "Unknown": 1}

    def rank(pod: Obj) -> tuple[object, ...]:
        cost = int(annotations_of(pod).get(DELETION_COST, 0))
        placed = bool(spec_of(pod).get("nodeName"))
        return placed, phases.get(status_of(pod).get("phase", ""), 2), ready(pod), cost

    youngest_first = sorted(pods, key=lambda p: p["metadata"].get("creationTimestamp", ""), reverse=True)
    return sorted(youngest_first, key=rank)


def status(replica_set: Obj, pods: Iterable[Obj], now: datetime) -> Obj:
    """The ReplicaSet's status for its active Pods."""
    pods, minimum = list(pods), spec_of(replica_set).get("minReadySeconds", 0)
    wanted = (replica_set["spec"]["template"].get("metadata") or {}).get("labels") or {}
    return {
        "replicas": len(pods),
        "fullyLabeledReplicas": sum(wanted.items() <= labels_of(p).items() for p in pods) or None,
        "readyReplicas": sum(ready(p) for p in pods) or None,
        "availableReplicas": sum(available(p, minimum, now) for p in pods) or None,
        "observedGeneration": replica_set["metadata"].get("generation", 1),
        "conditions": status_of(replica_set).get("conditions"),
    }


def active(pods: Iterable[Obj]) -> list[Obj]:
    return [p for p in pods if not terminated(p) and not deleting(p)]


class ReplicaSets(PodOwner):
    component = "replicaset-controller"
    kind, plural = "ReplicaSet", "replicasets"

    async def sync(self, key: Key) -> float | None:
        replica_set = self.cluster.get("replicasets", key)
        if replica_set is None:
            return None
        pods = active(await self.claimed(replica_set))
        wanted = spec_of(replica_set).get("replicas", 1)
        if not deleting(replica_set):
            template = replica_set["spec"]["template"]
            missing = max(wanted - len(pods), 0)
            await self.create_pods(replica_set, [pod_from_template(template, replica_set) for _ in range(missing)])
            if len(pods) > wanted:
                await self.delete_pods(replica_set, dispensable(pods)[: len(pods) - wanted])
            pods = active(self._owned.get(replica_set["metadata"]["uid"]))
        now = datetime.now(UTC)
        await self.write_status(replica_set, status(replica_set, pods, now))
        minimum = spec_of(replica_set).get("minReadySeconds", 0)
        return float(minimum) if any(ready(p) and not available(p, minimum, now) for p in pods) else None
