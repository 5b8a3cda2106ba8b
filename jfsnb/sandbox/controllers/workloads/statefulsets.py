"""StatefulSets: numbered Pods with claims of their own, started, replaced and stopped in order."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from datetime import UTC, datetime

from jfsnb.sandbox.apimachinery.client import ApiError
from jfsnb.sandbox.controllers.cluster import Cluster
from jfsnb.sandbox.controllers.objects import (
    Key,
    Obj,
    deleting,
    labels_of,
    pod_from_template,
    ready,
    spec_of,
    status_of,
    terminated,
)
from jfsnb.sandbox.controllers.workloads.owning import HASH, PodOwner, available, current_revision, forget_revisions

POD_NAME, POD_INDEX = "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"


def ordinal(pod: Obj, name: str) -> int:
    """The number of a Pod of the StatefulSet ``name``; -1 for a Pod that has none."""
    prefix, _, number = pod["metadata"]["name"].rpartition("-")
    return int(number) if prefix == name and number.isdigit() else -1


def numbered_pod(stateful_set: Obj, number: int, revision: str) -> Obj:
    """Pod ``number``: a stable name and host name, and its own claims."""
    name = f"{stateful_set['metadata']['name']}-{number}"
    own = {HASH: revision, POD_NAME: name, POD_INDEX: str(number)}
    pod = pod_from_template(stateful_set["spec"]["template"], stateful_set, **own)
    del pod["metadata"]["generateName"]
    pod["metadata"]["name"] = name
    spec, templates = pod["spec"], stateful_set["spec"].get("volumeClaimTemplates") or ()
    spec["hostname"] = name
    if stateful_set["spec"].get("serviceName"):
        spec["subdomain"] = stateful_set["spec"]["serviceName"]
    claims = {t["metadata"]["name"]: f"{t['metadata']['name']}-{name}" for t in templates}
    others = [v for v in spec.get("volumes") or () if v["name"] not in claims]
    mine = [{"name": v, "persistentVolumeClaim": {"claimName": claim}} for v, claim in claims.items()]
    if mine or others:
        spec["volumes"] = [*others, *mine]
    return pod


def claims_for(stateful_set: Obj, pod: str) -> list[Obj]:
    """The claims that a Pod needs before it can be created."""
    result = []
    for template in stateful_set["spec"].get("volumeClaimTemplates") or ():
        meta = template["metadata"]
        labels = {**(meta.get("labels") or {}), **(stateful_set["spec"]["selector"].get("matchLabels") or {})}
        own = {"name": f"{meta['name']}-{pod}", "namespace": stateful_set["metadata"]["namespace"], "labels": labels}
        if meta.get("annotations"):
            own["annotations"] = dict(meta["annotations"])
        result.append({"metadata": own, "spec": copy.deepcopy(template["spec"])})
    return result


class StatefulSets(PodOwner):
    component = "statefulset-controller"
    kind, plural = "StatefulSet", "statefulsets"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.read("controllerrevisions", "persistentvolumeclaims")

    async def sync(self, key: Key) -> float | None:
        stateful_set = self.cluster.get("statefulsets", key)
        if stateful_set is None or deleting(stateful_set):
            return None
        revision, old = await current_revision(self.cluster, stateful_set)
        update = labels_of(revision)[HASH]
        current = self._current(stateful_set, update)
        pods = {ordinal(p, key[1]): p for p in await self.claimed(stateful_set) if ordinal(p, key[1]) >= 0}
        await self._step(stateful_set, pods, current, update, old)
        pods = {ordinal(p, key[1]): p for p in self._owned.get(stateful_set["metadata"]["uid"])}
        used = {labels_of(p).get(HASH, "") for p in pods.values()} | {current}
        await forget_revisions(self.cluster, stateful_set, old, used)
        now = datetime.now(UTC)
        await self.write_status(stateful_set, status(stateful_set, pods.values(), current, update, now))
        minimum = spec_of(stateful_set).get("minReadySeconds", 0)
        waiting = any(ready(p) and not available(p, minimum, now) for p in pods.values())
        return float(minimum) if waiting else None

    def _current(self, stateful_set: Obj, update: str) -> str:
        """The hash of the revision that a finished rollout has left."""
        name, recorded = stateful_set["metadata"]["name"], status_of(stateful_set).get("currentRevision")
        return recorded.removeprefix(f"{name}-") if recorded else update

    async def _step(self, stateful_set: Obj, pods: dict[int, Obj], current: str, update: str, old: list[Obj]) -> None:
        """Do the next thing: fill the gaps in order, then shrink from the end, then replace from the end."""
        spec, now = spec_of(stateful_set), datetime.now(UTC)
        start = (spec.get("ordinals") or {}).get("start", 0)
        wanted = range(start, start + spec.get("replicas", 1))
        in_order = spec.get("podManagementPolicy", "OrderedReady") == "OrderedReady"
        minimum, partition = spec.get("minReadySeconds", 0), self._partition(stateful_set)
        for number in wanted:
            pod = pods.get(number)
            if pod is not None and terminated(pod) and not deleting(pod):
                await self._delete(stateful_set, pod)
                if in_order:
                    return
            elif pod is None:
                newest = partition is not None and number >= start + partition
                await self._create(stateful_set, number, update if newest else current, old)
                if in_order:
                    return
            elif in_order and (deleting(pod) or not available(pod, minimum, now)):
                return await self._replace_broken(stateful_set, pod, partition, start, update)
        surplus = sorted((n for n in pods if n not in wanted), reverse=True)
        for number in surplus:
            if not deleting(pods[number]):
                await self._delete(stateful_set, pods[number])
            if in_order:
                return
        if partition is not None and not surplus:
            await self._replace(stateful_set, pods, range(start + partition, wanted.stop), update, minimum)

    async def _replace_broken(self, owner: Obj, pod: Obj, partition: int | None, start: int, update: str) -> None:
        """A Pod of an old revision that does not get ready would block its own replacement."""
        number = ordinal(pod, owner["metadata"]["name"])
        outdated = labels_of(pod).get(HASH) != update
        if partition is not None and number >= start + partition and outdated and not deleting(pod):
            await self._delete(owner, pod)

    async def _replace(self, owner: Obj, pods: dict[int, Obj], numbers: range, update: str, minimum: int) -> None:
        for number in reversed(numbers):
            pod = pods[number]
            if deleting(pod) or not available(pod, minimum, datetime.now(UTC)):
                return
            if labels_of(pod).get(HASH) != update:
                return await self._delete(owner, pod)

    @staticmethod
    def _partition(stateful_set: Obj) -> int | None:
        strategy = spec_of(stateful_set).get("updateStrategy") or {}
        if strategy.get("type", "RollingUpdate") != "RollingUpdate":
            return None
        return int((strategy.get("rollingUpdate") or {}).get("partition", 0))

    async def _create(self, stateful_set: Obj, number: int, revision: str, old: list[Obj]) -> None:
        source = stateful_set
        for known in old:
            if labels_of(known).get(HASH) == revision:
                template = {k: v for k, v in known["data"]["spec"]["template"].items() if k != "$patch"}
                source = {**stateful_set, "spec": {**stateful_set["spec"], "template": template}}
        pod, set_name = numbered_pod(source, number, revision), stateful_set["metadata"]["name"]
        name = pod["metadata"]["name"]
        for claim in claims_for(stateful_set, name):
            await self._create_claim(stateful_set, claim, name)
        try:
            await self.cluster.create("pods", pod)
        except ApiError as error:
            words = f"create Pod {name} in StatefulSet {set_name} failed error: {error.message}"
            self.events.event(stateful_set, "Warning", "FailedCreate", words)
            raise
        words = f"create Pod {name} in StatefulSet {set_name} successful"
        self.events.event(stateful_set, "Normal", "SuccessfulCreate", words)

    async def _create_claim(self, stateful_set: Obj, claim: Obj, pod: str) -> None:
        key = (claim["metadata"]["namespace"], claim["metadata"]["name"])
        if self.cluster.get("persistentvolumeclaims", key) is not None:
            return
        await self.cluster.create("persistentvolumeclaims", claim)
        words = f"create Claim {key[1]} Pod {pod} in StatefulSet {stateful_set['metadata']['name']} success"
        self.events.event(stateful_set, "Normal", "SuccessfulCreate", words)

    async def _delete(self, stateful_set: Obj, pod: Obj) -> None:
        await self.cluster.delete("pods", pod)
        words = f"delete Pod {pod['metadata']['name']} in StatefulSet {stateful_set['metadata']['name']} successful"
        self.events.event(stateful_set, "Normal", "SuccessfulDelete", words)


def status(stateful_set: Obj, pods: Iterable[Obj], current: str, update: str, now: datetime) -> Obj:
    """The StatefulSet's status; the update revision becomes the current one when all Pods have it."""
    pods, name = [p for p in pods if not terminated(p)], stateful_set["metadata"]["name"]
    minimum, wanted = spec_of(stateful_set).get("minReadySeconds", 0), spec_of(stateful_set).get("replicas", 1)
    updated = [p for p in pods if labels_of(p).get(HASH) == update and not deleting(p)]
    if len(updated) == wanted == len(pods) and all(ready(p) for p in updated):
        current = update
    of_current = sum(labels_of(p).get(HASH) == current and not deleting(p) for p in pods)
    return {
        "observedGeneration": stateful_set["metadata"].get("generation", 1),
        "replicas": len(pods),
        "readyReplicas": sum(ready(p) for p in pods) or None,
        "currentReplicas": of_current or None,
        "updatedReplicas": len(updated) or None,
        "currentRevision": f"{name}-{current}",
        "updateRevision": f"{name}-{update}",
        "collisionCount": status_of(stateful_set).get("collisionCount", 0),
        "availableReplicas": sum(available(p, minimum, now) for p in pods),
    }
