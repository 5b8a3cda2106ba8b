"""What happened while a volume was brought to an app Pod, in order, as the log of the CSI node Pod tells it.

The driver's own log lines (reference §6) say what it did inside a call, in the sandbox and on a real cluster alike; the
call's own request, response and caller stand in trace lines, which only the sandbox's driver writes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from jfsnb.driver.golang.duration import parse_duration
from jfsnb.driver.trace.csi_trace import CsiCall, parse_trace

KUBELET, CONTROLLER, NODE, API, MOUNT, APP = "kubelet", "controller", "CSI node", "API server", "Mount Pod", "app Pod"
_LINE = re.compile(r'[IWEF](?P<date>\d{4}) (?P<time>[\d:.]+) .*?\] "(?P<message>(?:[^"\\]|\\.)*)"(?P<rest>.*)$')
_PAIR = re.compile(r' ([A-Za-z]\w*)=("(?:[^"\\]|\\.)*"|[^ ]+)')
#: Message of the driver → from whom, to whom, in our words.
_TOLD = {
    "Need to create pod": (NODE, API, "create the Secret, then Mount Pod {podName}"),
    "Add target ref in mount pod.": (NODE, API, "add a reference to Mount Pod {podName}"),
    "Found pod with same target path, delete the reference": (NODE, API, "take the reference from {podName}"),
    "Mount pod is running": (MOUNT, NODE, "its container runs"),
    "Mount point is ready": (MOUNT, NODE, "the mount point answers (inode 1)"),
    "binding source at target": (NODE, APP, "bind the mount point to the target path"),
    "There are no refs in pod annotation, delete it": (NODE, API, "no reference is left: delete {podName}"),
}
#: The same for a log without trace lines: when the call came, and when it went.
_OUTLINE = {
    "get volume_capability": (KUBELET, NODE, "NodePublishVolume({volumeId})"),
    "juicefs volume mounted": (NODE, KUBELET, "done"),
}


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
    """What the log tells of one volume of one app Pod, in order.

    Args:
        lines: of the CSI node Pod on the app Pod's node.
        volume: volumeHandle. target: the kubelet's path. mount_pod: name of the Mount Pod that serves.
    """
    kept = list(lines)
    traced = any(c.complete for c in parse_trace(kept))
    about = {"volumeId": volume, "target": target, "podName": mount_pod}
    found = [m for m in (_of_line(line, about, outline=not traced) for line in kept) if m]
    if traced:
        ends = [_of_call(c) for c in calls_about(kept, volume, target)]
        inside = [m for m in found if any(begin.at <= m.at <= end.at for begin, end in ends)]
        return tuple(sorted([*(m for pair in ends for m in pair), *inside], key=lambda m: m.at))
    return tuple(_last_publication(sorted(found, key=lambda m: m.at)))


def _last_publication(moments: Sequence[Moment]) -> Sequence[Moment]:
    """From the last time the kubelet asked before it was answered, up to the answer; all where there is no answer."""
    answers = [n for n, m in enumerate(moments) if m.answer]
    asked = [n for n, m in enumerate(moments) if m.caller == KUBELET and (not answers or n < answers[-1])]
    return moments[asked[-1] if asked else 0 : answers[-1] + 1 if answers else None]


def _of_call(call: CsiCall) -> tuple[Moment, Moment]:
    caller = CONTROLLER if call.service == "Controller" else KUBELET
    ended = f"{call.error_code}: {call.error}" if call.error_code else "done"
    begin, end = _stamp(call.time, 0), _stamp(call.time, call.seconds or 0)
    return (
        Moment(begin, caller, NODE, f"{call.name}({call.volume_id})"),
        Moment(end, NODE, caller, ended, call.seconds, call.error_code, answer=True),
    )


def _of_line(line: str, about: Mapping[str, str], outline: bool) -> Moment | None:
    """A line of the driver's own log; with ``outline`` it also tells when the call came and went."""
    match = _LINE.search(line) if not line.startswith("{") else None
    told = {**_TOLD, **(_OUTLINE if outline else {})}.get(match["message"]) if match else None
    if match is None or told is None:
        return None
    values: dict[str, str] = {k: json.loads(v) if v.startswith('"') else v for k, v in _PAIR.findall(match["rest"])}
    if any(values.get(key, known) != known for key, known in about.items()):
        return None
    caller, callee, what = told
    at = f"{match['date'][:2]}-{match['date'][2:]} {match['time']}"
    took = parse_duration(values.get("elapsed", ""))
    seconds = took.total_seconds() if took is not None else None
    return Moment(at, caller, callee, what.format(**{**about, **values}), seconds, answer=seconds is not None)


def _stamp(iso: str, seconds: float) -> str:
    """A trace line's time as the driver's own log writes times, so many seconds later."""
    moment = datetime.fromisoformat(iso.replace("Z", "+00:00")) + timedelta(seconds=seconds)
    return moment.strftime("%m-%d %H:%M:%S.%f")
