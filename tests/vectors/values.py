"""Values: masking, durations, stamps, quantities, sizes, options, resources, the init line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from jfsnb.driver.golang import duration, sizes, stamps
from jfsnb.driver.settings.quantity import Quantity
from tests.vectors.comparing import NoCounterpart, Refused


def answer(given: Mapping[str, Any]) -> Any:
    """One question of the family, in the driver's shape."""
    function = FUNCTIONS.get(given["function"])
    if function is None:
        raise NoCounterpart(given["function"])
    try:
        return function(given)
    except ValueError as error:
        raise Refused(str(error)) from error


def _stamp(given: Mapping[str, Any]) -> str:
    moment = stamps.parse_stamp(given["text"], ZoneInfo(given["tz"]))
    fraction = f".{moment.microsecond:06d}".rstrip("0").rstrip(".")
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + fraction + "Z"


def _quantity(given: Mapping[str, Any]) -> dict[str, Any]:
    found = Quantity.of(given["text"])
    return {"canonical": str(found), "value": found.value, "milli": found.milli}


FUNCTIONS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "duration": lambda given: duration.nanoseconds(given["text"]),
    "stamp": _stamp,
    "quantity": _quantity,
    "bytes": lambda given: sizes.parse_bytes(given["text"]),
    "percent": lambda given: sizes.parse_percentage(given["text"]),
}
