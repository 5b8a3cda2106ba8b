"""Points in time as the driver reads them: RFC 3339, or ``2006-01-02 15:04:05`` in its own time zone (§1.11).

Vectors: values/stamp. The messages are those of Go's package time, for the second layout, which is tried last.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

from jfsnb.driver.golang.quoting import quoted

_RFC3339 = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)T(?P<hour>\d\d?):(?P<minute>\d\d):(?P<second>\d\d)"
    r"(?:[.,](?P<fraction>\d+))?(?:Z|(?P<sign>[+-])(?P<h>\d\d):(?P<m>\d\d))\Z",
    re.ASCII,
)
#: Elements of the driver's old layout, with what Go demands of them; an hour may have one digit.
_LAYOUT = (
    *(("2006", r"\d{4}"), ("-", "-"), ("01", r"\d\d"), ("-", "-"), ("02", r"\d\d")),
    *((" ", " *"), ("15", r"\d\d?"), (":", ":"), ("04", r"\d\d"), (":", ":"), ("05", r"\d\d")),
)
_OLD = "2006-01-02 15:04:05"
_RANGES = {"01": ("month", 1, 12), "15": ("hour", 0, 23), "04": ("minute", 0, 59), "05": ("second", 0, 59)}


def parse_stamp(text: str, zone: tzinfo) -> datetime:
    """The moment that a stamp means, in UTC.

    Args:
        zone: of the driver; counts for stamps that name none.

    Raises:
        ValueError: no stamp; the text is the driver's.
    """
    match = _RFC3339.match(text)
    if match is not None:
        try:
            return _rfc3339(match)
        except ValueError:
            pass  # Go tries the other layout, too, and tells of that
    return _in_zone(_old(text), zone)


def _rfc3339(match: re.Match[str]) -> datetime:
    offset = timedelta(hours=int(match["h"] or 0), minutes=int(match["m"] or 0))
    if int(match["h"] or 0) > 24 or int(match["m"] or 0) > 60:
        raise ValueError("time zone offset out of range")
    moment = datetime(*(int(match[k]) for k in ("year", "month", "day", "hour", "minute", "second")))  # type: ignore[arg-type]
    moment += timedelta(microseconds=int((match["fraction"] or "0")[:6].ljust(6, "0")))
    return (moment + (offset if match["sign"] == "-" else -offset)).replace(tzinfo=UTC)


def _old(text: str) -> datetime:
    found: dict[str, int] = {}
    rest, problem = text, ""
    for element, form in _LAYOUT:
        match = re.match(form, rest, re.ASCII)
        if match is None or (element == " " and rest and not match[0]):
            shown = quoted(element)
            raise ValueError(f"parsing time {quoted(text)} as {quoted(_OLD)}: cannot parse {quoted(rest)} as {shown}")
        rest = rest[match.end() :]
        if element[0].isdigit():
            found[element] = int(match[0])
            problem = _range_problem(element, found[element])
        if problem:
            raise ValueError(f"parsing time {quoted(text)}: {problem}")
    fraction = re.match(r"[.,](\d+)", rest, re.ASCII)
    rest = rest[fraction.end() :] if fraction else rest
    if rest:
        raise ValueError(f"parsing time {quoted(text)}: extra text: {quoted(rest)}")
    try:
        moment = datetime(*found.values())  # type: ignore[arg-type]
    except ValueError:
        raise ValueError(f"parsing time {quoted(text)}: day out of range") from None
    return moment + timedelta(microseconds=int((fraction[1] if fraction else "0")[:6].ljust(6, "0")))


def _range_problem(element: str, value: int) -> str:
    name, low, high = _RANGES.get(element, ("", 0, value))
    return "" if low <= value <= high else f"{name} out of range"


def _in_zone(moment: datetime, zone: tzinfo) -> datetime:
    """Local time as Go takes it: of two that an hour has in autumn the later offset's, in a gap the offset before it.

    Go guesses with the offset of the moment taken as UTC and, when that is of another period, with that one's.
    """
    as_utc = moment.replace(tzinfo=UTC)
    guess = _offset(as_utc, zone)
    other = _offset(as_utc - guess, zone)
    return as_utc - (guess if other == guess else other)


def _offset(moment: datetime, zone: tzinfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()
