"""Did a smoke Pod get there, and if not: what holds it up? From objects, events and log lines only."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jfsnb.checks.codes import register, result
from jfsnb.checks.model import CheckResult, Evidence, Verdict
from jfsnb.driver.mountpods.mount_pods import MountPod

Obj = Mapping[str, Any]

ARRIVED = register(
    "JFS-POD-001",
    "The smoke Pod becomes Ready",
    "Its image or its Mount Pod's cannot be pulled, its claim is not bound, or its volume is not mounted in time.",
    "Read the reason; it names the thing nearest to the cause.",
)

PASSED_LINE = "All tests passed"
NONCE_LINE = "Nonce kept: "

#: Waiting reasons that do not go away by waiting. ErrImagePull may: it is fatal only when the registry has answered.
HOPELESS = frozenset(
    {
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "CreateContainerConfigError",
        "StartError",
        "RunContainerError",
    }
)
ANSWERED = ("not found", "unauthorized", "denied", "manifest unknown", "forbidden", "invalid", "no match for platform")
IMAGE_REASONS = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
#: As the client writes its levels (``<FATAL>:``), and programs without any.
_FATAL = re.compile(r"<FATAL>|\bFATAL\b|^panic:|: not found$")
_COUNTED = "give up [main@main.go:31]"
_ERROR = re.compile(r"<ERROR>|^ERROR|\berror:|^Error\b")


@dataclass(frozen=True)
class Trouble:
    """What keeps a Pod from running.

    Args:
        reason: as Kubernetes calls it, for example ``ErrImagePull``.
        message: the details.
        hopeless: waiting longer does not help.
    """

    reason: str
    message: str
    hopeless: bool

    @property
    def is_image(self) -> bool:
        return self.reason in IMAGE_REASONS


def trouble_of(pod: Obj, max_restarts: int = 2) -> Trouble | None:
    """The first container state of a Pod that is in the way, or None.

    Args:
        max_restarts: a container that was restarted so often is given up.
    """
    status = pod.get("status") or {}
    for state in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        current = state.get("state") or {}
        waiting, ended = current.get("waiting") or {}, current.get("terminated") or {}
        reason, message = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
        if reason in HOPELESS:
            return Trouble(reason, message, True)
        if reason == "ErrImagePull":
            return Trouble(reason, message, any(word in message.lower() for word in ANSWERED))
        if reason == "CrashLoopBackOff":
            return Trouble(reason, message, int(state.get("restartCount") or 0) >= max_restarts)
        if ended and ended.get("exitCode") != 0:
            restarts = int(state.get("restartCount") or 0)
            never = (pod.get("spec") or {}).get("restartPolicy") == "Never"
            what = f"exit code {ended.get('exitCode')}" + (f": {ended['message']}" if ended.get("message") else "")
            return Trouble(str(ended.get("reason") or "Error"), what, never or restarts >= max_restarts)
    if status.get("phase") == "Failed":
        return Trouble(str(status.get("reason") or "Failed"), str(status.get("message") or ""), True)
    return None


def is_ready(pod: Obj) -> bool:
    """Whether condition Ready is true."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def unscheduled_why(pod: Obj) -> str:
    """What the scheduler says about a Pod that it cannot place; empty otherwise."""
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"{condition.get('reason')}: {condition.get('message')}"
    return ""


def came_up(
    pod: Obj | None,
    mount_pod: MountPod | None,
    mount_object: Obj | None,
    failed_mounts: Sequence[str],
    log: Sequence[str],
    mount_log: Sequence[str],
    claim_phase: str,
    seconds: float,
) -> CheckResult:
    """The smoke Pod is Ready; else the thing nearest to the cause.

    Args:
        pod: as seen last; None when it vanished.
        mount_pod, mount_object: who serves it, as facts and as object; None when nobody does yet.
        failed_mounts: messages of its FailedMount events, oldest first.
        log, mount_log: its lines, and its Mount Pod's.
        claim_phase: ``Bound``, ``Pending`` …; empty when the PVC is not there.
        seconds: how long it was watched.
    """
    if pod is None:
        return result(ARRIVED, Verdict.FAIL, "the Pod vanished while it was watched", next_action="look who deleted it")
    name = f"pod/{pod['metadata']['name']}"
    if is_ready(pod):
        evidence = [Evidence(name, "status.conditions[Ready]", "True")]
        return result(ARRIVED, Verdict.PASS, f"Ready after {seconds:.1f} s", evidence)
    own = trouble_of(pod)
    if own is not None and own.is_image:
        return _image_trouble(pod, own)
    if mount_object is not None and mount_pod is not None and (theirs := trouble_of(mount_object)) is not None:
        return _mount_pod_trouble(mount_pod, theirs, mount_log)
    if own is not None:
        said = _telling_line(log) or "nothing"
        return result(
            ARRIVED,
            Verdict.FAIL,
            f"its container does not keep running ({own.reason}: {own.message}); it said: {said}",
            [Evidence(name, "status.containerStatuses[0].state", own.reason)],
            "Read its log in this report.",
        )
    return _still_waiting(pod, mount_pod, failed_mounts, claim_phase, seconds)


