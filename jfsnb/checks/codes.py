"""The register of all check codes: what is asked, and what to do when the answer is no.

Codes never change their meaning. ``python -m jfsnb.checks.page`` makes docs/check-codes.md of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from jfsnb.checks.model import CheckResult, Evidence, Verdict


@dataclass(frozen=True)
class Code:
    """One entry of the register.

    Args:
        code: for example ``JFS-IMG-001``.
        title: what is asked, in a few words.
        cause: what is behind it when the answer is no.
        fix: what to do then.
    """

    code: str
    title: str
    cause: str
    fix: str


REGISTER: dict[str, Code] = {}


def register(code: str, title: str, cause: str, fix: str) -> str:
    """Add a code to the register; hands back the code itself.

    Raises:
        ValueError: the code is taken.
    """
    if code in REGISTER:
        raise ValueError(f"{code} is registered twice")
    REGISTER[code] = Code(code, title, cause, fix)
    return code


@dataclass(frozen=True)
class Unreadable:
    """Handed to a check instead of the facts when they could not be read: the check answers ERROR, never PASS.

    Args:
        why: what went wrong, e.g. ``exec in juicefs-x refused (403)``.
    """

    why: str


def result(
    code: str, verdict: Verdict, reason: str, evidence: Iterable[Evidence] = (), next_action: str | None = None
) -> CheckResult:
    """A result with its title from the register, and the register's fix unless all is well or another is given."""
    entry = REGISTER[code]
    fine = verdict in (Verdict.PASS, Verdict.NA)
    action = ("" if fine else entry.fix) if next_action is None else next_action
    return CheckResult(code, entry.title, verdict, reason, action, tuple(evidence))


def unreadable(code: str, facts: Unreadable) -> CheckResult:
    """The answer of a check that could not look."""
    return result(code, Verdict.ERROR, f"could not look: {facts.why}", next_action="Make it readable and look again.")
