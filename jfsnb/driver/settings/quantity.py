"""Kubernetes quantities in canonical form, as Go writes them into JSON: ``10000m`` is ``10``, ``10240Mi`` is ``10Gi``.

Own code because the official client's ``parse_quantity`` gives a number and cannot write one back.
"""

from __future__ import annotations

import re
from decimal import Decimal

_QUANTITY = re.compile(r"^([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(|[KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)$")
_DECIMAL = {-9: "n", -6: "u", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P", 18: "E"}
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")


def parse(text: str) -> Decimal:
    """The number that a quantity stands for.

    Raises:
        ValueError: not a quantity.
    """
    match = _QUANTITY.match(text.strip())
    if match is None:
        raise ValueError(
            f"quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$': {text!r}"
        )
    number, suffix = Decimal(match[1]), match[2]
    if suffix in _BINARY:
        return number * Decimal(1024 ** _BINARY.index(suffix))
    exponent = next((e for e, s in _DECIMAL.items() if s == suffix), None)
    return number.scaleb(int(suffix[1:]) if exponent is None else exponent)


def canonical(text: str) -> str:
    """A quantity with the largest suffix of its own kind (binary, decimal, exponent) that leaves no fraction.

    Raises:
        ValueError: not a quantity.
    """
    value = parse(text)
    match = _QUANTITY.match(text.strip())
    suffix = match[2] if match else ""
    if value == 0:
        return "0"
    if suffix.endswith("i") and abs(value) >= 1024 and value == value.to_integral_value():
        return _binary(int(value))
    return _decimal(value, with_exponent=suffix[:1] in ("e", "E") and len(suffix) > 1)


def _binary(value: int) -> str:
    steps = 0
    while value % 1024 == 0 and steps < len(_BINARY) - 1:
        value, steps = value // 1024, steps + 1
    return f"{value}{_BINARY[steps]}"


def _decimal(value: Decimal, with_exponent: bool) -> str:
    exponent = 18
    while exponent > -9 and value.scaleb(-exponent) != value.scaleb(-exponent).to_integral_value():
        exponent -= 3
    digits = int(value.scaleb(-exponent).to_integral_value(rounding="ROUND_UP"))
    if with_exponent:
        return f"{digits}e{exponent}" if exponent else str(digits)
    return f"{digits}{_DECIMAL[exponent]}"
