"""Resource quantities: ``100m``, ``10Pi``, ``1e3``."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from functools import lru_cache

SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(10**3),
    **{letter: Decimal(10 ** (3 * power)) for power, letter in enumerate("MGTPE", start=2)},
    **{f"{letter}i": Decimal(1024**power) for power, letter in enumerate("KMGTPE", start=1)},
}


@lru_cache(4096)
def quantity(text: str | int | float) -> Decimal:
    """The number that a quantity stands for (bytes, cores or pieces).

    Raises:
        ValueError: it is not a quantity.
    """
    value = str(text).strip()
    for length in (2, 1):
        factor = SUFFIXES.get(value[-length:])
        if factor is not None:
            return _number(value[:-length], value) * factor
    return _number(value, value)


def _number(digits: str, whole: str) -> Decimal:
    try:
        return Decimal(digits)
    except InvalidOperation:
        raise ValueError(f"not a quantity: {whole!r}") from None
