"""CSI calls read back from the log of a CSI Pod.

The sandbox's driver writes one JSON line a call. The real driver logs less: several lines a call, whose logger names
the method (jfsnb.driver.trace.klog); what can be told from those is told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jfsnb.driver.golang.duration import parse_duration
from jfsnb.driver.trace.klog import FAILED, Call, calls_of, entries_of

#: Key of the method in a JSON line; a line without it is no trace line.
TRACE_KEY = "csi"
_STATUS = re.compile(r"^rpc error: code = (?P<code>\w+) desc = (?P<message>.*)$", re.DOTALL)


@dataclass(frozen=True)
class CsiCall:
    """One call of the CSI protocol, as far as the log tells it.

    Args:
        time: when it came in: ISO 8601 of a trace line, ``HH:MM:SS.ffffff`` of a line of the real driver.
        method: ``/csi.v1.Node/NodePublishVolume``; empty when the log does not say.
        caller: who called (``kubelet``, ``csi-provisioner``); empty when not known.
        request, response: messages as plain data, without secrets; response None after an error.
        error_code, error: gRPC status as Go writes it (``Internal``) and its text; empty when it succeeded.
        seconds: how long it took; None when not known.
        complete: False when the line is the real driver's, which leaves out most of this.
    """

    time: str
    method: str
    caller: str = ""
    request: Mapping[str, Any] = field(default_factory=dict)
    response: Mapping[str, Any] | None = None
    error_code: str = ""
    error: str = ""
    seconds: float | None = None
    complete: bool = True

    @property
    def service(self) -> str:
        """``Node``, ``Controller`` or ``Identity``; empty when not known."""
        return self.method.rpartition("/")[0].rpartition(".")[2]

    @property
    def name(self) -> str:
        """The method without its service."""
        return self.method.rpartition("/")[2]

    @property
    def volume_id(self) -> str:
        """The volume that the call is about; of CreateVolume the name asked for."""
        return str(self.request.get("volume_id") or self.request.get("name") or "")


def parse_trace(lines: Iterable[str]) -> tuple[CsiCall, ...]:
    """The CSI calls in a log, in its order; all other lines are passed over.

    A log with trace lines is read by these alone, so that no call counts twice.
    """
    kept = [_without_timestamp(line) for line in lines]
    traced = tuple(call for call in map(_from_json, kept) if call)
    return traced or tuple(map(_from_klog, calls_of(entries_of(kept))))


def _without_timestamp(line: str) -> str:
    """A log line without the timestamp that the API puts before it when asked to."""
    head, _, rest = line.partition(" ")
    return rest if re.match(r"^\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)$", head) else line


def _from_json(line: str) -> CsiCall | None:
    if not line.startswith("{"):
        return None
    try:
        data = json.loads(line)
    except ValueError:
        return None
    if not isinstance(data, dict) or TRACE_KEY not in data:
        return None
    error = data.get("error") or {}
    return CsiCall(
        time=str(data.get("time", "")),
        method=str(data[TRACE_KEY]),
        caller=str(data.get("caller", "")),
        request=data.get("request") or {},
        response=data.get("response"),
        error_code=str(error.get("code", "")),
        error=str(error.get("message", "")),
        seconds=data.get("seconds"),
    )


def _from_klog(call: Call) -> CsiCall:
    """What the real driver's lines tell of a call: no response, and of the request what it wrote down."""
    last = call.entries[-1]
    request: dict[str, Any] = {"volume_id": next(iter(call.told("volumeId")), "")}
    request["target_path"] = next(iter(call.told("target")), "")
    if context := next((e.context for e in call.entries if e.context), None):
        request["volume_context"] = context
    method, code, text = call.method, "", ""
    if last.message == FAILED:
        status = _STATUS.match(last.values.get("err", ""))
        code, text = (status["code"], status["message"]) if status else ("Unknown", last.values.get("err", ""))
        method = method or ("NodePublishVolume" if text.startswith("Could not mount juicefs") else "")
    took = parse_duration(last.values.get("elapsed", ""))
    return CsiCall(
        time=call.entries[0].at.rpartition(" ")[2],
        method=f"/csi.v1.Node/{method}" if method else "",
        caller="kubelet" if call.began else "",
        request={key: value for key, value in request.items() if value},
        error_code=code,
        error=text,
        seconds=took.total_seconds() if took is not None else None,
        complete=False,
    )
