"""What measurements of two clients say: slower, faster, no difference shown, or too noisy to say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from jfsnb.checks.codes import Unreadable, register, result, unreadable
from jfsnb.checks.compare.statistics import Interval
from jfsnb.checks.model import CheckResult, Evidence, Verdict

SPEED = register(
    "JFS-CMP-001",
    "The new client is as fast as the old one",
    "A workload takes longer with the new client than the tolerance allows, and by its interval that is no chance.",
    "Look at the metrics and their intervals; repeat with more pairs (--pairs), and look what the releases changed.",
)
COST = register(
    "JFS-CMP-002",
    "The new client needs no more processor time and memory",
    "The client's own counters grow more than the tolerance allows for the same work.",
    "Look at the limits of the Mount Pods before the new client gets everybody's work.",
)
BEHAVIOUR = register(
    "JFS-CMP-003",
    "The new client behaves as the old one",
    "A file system call has another outcome with the new client.",
    "Look at the differing lines; where the new one is the wrong one, report it to JuiceFS before rolling out.",
)
SIDES = register(
    "JFS-CMP-004",
    "Both sides were served by the clients that are compared, before and after",
    "A side's Mount Pod was exchanged, restarted or could not be asked while it was measured.",
    "Compare again; see the events of the two Mount Pods.",
)


class Outcome(StrEnum):
    """What an interval says about a metric."""

    SLOWER = "slower, or more"
    WITHIN_TOLERANCE = "more, within the tolerance"
    FASTER = "faster, or less"
    SAME = "no difference shown"
    NOISY = "too noisy to say"


def outcome_of(found: Interval, tolerance: float) -> Outcome:
    """What one interval says.

    Args:
        found: ratio new ÷ old; above 1 the new client needs more.
        tolerance: how much more is acceptable, and how wide an interval without a difference may be: 0.1 is 10 %.
    """
    if found.low > 1 + tolerance:
        return Outcome.SLOWER
    if found.low > 1:
        return Outcome.WITHIN_TOLERANCE
    if found.high < 1:
        return Outcome.FASTER
    return Outcome.SAME if found.half_width <= tolerance else Outcome.NOISY


@dataclass(frozen=True)
class Metric:
    """One judged metric.

    Args:
        name: for example ``rename``.
        interval: of new ÷ old.
        decides: whether too much noise in it is held against the comparison; otherwise it is only told.
    """

    name: str
    interval: Interval
    decides: bool = True


def judged(code: str, metrics: Sequence[Metric], tolerance: float) -> CheckResult:
    """One check over several metrics: FAIL for one that is more beyond the tolerance, NOT_READY where a deciding one is
    too noisy to say."""
    if not metrics:
        return unreadable(code, Unreadable("nothing was measured"))
    outcomes = {metric.name: outcome_of(metric.interval, tolerance) for metric in metrics}
    noisy = [m.name for m in metrics if m.decides and outcomes[m.name] is Outcome.NOISY]
    evidence = [Evidence(m.name, "new ÷ old", told(m.interval, outcomes[m.name])) for m in metrics]
    slower = [m for m in metrics if outcomes[m.name] is Outcome.SLOWER]
    if slower:
        worst = max(slower, key=lambda m: m.interval.ratio)
        return result(code, Verdict.FAIL, f"{worst.name}: {told(worst.interval, Outcome.SLOWER)}", evidence)
    if noisy:
        more = "measure more pairs (--pairs), or on a quieter node"
        return result(code, Verdict.NOT_READY, f"too noisy to say: {', '.join(noisy)}", evidence, more)
    tolerated = [m.name for m in metrics if outcomes[m.name] is Outcome.WITHIN_TOLERANCE]
    if tolerated:
        return result(code, Verdict.PASS, f"more, but within the tolerance: {', '.join(tolerated)}", evidence)
    if set(outcomes.values()) == {Outcome.NOISY}:
        return result(code, Verdict.NA, "told, not judged: all of it is too noisy to say", evidence)
    widest = max(m.interval.half_width for m in metrics if outcomes[m.name] is not Outcome.NOISY)
    return result(code, Verdict.PASS, f"none needs more; a difference of {widest:.0%} would have been seen", evidence)


def told(found: Interval, outcome: Outcome) -> str:
    """``1.12 (1.04 to 1.21): slower``; never a number without its interval."""
    if found.low <= 0:
        return f"{found.ratio:.2f} (too few pairs for an interval): {outcome}"
    return f"{found.ratio:.2f} ({found.low:.2f} to {found.high:.2f}): {outcome}"


@dataclass(frozen=True)
class Behaviour:
    """One line of the POSIX table, on both sides. ``seen`` is ``n/a`` where the app image lacks the tool."""

    name: str
    expected: str
    old: str
    new: str

    @property
    def finding(self) -> str:
        """In a word: ``same``, ``worse``, ``better``, ``differs`` (both wrong, and not alike), ``both differ``."""
        if self.old == self.new:
            return "same" if self.new in (self.expected, "n/a") else "both differ from POSIX"
        if self.new == self.expected:
            return "better"
        return "worse" if self.old == self.expected else "differs"


def behaves_alike(found: Sequence[Behaviour] | Unreadable) -> CheckResult:
    """FAIL where the new client is wrong and the old one right; WARN for any other difference."""
    if isinstance(found, Unreadable):
        return unreadable(BEHAVIOUR, found)
    looked = [b for b in found if (b.old, b.new) != ("n/a", "n/a")]
    differing = [b for b in looked if b.old != b.new]
    evidence = [Evidence(b.name, "old → new", f"{b.old} → {b.new} (expected {b.expected})") for b in differing]
    worse = [b.name for b in differing if b.finding == "worse"]
    if worse:
        return result(BEHAVIOUR, Verdict.FAIL, f"wrong with the new client only: {', '.join(worse)}", evidence)
    if differing:
        names = ", ".join(b.name for b in differing)
        return result(BEHAVIOUR, Verdict.WARN, f"another outcome, though not a worse one: {names}", evidence)
    if not looked:
        return unreadable(BEHAVIOUR, Unreadable("no behaviour was tried"))
    return result(BEHAVIOUR, Verdict.PASS, f"all {len(looked)} behaviours that were tried are the same")


def sides_proven(clients: Mapping[str, tuple[str | Unreadable, str | Unreadable]]) -> CheckResult:
    """Side → what served it before and after: Mount Pod (uid), restarts and the running client, as one text."""
    for side, (before, after) in clients.items():
        for seen in (before, after):
            if isinstance(seen, Unreadable):
                return unreadable(SIDES, Unreadable(f"{side}: {seen.why}"))
        if before != after:
            evidence = [Evidence(side, "served by", f"{before} → {after}")]
            return result(SIDES, Verdict.FAIL, f"{side} was served by {before}, and then by {after}", evidence)
    evidence = [Evidence(side, "served by", str(before)) for side, (before, _) in clients.items()]
    if len({str(before) for before, _ in clients.values()}) < 2:
        return result(SIDES, Verdict.FAIL, "both sides are served by the same Mount Pod", evidence)
    return result(SIDES, Verdict.PASS, "the same Mount Pods and clients, before and after", evidence)
