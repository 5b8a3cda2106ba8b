"""Ratios with their intervals: one line a metric, a bar for the interval, a dot for each block, 1.00 in the middle."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from jfsnb.i18n import say
from jfsnb.views.svg import Drawing

LEFT, WIDTH, ROW, TOP = 130.0, 900.0, 34.0, 46.0
#: The scale reaches at least to this ratio, to either side.
LEAST = 1.25


def intervals(metrics: Sequence[Mapping[str, Any]], tolerance: float) -> str:
    """A picture of rows with ``metric, ratio, low, high, outcome, ratios`` (new ÷ old).

    Args:
        tolerance: how much more is acceptable, as a part; drawn as a zone.
    """
    if not metrics:
        return ""
    farthest = max(LEAST, *(_far(row) for row in metrics))
    reach = (WIDTH - LEFT - 210) / 2
    middle = LEFT + reach

    def at(ratio: float) -> float:
        return middle + reach * max(-1.0, min(1.0, math.log(ratio) / math.log(farthest)))

    drawing = Drawing(WIDTH, TOP + ROW * len(metrics) + 34)
    bottom = TOP + ROW * len(metrics)
    drawing.rect(
        at(1 / (1 + tolerance)), TOP - 12, at(1 + tolerance) - at(1 / (1 + tolerance)), bottom - TOP + 12, "zone", 2
    )
    drawing.line(middle, TOP - 12, middle, bottom, "e")
    drawing.text(middle, 24, say("new ÷ old: right of the line the new client needs more"), "k", "middle")
    near = (1 / (1 + tolerance), 1 + tolerance) if at(1 + tolerance) - middle > 36 else ()
    for tick in (1 / farthest, *near, 1.0, farthest):
        drawing.text(at(tick), bottom + 18, f"{tick:.2f}", "k", "middle")
    for number, row in enumerate(metrics):
        y = TOP + ROW * number + ROW / 2 - 6
        drawing.text(12, y + 4, row["metric"], "t", room=LEFT - 20)
        low = row["low"] or 1 / farthest
        drawing.rect(at(low), y - 5, max(at(row["high"] or farthest) - at(low), 2), 10, _kind(row), 3)
        for ratio in row["ratios"]:
            drawing.rect(at(ratio) - 1.5, y - 1.5, 3, 3, "did", 1.5)
        drawing.line(at(row["ratio"]), y - 9, at(row["ratio"]), y + 9, "e")
        drawing.text(WIDTH - 200, y + 4, f"{row['ratio']:.2f}", "m")
        drawing.text(WIDTH - 160, y + 4, say(row["outcome"]), "s", room=150)
    alt = ", ".join(f"{row['metric']} {row['ratio']:.2f}" for row in metrics)
    return drawing.picture(say("Ratios new to old: {}", alt))


def _far(row: Mapping[str, Any]) -> float:
    ends = [value for value in (row["low"], row["high"]) if value]
    return min(4.0, max((max(end, 1 / end) for end in ends), default=LEAST) * 1.05)


def _kind(row: Mapping[str, Any]) -> str:
    if row["low"] and row["low"] > 1:
        return "warn"
    return "hot" if row["high"] and row["high"] < 1 else "box"
