"""Comparing what the project's functions answer with what the driver answered (docs/reference/vectors.md).

A vector is one question to the driver v0.32.4 and its answer: ``{"id", "kind", "in", "out"}``, or ``"error"`` with the
driver's text. A family module has ``answer(given)``, which returns in the driver's shape or raises ``Refused``.
"""

from __future__ import annotations

import gzip
import importlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

DATA = Path(__file__).parent / "data"
AGREE, DIFFER, DELIBERATE, NO_COUNTERPART = "agree", "differ", "deliberate", "no counterpart"
Vector = Mapping[str, Any]
Answer = Callable[[Mapping[str, Any]], Any]


class Refused(Exception):
    """The function refuses the input; the text is the driver's."""


class NoCounterpart(Exception):
    """The project has no function for this question."""


@dataclass(frozen=True)
class Difference:
    """One place in which two answers differ; a value that is absent is ``...``."""

    path: str
    driver: Any
    ours: Any


@dataclass(frozen=True)
class Verdict:
    """How one vector came out.

    Args:
        outcome: AGREE, DIFFER, DELIBERATE or NO_COUNTERPART.
        differences: all places that differ, deliberate ones included.
        reason: why a deliberate difference is one.
    """

    vector: Vector
    outcome: str
    differences: tuple[Difference, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Deliberate:
    """A difference that is meant: a function of a family, the place in its answer, and why."""

    family: str
    function: str
    path: str
    reason: str

    def covers(self, vector: Vector, place: Difference) -> bool:
        return vector["in"]["function"] == self.function and (place.path + ".").startswith(self.path + ".")


@cache
def deliberate(family: str) -> tuple[Deliberate, ...]:
    """The meant differences of a family, from deliberate.yaml."""
    listed = yaml.safe_load((DATA.parent / "deliberate.yaml").read_text(encoding="utf-8")) or []
    return tuple(d for d in (Deliberate(**entry) for entry in listed) if d.family == family)


def read(file: Path) -> Iterator[Vector]:
    """The vectors of a file."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def family_of(file: Path) -> str:
    return file.name.removesuffix(".jsonl.gz")


def answers_of(family: str) -> Answer:
    """``answer`` of a family's module; one that has none has no counterpart to anything."""
    name = f"{__package__}.{family}"
    try:
        found: Answer = importlib.import_module(name).answer
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return _nothing
    return found


def _nothing(given: Mapping[str, Any]) -> Any:
    raise NoCounterpart(given["function"])


def judge(family: str, vector: Vector, answer: Answer) -> Verdict:
    """Ask our function and compare. An exception that is no refusal is a difference like any other."""
    theirs = {"error": vector["error"]} if "error" in vector else {"out": vector["out"]}
    try:
        ours = {"out": json.loads(json.dumps(answer(vector["in"])))}
    except NoCounterpart:
        return Verdict(vector, NO_COUNTERPART)
    except Refused as error:
        ours = {"error": str(error)}
    except Exception as error:  # one vector must not end the whole comparison
        ours = {"error": f"{type(error).__name__}: {error}"}
    found = tuple(differences(theirs, ours))
    if not found:
        return Verdict(vector, AGREE)
    meant = [next((d for d in deliberate(family) if d.covers(vector, place)), None) for place in found]
    reasons = {d.reason for d in meant if d}
    return Verdict(vector, DIFFER if None in meant else DELIBERATE, found, "; ".join(sorted(reasons)))


def differences(theirs: Any, ours: Any, path: str = "") -> Iterator[Difference]:
    """All places in which two values differ; the order of a list counts, ``1`` is not ``True``."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in sorted({*theirs, *ours}):
            yield from differences(theirs.get(key, ...), ours.get(key, ...), f"{path}.{key}" if path else key)
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for number, (one, other) in enumerate(zip(theirs, ours, strict=True)):
            yield from differences(one, other, f"{path}[{number}]")
    elif theirs != ours or isinstance(theirs, bool) != isinstance(ours, bool):
        yield Difference(path, theirs, ours)


def compare(file: Path) -> Iterator[Verdict]:
    """Every vector of a file, judged."""
    family = family_of(file)
    answer = answers_of(family)
    for vector in read(file):
        yield judge(family, vector, answer)
