"""Cron schedules: ``*/5 0 * * mon-fri``, ``@daily``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
HORIZON = timedelta(days=366 * 5)


@dataclass(frozen=True)
class Schedule:
    """The minutes, hours, days of month, months and days of week at which something is due."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """Raises ValueError for what is no schedule."""
        fields = MACROS.get(text.strip().lower(), text).split()
        if len(fields) != 5:
            raise ValueError(f"expected exactly 5 fields, found {len(fields)}: [{text}]")
        minutes, hours, days, months, weekdays = fields
        return cls(
            _field(minutes, 0, 59),
            _field(hours, 0, 23),
            _field(days, 1, 31),
            _field(months, 1, 12, MONTHS, 1),
            frozenset(d % 7 for d in _field(weekdays, 0, 7, DAYS)),
            days.startswith(("*", "?")),
            weekdays.startswith(("*", "?")),
        )

    def after(self, moment: datetime) -> datetime | None:
        """The first time that is due after a moment; None if there is none within five years."""
        candidate = moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
        end = moment + HORIZON
        while candidate < end:
            if candidate.month not in self.months or not self._day(candidate):
                candidate = candidate.replace(hour=0, minute=0) + timedelta(days=1)
            elif candidate.hour not in self.hours:
                candidate = candidate.replace(minute=0) + timedelta(hours=1)
            elif candidate.minute not in self.minutes:
                candidate += timedelta(minutes=1)
            else:
                return candidate
        return None

    def _day(self, moment: datetime) -> bool:
        """Day of month and day of week: both when one is a star, either when both are given (as in cron)."""
        day, weekday = moment.day in self.days, moment.isoweekday() % 7 in self.weekdays
        return (day and weekday) if self.any_day or self.any_weekday else (day or weekday)


def _field(text: str, low: int, high: int, names: tuple[str, ...] = (), first: int = 0) -> frozenset[int]:
    found: set[int] = set()
    for part in text.lower().split(","):
        span, _, step = part.partition("/")
        begin, end = _span(span, low, high, names, first)
        if step and "-" not in span and span not in ("*", "?"):
            end = high
        width = int(step) if step else 1
        if not low <= begin <= end <= high or width < 1:
            raise ValueError(f"out of range: {part}")
        found.update(range(begin, end + 1, width))
    return frozenset(found)


def _span(text: str, low: int, high: int, names: tuple[str, ...], first: int) -> tuple[int, int]:
    if text in ("*", "?"):
        return low, high
    begin, dash, end = text.partition("-")
    numbers = [names.index(v) + first if v in names else int(v) for v in ((begin, end) if dash else (begin, begin))]
    return numbers[0], numbers[1]
