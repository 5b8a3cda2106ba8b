"""Ages as Kubernetes prints them: ``40s``, ``6m20s``, ``5d1h``, ``3y194d``."""

from __future__ import annotations

from datetime import UTC, datetime

from jfsnb.sandbox.apimachinery import clock

NONE, UNKNOWN, UNSET = "<none>", "<unknown>", "<unset>"


def duration(seconds: float) -> str:
    """A length of time, with at most two units."""
    total = int(seconds)
    minutes, hours = total // 60, total // 3600
    if total < 120:
        return "<invalid>" if seconds < -1 else f"{max(total, 0)}s"
    if minutes < 10:
        return _two(minutes, "m", total % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if hours < 192:
        return _two(hours // 24, "d", hours % 24, "h")
    if hours < 24 * 365 * 2:
        return f"{hours // 24}d"
    years = hours // 24 // 365
    return _two(years, "y", hours // 24 % 365, "d") if hours < 24 * 365 * 8 else f"{years}y"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}{small}{small_unit}" if small else f"{large}{large_unit}"


def ago(text: str) -> str:
    """How long a time is past."""
    return duration((datetime.now(UTC) - clock.parse(text)).total_seconds())


def since(text: str | None) -> str:
    """As ``ago``; ``<unknown>`` for a time that is not set."""
    return ago(text) if text else UNKNOWN


def between(start: str, end: str) -> str:
    return duration((clock.parse(end) - clock.parse(start)).total_seconds())
