"""A row of such a table, and how a text is looked up: the first row that matches names the cause."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Symptom:
    """A pattern in a text, what is behind it, and what to do.

    Args:
        code: of the check that it belongs to, where a table serves several.
    """

    pattern: re.Pattern[str]
    cause: str
    fix: str
    code: str = ""


def table(*rows: tuple[str, str, str], code: str = "") -> tuple[Symptom, ...]:
    """Rows of (pattern, cause, fix); case does not count."""
    return tuple(Symptom(re.compile(p, re.IGNORECASE | re.DOTALL), cause, fix, code) for p, cause, fix in rows)


def explain(text: str, rows: Iterable[Symptom]) -> Symptom | None:
    """The first row whose pattern is in the text."""
    return next((s for s in rows if s.pattern.search(text)), None)


#: Levels of the client (``<INFO>:``), of klog (``I1129 …``) and of others.
_NOISE = re.compile(r"<(INFO|DEBUG)>|\b(INFO|DEBUG)\b|^I\d{4} ")


def telling_lines(log: Sequence[str], count: int = 5) -> tuple[str, ...]:
    """The last lines that are more than information."""
    return tuple([line for line in log if line.strip() and not _NOISE.search(line)][-count:])
