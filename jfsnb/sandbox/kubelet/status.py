"""A Pod's status from what its containers do: phase, conditions, container statuses. Pure functions.

Pinned to the life cycles that a real kubelet went through (tests/recorded/watch-pods.jsonl).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from jfsnb.sandbox.apimachinery.client import Obj
from jfsnb.sandbox.kubelet.containers.backoff import restarts

OWN_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
NEVER_STARTED = {
    "exitCode": 137,
    "reason": "ContainerStatusUnknown",
    "message": "The container could not be located when the pod was terminated",
    "startedAt": None,
    "finishedAt": None,
}


@dataclass(frozen=True)
class ContainerRecord:
    """What is known about one container of a Pod.

    Args:
        name: of the container.
        kind: ``init``, ``sidecar`` (an init container that is restarted always) or ``main``.
        image: as the Pod's spec has it.
        image_id: ``sha256:...``, empty until it is there.
        container_id: of the latest start; empty before the first.
        state: one of ``{"waiting": {...}}``, ``{"running": {...}}``, ``{"terminated": {...}}``.
        last_state: the termination before the present state; empty when there was none.
        restart_count: number of starts after the first.
        ready: what the readiness probe (or its absence) says.
        started: whether the startup probe (or its absence) says that it is up.
    """

    name: str
    kind: str
    image: str
    state: Obj
    image_id: str = ""
    container_id: str = ""
    last_state: Obj = field(default_factory=dict)
    restart_count: int = 0
    ready: bool = False
    started: bool = False

    @property
    def exit_code(self) -> int | None:
        """Of the present state; None while it runs or waits."""
        ended = self.state.get("terminated")
        return None if ended is None else int(ended["exitCode"])

    @property
    def complete(self) -> bool:
        """Whether the next init container may start."""
        return self.started if self.kind == "sidecar" else self.exit_code == 0


@dataclass(frozen=True)
class PodView:
    """Everything but the Pod's spec that its status depends on.

    Args:
        containers: all records, in the order of the spec, init containers first.
        sandbox_ready: volumes are mounted and the Pod has its address.
        ip: the Pod's address, empty before.
        host_ip: the node's.
        start_time: when the kubelet saw the Pod first (RFC 3339).
        ended: the kubelet will start nothing of this Pod any more.
        stopped: no process of it is left.
        reason: why the kubelet ended it, for example ``DeadlineExceeded``.
        message: the sentence to it.
    """

    containers: Sequence[ContainerRecord]
    host_ip: str
    start_time: str
    sandbox_ready: bool = False
    ip: str = ""
    ended: bool = False
    stopped: bool = False
    reason: str = ""
    message: str = ""


def stamp(moment: datetime | None = None) -> str:
    """RFC 3339 with seconds, as in statuses."""
    return (moment or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")


def phase(view: PodView) -> str:
    """Pending, Running, Succeeded or Failed.

    A Pod in CrashLoopBackOff is Running (contract NOTES 29).
    """
    if view.ended and view.stopped:
        final = [c for c in view.containers if c.kind != "sidecar"]
        return "Failed" if view.reason or any(c.exit_code != 0 for c in final) else "Succeeded"
    mains = [c for c in view.containers if c.kind == "main"]
    if any("waiting" in c.state and not c.last_state for c in mains):
        return "Pending"
    return "Running"


def final_exit(policy: str, containers: Sequence[ContainerRecord]) -> bool:
    """Whether no main container will be started again by itself."""
    mains = [c for c in containers if c.kind == "main"]
    return all(c.exit_code is not None and not restarts(policy, c.exit_code) for c in mains)


def pod_status(pod: Obj, view: PodView, now: str) -> Obj:
    """The whole status of a Pod.

    Args:
        pod: the Pod; its present conditions keep their transition times where they do not change.
        view: what is known.
        now: RFC 3339, for transitions.
    """
    generation = pod["metadata"].get("generation")
    result: Obj = {
        "observedGeneration": generation,
        "phase": phase(view),
        "conditions": _conditions(pod, view, now),
        "hostIP": view.host_ip,
        "hostIPs": [{"ip": view.host_ip}],
        "startTime": view.start_time,
        "containerStatuses": [_container_status(pod, c) for c in view.containers if c.kind == "main"],
        "qosClass": (pod.get("status") or {}).get("qosClass") or qos_class(pod["spec"]),
    }
    inits = [_container_status(pod, c) for c in view.containers if c.kind != "main"]
    if inits:
        result["initContainerStatuses"] = inits
    if view.ip:
        result |= {"podIP": view.ip, "podIPs": [{"ip": view.ip}]}
    if view.reason:
        result |= {"reason": view.reason, "message": view.message}
    return {key: value for key, value in result.items() if value is not None}


def _conditions(pod: Obj, view: PodView, now: str) -> list[Obj]:
    present = {c["type"]: c for c in (pod.get("status") or {}).get("conditions") or ()}
    wanted = {
        "PodReadyToStartContainers": _condition(view.sandbox_ready and not (view.ended and view.stopped)),
        "Initialized": _initialized(view),
        "ContainersReady": _containers_ready(view),
        "PodScheduled": _condition(True),
    }
    wanted["Ready"] = _gates(pod, present) or wanted["ContainersReady"]
    result = []
    for kind in OWN_CONDITIONS:
        old, new = present.get(kind) or {}, wanted[kind]
        same = old.get("status") == new["status"]
        since = old.get("lastTransitionTime") or now if same else now
        observed = {"observedGeneration": pod["metadata"].get("generation")}
        result.append(
            {
                "type": kind,
                **{k: v for k, v in observed.items() if v},
                **new,
                "lastProbeTime": None,
                "lastTransitionTime": since,
            }
        )
    return result + [c for kind, c in present.items() if kind not in OWN_CONDITIONS]


def _condition(good: bool, reason: str = "", message: str = "") -> Obj:
    result: Obj = {"status": "True" if good else "False"}
    if reason:
        result["reason"] = reason
    if message:
        result["message"] = message
    return result


def _initialized(view: PodView) -> Obj:
    inits = [c for c in view.containers if c.kind != "main"]
    if view.ended and view.stopped and phase(view) == "Succeeded":
        return _condition(True, "PodCompleted")
    missing = [c.name for c in inits if not c.complete and not (c.kind == "sidecar" and _later_began(c, view))]
    if missing:
        return _condition(
            False, "ContainersNotInitialized", f"containers with incomplete status: [{' '.join(missing)}]"
        )
    return _condition(True)


def _later_began(container: ContainerRecord, view: PodView) -> bool:
    """Whether initialization went past this container: something after it has been started."""
    after = view.containers[list(view.containers).index(container) + 1 :]
    return any("waiting" not in c.state or c.last_state for c in after)


def _containers_ready(view: PodView) -> Obj:
    if view.ended and view.stopped:
        ended = phase(view)
        return _condition(False, "PodCompleted" if ended == "Succeeded" else "PodFailed")
    unready = [c.name for c in view.containers if c.kind != "init" and not c.ready]
    if unready:
        return _condition(False, "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]")
    return _condition(True)


def _gates(pod: Obj, present: dict[str, Obj]) -> Obj | None:
    """False with ReadinessGatesNotReady when a gate's condition is not true; None when all are."""
    gates = [g["conditionType"] for g in pod["spec"].get("readinessGates") or ()]
    missing = [g for g in gates if (present.get(g) or {}).get("status") != "True"]
    if not missing:
        return None
    texts = [
        f'corresponding condition of pod readiness gate "{g}" '
        + ("does not exist." if g not in present else "is not true.")
        for g in missing
    ]
    return _condition(False, "ReadinessGatesNotReady", ", ".join(texts))


