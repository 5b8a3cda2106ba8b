"""Deployments: one ReplicaSet for each template, and the way from one to the next."""

from __future__ import annotations

import copy
from datetime import UTC, datetime

from jfsnb.sandbox.apimachinery.client import ApiError
from jfsnb.sandbox.controllers.cluster import Cluster
from jfsnb.sandbox.controllers.objects import (
    Key,
    Obj,
    annotations_of,
    controller_of,
    deleting,
    key_of,
    owner_reference,
    spec_of,
    status_of,
    template_hash,
    terminated,
)
from jfsnb.sandbox.controllers.workloads.owning import PodOwner
from jfsnb.sandbox.controllers.workloads.rollout import (
    HASH,
    REVISION,
    Bounds,
    replicas_of,
    revision_of,
    rolling,
    rolling_step,
    same_template,
    seconds_to_deadline,
    status,
)

PREFIX = "deployment.kubernetes.io/"
DESIRED, MAXIMUM = PREFIX + "desired-replicas", PREFIX + "max-replicas"
NOT_COPIED = {
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    DESIRED,
    MAXIMUM,
    PREFIX + "revision-history",
}


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
