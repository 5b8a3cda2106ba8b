"""Values in Go's messages: ``%q`` and ``%#v``, the quotes of package time, numbers."""

from __future__ import annotations

import math
import struct
from typing import Any

_SHORT = {"\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v"}


def go_quoted(text: str) -> str:
    """As Go's ``%q`` writes a string: printable characters stay, the others are escaped."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    if char in _SHORT:
        return _SHORT[char]
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def quoted(text: str) -> str:
    """As package time quotes what it could not parse: all but printable ASCII as bytes in hexadecimal."""
    return '"' + "".join(map(_bytes, text)) + '"'


def _bytes(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    if " " <= char < "\x80":
        return char
    return "".join(f"\\x{byte:02x}" for byte in char.encode())


def go_syntax(value: Any) -> str:
    """Plain data of a YAML text as Go's ``%#v`` writes it."""
    if value is None:
        return "interface {}(nil)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return go_quoted(value)
    if isinstance(value, list):
        return "[]interface {}{" + ", ".join(map(go_syntax, value)) + "}"
    if isinstance(value, dict):
        items = (f"{go_syntax(key)}:{go_syntax(item)}" for key, item in value.items())
        return "map[interface {}]interface {}{" + ", ".join(items) + "}"
    return go_number(value) if isinstance(value, float) else str(value)


def go_number(value: float, bits: int = 64) -> str:
    """A number as ``strconv.FormatFloat(value, 'g', -1, bits)`` writes it: the fewest digits that mean the same."""
    if math.isnan(value):
        return "NaN"
    try:
        rounded = struct.unpack("f", struct.pack("f", value))[0] if bits == 32 else value
    except OverflowError:
        rounded = math.copysign(math.inf, value)
    if math.isinf(rounded):
        return "+Inf" if rounded > 0 else "-Inf"
    if rounded == 0:
        return "-0" if math.copysign(1, rounded) < 0 else "0"
    digits, exponent = _shortest(rounded, bits)
    sign = "-" if rounded < 0 else ""
    if exponent < -4 or exponent >= 6:
        point = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{point}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    whole, fraction = digits[: exponent + 1].ljust(exponent + 1, "0"), digits[exponent + 1 :]
    return f"{sign}{whole}{'.' + fraction if fraction else ''}"


def _shortest(value: float, bits: int) -> tuple[str, int]:
    """(digits, exponent) of the shortest decimal number that means this float."""
    for places in range(17):
        text = f"{abs(value):.{places}e}"
        read = float(text)
        if (struct.unpack("f", struct.pack("f", read))[0] if bits == 32 else read) == abs(value):
            break
    mantissa, _, exponent = text.partition("e")
    return mantissa.replace(".", "").rstrip("0") or "0", int(exponent)


def json_number(value: int | float) -> str:
    """A number as Go's JSON encoder writes it."""
    if isinstance(value, int) or value == 0:
        return str(int(value))
    digits, exponent = _shortest(value, 64)
    if -7 < exponent < 21:
        return f"{value:.{max(len(digits) - 1 - exponent, 0)}f}"
    point = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{'-' if value < 0 else ''}{digits[0]}{point}e{'-' if exponent < 0 else '+'}{abs(exponent)}"
