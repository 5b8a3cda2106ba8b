"""What happened while a volume was brought to an app Pod and taken away, as the log of the CSI node Pod tells it.

The driver's own log lines (reference §6) say what it did inside a call; its logger names the call, appName the Pod. The
call's own request, response and caller stand in trace lines, which only the sandbox's driver writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from jfsnb.driver.golang.duration import parse_duration
from jfsnb.driver.trace.csi_trace import CsiCall, parse_trace
from jfsnb.driver.trace.klog import BEGINS, ENDS, FAILED, LOOP, Call, Entry, calls_of, entries_of

KUBELET, CONTROLLER, NODE, API, MOUNT, APP = "kubelet", "controller", "CSI node", "API server", "Mount Pod", "app Pod"
META = "metadata engine"
#: Message of the driver → from whom, to whom, in our words.
_TOLD = {
    "creating dir": (NODE, APP, "make the directory of the volume"),
    "get volume context": (KUBELET, NODE, "volume context: {volCtx}"),
    "mounting juicefs": (KUBELET, NODE, "its Secret has the keys {secret}; mount options {options}"),
    "Format/Auth command": (NODE, META, "{cmd}"),
    "set mount info in pod": (NODE, API, "label app Pod {podName} with the volume's unique id"),
    "Need to create pod": (NODE, API, "create Mount Pod {podName}"),
    "secret": (NODE, API, "write Secret {name}, which holds its settings"),
    "Add target ref in mount pod.": (NODE, API, "add a reference to Mount Pod {podName}"),
    "set pod annotation": (NODE, API, "annotate Mount Pod {podName}"),
    "Found pod with same target path, delete the reference": (NODE, API, "take the reference from {podName}"),
    "Mount pod is running": (MOUNT, NODE, "its container runs"),
    "Mount point is ready": (MOUNT, NODE, "the mount point answers (inode 1)"),
    "wait for mount error": (MOUNT, NODE, "it does not come up: {err}"),
    "quota already set in controller, skipping SetQuota in node": (
        NODE,
        META,
        "the controller has set the quota already",
    ),
    "mounting with options": (NODE, MOUNT, "{source} is mounted at {mountPath}"),
    "binding source at target": (NODE, APP, "bind the mount point to the target path"),
    "umount target": (NODE, APP, "unmount the target path"),
    "Delete target ref and check mount pod is need to delete or not.": (NODE, API, "take the reference from {podName}"),
    "pod still has juicefs- refs.": (API, NODE, "others use {podName} still: it stays"),
    "pod has no juicefs- refs. delete it.": (NODE, API, "no reference is left: delete {podName}"),
    "There are no refs in pod annotation, delete it": (NODE, API, "no reference is left: delete {podName}"),
    "Pod is to be deleted.": (API, NODE, "Mount Pod {podName} is being deleted"),
    "Clean mount point": (NODE, MOUNT, "unmount and remove {mountPath}"),
}
#: Lines of the driver's loop that end a Mount Pod.
_OF_THE_END = ("Pod is to be deleted.", "Clean mount point")


@dataclass(frozen=True)
class Moment:
    """One arrow of the sequence.

    Args:
        at: ``MM-DD HH:MM:SS.ffffff``, as the log has it.
        caller, callee: who turned to whom.
        what: in words.
        seconds: how long a call took, at its answer; None elsewhere.
        error: of an answer.
        answer: whether it is the answer to an earlier one.
    """

    at: str
    caller: str
    callee: str
    what: str
    seconds: float | None = None
    error: str = ""
    answer: bool = False


def calls_about(lines: Iterable[str], volume: str, target: str) -> tuple[CsiCall, ...]:
    """The CSI calls in a log that are about one volume of one app Pod."""
    found = (call for call in parse_trace(lines) if call.volume_id == volume)
    return tuple(c for c in found if target in (c.request.get("target_path"), c.request.get("volume_path")))


def sequence(lines: Iterable[str], volume: str, target: str, mount_pod: str) -> tuple[Moment, ...]:
    """What the log tells of one volume of one app Pod, in order: how it came and, where it went, how it went.

    Args:
        lines: of the CSI node Pod on the app Pod's node.
        volume: volumeHandle. target: the kubelet's path. mount_pod: name of the Mount Pod that serves.
    """
    kept = list(lines)
    entries = tuple(entries_of(kept))
    if any(c.complete for c in parse_trace(kept)):
        return _enclosed(calls_about(kept, volume, target), entries, volume, target, mount_pod)
    mine = [c for c in calls_of(entries) if _is_about(c, volume, target, mount_pod)]
    found = [m for call in mine for m in _moments(call)]
    if any(c.method == "NodeUnpublishVolume" for c in mine):
        found += _of_the_end(entries, mount_pod, mine[-1].entries[0].at)
    return tuple(sorted(found, key=lambda m: m.at))


def _enclosed(
    calls: Sequence[CsiCall], entries: Sequence[Entry], volume: str, target: str, mount_pod: str
) -> tuple[Moment, ...]:
    """Traced calls, and what the driver's own lines tell of what was done inside them."""
    ends = [_of_call(c) for c in calls]
    about = {"volumeId": volume, "target": target}
    inside = [
        m
        for e in entries
        if e.logger != LOOP
        and all(e.values.get(key, known) == known for key, known in about.items())
        and e.values.get("podName", mount_pod) == mount_pod
        for m in _told(e)
        if any(begin.at <= m.at <= end.at for begin, end in ends)
    ]
    return tuple(sorted([*(m for pair in ends for m in pair), *inside], key=lambda m: m.at))


