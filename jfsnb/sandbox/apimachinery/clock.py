"""Time as the API writes it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def now(seconds: float = 0) -> str:
    """The present moment, or one that many seconds from it, as ``2026-11-25T01:05:35Z``."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse(text: str) -> datetime:
    """A time that the API wrote (seconds or microseconds)."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def shifted(text: str, seconds: float) -> str:
    """A time that many seconds later."""
    return (parse(text) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
