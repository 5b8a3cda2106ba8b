"""CSI calls read back from the log of a CSI Pod.

The sandbox's driver writes one JSON line a call. The real driver logs less: errors with their status but without the
method, and a line for each volume that it mounted; what can be told from those is told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jfsnb.driver.golang.duration import parse_duration

#: Key of the method in a JSON line; a line without it is no trace line.
TRACE_KEY = "csi"
_KLOG = re.compile(
    r"^[IWEF][0-9]{4} (?P<time>[0-9:.]{8,15})\s+[0-9]+ [^\]]*\] "
    r'"(?P<message>(?:[^"\\]|\\.)*)"(?P<rest>.*)$'
)
_PAIR = re.compile(r' ([A-Za-z][\w. -]*?)=("(?:[^"\\]|\\.)*"|[^ ]+)')
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
    return traced or tuple(call for call in map(_from_klog, kept) if call)


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


def _from_klog(line: str) -> CsiCall | None:
    match = _KLOG.match(line)
    if match is None:
        return None
    values = {key.strip(): _unquoted(value) for key, value in _PAIR.findall(match["rest"])}
    if match["message"] == "GRPC error":
        status = _STATUS.match(values.get("err", ""))
        code, text = (status["code"], status["message"]) if status else ("Unknown", values.get("err", ""))
        method = "/csi.v1.Node/NodePublishVolume" if text.startswith("Could not mount juicefs") else ""
        return CsiCall(match["time"], method, error_code=code, error=text, complete=False)
    if match["message"] == "juicefs volume mounted":
        request = {"volume_id": values.get("volumeId", ""), "target_path": values.get("target", "")}
        seconds = _go_seconds(values.get("elapsed", ""))
        return CsiCall(
            match["time"], "/csi.v1.Node/NodePublishVolume", request=request, seconds=seconds, complete=False
        )
    return None


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    try:
        return str(json.loads(value))
    except ValueError:
        return value.strip('"')


def _go_seconds(text: str) -> float | None:
    found = parse_duration(text)
    return found.total_seconds() if found is not None else None