def _container_status(pod: Obj, record: ContainerRecord) -> Obj:
    spec = container_spec(pod, record.name)
    result: Obj = {
        "name": record.name,
        "state": record.state,
        "lastState": record.last_state,
        "ready": record.exit_code == 0 if record.kind == "init" else record.ready,
        "restartCount": record.restart_count,
        "image": record.image,
        "imageID": record.image_id,
        "started": record.started,
    }
    if record.container_id:
        result["containerID"] = record.container_id
        result["resources"] = spec.get("resources") or {}
        requests = (spec.get("resources") or {}).get("requests")
        if requests:
            result["allocatedResources"] = requests
    mounts = [_mount_status(m) for m in spec.get("volumeMounts") or ()]
    if mounts:
        result["volumeMounts"] = mounts
    return result


def _mount_status(mount: Obj) -> Obj:
    result: Obj = {"name": mount["name"], "mountPath": mount["mountPath"]}
    if mount.get("readOnly"):
        result |= {"readOnly": True, "recursiveReadOnly": "Disabled"}
    return result


def container_spec(pod: Obj, name: str) -> Obj:
    """The spec of the container of that name."""
    everyone = [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]
    return next(c for c in everyone if c["name"] == name)


def qos_class(spec: Obj) -> str:
    """BestEffort, Burstable or Guaranteed, from requests and limits of CPU and memory."""
    everyone = [*(spec.get("initContainers") or ()), *spec["containers"]]
    resources: list[dict[str, Any]] = [c.get("resources") or {} for c in everyone]
    if not any((r.get("requests") or r.get("limits")) for r in resources):
        return "BestEffort"
    for r in resources:
        limits, requests = r.get("limits") or {}, r.get("requests") or {}
        for name in ("cpu", "memory"):
            if name not in limits or requests.get(name, limits[name]) != limits[name]:
                return "Burstable"
    return "Guaranteed"
