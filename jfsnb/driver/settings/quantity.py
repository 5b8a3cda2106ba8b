"""Kubernetes quantities (``500m``, ``1Gi``, ``1e3``) as apimachinery reads, rounds and writes them.

One module for the tool and the sandbox. Own code because the official client's ``parse_quantity`` gives a number and
cannot write one back. Vectors: values/quantity, config/quantity.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

NOT_A_QUANTITY = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
DECIMAL_SI, BINARY_SI, EXPONENT = "DecimalSI", "BinarySI", "DecimalExponent"
_DECIMAL = {-9: "n", -6: "u", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P", 18: "E"}
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_EXPONENT = re.compile(r"[eE]([+-]?[0-9]+)\Z")
#: Zeros in front are no digits of the number; a number of zeros only is 0 and its suffix is not looked at.
_FORM = re.compile(
    r"[+-]?0*(?:(?P<zero>\Z)|(?P<num>[0-9]*)(?:\.(?P<denom>[0-9]*))?(?P<suffix>[eEinumkKMGTP]*[+-]?[0-9]*)\Z)"
)
_MOST = (1 << 63) - 1
_NANO = -9
_FAST_DIGITS = 18


@dataclass(frozen=True)
class Quantity:
    """A number with the way in which it likes to be written.

    Args:
        digits, scale: the number is ``digits × 10**scale``.
        form: DECIMAL_SI, BINARY_SI or EXPONENT.
        small: it fits into 64 bits, so that Go rounds it away from zero and takes 0 for what overflows.
        kept: the text as it was given, where Go keeps it; empty when it is written anew.
    """

    digits: int
    scale: int = 0
    form: str = DECIMAL_SI
    small: bool = True
    kept: str = ""

    @classmethod
    def of(cls, text: str) -> Quantity:
        """Read a quantity.

        Raises:
            ValueError: not a quantity; the text is apimachinery's.
        """
        return _parsed(text)

    @property
    def number(self) -> Decimal:
        """The exact number."""
        return Decimal((int(self.digits < 0), tuple(map(int, str(abs(self.digits)))), self.scale))

    @property
    def value(self) -> int:
        """Rounded up to a whole number, in 64 bits."""
        return self._scaled(0)

    @property
    def milli(self) -> int:
        """Thousandths, rounded up, in 64 bits."""
        return self._scaled(-3)

    def _scaled(self, scale: int) -> int:
        shift = self.scale - scale
        if self.small and shift >= 0:
            result = self.digits * 10 ** min(shift, 19) if self.digits else 0
            return result if -_MOST - 1 <= result <= _MOST else 0
        if self.small:
            return _away_from_zero(self.digits, -shift)
        if shift >= 0:
            return _int64(_int64(self.digits) * (10**shift if shift < 19 else -_MOST - 1))
        whole, rest = divmod(self.digits, 10**-shift)
        if self.digits < _MOST and -shift < 19:  # Go divides towards zero here, and adds one even below it
            whole = whole + 1 if self.digits < 0 and rest else whole
        return _int64(whole + (1 if rest else 0))

    def __str__(self) -> str:
        """As it is written into JSON: no fraction, the largest suffix of its kind."""
        if self.kept or not self.digits:
            return self.kept or "0"
        if self.form == BINARY_SI and self._is_whole and abs(self._whole) >= 1024:
            return _binary(self._whole)
        return self._decimal()

    @property
    def _whole(self) -> int:
        return self.digits * int(10**self.scale) if self.scale >= 0 else self.digits // int(10**-self.scale)

    @property
    def _is_whole(self) -> bool:
        return self.scale >= 0 or self.digits % 10**-self.scale == 0

    def _decimal(self) -> str:
        digits, exponent = self.digits, self.scale
        while digits % 10 == 0:
            digits, exponent = digits // 10, exponent + 1
        digits, exponent = digits * 10 ** (exponent % 3), exponent - exponent % 3
        if self.form == EXPONENT:
            return f"{digits}e{exponent}" if exponent else str(digits)
        return f"{digits}{_DECIMAL.get(exponent, '')}"


def _away_from_zero(digits: int, places: int) -> int:
    whole, rest = divmod(abs(digits), int(10**places))
    return (whole + (1 if rest else 0)) * (-1 if digits < 0 else 1)


def _int64(number: int) -> int:
    """The low 64 bits, as Go's conversions leave them."""
    return (number + _MOST + 1) % (1 << 64) - _MOST - 1


def _binary(number: int) -> str:
    steps = 0
    while abs(number) >= 1024 and number % 1024 == 0 and steps < len(_BINARY) - 1:
        number, steps = number // 1024, steps + 1
    return f"{number}{_BINARY[steps]}"


@lru_cache(4096)
def _parsed(text: str) -> Quantity:
    match = _FORM.match(text) if text else None
    if match is None:
        raise ValueError(NOT_A_QUANTITY)
    if match["zero"] is not None:
        return Quantity(0, kept="0" if text == "0" else "")
    num, denom, suffix = match["num"] or "0", match["denom"] or "", match["suffix"]
    power, form = _power(suffix)
    sign = -1 if text[0] == "-" else 1
    if form == BINARY_SI:
        room = 15 - len(num) - int(power * 3 / 10) - 1 if not denom else -1
        factor, scale = 1 << power, -len(denom)
    else:
        room, factor, scale = _FAST_DIGITS - len(num + denom), 1, power - len(denom)
    digits = int(num + denom)
    if room >= 0 and scale >= _NANO and digits * factor <= _MOST:
        is_kept = (
            (power % 10 == 0 and digits & 7 != 0)
            if form == BINARY_SI
            else scale % 3 == 0 and not (num + denom).endswith("000") and (num + denom)[0] != "0"
        )
        return Quantity(sign * digits * factor, scale, form, kept=text if is_kept else "")
    return _rounded(sign, digits * factor, scale, form)


def _power(suffix: str) -> tuple[int, str]:
    if suffix in _BINARY[1:]:
        return _BINARY.index(suffix) * 10, BINARY_SI
    power = next((p for p, s in _DECIMAL.items() if s == suffix), None)
    if power is not None:
        return power, DECIMAL_SI
    exponent = _EXPONENT.match(suffix)
    if exponent is None or abs(int(exponent[1])) > 10_000:  # Go would count with numbers of that many digits
        raise ValueError("unable to parse quantity's suffix")
    return int(exponent[1]), EXPONENT


def _rounded(sign: int, digits: int, scale: int, form: str) -> Quantity:
    """A number that does not fit into 64 bits: nothing below a billionth, and binary ones end at 2**63 - 1."""
    if scale < _NANO:
        digits, scale = _away_from_zero(digits, _NANO - scale), _NANO
    if form == BINARY_SI and digits > _MOST * 10**-scale:
        digits, scale = _MOST, 0
    if form == BINARY_SI and 0 < digits < 10**-scale:
        form = DECIMAL_SI
    return Quantity(sign * digits, scale, form, small=False)


def parse(text: str) -> Decimal:
    """The number that a quantity stands for.

    Raises:
        ValueError: not a quantity.
    """
    return Quantity.of(text).number


def canonical(text: str) -> str:
    """A quantity as the API server and the driver write it.

    Raises:
        ValueError: not a quantity.
    """
    return str(Quantity.of(text))


def value_of(text: str) -> Decimal | None:
    """The number that a quantity stands for; None for something that is no quantity."""
    try:
        return Quantity.of(text).number
    except ValueError:
        return None
