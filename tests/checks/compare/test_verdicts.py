"""What a comparison says."""

import pytest

from jfsnb.checks.codes import Unreadable
from jfsnb.checks.compare.statistics import Interval
from jfsnb.checks.compare.verdicts import (
    SPEED,
    Behaviour,
    Metric,
    Outcome,
    behaves_alike,
    judged,
    outcome_of,
    sides_proven,
)


def ratio(middle, low, high):
    return Interval(middle, low, high, 0.95, 12)


@pytest.mark.parametrize(
    "found,outcome",
    [
        (ratio(1.25, 1.15, 1.35), Outcome.SLOWER),
        (ratio(1.12, 1.04, 1.20), Outcome.WITHIN_TOLERANCE),
        (ratio(0.90, 0.85, 0.95), Outcome.FASTER),
        (ratio(1.01, 0.95, 1.07), Outcome.SAME),
        (ratio(1.10, 0.80, 1.50), Outcome.NOISY),
        (ratio(1.00, 0.0, float("inf")), Outcome.NOISY),
    ],
)
def test_outcomes(found, outcome):
    assert outcome_of(found, 0.1) is outcome


def test_one_slow_metric_is_enough_and_noise_in_a_quiet_one_is_no_pass():
    same, slow, noisy = ratio(1, 0.97, 1.03), ratio(1.3, 1.2, 1.4), ratio(1, 0.5, 2)
    assert judged(SPEED, [Metric("a", same), Metric("b", slow)], 0.1).verdict == "FAIL"
    assert judged(SPEED, [Metric("a", same), Metric("b", noisy)], 0.1).verdict == "NOT_READY"
    told = judged(SPEED, [Metric("a", same), Metric("b", noisy, decides=False)], 0.1)
    assert told.verdict == "PASS" and "3%" in told.reason
    assert judged(SPEED, [Metric("b", noisy, decides=False)], 0.1).verdict == "N/A"
    assert judged(SPEED, [], 0.1).verdict == "ERROR"


def test_a_number_never_comes_without_its_interval():
    evidence = judged(SPEED, [Metric("a", ratio(1.3, 1.2, 1.4))], 0.1).evidence
    assert [e.value for e in evidence] == ["1.30 (1.20 to 1.40): slower, or more"]


@pytest.mark.parametrize(
    "old,new,finding,verdict",
    [
        ("x", "x", "same", "PASS"),
        ("x", "y", "worse", "FAIL"),
        ("y", "x", "better", "WARN"),
        ("y", "z", "differs", "WARN"),
        ("y", "y", "both differ from POSIX", "PASS"),
        ("n/a", "n/a", "same", "ERROR"),
    ],
)
def test_behaviours(old, new, finding, verdict):
    line = Behaviour("rename", "x", old, new)
    assert (line.finding, behaves_alike([line]).verdict) == (finding, verdict)


def test_what_could_not_be_tried_is_no_pass():
    assert behaves_alike(Unreadable("exec refused")).verdict == "ERROR"


def test_sides():
    kept = {"old": ("mp-a (1.3.0)", "mp-a (1.3.0)"), "new": ("mp-b (1.4.2)", "mp-b (1.4.2)")}
    assert sides_proven(kept).verdict == "PASS"
    assert sides_proven({**kept, "new": ("mp-b (1.4.2)", "mp-c (1.4.2)")}).verdict == "FAIL"
    assert sides_proven({**kept, "new": ("mp-b (1.4.2)", Unreadable("gone"))}).verdict == "ERROR"
    assert sides_proven(dict.fromkeys(kept, kept["old"])).verdict == "FAIL"