def _telling_line(log: Sequence[str]) -> str:
    """The line of a log that says most about an end: the last fatal one, else the last error, else the last of all.

    A 1.x client's watchdog ends with a fatal line of its own that only counts the ends of its child.
    """
    for pattern in (_FATAL, _ERROR):
        if found := next((x for x in reversed(log) if pattern.search(x) and not x.rstrip(".").endswith(_COUNTED)), ""):
            return found
    return next((line for line in reversed(log) if line.strip(" .")), "")


def _image_trouble(pod: Obj, trouble: Trouble) -> CheckResult:
    image = pod["spec"]["containers"][0]["image"]
    return result(
        ARRIVED,
        Verdict.FAIL,
        f"the smoke Pod's own image {image} cannot be pulled ({trouble.reason}: {trouble.message})",
        [Evidence(f"pod/{pod['metadata']['name']}", "status.containerStatuses[0].state.waiting", trouble.reason)],
        "Check the tag and the registry; the image must exist before it can be tested.",
    )


def _mount_pod_trouble(mount_pod: MountPod, trouble: Trouble, log: Sequence[str]) -> CheckResult:
    action = (
        "Check the tag, the registry and the pull secrets of the CSI node DaemonSet, which Mount Pods inherit."
        if trouble.is_image
        else f"Read its log: kubectl -n {mount_pod.namespace} logs {mount_pod.name} --previous"
    )
    said = f"; it said: {line}" if (line := _telling_line(log)) else ""
    return result(
        ARRIVED,
        Verdict.FAIL if trouble.hopeless else Verdict.NOT_READY,
        f"its Mount Pod {mount_pod.name} does not run {mount_pod.image} ({trouble.reason}: {trouble.message}){said}",
        [Evidence(f"pod/{mount_pod.name}", "status.containerStatuses[0].state", trouble.reason)],
        action,
    )


def _still_waiting(
    pod: Obj, mount_pod: MountPod | None, failed_mounts: Sequence[str], claim_phase: str, seconds: float
) -> CheckResult:
    """The deadline passed without anything that is plainly wrong: what was waited for last."""
    name = f"pod/{pod['metadata']['name']}"

    def waiting(reason: str, action: str, field: str, value: str) -> CheckResult:
        return result(ARRIVED, Verdict.NOT_READY, reason, [Evidence(name, field, value)], action)

    if claim_phase != "Bound":
        state = f"is {claim_phase}" if claim_phase else "is not there"
        action = "Look at the claim's events: class, volume, provisioner."
        return waiting(f"its PersistentVolumeClaim {state}", action, "PVC phase", claim_phase)
    if why := unscheduled_why(pod):
        action = "Make room, or look at taints and node conditions."
        return waiting(f"no node takes it ({why})", action, "status.conditions[PodScheduled]", why)
    if failed_mounts:
        last = failed_mounts[-1]
        action = "Read the CSI node's log on that node."
        return waiting(f"its volume is not mounted after {seconds:.0f} s: {last}", action, "event FailedMount", last)
    if mount_pod is not None and not mount_pod.ready:
        action = f"Look at it: kubectl -n {mount_pod.namespace} describe pod {mount_pod.name}"
        reason = f"its Mount Pod {mount_pod.name} is not Ready after {seconds:.0f} s ({mount_pod.reason})"
        return waiting(reason, action, f"phase of {mount_pod.name}", mount_pod.phase)
    phase = str((pod.get("status") or {}).get("phase"))
    return waiting(f"it is not Ready after {seconds:.0f} s (phase {phase})", "Look at its events.", "phase", phase)


def kept_nonce(log: Sequence[str]) -> tuple[str, str] | None:
    """(path in the app Pod, sha256) of the nonce that the fast manifest keeps; None when the log names none."""
    for line in log:
        if line.startswith(NONCE_LINE):
            path, _, digest = line.removeprefix(NONCE_LINE).partition(" sha256 ")
            return (path, digest.strip()) if digest else None
    return None
