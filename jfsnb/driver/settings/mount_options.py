"""Mount options: where they come from, how config.yaml's are laid over them, what is refused (reference §2.5, §4.2)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from jfsnb.driver.golang.sizes import parse_bytes, parse_percentage
from jfsnb.driver.settings.errors import SettingsError
from jfsnb.driver.settings.quantity import Quantity

BUFFER_SIZE = "buffer-size"
_MEBI = 1024 * 1024


def option_key(option: str) -> str:
    """``subdir`` of ``subdir=/a``."""
    return option.partition("=")[0]


def requested(context: Mapping[str, str], flags: Iterable[str], read_only: bool) -> list[str]:
    """volumeAttributes.mountOptions, then ``ro``, then the PV's mountOptions, as they are written (§4.2 step 4).

    Args:
        context: volumeAttributes. flags: ``mountOptions`` of the PV. read_only: of the publish call.
    """
    own = context["mountOptions"].split(",") if "mountOptions" in context else []
    return [*own, *(["ro"] if read_only else []), *flags]


def merged(patch: Iterable[str], options: Iterable[str], memory: str) -> list[str]:
    """config.yaml's options first, then those whose key it does not have; a buffer-size is lowered to the memory limit.

    Args:
        patch: ``mountOptions`` of the merged patch. memory: the limit, a quantity; "" when there is none.
    """
    first = list(patch)
    keys = {option_key(o) for o in first}
    kept = [*first, *(o for o in options if option_key(o) not in keys)]
    return [o for o in (capped(o, memory) for o in kept) if o]


def capped(option: str, memory: str) -> str:
    """A buffer-size above the memory limit is lowered to it; ``%`` is of the limit; nonsense is dropped (empty).

    Args:
        option: one mount option; others come back as they are.
        memory: quantity; "" when there is no limit.
    """
    key, separator, value = option.partition("=")
    limit = _limit(memory)
    if key != BUFFER_SIZE or not separator or "=" in value or limit <= 0:
        return option
    try:
        if value.strip().endswith("%"):
            size = math.ceil(limit * min(parse_percentage(value), 100.0) / 100)
            return f"{BUFFER_SIZE}={(size + _MEBI - 1) // _MEBI}"
        return option if parse_bytes(value) <= limit else f"{BUFFER_SIZE}={limit // _MEBI}"
    except ValueError:
        return ""


def checked(options: Iterable[str], memory: str) -> list[str]:
    """Options without blanks around their parts.

    Args:
        memory: the memory limit, a quantity; "" when there is none.

    Raises:
        SettingsError: more than one equal sign, or a buffer-size that is no size or above the memory limit.
    """
    return [_checked(option.strip(), memory) for option in options]


def _checked(option: str, memory: str) -> str:
    parts = option.split("=")
    if len(parts) > 2:
        raise SettingsError(f"invalid mount option: {option}")
    if len(parts) < 2:
        return option
    trimmed, limit = "=".join(p.strip() for p in parts), _limit(memory)
    if parts[0] == BUFFER_SIZE and limit > 0:
        try:
            size = parse_bytes(parts[1])
        except ValueError:
            raise SettingsError(f"invalid mount option: {trimmed}") from None
        if size > limit:
            text = f"buffer-size {parts[1]} MiB is greater than pod memory limit {Quantity.of(memory)}"
            raise SettingsError(text)
    return trimmed


def _limit(memory: str) -> int:
    return Quantity.of(memory).value if memory else 0


def memory_limit(resources: Mapping[str, Any] | None) -> str:
    """The memory limit among ResourceRequirements; empty when there is none."""
    return str(((resources or {}).get("limits") or {}).get("memory") or "")
