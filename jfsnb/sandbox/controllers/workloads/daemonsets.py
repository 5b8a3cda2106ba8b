"""DaemonSets: one Pod on each node that it wants, bound there by the scheduler through a node affinity."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from jfsnb.sandbox.controllers.cluster import Cluster
from jfsnb.sandbox.controllers.objects import (
    Key,
    Obj,
    annotations_of,
    deleting,
    key_of,
    labels_of,
    pod_from_template,
    ready,
    recorded,
    spec_of,
    status_of,
)
from jfsnb.sandbox.controllers.scheduling.placement import tolerates, wants_node
from jfsnb.sandbox.controllers.workloads.owning import (
    HASH,
    PodOwner,
    available,
    current_revision,
    forget_revisions,
    share,
)

NODE = "node.kubernetes.io"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
#: What every daemon Pod tolerates; the last only with the host's network.
TOLERATIONS = (
    ("not-ready", "NoExecute"),
    ("unreachable", "NoExecute"),
    ("disk-pressure", "NoSchedule"),
    ("memory-pressure", "NoSchedule"),
    ("pid-pressure", "NoSchedule"),
    ("unschedulable", "NoSchedule"),
)
GENERATION = "deprecated.daemonset.template.generation"


@dataclass
class Plan:
    """What a DaemonSet's controller does next."""

    create: list[str] = field(default_factory=list)  # names of nodes
    delete: list[Obj] = field(default_factory=list)
    failed: list[Obj] = field(default_factory=list)


def daemon_pod(daemon_set: Obj, node: str, revision: str) -> Obj:
    """The Pod of a DaemonSet for one node."""
    pod = pod_from_template(daemon_set["spec"]["template"], daemon_set, **{HASH: revision})
    generation = annotations_of(daemon_set).get(GENERATION)
    if generation:
        pod["metadata"]["labels"]["pod-template-generation"] = generation
    spec = pod["spec"]
    node_affinity = spec.setdefault("affinity", {}).setdefault("nodeAffinity", {})
    only_here = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    node_affinity[REQUIRED] = {"nodeSelectorTerms": [only_here]}
    spec["tolerations"] = [*(spec.get("tolerations") or ()), *_tolerations(spec)]
    return pod


def _tolerations(spec: Obj) -> list[Obj]:
    wanted = [*TOLERATIONS, *([("network-unavailable", "NoSchedule")] if spec.get("hostNetwork") else [])]
    all_of_them = [{"key": f"{NODE}/{key}", "operator": "Exists", "effect": effect} for key, effect in wanted]
    return [t for t in all_of_them if t not in (spec.get("tolerations") or ())]


def node_of(pod: Obj) -> str:
    """The node that a daemon Pod is on or made for."""
    if spec_of(pod).get("nodeName"):
        return str(pod["spec"]["nodeName"])
    required = ((spec_of(pod).get("affinity") or {}).get("nodeAffinity") or {}).get(REQUIRED) or {}
    for term in required.get("nodeSelectorTerms") or ():
        for expression in term.get("matchFields") or ():
            if expression["key"] == "metadata.name" and len(expression.get("values") or ()) == 1:
                return str(expression["values"][0])
    return ""


def wanted_on(daemon_set: Obj, node: Obj) -> tuple[bool, bool]:
    """Whether a daemon Pod should be started on a node, and whether one that is there may stay."""
    if recorded(node):
        return False, False
    template = daemon_set["spec"]["template"]
    tolerations = [*(template["spec"].get("tolerations") or ()), *_tolerations(template["spec"])]
    if not wants_node({"metadata": {"name": ""}, "spec": template["spec"]}, node):
        return False, False
    refused = [t for t in spec_of(node).get("taints") or () if not tolerates(tolerations, t)]
    stays = all(t["effect"] != "NoExecute" for t in refused)
    return stays and all(t["effect"] == "PreferNoSchedule" for t in refused), stays


def plan(daemon_set: Obj, pods: Iterable[Obj], nodes: Iterable[Obj], revision: str, now: datetime) -> Plan:
    """Which Pods to create and to delete, rolling update included."""
    here: dict[str, list[Obj]] = defaultdict(list)
    for pod in pods:
        here[node_of(pod)].append(pod)
    result, wanted = Plan(), []
    for node in nodes:
        name = node["metadata"]["name"]
        start, stay = wanted_on(daemon_set, node)
        alive = [p for p in here.pop(name, []) if not deleting(p)]
        failed = [p for p in alive if status_of(p).get("phase") == "Failed"]
        result.failed += failed
        good = sorted(
            (p for p in alive if p not in failed),
            key=lambda p: (not spec_of(p).get("nodeName"), p["metadata"].get("creationTimestamp", "")),
        )
        if start:
            wanted.append((name, good[:1]))
        result.delete += good[1:] if stay else good
        if start and not good and not failed and not _terminating(name, pods):
            result.create.append(name)
    result.delete += [p for rest in here.values() for p in rest if not deleting(p)]
    result.delete += _outdated(daemon_set, wanted, revision, now)
    return result


