"""Where a Pod may run: the scheduler's filters and its score, as pure functions of plain objects.

Reasons are worded as kube-scheduler v1.36 words them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from jfsnb.sandbox.controllers.objects import (
    Obj,
    condition,
    labels_of,
    quantity,
    recorded,
    requirement_met,
    selects,
    spec_of,
    status_of,
)

UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
NOT_HELPFUL = "Preemption is not helpful for scheduling"
NO_VICTIMS = "No preemption victims found for incoming pod"
Requests = dict[str, Decimal]
Port = tuple[str, int]  # protocol and number


@dataclass(frozen=True)
class Refusal:
    """Why a node cannot take a Pod.

    Attributes:
        reasons: the scheduler's words; a node that is short of two resources has two.
        crowded: other Pods are in the way, so that preemption could help in principle.
    """

    reasons: tuple[str, ...]
    crowded: bool = False


class NodeState:
    """A node and what already runs there, with the sum of it kept current."""

    def __init__(self, node: Obj, pods: Iterable[Obj] = ()) -> None:
        self.node = node
        self.used: Requests = {}
        self.ports: Counter[Port] = Counter()
        self._pods: dict[str, Obj] = {}
        for pod in pods:
            self.put(pod)

    @property
    def name(self) -> str:
        return str(self.node["metadata"]["name"])

    @property
    def pods(self) -> Collection[Obj]:
        return self._pods.values()

    def put(self, pod: Obj) -> None:
        """A Pod is on this node (again, as it is now)."""
        uid = pod["metadata"]["uid"]
        known = self._pods.get(uid)
        if known is None or spec_of(known) != spec_of(pod):
            self.drop(uid)
            self._count(pod, 1)
        self._pods[uid] = pod

    def drop(self, uid: str) -> bool:
        """The Pod is not on this node any more; False if it was not."""
        pod = self._pods.pop(uid, None)
        if pod is not None:
            self._count(pod, -1)
        return pod is not None

    def _count(self, pod: Obj, sign: int) -> None:
        for resource, amount in requests_of(pod).items():
            self.used[resource] = self.used.get(resource, Decimal()) + sign * amount
        for port in host_ports(pod):
            self.ports[port] += sign


def requests_of(pod: Obj) -> Requests:
    """What a Pod asks for: the sum of its containers and sidecars, or its greediest init container if that is more."""
    spec = spec_of(pod)
    sidecars: Requests = {}
    greediest: Requests = {}
    for container in spec.get("initContainers") or ():
        own = _add(_sum([container]), sidecars)
        if container.get("restartPolicy") == "Always":
            sidecars = own
        greediest = _greater(greediest, own)
    total = _greater(_add(_sum(spec.get("containers") or ()), sidecars), greediest)
    total = _add(total, {r: quantity(a) for r, a in (spec.get("overhead") or {}).items()})
    whole_pod = (spec.get("resources") or {}).get("requests") or {}
    return total | {r: quantity(a) for r, a in whole_pod.items()}


def _add(left: Requests, right: Requests) -> Requests:
    return {r: left.get(r, Decimal()) + right.get(r, Decimal()) for r in {*left, *right}}


def _greater(left: Requests, right: Requests) -> Requests:
    return {r: max(left.get(r, Decimal()), right.get(r, Decimal())) for r in {*left, *right}}


def _sum(containers: Iterable[Obj]) -> Requests:
    total: Requests = defaultdict(Decimal)
    for container in containers:
        resources = container.get("resources") or {}
        wanted = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
        for resource, amount in wanted.items():
            total[resource] += quantity(amount)
    return total


def tolerates(tolerations: Iterable[Obj], taint: Mapping[str, str]) -> bool:
    """Whether one of the tolerations covers the taint."""
    for toleration in tolerations:
        if toleration.get("effect") and toleration["effect"] != taint["effect"]:
            continue
        if toleration.get("key") and toleration["key"] != taint["key"]:
            continue
        if toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", ""):
            return True
    return False


def node_matches(selector: Mapping[str, list[Obj]], node: Obj) -> bool:
    """A node selector (of a Pod's affinity or of a volume): one of its terms must match."""
    fields = {"metadata.name": node["metadata"]["name"]}
    return any(
        (term.get("matchExpressions") or term.get("matchFields"))
        and all(requirement_met(e, labels_of(node)) for e in term.get("matchExpressions") or ())
        and all(requirement_met(e, fields) for e in term.get("matchFields") or ())
        for term in selector.get("nodeSelectorTerms") or ()
    )


def wants_node(pod: Obj, node: Obj) -> bool:
    """nodeSelector and required node affinity."""
    labels, spec = labels_of(node), spec_of(pod)
    if any(labels.get(k) != v for k, v in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return required is None or node_matches(required, node)


def refuse(pod: Obj, state: NodeState) -> Refusal | None:
    """Why this node cannot take the Pod, volumes aside; None when it can. The first filter that says no decides."""
    tolerations = spec_of(pod).get("tolerations") or []
    spec = spec_of(state.node)
    if spec.get("unschedulable") and not tolerates(tolerations, {"key": UNSCHEDULABLE, "effect": "NoSchedule"}):
        return Refusal(("node(s) were unschedulable",))
    if any(t["effect"] != "PreferNoSchedule" and not tolerates(tolerations, t) for t in spec.get("taints") or ()):
        return Refusal(("node(s) had untolerated taint(s)",))
    if not wants_node(pod, state.node):
        return Refusal(("node(s) didn't match Pod's node affinity/selector",))
    if any(state.ports[port] > 0 for port in host_ports(pod)):
        return Refusal(("node(s) didn't have free ports for the requested pod ports",), crowded=True)
    return _short_of(pod, state)


def host_ports(pod: Obj) -> set[Port]:
    """The ports of the node that a Pod takes for itself."""
    spec = spec_of(pod)
    found = set()
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        for port in container.get("ports") or ():
            number = port.get("hostPort") or (port.get("containerPort") if spec.get("hostNetwork") else None)
            if number:
                found.add((port.get("protocol", "TCP"), number))
    return found


def _short_of(pod: Obj, state: NodeState) -> Refusal | None:
    allocatable = status_of(state.node).get("allocatable") or {}
    room = {r: quantity(a) for r, a in allocatable.items()}
    reasons, never = [], False
    if recorded(state.node) or len(state.pods) + 1 > room.get("pods", 0):
        reasons.append("Too many pods")
        never = room.get("pods", 0) == 0
    used, wanted = state.used, requests_of(pod)
    for resource in sorted(wanted):
        have = room.get(resource, Decimal())
        if wanted[resource] and wanted[resource] > have - used.get(resource, Decimal()):
            reasons.append(f"Insufficient {resource}")
            never = never or wanted[resource] > have
    return Refusal(tuple(reasons), crowded=not never) if reasons else None


def refuse_neighbours(pod: Obj, state: NodeState, states: Iterable[NodeState]) -> Refusal | None:
    """Required Pod affinity and anti-affinity, each within its topology."""
    states = list(states)
    affinity = spec_of(pod).get("affinity") or {}
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    for term in (affinity.get("podAntiAffinity") or {}).get(required) or ():
        if _neighbours(pod, term, state, states):
            return Refusal(("node(s) didn't match pod anti-affinity rules",), crowded=True)
    for term in (affinity.get("podAffinity") or {}).get(required) or ():
        first_of_its_kind = _term_selects(pod, term, pod) and not any(
            _term_selects(pod, term, other) for s in states for other in s.pods
        )
        if not _neighbours(pod, term, state, states) and not first_of_its_kind:
            return Refusal(("node(s) didn't match pod affinity rules",))
    for other in _with_anti_affinity(states):
        for term in other[1]["affinity"]["podAntiAffinity"].get(required) or ():
            same = _topology(term, state) is not None and _topology(term, state) == _topology(term, other[0])
            if same and _term_selects(other[2], term, pod):
                return Refusal(("node(s) didn't satisfy existing pods anti-affinity rules",), crowded=True)
    return None


def _with_anti_affinity(states: Iterable[NodeState]) -> Iterable[tuple[NodeState, Obj, Obj]]:
    """(node, spec, Pod) of the running Pods that keep others away."""
    for state in states:
        for pod in state.pods:
            if (spec_of(pod).get("affinity") or {}).get("podAntiAffinity"):
                yield state, spec_of(pod), pod


def _topology(term: Obj, state: NodeState) -> str | None:
    return labels_of(state.node).get(term["topologyKey"])


def _neighbours(pod: Obj, term: Obj, state: NodeState, states: Iterable[NodeState]) -> bool:
    place = _topology(term, state)
    return place is not None and any(
        _topology(term, other) == place and any(_term_selects(pod, term, p) for p in other.pods) for other in states
    )


def _term_selects(pod: Obj, term: Obj, other: Obj) -> bool:
    namespaces = term.get("namespaces") or [pod["metadata"]["namespace"]]
    return other["metadata"]["namespace"] in namespaces and selects(term.get("labelSelector"), labels_of(other))


def score(pod: Obj, state: NodeState) -> tuple[Decimal, int]:
    """How good a node is, of those that can take the Pod: preferred affinity, then room, then few Pods."""
    affinity = (spec_of(pod).get("affinity") or {}).get("nodeAffinity") or {}
    preferred = sum(
        p["weight"]
        for p in affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        if node_matches({"nodeSelectorTerms": [p["preference"]]}, state.node)
    )
    allocatable, used = status_of(state.node).get("allocatable") or {}, state.used
    free = Decimal()
    for resource in ("cpu", "memory"):
        size = quantity(allocatable.get(resource, 0))
        free += (size - used.get(resource, Decimal())) / size if size else 0
    return Decimal(preferred) + free, -len(state.pods)


def failure_message(refusals: Mapping[str, Refusal], nodes: int) -> str:
    """The FailedScheduling sentence: each reason with the number of nodes that gave it, then what preemption found."""
    reasons = Counter(reason for refusal in refusals.values() for reason in refusal.reasons)
    why = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
    if not nodes:
        return "no nodes available to schedule pods"
    helped = Counter(NO_VICTIMS if refusal.crowded else NOT_HELPFUL for refusal in refusals.values())
    preemption = ", ".join(sorted(f"{count} {reason}" for reason, count in helped.items()))
    return (
        f"0/{nodes} nodes are available: {why}. no new claims to deallocate, "
        f"preemption: 0/{nodes} nodes are available: {preemption}."
    )


def rejected_before_nodes(nodes: int, why: str) -> str:
    """The sentence for a Pod that no node was even asked for (v1.36 adds a stray "not found" then)."""
    return f"0/{nodes} nodes are available: {why}. not found"


def schedulable(pod: Obj, scheduler: str) -> bool:
    """Whether a Pod waits for this scheduler."""
    spec = spec_of(pod)
    waits = not spec.get("nodeName") and not spec.get("schedulingGates")
    ours = spec.get("schedulerName", scheduler) == scheduler and not recorded(pod)
    open_ended = status_of(pod).get("phase") not in ("Succeeded", "Failed")
    return waits and ours and open_ended and not pod["metadata"].get("deletionTimestamp")


def ready_state(node: Obj) -> str:
    """The status of a node's Ready condition (``Unknown`` when it has none)."""
    found = condition(node, "Ready")
    return str(found["status"]) if found else "Unknown"
