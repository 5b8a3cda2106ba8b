"""In which state a Mount Pod is, as the driver's state machine sees it (reference §4.6). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from jfsnb.driver.mountpods.mount_pods import MountPod, parse_time

NOT_DONE_AFTER_GRACE = timedelta(seconds=5)


class State(Enum):
    DELETED = "podDeleted"
    COMPLETE = "podComplete"
    ERROR = "podError"
    READY = "podReady"
    PENDING = "podPending"


def state_of(obj: Mapping[str, Any]) -> State:
    """The first state whose condition holds."""
    pod = MountPod.from_object(obj)
    if pod.deleting:
        return State.DELETED
    if pod.completed:
        return State.COMPLETE
    if pod.phase in ("Failed", "Unknown") or any(map(_is_broken, _containers(obj))):
        return State.ERROR
    return State.READY if pod.ready else State.PENDING


def _containers(obj: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    status = obj.get("status") or {}
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]


def _is_broken(container: Mapping[str, Any]) -> bool:
    state = container.get("state") or {}
    waiting, ended = state.get("waiting"), state.get("terminated")
    if waiting and waiting.get("reason") != "ContainerCreating":
        return True
    return bool(ended and (ended.get("reason") == "OOMKilled" or ended.get("exitCode", 0) != 0))


def is_resource_error(obj: Mapping[str, Any]) -> bool:
    """Whether the node or the scheduler had no room for the Pod."""
    status = obj.get("status") or {}
    reason, message = status.get("reason") or "", status.get("message") or ""
    refused = "OutOf" in reason or (reason == "UnexpectedAdmissionError" and "to reclaim resources" in message)
    if status.get("phase") == "Failed" and refused:
        return True
    for condition in status.get("conditions") or ():
        unscheduled = condition.get("type") == "PodScheduled" and condition.get("status") == "False"
        if unscheduled and condition.get("reason") == "Unschedulable":
            text = condition.get("message") or ""
            return "Insufficient cpu" in text or "Insufficient memory" in text
    return False


def has_stopped(obj: Mapping[str, Any], now: datetime) -> bool:
    """Whether a deleted Pod's client is gone, or its grace period is well over."""
    states = [c.get("state") or {} for c in (obj.get("status") or {}).get("containerStatuses") or ()]
    if not any("running" in s for s in states):
        return True
    end = parse_time(obj["metadata"].get("deletionTimestamp"))
    return end is None or now > end + NOT_DONE_AFTER_GRACE
