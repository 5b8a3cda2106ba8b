"""Numbers, percentages and sizes as the driver reads them (vectors: values/percent, values/bytes)."""

from __future__ import annotations

import math
import re

_DECIMAL = re.compile(r"[+-]?(?:[0-9_]+(?:\.[0-9_]*)?|\.[0-9_]+)(?:[eE][+-]?[0-9_]+)?\Z")
_HEXADECIMAL = re.compile(r"[+-]?0[xX](?=[_.]?[0-9a-fA-F])[0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?[pP][+-]?[0-9_]+\Z")
_SPECIAL = re.compile(r"(?:[+-]?inf(?:inity)?|nan)\Z", re.IGNORECASE)
_UNITS = "kmgtpe"
_WORD = 1 << 64


def parse_float(text: str) -> float:
    """A number as ``strconv.ParseFloat`` reads it.

    Raises:
        ValueError: no number; the text is Go's.
    """
    if _SPECIAL.match(text):
        return float(text)
    plain = text.replace("_", "")
    hexadecimal = bool(_HEXADECIMAL.match(text))
    if not _underscores_fit(text) or not (hexadecimal or (_DECIMAL.match(text) and any(map(str.isdigit, plain)))):
        raise ValueError(f'strconv.ParseFloat: parsing "{text}": invalid syntax')
    try:
        value = float.fromhex(plain) if hexadecimal else float(plain)
    except OverflowError:
        value = math.inf
    except ValueError:  # an underscore was all that an exponent had
        raise ValueError(f'strconv.ParseFloat: parsing "{text}": invalid syntax') from None
    if math.isinf(value):
        raise ValueError(f'strconv.ParseFloat: parsing "{text}": value out of range')
    return value


def _underscores_fit(text: str) -> bool:
    """An underscore separates digits, or a base's prefix from them."""
    body = text.lstrip("+-").lower()
    digit = "[0-9a-f]" if body.startswith("0x") else "[0-9]"
    body = re.sub(r"^0x_", "0x0", body)
    return "_" not in re.sub(rf"(?<={digit})_(?={digit})", "", body)


def parse_bytes(text: str) -> int:
    """Bytes of a size: a number and one letter of k, M, G, T, P, E; MiB without one. A negative one wraps, as in Go.

    Raises:
        ValueError: no size; the text is the driver's.
    """
    if not text:
        return 0
    number, unit = (text, "m") if "0" <= text[-1] <= "9" else _split_last_byte(text)
    try:
        value = parse_float(number)
    except ValueError:
        raise ValueError(f"cannot parse {text} to bytes") from None
    if unit.lower() not in _UNITS:
        raise ValueError(f"cannot parse {text} to bytes, invalid unit")
    return _as_uint64(value * 1024 ** (_UNITS.index(unit.lower()) + 1))


def _split_last_byte(text: str) -> tuple[str, str]:
    """The last byte is the unit; half of a letter outside ASCII leaves what is no number."""
    return (text[:-1], text[-1]) if text.isascii() else (text, "?")


def _as_uint64(value: float) -> int:
    """Go's conversion on amd64."""
    if math.isnan(value) or not -(_WORD >> 1) <= value < _WORD:
        return _WORD >> 1
    return int(value) % _WORD


def parse_percentage(text: str) -> float:
    """A number that ends in ``%``; it is not negative.

    Raises:
        ValueError: no percentage; the text is the driver's.
    """
    plain = text.strip()
    if not plain.endswith("%"):
        raise ValueError("percentage must end with %")
    plain = plain.removesuffix("%").strip()
    if not plain:
        raise ValueError("empty percentage")
    value = parse_float(plain)
    if value < 0 or math.isinf(value) or math.isnan(value):
        raise ValueError("percentage must be a non-negative number")
    return value
