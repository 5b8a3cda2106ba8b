"""Numbers as bars, for groups of a table."""

from __future__ import annotations

from collections.abc import Sequence

from jfsnb.views.svg import Drawing

ROW, LABELS, BARS, VALUES = 26.0, 330.0, 360.0, 60.0
#: More bars than this are no picture any more.
MOST = 40


def bars(values: Sequence[tuple[str, float]], title: str) -> str:
    """An ``<img>`` with one bar for each (label, value), in their order; empty when there is none."""
    if not values:
        return ""
    shown = values[:MOST]
    greatest = max((value for _, value in shown), default=0) or 1
    drawing = Drawing(LABELS + BARS + VALUES, 46 + ROW * len(shown))
    drawing.text(14, 24, title, "t")
    for number, (label, value) in enumerate(shown):
        y = 38 + ROW * number
        drawing.text(LABELS - 10, y + 15, label, "m", "end", room=LABELS - 24)
        drawing.rect(LABELS, y + 3, max(1.0, BARS * max(0.0, value) / greatest), ROW - 9, "did", 3)
        drawing.text(LABELS + BARS * max(0.0, value) / greatest + 8, y + 15, f"{value:g}", "s")
    return drawing.picture(f"{title}: " + ", ".join(f"{label} {value:g}" for label, value in shown))
