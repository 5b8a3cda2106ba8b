"""In which state a Mount Pod is, as the driver's state machine sees it (§4.6). Vectors: decisions/podstate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from jfsnb.driver import names
from jfsnb.driver.client_support import supports_binary_upgrade, supports_fuse_passing

Obj = Mapping[str, Any]
_READY = ("Ready", "ContainersReady")
_NO_ROOM = ("Insufficient cpu", "Insufficient memory")


class State(Enum):
    DELETED = "podDeleted"
    COMPLETE = "podComplete"
    ERROR = "podError"
    READY = "podReady"
    PENDING = "podPending"


def state_of(pod: Obj) -> State:
    """The first state whose condition holds."""
    if pod.get("metadata", {}).get("deletionTimestamp"):
        return State.DELETED
    if is_complete(pod):
        return State.COMPLETE
    if is_error(pod):
        return State.ERROR
    return State.READY if is_ready(pod) else State.PENDING


def _status(pod: Obj) -> Obj:
    return pod.get("status") or {}


def _container_states(pod: Obj) -> Iterable[Obj]:
    """Of the containers; init containers do not count."""
    return (status.get("state") or {} for status in _status(pod).get("containerStatuses") or ())


def _container_reason(state: Obj) -> str:
    """Why a container waits or ended; empty when it does neither, or waits for no given reason."""
    waiting, ended = state.get("waiting") or {}, state.get("terminated")
    if waiting.get("reason"):
        return str(waiting["reason"])
    if ended is None:
        return ""
    if ended.get("reason"):
        return str(ended["reason"])
    return f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode', 0)}"


def reason_of(pod: Obj) -> str:
    """What the driver calls the Pod's condition: the first container's reason that there is, else the phase."""
    found = filter(None, map(_container_reason, _container_states(pod)))
    return next(found, str(_status(pod).get("phase", "")))


def is_complete(pod: Obj) -> bool:
    """Whether its client ended without an error."""
    return next(filter(None, map(_container_reason, _container_states(pod))), "") == "Completed"


def is_error(pod: Obj) -> bool:
    """Whether it failed, or a container waits for anything but its creation, or ended badly."""
    return _status(pod).get("phase") in ("Failed", "Unknown") or any(map(_is_broken, _container_states(pod)))


def _is_broken(state: Obj) -> bool:
    waiting, ended = state.get("waiting"), state.get("terminated")
    if waiting is not None and waiting.get("reason") != "ContainerCreating":
        return True
    return ended is not None and bool(ended.get("reason") == "OOMKilled" or ended.get("exitCode", 0))


def is_ready(pod: Obj) -> bool:
    """Whether the Pod and its containers are ready."""
    conditions = _status(pod).get("conditions") or ()
    met = [c for c in conditions if c.get("status") == "True" and c.get("type") in _READY]
    return len(met) == len(_READY)


def is_resource_error(pod: Obj) -> bool:
    """Whether the node or the scheduler had no room for the Pod."""
    status = _status(pod)
    reason, message = status.get("reason") or "", status.get("message") or ""
    refused = "OutOf" in reason or (reason == "UnexpectedAdmissionError" and "to reclaim resources" in message)
    if status.get("phase") == "Failed" and refused:
        return True
    return any(map(_found_no_room, status.get("conditions") or ()))


def _found_no_room(condition: Obj) -> bool:
    if (condition.get("type"), condition.get("status")) != ("PodScheduled", "False"):
        return False
    text = condition.get("message") or ""
    unschedulable = condition.get("reason") == "Unschedulable"
    return bool(unschedulable and any(words in text for words in _NO_ROOM))


def has_requests(pod: Obj) -> bool:
    """Whether a container asks for resources."""
    containers = pod.get("spec", {}).get("containers") or ()
    return any((c.get("resources") or {}).get("requests") for c in containers)


def pre_stop_words(pod: Obj) -> tuple[str, ...]:
    """The preStop command of the first container; empty when it has none."""
    first: Obj = next(iter(pod.get("spec", {}).get("containers") or ()), {})
    pre_stop = (first.get("lifecycle") or {}).get("preStop") or {}
    return tuple((pre_stop.get("exec") or {}).get("command") or ())


def passes_fuse(pod: Obj, grace_upgrade_disabled: bool = False) -> bool:
    """Whether the driver believes that this Pod's client hands on its FUSE file descriptor (§1.6)."""
    containers = pod.get("spec", {}).get("containers") or ()
    if not containers:
        return False
    pre_stop = "\n".join(pre_stop_words(pod))
    return supports_fuse_passing(containers[0].get("image", ""), pre_stop, grace_upgrade_disabled)


def why_not_upgradable(pod: Obj, recreate: bool, grace_upgrade_disabled: bool = False) -> str:
    """Why the driver refuses a smooth upgrade (§3.8); empty when it does not. What counts is the image that runs now.

    Args:
        recreate: by another Pod; else by another client in the same Pod.
        grace_upgrade_disabled: DISABLE_GRACE_UPGRADE of the driver.
    """
    meta, containers = pod.get("metadata", {}), pod.get("spec", {}).get("containers") or ()
    if grace_upgrade_disabled:
        return "smooth upgrade is disabled"
    if not containers:
        return f"pod {meta.get('name', '')} has no container"
    if not (meta.get("labels") or {}).get(names.HASH):
        return "pod has no hash label"
    image = containers[0].get("image", "")
    if not recreate and not supports_binary_upgrade(image):
        return f"image {image} do not support smooth binary upgrade"
    if recreate and not passes_fuse(pod):
        return f"image {image} do not support recreate smooth upgrade"
    if any("umount" in word for word in pre_stop_words(pod)):
        return "mount pod has umount prestop hook, can not upgrade"
    return "" if is_ready(pod) else "mount pod is not ready yet"
