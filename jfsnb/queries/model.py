"""What steps hand out: frozen results, and the timeline of what was done and what was waited for.

Tables are tuples of flat dicts (one per row, same keys in each), ready for a DataFrame; their columns are documented
where the table is. Nothing in here knows how it will be displayed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, Literal

from jfsnb.checks.model import CheckResult, Verdict, overall

Row = dict[str, Any]
Table = tuple[Row, ...]
Kind = Literal["waited for", "did"]


@dataclass(frozen=True)
class Progress:
    """One thing to tell a person while a step runs.

    Args:
        kind: ``step`` (a part begins), ``wait`` (what is waited for), ``event`` (Kubernetes Event), ``log`` (a line of
            a container), ``change`` (something in the cluster was changed), ``note``.
        text: one line.
        source: which object it is about, for example ``pod/smoke-juicefs-x``.
        at: time, UTC.
    """

    kind: Literal["step", "wait", "event", "log", "change", "note"]
    text: str
    source: str = ""
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


Notify = Callable[[Progress], None]


@dataclass(frozen=True)
class TimelineEntry:
    """One stretch of time.

    Args:
        what: for example ``smoke Pod Ready``.
        started: ISO 8601, UTC.
        seconds: how long it took.
        kind: ``waited for`` something outside, or ``did`` something.
    """

    what: str
    started: str
    seconds: float
    kind: Kind


class Timeline:
    """Collects entries while a part of a step runs."""

    def __init__(self) -> None:
        self.entries: list[TimelineEntry] = []

    @contextmanager
    def measure(self, what: str, kind: Kind = "did") -> Iterator[None]:
        started, clock = datetime.now(UTC).isoformat(timespec="milliseconds"), time.monotonic()
        try:
            yield
        finally:
            self.entries.append(TimelineEntry(what, started, round(time.monotonic() - clock, 3), kind))

    def waiting(self, what: str) -> Any:
        return self.measure(what, "waited for")


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one part of a step found; every part's result has these fields.

    Args:
        checks: what was judged, in order.
        timeline: what took how long.
    """

    STEP: ClassVar[str] = ""
    PART: ClassVar[str] = ""
    TITLE: ClassVar[str] = ""
    #: whether a run without a check of this part has no verdict
    JUDGES: ClassVar[bool] = False

    checks: tuple[CheckResult, ...] = ()
    timeline: tuple[TimelineEntry, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Worst verdict of the checks; N/A where nothing was judged."""
        return overall(c.verdict for c in self.checks) if self.checks else Verdict.NA

    def to_dict(self) -> dict[str, Any]:
        """Plain data for results/<step>.json; ``data`` holds the fields of the part itself."""
        data = {f.name: _plain(getattr(self, f.name)) for f in fields(self) if f.name not in ("checks", "timeline")}
        return {
            "step": self.STEP,
            "part": self.PART,
            "title": self.TITLE,
            "verdict": str(self.verdict),
            "checks": [c.to_dict() for c in self.checks],
            "timeline": [_plain(t) for t in self.timeline],
            "data": data,
        }


def _plain(value: Any) -> Any:
    """JSON-able data of dataclasses, enums, paths, tuples and times."""
    if hasattr(value, "__dataclass_fields__"):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    return value
