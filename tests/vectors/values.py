"""Values: masking, durations, stamps, quantities, sizes, options, resources, the init line."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from jfsnb.driver import masking
from jfsnb.driver.golang import duration, sizes, stamps
from jfsnb.driver.mountpods.mount_path import DriverPanics
from jfsnb.driver.settings import format_command, mount_options
from jfsnb.driver.settings.attr import pod_resources
from jfsnb.driver.settings.quantity import Quantity
from jfsnb.errors import ConfigInvalid
from tests.vectors.comparing import NoCounterpart, Refused


def answer(given: Mapping[str, Any]) -> Any:
    """One question of the family, in the driver's shape."""
    function = FUNCTIONS.get(given["function"])
    if function is None:
        raise NoCounterpart(given["function"])
    try:
        return function(given)
    except DriverPanics as error:
        raise Refused(f"panic: {error}") from error
    except (ValueError, ConfigInvalid) as error:
        raise Refused(getattr(error, "what", str(error))) from error


def _stamp(given: Mapping[str, Any]) -> str:
    moment = stamps.parse_stamp(given["text"], ZoneInfo(given["tz"]))
    fraction = f".{moment.microsecond:06d}".rstrip("0").rstrip(".")
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + fraction + "Z"


def _quantity(given: Mapping[str, Any]) -> dict[str, Any]:
    found = Quantity.of(given["text"])
    return {"canonical": str(found), "value": found.value, "milli": found.milli}


def _resources(given: Mapping[str, Any]) -> Any:
    keys = {f"{what}{kind.title()}": f"juicefs/mount-{what}-{kind}" for what in WHAT for kind in ("limit", "request")}
    return pod_resources({keys[key]: text for key, text in given["map"].items()})


def _format_options(given: Mapping[str, Any]) -> Any:
    parsed = format_command.parse_format_options(given["text"])
    return {"parsed": [list(pair) for pair in parsed], "words": format_command.format_words(parsed)}


def _format_command(given: Mapping[str, Any]) -> Any:
    secret = given["secret"]
    return format_command.init_command(secret, given.get("ce", False), secret.get("format-options", ""))


def _safe_settings(given: Mapping[str, Any]) -> Any:
    return masking.safe_settings(json.loads(given["text"]))


WHAT = ("cpu", "memory")
FUNCTIONS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "duration": lambda given: duration.nanoseconds(given["text"]),
    "stamp": _stamp,
    "quantity": _quantity,
    "bytes": lambda given: sizes.parse_bytes(given["text"]),
    "percent": lambda given: sizes.parse_percentage(given["text"]),
    "buffersize": lambda given: mount_options.capped(given["text"], given.get("memory", "")),
    "checkoptions": lambda given: mount_options.checked(given.get("texts") or (), given.get("memory", "")),
    "resources": _resources,
    "formatoptions": _format_options,
    "formatcommand": _format_command,
    "stripuri": lambda given: masking.strip_password(given["text"]),
    "stripsecret": lambda given: masking.strip_secret(given["map"]),
    "safesettings": _safe_settings,
    "cleantext": lambda given: masking.clean_text(given["text"]),
}