def _is_about(call: Call, volume: str, target: str, mount_pod: str) -> bool:
    """A call for the target; one that never got so far as to name it, by its volume and Mount Pod."""
    if call.told("volumeId") - {volume}:
        return False
    targets = call.told("target")
    return target in targets if targets else mount_pod in call.told("podName")


def _moments(call: Call) -> Iterator[Moment]:
    first = call.entries[0]
    for entry in call.entries:
        if entry.message in BEGINS:
            yield Moment(entry.at, KUBELET, NODE, _asked(call.method, entry))
        elif entry.message == FAILED:
            yield Moment(entry.at, NODE, KUBELET, entry.values.get("err", ""), None, "error", answer=True)
        elif entry.message in ENDS:
            yield Moment(entry.at, NODE, KUBELET, "done", _took(first, entry), answer=True)
        else:
            yield from _told(entry)


def _asked(method: str, entry: Entry) -> str:
    app, access = entry.values.get("appName", ""), re.search(r"mode:(\w+)", entry.values.get("volCap", ""))
    words = f"{method}({entry.values.get('volumeId', '')})" + (f" for {app}" if app else "")
    return words + (f", {access[1]}" if access else "")


def _told(entry: Entry) -> Iterator[Moment]:
    known = _TOLD.get(entry.message)
    if known is not None:
        caller, callee, what = known
        values = {**entry.values, "volCtx": ", ".join(f"{k}={v}" for k, v in entry.context.items())}
        yield Moment(entry.at, caller, callee, what.format_map(_Values(values)))


class _Values(dict[str, str]):
    """What a line does not tell is left out."""

    def __missing__(self, key: str) -> str:
        return ""


def _took(first: Entry, last: Entry) -> float | None:
    """As the driver says, else between its two lines."""
    said = parse_duration(last.values.get("elapsed", ""))
    if said is not None:
        return said.total_seconds()
    begin, end = (datetime.strptime(f"2000-{e.at}", "%Y-%m-%d %H:%M:%S.%f") for e in (first, last))
    return (end - begin).total_seconds()


def _of_the_end(entries: Iterable[Entry], mount_pod: str, since: str) -> Iterator[Moment]:
    """The Mount Pod's own end, which the driver's loop sees to."""
    for entry in entries:
        if entry.message in _OF_THE_END and entry.at >= since and entry.values.get("podName") == mount_pod:
            yield from _told(entry)


def _of_call(call: CsiCall) -> tuple[Moment, Moment]:
    caller = CONTROLLER if call.service == "Controller" else KUBELET
    ended = f"{call.error_code}: {call.error}" if call.error_code else "done"
    begin, end = _stamp(call.time, 0), _stamp(call.time, call.seconds or 0)
    return (
        Moment(begin, caller, NODE, f"{call.name}({call.volume_id})"),
        Moment(end, NODE, caller, ended, call.seconds, call.error_code, answer=True),
    )


def _stamp(iso: str, seconds: float) -> str:
    """A trace line's time as the driver's own log writes times, so many seconds later."""
    moment = datetime.fromisoformat(iso.replace("Z", "+00:00")) + timedelta(seconds=seconds)
    return moment.strftime("%m-%d %H:%M:%S.%f")
