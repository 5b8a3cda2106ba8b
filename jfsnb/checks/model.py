"""The vocabulary of every check: six verdicts, evidence, results, and how verdicts add up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """What a check found. Not being able to look (ERROR) is never PASS."""

    PASS = "PASS"
    FAIL = "FAIL"
    WARN = "WARN"
    NOT_READY = "NOT_READY"
    ERROR = "ERROR"
    NA = "N/A"


#: Worst first: the verdict of a set is the first of these that occurs in it.
SEVERITY = (Verdict.FAIL, Verdict.ERROR, Verdict.NOT_READY, Verdict.WARN, Verdict.PASS, Verdict.NA)


@dataclass(frozen=True)
class Evidence:
    """One fact that a check read: which object, which field, which value."""

    object: str
    field: str
    value: str


@dataclass(frozen=True)
class CheckResult:
    """What one check found.

    Args:
        code: stable, for example ``JFS-IMG-001``; documented in docs/check-codes.md.
        title: what was asked, in a few words.
        verdict: one of six.
        reason: what was seen, in one sentence.
        next_action: what to do now; empty when nothing is to be done.
        evidence: the facts that the verdict rests on.
    """

    code: str
    title: str
    verdict: Verdict
    reason: str
    next_action: str = ""
    evidence: tuple[Evidence, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for run.json: the fields above, verdict as its text."""
        return {**asdict(self), "verdict": str(self.verdict), "evidence": [asdict(e) for e in self.evidence]}


def overall(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict of a set: the worst that occurs; an empty set could not be judged (ERROR)."""
    found = set(verdicts)
    if not found:
        return Verdict.ERROR
    return next(v for v in SEVERITY if v in found)
