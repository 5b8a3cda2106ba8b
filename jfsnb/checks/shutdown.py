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
_FLUSHED = re.compile(r"flush buffered data in \S+: <nil>")
_SESSION = re.compile(r"Create session (\d+) OK")
#: 0, SIGTERM, and a supervisor that SIGTERM ends because it does not handle it.
_ENDS = (0, 143, 2)
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
        evidence = [Evidence("Mount Pod", "references", "it is gone")]
        return result(REFERENCE, Verdict.PASS, "the Mount Pod is gone, its references with it", evidence)
    targets = [r.target for r in mount_pod.references]
    evidence = [Evidence(f"pod/{mount_pod.name}", "references", ", ".join(targets) or "none")]
    if mount_pod.serves(pod_uid, pv_name):
        return result(REFERENCE, Verdict.FAIL, "the reference of the deleted Pod is still there", evidence)
    return result(REFERENCE, Verdict.PASS, f"{len(targets)} references left, not that of the deleted Pod", evidence)


def mount_pod_gone(
    mount_pod: MountPod | Unreadable | None, name: str, now: datetime, gone: Collection[str] = ()
) -> CheckResult:
    """The Mount Pod has gone, or stays for a legitimate reason: other references, or a delete delay.

    Args:
        mount_pod: as it is now; None when the API says that it is not there (404).
        name: of the Mount Pod. now: the time, UTC.
        gone: UIDs of this run's Pods that are gone: their references are no reason to stay.
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
    reason = reason_to_stay(mount_pod, now, gone)
    if reason:
        return result(MOUNT_POD_GONE, Verdict.PASS, f"{name} stays: {reason}", evidence)
    if mount_pod.references:
        reason = f"{name} carries only references of this run's Pods, which are gone, and is not being deleted"
        return result(MOUNT_POD_GONE, Verdict.FAIL, reason, evidence)
    return result(MOUNT_POD_GONE, Verdict.FAIL, f"{name} has no reference left and is not being deleted", evidence)


def client_exit(
    log: Sequence[str] | Unreadable,
    exit_code: int | Unreadable | None,
    mount_pod: str,
    followed_since_before: bool,
    *,
    stays: str = "",
    session: int | None = None,
    sessions: frozenset[int] | Unreadable | None = None,
) -> CheckResult:
    """The client says that it has flushed and closed its session; where it was cut short, what is known of its data.

    The driver sets JFS_SUPER_COMM, with which the client's supervisor (PID 1) does not handle SIGTERM: now and then it
    ends with exit code 2 before the client itself has said its last words.

    Args:
        log: the Mount Pod's lines from the deletion on. exit_code: of its container; None when it could not be
            caught before the object went.
        mount_pod: its name. followed_since_before: the log was followed from before the deletion.
        stays: why the Mount Pod goes on existing; then there was no end to judge.
        session: number of the client's session, as its log told at the start.
        sessions: those in the file system's list after the end; None: not asked.
    """
    if isinstance(log, Unreadable):
        return unreadable(CLIENT_EXIT, log)
    bad = [line for line in log if _BAD_END.search(line)]
    flushed = [line for line in log if _FLUSHED.search(line)]
    good = [line for line in log if _GOOD_END.search(line)]
    evidence = [Evidence(f"pod/{mount_pod}", "log", line) for line in (*bad[:1], *flushed[-1:], *good[-1:])]
    evidence = evidence or [Evidence(f"pod/{mount_pod}", "log", log[-1] if log else "no line")]
    if isinstance(exit_code, int):
        evidence.append(Evidence(f"pod/{mount_pod}", "exit code", str(exit_code)))
    if stays and not bad:
        return result(CLIENT_EXIT, Verdict.NA, f"its end was not seen: {stays}", evidence)
    if not followed_since_before:
        return result(CLIENT_EXIT, Verdict.ERROR, "the log was not followed since before the deletion", evidence)
    if bad:
        return result(CLIENT_EXIT, Verdict.FAIL, bad[0].strip(), evidence)
    if isinstance(exit_code, int) and exit_code not in _ENDS:
        return result(CLIENT_EXIT, Verdict.FAIL, f"the client ended with exit code {exit_code}", evidence)
    if good:
        return result(CLIENT_EXIT, Verdict.PASS, good[0].strip(), evidence)
    return _cut_short(exit_code, bool(flushed), session, sessions, evidence)


def _cut_short(
    exit_code: int | Unreadable | None,
    flushed: bool,
    session: int | None,
    sessions: frozenset[int] | Unreadable | None,
    evidence: list[Evidence],
) -> CheckResult:
    """The client did not say that it ended well."""
    how = f"it ended with exit code {exit_code}" if isinstance(exit_code, int) else "its exit code was not caught"
    listed = session in sessions if session is not None and isinstance(sessions, frozenset) else None
    if listed is not None:
        told = "listed" if listed else "not listed any more"
        evidence.append(Evidence("file system", f"session {session}", told))
    if listed is False:
        reason = (
            f"{how}, without its last words; its session {session} is closed, as it is after a flush: no data is lost"
        )
        return result(CLIENT_EXIT, Verdict.PASS, reason, evidence)
    if flushed:
        reason = f"{how} after it had flushed its data and before it closed its session: no data is lost"
        return result(CLIENT_EXIT, Verdict.WARN, reason, evidence, "Nothing; its session expires by itself.")
    if listed and exit_code != 0:
        reason = f"{how} without a word of a flush, and its session {session} is still listed: data may be lost"
        return result(CLIENT_EXIT, Verdict.FAIL, reason, evidence)
    reason = f"{how}, and it said nothing of a flush or an unmount: whether its data is safe is not known"
    return result(CLIENT_EXIT, Verdict.WARN, reason, evidence)


def session_of(log: Sequence[str]) -> int | None:
    """The number of the session that the client opened, as its log tells; None when it does not."""
    found = [match for match in map(_SESSION.search, log) if match]
    return int(found[-1][1]) if found else None


def tells_its_end(log: Sequence[str]) -> bool:
    """Whether the client has said how it ended."""
    return any(_BAD_END.search(line) or _GOOD_END.search(line) for line in log)
