"""Intervals of paired ratios, on 24 recorded pairs of a real cluster (1.3.0 against 1.4.1) and on their noise."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from jfsnb.checks.compare.statistics import Block, fewest_blocks, interval

RECORDED = Path(__file__).parents[2] / "recorded" / "bench-ab-24-pairs.txt"


def recorded():
    """Metric → blocks; each number of the file stands for an A B B A block."""
    found = defaultdict(lambda: defaultdict(list))
    for line in RECORDED.read_text().splitlines():
        block, side, _, *values = line.split()
        for value in values:
            name, seconds = value.split("=")
            found[name, block][side].append(float(seconds))
    blocks = defaultdict(list)
    for (name, _), sides in found.items():
        blocks[name].append(Block(tuple(sides["a"]), tuple(sides["b"])))
    return blocks


def test_recorded_pairs_of_two_good_clients_show_no_difference():
    for name, blocks in recorded().items():
        found = interval(blocks, metrics=4)
        assert len(blocks) == 12 and found.low < 1 < found.high, name
    assert interval(recorded()["create"], metrics=4).half_width < 0.06


def test_order_and_drift_drop_out():
    """Whoever comes second in a half is 11 % slower, and the machine gets slower all the time."""
    blocks = [
        Block((1.0 * 1.01**n, 1.11 * 1.01 ** (n + 3)), (1.11 * 1.01 ** (n + 1), 1.0 * 1.01 ** (n + 2)))
        for n in range(12)
    ]
    assert interval(blocks).ratio == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["create", "rename"])
def test_false_alarms_are_as_rare_as_promised_and_a_fifth_is_found(name):
    """With the recorded noise, its sign and order drawn anew, over 400 comparisons of twelve blocks."""
    ratios = np.array([block.log_ratio for block in recorded()[name]])
    noise, draw = ratios - np.median(ratios), np.random.default_rng(7)
    alarms = found = 0
    for _ in range(400):
        drawn = np.exp(draw.choice(noise, 12) * draw.choice([-1, 1], 12))
        same = interval([Block((1, 1), (x, x)) for x in drawn], metrics=6)
        slower = interval([Block((1, 1), (1.2 * x, 1.2 * x)) for x in drawn], metrics=6)
        alarms += not same.low <= 1 <= same.high
        found += slower.low > 1
    assert alarms <= 400 * 0.05 / 6 * 2.5 and found >= 380


def test_too_few_blocks_have_no_bounds():
    few = [Block((1, 1), (2, 2))] * 4
    assert (interval(few).low, interval(few).high) == (0.0, float("inf"))
    enough = fewest_blocks(metrics=1)
    assert interval([Block((1, 1), (2, 2.1))] * enough).low > 1
    assert interval([Block((1, 1), (2, 2.1))] * (enough - 1)).low == 0.0


def test_more_metrics_and_more_looks_are_paid_for():
    blocks = recorded()["rename"]
    widths = [interval(blocks, m, looks).half_width for m, looks in ((1, 1), (6, 1), (6, 3))]
    assert widths == sorted(widths) and widths[0] < widths[2]


def test_many_blocks_are_judged_by_random_subsets():
    blocks = recorded()["create"] * 3
    assert interval(blocks).half_width < interval(blocks[:12]).half_width
