"""Node life cycle: a node whose heartbeat stops becomes Unknown, is tainted, and loses its Pods in the end.

Recorded nodes are left as they are.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from datetime import UTC, datetime

from jfsnb.sandbox.controllers.cluster import Cluster, Index
from jfsnb.sandbox.controllers.controller import Controller
from jfsnb.sandbox.controllers.objects import (
    Key,
    Obj,
    condition,
    deleting,
    key_of,
    moment,
    recorded,
    spec_of,
    stamp,
    status_of,
    terminated,
)
from jfsnb.sandbox.controllers.scheduling.placement import ready_state, tolerates

GRACE = 50.0  # seconds without heartbeat until a node is Unknown (kube-controller-manager's default)
LEASES = "kube-node-lease"
NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
PRESSURES = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
}
OURS = {NOT_READY, UNREACHABLE, UNSCHEDULABLE, *PRESSURES.values()}


def silent_in(node: Obj, quiet: float | None) -> float | None:
    """Seconds until the node counts as silent (0: it does); None for a node that has never sent a heartbeat.

    Args:
        node: the node.
        quiet: seconds since its last heartbeat was seen here (the clocks of two machines need not agree).
    """
    if quiet is None or condition(node, "Ready") is None:
        return None
    return max(GRACE - quiet, 0)


def unknown_conditions(node: Obj, now: datetime) -> list[Obj]:
    """The conditions of a node that is not heard of any more."""
    result = []
    for old in status_of(node).get("conditions") or ():
        if old["type"] not in ("Ready", *PRESSURES) or old["status"] == "Unknown":
            result.append(old)
            continue
        words = {"reason": "NodeStatusUnknown", "message": "Kubelet stopped posting node status."}
        result.append({**old, "status": "Unknown", "lastTransitionTime": stamp(now), **words})
    return result


def wanted_taints(node: Obj, now: datetime) -> list[Obj]:
    """The node's taints with those that follow from its conditions brought up to date."""
    state, taints = ready_state(node), list(spec_of(node).get("taints") or ())
    wanted: list[tuple[str, str]] = []
    if condition(node, "Ready") is not None and state != "True":
        key = UNREACHABLE if state == "Unknown" else NOT_READY
        wanted += [(key, "NoSchedule"), (key, "NoExecute")]
    if spec_of(node).get("unschedulable"):
        wanted.append((UNSCHEDULABLE, "NoSchedule"))
    pressed = [PRESSURES[c["type"]] for c in status_of(node).get("conditions") or () if _presses(c)]
    wanted += [(key, "NoSchedule") for key in pressed]
    kept = [t for t in taints if t["key"] not in OURS or (t["key"], t["effect"]) in wanted]
    have = {(t["key"], t["effect"]) for t in kept}
    return kept + [{"key": k, "effect": e, "timeAdded": stamp(now)} for k, e in wanted if (k, e) not in have]


def _presses(found: Obj) -> bool:
    return found["type"] in PRESSURES and found["status"] == "True"


def tolerated_for(pod: Obj, taints: Iterable[Obj], now: datetime) -> float | None:
    """Seconds that a Pod may stay on a node with these NoExecute taints; None for ever."""
    limits: list[float] = []
    for taint in taints:
        if taint["effect"] != "NoExecute":
            continue
        matching = [t for t in spec_of(pod).get("tolerations") or () if tolerates([t], taint)]
        if not matching:
            return 0
        seconds = [t["tolerationSeconds"] for t in matching if t.get("tolerationSeconds") is not None]
        if len(seconds) == len(matching):
            since = moment(taint.get("timeAdded")) or now
            limits.append(max(min(seconds) - (now - since).total_seconds(), 0))
    return min(limits) if limits else None


class NodeLifecycle(Controller):
    component = "node-controller"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._heard: dict[str, float] = {}  # node -> when its last heartbeat was seen, on the monotonic clock
        self.watch("nodes")
        cluster.on("leases", self._hear)
        self.watch("leases", lambda lease: ("", lease["metadata"]["name"]) if key_of(lease)[0] == LEASES else None)
        self._pods = Index(cluster.informer("pods"), lambda p: [n] if (n := spec_of(p).get("nodeName")) else ())
        self.watch("pods", self._of_pod)

    def _hear(self, kind: str, lease: Obj, _old: Obj | None) -> None:
        namespace, name = key_of(lease)
        if namespace == LEASES and kind != "DELETED":
            self._heard[name] = time.monotonic()

    def _of_pod(self, pod: Obj) -> Key | None:
        """A Pod that arrives on a node with NoExecute taints may have to go again."""
        node = self.cluster.get("nodes", ("", spec_of(pod).get("nodeName", "")))
        expelling = node is not None and any(t["effect"] == "NoExecute" for t in spec_of(node).get("taints") or ())
        return key_of(node) if node is not None and expelling else None

    async def sync(self, key: Key) -> float | None:
        node, now = self.cluster.get("nodes", key), datetime.now(UTC)
        if node is None or recorded(node) or deleting(node):
            return None
        heard = self._heard.get(key[1])
        left = silent_in(node, time.monotonic() - heard if heard is not None else None)
        if left == 0 and ready_state(node) != "Unknown":
            node = await self._declare_unknown(node, now)
        taints = wanted_taints(node, now)
        if taints != (spec_of(node).get("taints") or []):
            guard = {"resourceVersion": node["metadata"]["resourceVersion"]}
            node = await self.cluster.patch("nodes", key, {"metadata": guard, "spec": {"taints": taints or None}})
        waits = [left] if left else []
        waits += await self._expel(node, now)
        return min(waits) if waits else None

    async def _declare_unknown(self, node: Obj, now: datetime) -> Obj:
        name, was_ready = node["metadata"]["name"], ready_state(node) == "True"
        body = {"status": {"conditions": unknown_conditions(node, now)}}
        node = await self.cluster.patch("nodes", key_of(node), body, subresource="status")
        if was_ready:
            reference = {**node, "metadata": {**node["metadata"], "uid": name}}
            words = f"Node {name} status is now: NodeNotReady"
            self.events.event(reference, "Normal", "NodeNotReady", words)
            await asyncio.gather(*(self._not_ready(pod) for pod in self._pods.get(name)))
        return node

    async def _not_ready(self, pod: Obj) -> None:
        ready = condition(pod, "Ready")
        if ready is None or ready["status"] != "True" or recorded(pod):
            return
        fresh = {"type": "Ready", "status": "False", "reason": "NodeNotReady", "lastTransitionTime": stamp()}
        body = {"status": {"conditions": [fresh]}}
        await self.cluster.patch("pods", key_of(pod), body, kind="strategic", subresource="status")
        self.events.event(pod, "Warning", "NodeNotReady", "Node is not ready")

    async def _expel(self, node: Obj, now: datetime) -> list[float]:
        """Delete the Pods that do not tolerate the node's NoExecute taints (any longer); seconds until the next."""
        waits = []
        taints = [t for t in spec_of(node).get("taints") or () if t["effect"] == "NoExecute"]
        for pod in self._pods.get(node["metadata"]["name"]) if taints else ():
            if deleting(pod) or terminated(pod) or recorded(pod):
                continue
            seconds = tolerated_for(pod, taints, now)
            if seconds:
                waits.append(seconds)
            elif seconds == 0:
                words = f"Marking for deletion Pod {'/'.join(key_of(pod))}"
                self.events.event(pod, "Normal", "TaintManagerEviction", words)
                await self.cluster.delete("pods", pod)
        return waits
