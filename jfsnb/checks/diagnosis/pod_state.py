"""What is wrong with a Pod, by its status and events alone: no cause is known here, so nothing is left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from jfsnb.checks.diagnosis.said import Said, ago, newest_first, said_in
from jfsnb.driver.mountpods.mount_pods import parse_time

Obj = Mapping[str, Any]
#: What a start may take: the driver itself waits 60 s for a Mount Pod.
START = timedelta(seconds=60)
#: After the grace period, for unmounting: the driver begins to abort a hung mount after a minute.
ENDING = timedelta(minutes=2)
#: A restart that lies back longer is history.
RECENT = timedelta(hours=1)
_STARTING = ("", "ContainerCreating", "PodInitializing")
_PULLING = (
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
)
_RUNNING = ("CrashLoopBackOff", "Error", "Completed", "OOMKilled", "ContainerStatusUnknown", "DeadlineExceeded")


class Stage(StrEnum):
    """How far a Pod got."""

    SCHEDULE = "not scheduled"
    PULL = "its image is not there"
    CREATE = "a container cannot be started"
    RUN = "a container does not keep running"
    READY = "running and not ready"
    ENDED = "ended"
    FAILED = "failed"
    TERMINATING = "does not go away"
    RESTARTED = "was restarted"
    WARNED = "well, with a warning"


@dataclass(frozen=True)
class Trouble:
    """What is wrong with a Pod now.

    Args:
        stage: how far it got. state: in words, with the container that is in the way.
        reason: as Kubernetes calls it, for example ``ImagePullBackOff``.
        status: what its status says. events: its Warning events, newest first.
        since: when it came to this state, as far as that is told.
        container: that is in the way; empty when none is.
    """

    stage: Stage
    state: str
    reason: str
    status: tuple[Said, ...] = ()
    events: tuple[Said, ...] = ()
    since: datetime | None = None
    container: str = ""

    @property
    def works(self) -> bool:
        """Whether it does its work now, in spite of this."""
        return self.stage in (Stage.RESTARTED, Stage.WARNED)

    @property
    def said(self) -> tuple[Said, ...]:
        """All that was said: what its status says now, then events, newest first."""
        return (*self.status, *self.events)


def trouble_of(pod: Obj, events: Iterable[Obj], now: datetime) -> Trouble | None:
    """What is wrong with a Pod, or None: it is well, or is starting or ending and has not taken long.

    Args:
        events: about this Pod; only Warnings count.
    """
    warnings = newest_first(said_in(e) for e in events if e.get("type") == "Warning")
    meta, status = pod.get("metadata") or {}, pod.get("status") or {}
    if meta.get("deletionTimestamp"):
        return _ending(meta, warnings, now)
    if status.get("phase") == "Failed":
        said = Said("status", " ".join(filter(None, (status.get("reason"), status.get("message")))))
        inside = next(iter(_containers(pod)), None)
        reason = str(status.get("reason") or (inside.reason if inside else "") or "Failed")
        more = tuple(s for s in (said, *(inside.status if inside else ())) if s.text)
        return Trouble(Stage.FAILED, f"failed ({reason})", reason, more, warnings, inside.since if inside else None)
    found = _unscheduled(pod) or next(iter(_containers(pod)), None)
    if found is not None and found.stage is not Stage.READY:
        return replace(found, events=warnings)
    if is_ready(pod):
        return _while_ready(pod, warnings, now)
    begun = parse_time(meta.get("creationTimestamp"))
    since = (found.since if found else None) or begun
    if not warnings and since is not None and now - since < START:
        return None
    age = f" since {ago(now, since).removesuffix(' ago')}" if since else ""
    if found is not None:
        return Trouble(Stage.READY, f"{found.state}{age}", found.reason, (*found.status, *_unmet(pod)), warnings, since)
    stage = Stage.READY if status.get("phase") == "Running" else Stage.CREATE
    state = f"{status.get('phase') or 'Pending'}, not ready{age}"
    return Trouble(stage, state, "ContainerCreating", _unmet(pod), warnings, since)


def is_ready(pod: Obj) -> bool:
    """Condition Ready is True."""
    return _condition(pod, "Ready").get("status") == "True"


def last_end(state: Obj) -> Obj:
    """How a container ended last: now, or before it was started again."""
    for kind in ("state", "lastState"):
        if ended := (state.get(kind) or {}).get("terminated"):
            return dict(ended)
    return {}


def container_states(pod: Obj) -> Iterator[tuple[Obj, bool]]:
    """(status, whether it must end for the Pod to go on) of each container, init containers first."""
    status, spec = pod.get("status") or {}, pod.get("spec") or {}
    stays = {c.get("name") for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"}
    for state in status.get("initContainerStatuses") or ():
        yield state, state.get("name") not in stays
    for state in status.get("containerStatuses") or ():
        yield state, False


def _ending(meta: Obj, warnings: tuple[Said, ...], now: datetime) -> Trouble | None:
    """``deletionTimestamp`` is when its grace is over."""
    due = parse_time(meta.get("deletionTimestamp"))
    if due is None or now - due < ENDING:
        return None
    state = f"should have gone {ago(now, due)}"
    held = ", ".join(meta.get("finalizers") or ())
    status = (Said("metadata.finalizers", held),) if held else ()
    return Trouble(Stage.TERMINATING, state, "Terminating", status, warnings, due)


def _unscheduled(pod: Obj) -> Trouble | None:
    condition = _condition(pod, "PodScheduled")
    if condition.get("status") != "False":
        return None
    since = parse_time(condition.get("lastTransitionTime"))
    reason, text = str(condition.get("reason") or "Unschedulable"), str(condition.get("message") or "")
    said = Said("condition PodScheduled", f"{reason}: {text}" if text else reason, since)
    gated = " (scheduling gates)" if reason == "SchedulingGated" else ""
    return Trouble(Stage.SCHEDULE, f"not scheduled{gated}", reason, (said,), since=since)


def _containers(pod: Obj) -> Iterator[Trouble]:
    """The containers that are in the way, the first one first."""
    for state, must_end in container_states(pod):
        found = _container(state, must_end)
        if found is not None:
            yield replace(found, container=state.get("name", ""))


def _container(state: Obj, must_end: bool) -> Trouble | None:
    name, now = state.get("name", ""), state.get("state") or {}
    if waiting := now.get("waiting"):
        return _waiting(name, waiting, state)
    if ended := now.get("terminated"):
        if must_end and ended.get("exitCode") == 0:
            return None
        stage = Stage.ENDED if ended.get("exitCode") == 0 else Stage.RUN
        return Trouble(stage, f"container {name} has ended ({_end(ended)})", *_why(name, ended))
    if "running" in now and not state.get("ready") and not must_end:
        since = parse_time(now["running"].get("startedAt"))
        return Trouble(Stage.READY, f"container {name} runs and is not ready", "NotReady", since=since)
    return None


def _waiting(name: str, waiting: Obj, state: Obj) -> Trouble | None:
    reason, message = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
    if reason in _STARTING:
        return None
    field = f"container {name}, waiting"
    said = [Said(field, f"{reason}: {message}" if message else reason)]
    stage = Stage.PULL if reason in _PULLING else Stage.RUN if reason in _RUNNING else Stage.CREATE
    before = last_end(state)
    if before:
        said.append(Said(f"container {name}, ended before", _end(before), parse_time(before.get("finishedAt"))))
    restarts = int(state.get("restartCount") or 0)
    again = f", {restarts} restarts" if restarts else ""
    return Trouble(stage, f"container {name} waits ({reason}{again})", reason, tuple(said))


def _why(name: str, ended: Obj) -> tuple[str, tuple[Said, ...], tuple[Said, ...], datetime | None]:
    at = parse_time(ended.get("finishedAt"))
    return str(ended.get("reason") or "Error"), (Said(f"container {name}, ended", _end(ended), at),), (), at


def _end(ended: Obj) -> str:
    parts = [str(ended.get("reason") or "Error"), f"exit code {ended.get('exitCode')}"]
    if ended.get("signal"):
        parts.append(f"signal {ended['signal']}")
    return ", ".join(parts) + (f": {str(ended['message']).strip()}" if ended.get("message") else "")


def _while_ready(pod: Obj, warnings: tuple[Said, ...], now: datetime) -> Trouble | None:
    """A Pod that is well now: was it restarted lately, or did anything warn since it became ready?"""
    ready = parse_time(_condition(pod, "Ready").get("lastTransitionTime"))
    later = tuple(w for w in warnings if w.at is None or (now - w.at < RECENT and (ready is None or w.at > ready)))
    for state, _ in container_states(pod):
        ended = (state.get("lastState") or {}).get("terminated") or {}
        at = parse_time(ended.get("finishedAt"))
        lately = at is None or now - at < RECENT or ended.get("reason") == "OOMKilled"
        if ended and ended.get("exitCode") != 0 and lately:
            name, restarts = state.get("name", ""), int(state.get("restartCount") or 0)
            said = Said(f"container {name}, ended before", _end(ended), at)
            text = f"container {name} was restarted ({restarts} restart{'s' if restarts != 1 else ''})"
            reason = str(ended.get("reason") or "Error")
            return Trouble(Stage.RESTARTED, text, reason, (said,), later, at, name)
    if later:
        return Trouble(Stage.WARNED, "ready", later[0].field.removeprefix("event "), (), later, later[0].at)
    return None


def _unmet(pod: Obj) -> tuple[Said, ...]:
    """Conditions that are not met and say why."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return tuple(
        Said(f"condition {c.get('type')}", str(c["message"]), parse_time(c.get("lastTransitionTime")))
        for c in conditions
        if c.get("status") != "True" and c.get("message") and not str(c["message"]).startswith("containers with ")
    )


def _condition(pod: Obj, kind: str) -> Obj:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return next((c for c in conditions if c.get("type") == kind), {})
