"""Failure drills: states that JuiceFS clusters get into (what users ask about), made on purpose in a sandbox.

A scenario is data (catalogue/*.yaml): steps that lead into it, what one should observe, and which diagnosis names it.
The steps go through the API, as anybody's would; drill.py takes them, and undoes them.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from jfsnb.errors import UsageError

CATALOGUE = Path(__file__).parent / "catalogue"
Step = Mapping[str, Any]


@dataclass(frozen=True)
class Scenario:
    """A state of trouble.

    Args:
        name: of its file.
        title: the trouble in one line.
        does: what ``break`` does.
        observe: what one should see, and how.
        codes: of the checks that name it; empty where silence is right.
        ask: who names it: ``doctor``, or ``verify POD [IMAGE]``.
        steps: that lead there; each is one verb of verbs.py with its value.
        needs: ``limits`` where memory limits of containers must hold.
    """

    name: str
    title: str
    does: str
    observe: str
    codes: tuple[str, ...]
    ask: str
    steps: Sequence[Step]
    needs: str = ""


@cache
def scenarios() -> tuple[Scenario, ...]:
    """All of them, by name."""
    return tuple(_read(file) for file in sorted(CATALOGUE.glob("*.yaml")))


def find(name: str) -> Scenario:
    """The scenario of that name.

    Raises:
        UsageError: there is none.
    """
    for scenario in scenarios():
        if scenario.name == name:
            return scenario
    near = difflib.get_close_matches(name, [s.name for s in scenarios()], 1)
    hint = f"did you mean {near[0]!r}?" if near else "jfsnb sandbox scenarios lists them"
    raise UsageError(f"there is no scenario {name!r}", hint)


def _read(file: Path) -> Scenario:
    raw = yaml.safe_load(file.read_text(encoding="utf-8"))
    codes = tuple(raw["codes"])
    words = {key: " ".join(raw[key].split()) for key in ("title", "does", "observe")}
    words |= {"ask": raw.get("ask", "doctor"), "needs": raw.get("needs", "")}
    return Scenario(file.stem, codes=codes, steps=tuple(raw["steps"]), **words)
