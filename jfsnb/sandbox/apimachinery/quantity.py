"""Kubernetes quantities (``500m``, ``1Gi``, ``1e3``): their canonical form, and their value."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

FORM = re.compile(r"([+-]?)(\d+\.?\d*|\.\d+)(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?\d{1,3})?\Z")
BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
BY_POWER = {power: suffix for suffix, power in DECIMAL.items()}


@lru_cache(4096)
def value_of(text: str) -> Decimal | None:
    """The number that a quantity means; None for something that is no quantity."""
    match = FORM.match(text)
    if match is None:
        return None
    sign, digits, suffix = match.group(1), match.group(2), match.group(3) or ""
    number = Decimal(sign + digits)
    if suffix in BINARY[1:]:
        return Decimal(number * 1024 ** BINARY.index(suffix))
    power = DECIMAL[suffix] if suffix in DECIMAL else int(suffix[1:])
    return Decimal(number.scaleb(power))


@lru_cache(4096)
def canonical(text: str) -> str | None:
    """The form in which the API server writes a quantity; None for something that is no quantity.

    No fractional digits, the largest suffix that leaves an integer: ``1000m`` is ``1``, ``1024Mi`` is ``1Gi``.
    """
    value = value_of(text)
    if value is None:
        return None
    if value == 0:
        return "0"
    suffix = (FORM.match(text) or [""] * 4)[3] or ""
    if suffix in BINARY[1:]:
        return _binary(value)
    if suffix[:1] in ("e", "E") and len(suffix) > 1:
        return _exponent(value)
    return _decimal(value)


def _binary(value: Decimal) -> str:
    if value != value.to_integral_value():
        return _decimal(value)
    number, step = int(value), 0
    while number % 1024 == 0 and step < len(BINARY) - 1:
        number, step = number // 1024, step + 1
    return f"{number}{BINARY[step]}"


def _scaled(value: Decimal) -> tuple[int, int]:
    """Mantissa and power of ten (a multiple of three), rounded up to nano."""
    power = -9
    number = int((value * 10**9).to_integral_value(rounding="ROUND_UP"))
    while number % 1000 == 0 and power < 18:
        number, power = number // 1000, power + 3
    return number, power


def _decimal(value: Decimal) -> str:
    number, power = _scaled(value)
    return f"{number}{BY_POWER[power]}"


def _exponent(value: Decimal) -> str:
    number, power = _scaled(value)
    return f"{number}e{power}" if power else str(number)
