"""Was the end clean? From logs followed since before the deletion (peers: must 6; weak assertion 1; O20)."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from datetime import datetime

from jfsnb.checks.codes import Unreadable, register, result, unreadable
from jfsnb.checks.model import CheckResult, Evidence, Verdict
from jfsnb.driver.mountpods.deletion import reason_to_stay
from jfsnb.driver.mountpods.mount_pods import MountPod

PRE_STOP = register(
    "JFS-END-001",
    "The preStop hook ran to its end",
    "The hook was cut short, failed, or could not write to the volume any more.",
    "Look at the smoke Pod's log and events (FailedPreStopHook); give it a longer grace period.",
)
APP_EXIT = register(
    "JFS-END-002",
    "The app container ended as expected",
    "It was killed, or failed while it shut down.",
    "Look at the end of the smoke Pod's log.",
)
REFERENCE = register(
    "JFS-END-003",
    "The Mount Pod lost the deleted Pod's reference",
    "NodeUnpublish failed or was missed; the reference leaks until the driver's next reconcile.",
    "Look at the CSI node's log on that node.",
)
MOUNT_POD_GONE = register(
    "JFS-END-004",
    "The Mount Pod went with its last reference, or has a reason to stay",
    "Unmount hangs, the CSI node is not there, or the finalizer is stuck.",
    "Look at the Mount Pod's finalizers and log, and at the CSI node Pod on its node.",
)
CLIENT_EXIT = register(
    "JFS-END-005",
    "The client unmounted and ended cleanly",
    "It was killed, or could not flush or unmount in time.",
    "Look at the end of the Mount Pod's log; give it a longer grace period.",
)

#: What the smoke Pod's preStop hook prints, in this order.
PRE_STOP_LINES = (
    "[PRESTOP] Starting graceful shutdown and umount verification...",
    "[PRESTOP] Graceful shutdown preparation completed",
    "[PRESTOP] Note: Actual umount will be handled by Kubernetes/CSI driver",
)
_BAD_END = re.compile(
    r"umount does not finish in \d+ seconds|force exit|flush all:|FUSE session is busy|flush buffered data failed"
    r"|close session \d+: (?!<nil>)\S",
    re.IGNORECASE,
)
_GOOD_END = re.compile(r"The juicefs mount process exit successfully|close session \d+: <nil>|juicefs: umount success")


def pre_stop_lines(log: Sequence[str] | Unreadable, pod: str, followed_since_before: bool) -> CheckResult:
    """The hook's lines stand in the log, in order, without a warning between them.

    Args:
        log: the smoke Pod's lines. pod: its name.
        followed_since_before: the log was followed from before the deletion; else lines may be missing.
    """
    if isinstance(log, Unreadable):
        return unreadable(PRE_STOP, log)
    warnings = [line for line in log if "[PRESTOP] Warning" in line]
    places = [next((n for n, line in enumerate(log) if text in line), -1) for text in PRE_STOP_LINES]
    evidence = [
        Evidence(f"pod/{pod}", f"log line {n + 1}", log[n]) if n >= 0 else Evidence(f"pod/{pod}", "log", f"no {t!r}")
        for n, t in zip(places, PRE_STOP_LINES, strict=True)
    ]
    if not followed_since_before:
        return result(PRE_STOP, Verdict.ERROR, "the log was not followed since before the deletion", evidence)
    if warnings:
        return result(PRE_STOP, Verdict.FAIL, warnings[0].strip(), evidence)
    if min(places) < 0:
        missing = PRE_STOP_LINES[places.index(-1)]
        return result(PRE_STOP, Verdict.FAIL, f"the hook never said {missing!r}", evidence)
    if places != sorted(places):
        return result(PRE_STOP, Verdict.FAIL, "the hook's lines are out of order", evidence)
    return result(PRE_STOP, Verdict.PASS, f"{len(PRE_STOP_LINES)} lines, in order, no warning", evidence)


def app_exit(code: int | Unreadable | None, expected: Collection[int], pod: str, reason: str = "") -> CheckResult:
    """The app container's exit code is an expected one.

    Args:
        code: None when it has not ended. expected: 0 for the fast profile; 137 for the article's, whose bash ignores
            SIGTERM until its grace period ends.
        pod: its name. reason: of the termination, e.g. ``OOMKilled``.
    """
    if isinstance(code, Unreadable):
        return unreadable(APP_EXIT, code)
    shown = "still running" if code is None else f"{code} {reason}".strip()
    evidence = [Evidence(f"pod/{pod}", "exit code", shown)]
    if code is None:
        return result(APP_EXIT, Verdict.NOT_READY, "the container has not ended", evidence)
    if reason == "OOMKilled":
        return result(APP_EXIT, Verdict.FAIL, "it ran out of memory", evidence)
    if code not in expected:
        wanted = " or ".join(map(str, sorted(expected)))
        return result(APP_EXIT, Verdict.FAIL, f"exit code {code}, expected {wanted}", evidence)
    return result(APP_EXIT, Verdict.PASS, f"exit code {code}, as expected", evidence)


def reference_removed(mount_pod: MountPod | Unreadable | None, pod_uid: str, pv_name: str) -> CheckResult:
    """The Mount Pod carries no reference of the deleted Pod any more.

    Args:
        mount_pod: that served it, as it is now; None when it is gone.
        pod_uid: of the deleted Pod. pv_name: of its volume.
    """
    if isinstance(mount_pod, Unreadable):
        return unreadable(REFERENCE, mount_pod)
    if mount_pod is None:
        return result(REFERENCE, Verdict.PASS, "the Mount Pod is gone, its references with it")
    targets = [r.target for r in mount_pod.references]
    evidence = [Evidence(f"pod/{mount_pod.name}", "references", ", ".join(targets) or "none")]
    if mount_pod.serves(pod_uid, pv_name):
        return result(REFERENCE, Verdict.FAIL, "the reference of the deleted Pod is still there", evidence)
    return result(REFERENCE, Verdict.PASS, f"{len(targets)} references left, not that of the deleted Pod", evidence)


def mount_pod_gone(mount_pod: MountPod | Unreadable | None, name: str, now: datetime) -> CheckResult:
    """The Mount Pod has gone, or stays for a legitimate reason: other references, or a delete delay.

    Args:
        mount_pod: as it is now; None when the API says that it is not there (404).
        name: of the Mount Pod. now: the time, UTC.
    """
    if isinstance(mount_pod, Unreadable):
        return unreadable(MOUNT_POD_GONE, mount_pod)
    if mount_pod is None:
        return result(MOUNT_POD_GONE, Verdict.PASS, f"{name} is gone", [Evidence(f"pod/{name}", "", "not found")])
    evidence = [
        Evidence(f"pod/{name}", "references", str(len(mount_pod.references))),
        Evidence(f"pod/{name}", "finalizers", ", ".join(mount_pod.finalizers) or "none"),
    ]
    if mount_pod.deleting:
        return result(MOUNT_POD_GONE, Verdict.NOT_READY, f"{name} is still being deleted", evidence)
    reason = reason_to_stay(mount_pod, now)
    if reason:
        return result(MOUNT_POD_GONE, Verdict.PASS, f"{name} stays: {reason}", evidence)
    return result(MOUNT_POD_GONE, Verdict.FAIL, f"{name} has no reference left and is not being deleted", evidence)


def client_exit(
    log: Sequence[str] | Unreadable, exit_code: int | Unreadable | None, mount_pod: str, followed_since_before: bool
) -> CheckResult:
    """The client says that it ended well, or at least nothing to the contrary.

    Args:
        log: the Mount Pod's lines from the deletion on. exit_code: of its container; None when it could not be
            caught before the object went.
        mount_pod: its name. followed_since_before: the log was followed from before the deletion.
    """
    if isinstance(log, Unreadable):
        return unreadable(CLIENT_EXIT, log)
    bad = [line for line in log if _BAD_END.search(line)]
    good = [line for line in log if _GOOD_END.search(line)]
    said = bad or good or list(log[-1:])
    evidence = [Evidence(f"pod/{mount_pod}", "log", said[0] if said else "no line")]
    if isinstance(exit_code, int):
        evidence.append(Evidence(f"pod/{mount_pod}", "exit code", str(exit_code)))
    if not followed_since_before:
        return result(CLIENT_EXIT, Verdict.ERROR, "the log was not followed since before the deletion", evidence)
    if bad:
        return result(CLIENT_EXIT, Verdict.FAIL, bad[0].strip(), evidence)
    if isinstance(exit_code, int) and exit_code not in (0, 143):
        return result(CLIENT_EXIT, Verdict.FAIL, f"the client ended with exit code {exit_code}", evidence)
    if good:
        return result(CLIENT_EXIT, Verdict.PASS, good[0].strip(), evidence)
    if exit_code == 0:
        return result(CLIENT_EXIT, Verdict.PASS, "exit code 0", evidence)
    reason = "the client said nothing about its end, and its exit code was not caught"
    return result(CLIENT_EXIT, Verdict.WARN, reason, evidence)