def _terminating(node: str, pods: Iterable[Obj]) -> bool:
    """A node gets its next Pod when the old one is gone."""
    return any(deleting(p) and node_of(p) == node for p in pods)


def _outdated(daemon_set: Obj, wanted: list[tuple[str, list[Obj]]], revision: str, now: datetime) -> list[Obj]:
    strategy = spec_of(daemon_set).get("updateStrategy") or {}
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return []
    minimum = spec_of(daemon_set).get("minReadySeconds", 0)
    allowed = share((strategy.get("rollingUpdate") or {}).get("maxUnavailable"), len(wanted), 1, up=True)
    unavailable = sum(not (pods and available(pods[0], minimum, now)) for _, pods in wanted)
    old = [p[0] for _, p in wanted if p and labels_of(p[0]).get(HASH) != revision]
    broken = [p for p in old if not available(p, minimum, now)]
    working = [p for p in old if available(p, minimum, now)]
    return broken + working[: max(allowed - unavailable, 0)]


def status(daemon_set: Obj, pods: Iterable[Obj], nodes: Iterable[Obj], revision: str, now: datetime) -> Obj:
    """The DaemonSet's status."""
    pods, minimum = [p for p in pods if not deleting(p)], spec_of(daemon_set).get("minReadySeconds", 0)
    by_node = {node_of(p): p for p in pods if status_of(p).get("phase") != "Failed"}
    should = {n["metadata"]["name"] for n in nodes if wanted_on(daemon_set, n)[0]}
    right = [p for name, p in by_node.items() if name in should]
    count_available = sum(available(p, minimum, now) for p in right)
    return {
        "currentNumberScheduled": len(right),
        "numberMisscheduled": len(by_node.keys() - should),
        "desiredNumberScheduled": len(should),
        "numberReady": sum(ready(p) for p in right),
        "observedGeneration": daemon_set["metadata"].get("generation", 1),
        "updatedNumberScheduled": sum(labels_of(p).get(HASH) == revision for p in right) or None,
        "numberAvailable": count_available or None,
        "numberUnavailable": len(should) - count_available or None,
        "collisionCount": status_of(daemon_set).get("collisionCount"),
        "conditions": status_of(daemon_set).get("conditions"),
    }


class DaemonSets(PodOwner):
    component = "daemonset-controller"
    kind, plural = "DaemonSet", "daemonsets"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.read("controllerrevisions")
        self.read("nodes")
        cluster.on("nodes", self._see_node)

    def _see_node(self, kind: str, node: Obj, old: Obj | None) -> None:
        facts = (labels_of(node), spec_of(node).get("taints"))
        if kind == "DELETED" or old is None or facts != (labels_of(old), spec_of(old).get("taints")):
            for daemon_set in self.cluster.all("daemonsets"):
                self.queue.add(key_of(daemon_set))

    async def sync(self, key: Key) -> float | None:
        daemon_set = self.cluster.get("daemonsets", key)
        if daemon_set is None or deleting(daemon_set):
            return None
        revision, old = await current_revision(self.cluster, daemon_set)
        hashed = labels_of(revision)[HASH]
        pods, nodes = await self.claimed(daemon_set), self.cluster.all("nodes")
        todo = plan(daemon_set, pods, nodes, hashed, datetime.now(UTC))
        for pod in todo.failed:
            where = f"{key[0]}/{pod['metadata']['name']} on node {node_of(pod)}"
            self.events.event(
                daemon_set, "Warning", "FailedDaemonPod", f"Found failed daemon pod {where}, will try to kill it"
            )
        await self.delete_pods(daemon_set, [*todo.delete, *todo.failed])
        await self.create_pods(daemon_set, [daemon_pod(daemon_set, name, hashed) for name in todo.create])
        pods, now = self._owned.get(daemon_set["metadata"]["uid"]), datetime.now(UTC)
        await forget_revisions(self.cluster, daemon_set, old, {labels_of(p).get(HASH, "") for p in pods})
        await self.write_status(daemon_set, status(daemon_set, pods, nodes, hashed, now))
        minimum = spec_of(daemon_set).get("minReadySeconds", 0)
        waiting = any(ready(p) and not available(p, minimum, now) for p in pods)
        return float(minimum) if waiting else None
