"""How much longer the new client takes, from A B B A blocks, with an interval that holds for the run as a whole.

Own code over numpy: scipy (90 MB) has no interval that is exact for ten blocks. A block measures old, new, new, old or
the other way round, so what depends on the order, and a drift of the machine, is the same on both sides and drops out.
The interval is the one of subset means (Hartigan 1969, "typical values"): for n independent blocks whose errors are
symmetric, the true value lies between any two neighbours of the 2^n - 1 sorted means of subsets with the same
probability, 2^-n. Nothing is assumed about the shape of the noise; few blocks give a wide interval, not a wrong one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: All subsets up to this many blocks; more blocks are judged by as many random subsets.
ALL_SUBSETS = 16
SEED = 20240917


@dataclass(frozen=True)
class Block:
    """One workload, measured twice on each side, in an order that favours nobody.

    Args:
        old, new: seconds of the first and second time.
    """

    old: tuple[float, float]
    new: tuple[float, float]

    @property
    def log_ratio(self) -> float:
        """Logarithm of new ÷ old; above 0 the new client takes longer."""
        return float(np.log(self.new).mean() - np.log(self.old).mean())


@dataclass(frozen=True)
class Interval:
    """A ratio new ÷ old of seconds.

    Args:
        ratio: the median over the blocks.
        low, high: the bounds; 0 and infinity where there are too few blocks to say anything.
        confidence: that this and all other intervals of the run are right, together.
        blocks: on how many it rests.
    """

    ratio: float
    low: float
    high: float
    confidence: float
    blocks: int

    @property
    def half_width(self) -> float:
        """How far it reaches to either side, as a part of the ratio."""
        return float(np.sqrt(self.high / self.low)) - 1 if self.low > 0 else float("inf")


def interval(blocks: Sequence[Block], metrics: int = 1, looks: int = 1, confidence: float = 0.95) -> Interval:
    """The ratio of one metric.

    Args:
        metrics: how many are judged in the run. looks: how often one may look before it ends. Both are paid for
            (Bonferroni): with ``confidence`` no interval of the run is wrong at any look.
    """
    ratios = np.array([block.log_ratio for block in blocks])
    means = _subset_means(ratios)
    # a part of the sorted means, the same at both ends, is given up
    left_out = int((1 - confidence) / (metrics * looks) / 2 * (len(means) + 1))
    if left_out < 1:
        return Interval(float(np.exp(np.median(ratios))), 0.0, float("inf"), confidence, len(blocks))
    low, high = means[left_out - 1], means[-left_out]
    middle = float(np.exp(np.median(ratios)))
    return Interval(middle, float(np.exp(low)), float(np.exp(high)), confidence, len(blocks))


def fewest_blocks(metrics: int, looks: int = 1, confidence: float = 0.95) -> int:
    """From how many blocks on an interval has bounds at all."""
    return int(np.ceil(np.log2(2 * metrics * looks / (1 - confidence))))


def _subset_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    count = len(values)
    if count <= ALL_SUBSETS:
        numbers = np.arange(1, 2**count, dtype=np.uint32)
        chosen = (numbers[:, None] >> np.arange(count, dtype=np.uint32)) & 1
    else:
        chosen = np.random.default_rng(SEED).integers(0, 2, (2**ALL_SUBSETS - 1, count))
        chosen = chosen[chosen.any(axis=1)]
    means: NDArray[np.float64] = np.sort(chosen @ values / chosen.sum(axis=1))
    return means
