"""Durations as Go's ``time.ParseDuration`` reads them, to the nanosecond (vectors: values/duration)."""

from __future__ import annotations

import re
from datetime import timedelta

from jfsnb.driver.golang.quoting import quoted

UNITS = {
    "ns": 1,
    "us": 1000,
    "µs": 1000,
    "μs": 1000,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PART = re.compile(r"([0-9]*)(\.[0-9]*)?([^.0-9]*)")
_LIMIT = 1 << 63


def nanoseconds(text: str) -> int:
    """What a duration means.

    Raises:
        ValueError: no duration; the text is the driver's.
    """
    sign, rest = (text[0], text[1:]) if text[:1] in ("+", "-") and text else ("+", text)
    if rest == "0":
        return 0
    if not rest:
        raise ValueError(f"time: invalid duration {quoted(text)}")
    total, at = 0, 0
    while at < len(rest):
        part = _PART.match(rest, at)
        assert part is not None  # every part of the pattern may be empty
        total += _part(text, part)
        if total > _LIMIT:
            raise ValueError(f"time: invalid duration {quoted(text)}")
        at = part.end()
    if sign == "-":
        return -total
    if total > _LIMIT - 1:
        raise ValueError(f"time: invalid duration {quoted(text)}")
    return total


def _part(text: str, part: re.Match[str]) -> int:
    whole, fraction, unit = part[1], (part[2] or "")[1:], part[3]
    if not whole and not fraction:
        raise ValueError(f"time: invalid duration {quoted(text)}")
    if int(whole or "0") > _LIMIT:
        raise ValueError(f"time: invalid duration {quoted(text)}")
    if not unit:
        raise ValueError(f"time: missing unit in duration {quoted(text)}")
    if unit not in UNITS:
        raise ValueError(f"time: unknown unit {quoted(unit)} in duration {quoted(text)}")
    return int(whole or "0") * UNITS[unit] + _fraction(fraction, UNITS[unit])


def _fraction(digits: str, unit: int) -> int:
    """Nanoseconds of the digits after the point; those that no longer fit into 63 bits are dropped, as in Go."""
    kept, scale = 0, 1.0
    for digit in digits:
        if kept > (_LIMIT - 1) // 10 or kept * 10 + int(digit) > _LIMIT:
            break
        kept, scale = kept * 10 + int(digit), scale * 10
    return int(kept * (unit / scale)) if kept else 0


def parse_duration(text: str) -> timedelta | None:
    """The same as a timedelta, to the microsecond; None when it is no duration."""
    try:
        return timedelta(microseconds=nanoseconds(text) // 1000)
    except ValueError:
        return None
