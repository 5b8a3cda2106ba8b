"""What was said about an object, and when: newest first, and old words say how old they are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from jfsnb.driver.mountpods.mount_pods import parse_time

Obj = Mapping[str, Any]
#: The kubelet tries again after two minutes at most, so what belongs to one failure is said within this time.
EPISODE = timedelta(minutes=5)
#: Words that only repeat that something else has failed.
_ECHO = re.compile(
    r"^(CrashLoopBackOff: )?Back-off |^CrashLoopBackOff$|^Error: (ErrImagePull|ImagePullBackOff)$"
    r"|timed out waiting for the condition|context deadline exceeded|operation is already in progress"
    r"|^(Failed to|Error) sync(ing)? pod|^Error: context canceled",
    re.IGNORECASE,
)
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True)
class Said:
    """One sentence about an object.

    Args:
        field: where it stands, for example ``event FailedMount``.
        text: the sentence. at: when it was said last; None when that is not told. count: how often.
    """

    field: str
    text: str
    at: datetime | None = None
    count: int = 1

    @property
    def echo(self) -> bool:
        """Whether it only repeats that something else has failed."""
        return bool(_ECHO.search(self.text))

    def quoted(self, now: datetime) -> str:
        """The sentence with its age and how often it was said."""
        notes = [*([ago(now, self.at)] if self.at else []), *([f"{self.count} times"] if self.count > 1 else [])]
        return self.text + (f" ({', '.join(notes)})" if notes else "")


def event_time(event: Obj) -> datetime | None:
    """When an event happened last: series, last, its own or first time, whichever is latest."""
    series = event.get("series") or {}
    fields = ("lastTimestamp", "eventTime", "deprecatedLastTimestamp", "firstTimestamp")
    texts = (series.get("lastObservedTime"), *(event.get(name) for name in fields))
    found = [moment for moment in map(parse_time, texts) if moment is not None]
    if found:
        return max(found)
    return parse_time((event.get("metadata") or {}).get("creationTimestamp"))


def said_in(event: Obj) -> Said:
    """An Event of either API group as a sentence."""
    count = event.get("count") or event.get("deprecatedCount") or (event.get("series") or {}).get("count") or 1
    text = str(event.get("message") or event.get("note") or event.get("reason") or "").strip()
    return Said(f"event {event.get('reason', '')}", text, event_time(event), int(count))


def newest_first(said: Iterable[Said]) -> tuple[Said, ...]:
    """By time alone; what has none comes last, in its order."""
    return tuple(sorted(said, key=lambda s: s.at or _LONG_AGO, reverse=True))


def telling(said: Iterable[Said]) -> tuple[Said, ...]:
    """The sentences of the newest episode, those first that are no echo of another failure.

    A sentence that is older than the newest by more than an episode tells of another failure.
    """
    ordered = newest_first(said)
    if not ordered:
        return ()
    newest = ordered[0].at
    episode = [s for s in ordered if newest is None or s.at is None or newest - s.at <= EPISODE]
    return (*(s for s in episode if not s.echo), *(s for s in episode if s.echo))


def ago(now: datetime, moment: datetime) -> str:
    """``3 min ago``; what lies ahead by another clock counts as now."""
    seconds = max(0, int((now - moment).total_seconds()))
    size, unit = next((size, unit) for size, unit in _UNITS if seconds >= size or size == 1)
    return f"{seconds // size} {unit} ago"
