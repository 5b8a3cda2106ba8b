"""PodDisruptionBudgets: how many Pods may be evicted now."""

from __future__ import annotations

from jfsnb.sandbox.controllers.cluster import Cluster
from jfsnb.sandbox.controllers.controller import Controller
from jfsnb.sandbox.controllers.objects import (
    Key,
    Obj,
    controller_of,
    deleting,
    key_of,
    labels_of,
    ready,
    selects,
    spec_of,
    status_of,
    terminated,
    with_condition,
)
from jfsnb.sandbox.controllers.workloads.owning import share


def budget(pdb: Obj, pods: list[Obj], expected: int) -> Obj:
    """The counts of a budget's status.

    Args:
        pdb: the PodDisruptionBudget.
        pods: the Pods that it selects.
        expected: how many Pods their controllers want.
    """
    spec = spec_of(pdb)
    if "maxUnavailable" in spec:
        desired = max(expected - share(spec["maxUnavailable"], expected, 0, up=True), 0)
    elif isinstance(spec.get("minAvailable"), str):
        desired = share(spec["minAvailable"], expected, 1, up=True)
    else:
        expected, desired = len(pods), int(spec.get("minAvailable", 1))
    healthy = sum(ready(p) for p in pods)
    allowed = max(healthy - desired, 0) if expected else 0
    return {
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "disruptionsAllowed": allowed,
        "expectedPods": expected,
    }


class DisruptionBudgets(Controller):
    component = "controllermanager"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.watch("poddisruptionbudgets")
        self.watch("pods", self._of_pod)
        self.read("replicasets", "statefulsets")

    def _of_pod(self, pod: Obj) -> list[Key]:
        budgets = self.cluster.all("poddisruptionbudgets", pod["metadata"]["namespace"])
        return [key_of(b) for b in budgets if selects(spec_of(b).get("selector"), labels_of(pod))]

    async def sync(self, key: Key) -> None:
        pdb = self.cluster.get("poddisruptionbudgets", key)
        if pdb is None or deleting(pdb):
            return
        selector = spec_of(pdb).get("selector")
        pods = [p for p in self.cluster.all("pods", key[0]) if selects(selector, labels_of(p)) and not terminated(p)]
        fresh = budget(pdb, pods, self._expected(pods))
        enough = fresh["disruptionsAllowed"] > 0
        words = ("True", "SufficientPods") if enough else ("False", "InsufficientPods")
        generation = pdb["metadata"].get("generation", 1)
        conditions = with_condition(
            status_of(pdb).get("conditions") or [], "DisruptionAllowed", *words, "", observedGeneration=generation
        )
        kept = {k: v for k, v in status_of(pdb).items() if k == "disruptedPods"}
        status = {**kept, **fresh, "observedGeneration": generation, "conditions": conditions}
        if status != status_of(pdb):
            await self.cluster.update("poddisruptionbudgets", {**pdb, "status": status}, subresource="status")

    def _expected(self, pods: list[Obj]) -> int:
        owners = {r["uid"]: (p, r) for p in pods if (r := controller_of(p))}
        total = sum(controller_of(p) is None for p in pods)
        for pod, reference in owners.values():
            plural = {"ReplicaSet": "replicasets", "StatefulSet": "statefulsets"}.get(reference["kind"])
            owner = self.cluster.get(plural, (pod["metadata"]["namespace"], reference["name"])) if plural else None
            total += spec_of(owner).get("replicas", 1) if owner else 0
        return total
