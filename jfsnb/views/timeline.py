"""The timeline of a run: what was done and what was waited for, to scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from jfsnb.views.svg import Drawing

ROW = 24


@dataclass(frozen=True)
class Stretch:
    """One bar.

    Args:
        group: what it belongs to, for example the notebook; a new group gets a heading.
        what: its label.
        started: ISO 8601.
        seconds: its length.
        waited: whether it waited for something outside.
    """

    group: str
    what: str
    started: str
    seconds: float
    waited: bool


def timeline(stretches: Sequence[Stretch], title: str = "Where the time went") -> str:
    """A bar per stretch, on one scale, in order; empty for no stretches."""
    if not stretches:
        return ""
    begin = min(_time(s.started) for s in stretches)
    end = max(_time(s.started) + s.seconds for s in stretches)
    span = max(end - begin, 0.001)
    groups = list(dict.fromkeys(s.group for s in stretches))
    drawing = Drawing(980, 92 + ROW * (len(stretches) + len(groups)))
    scale = 560 / span
    drawing.text(20, 30, title, "t")
    _legend(drawing)
    y = 62.0
    for group in groups:
        drawing.text(20, y, group, "t", room=320)
        y += ROW
        for stretch in (s for s in stretches if s.group == group):
            x = 340 + (_time(stretch.started) - begin) * scale
            width = max(stretch.seconds * scale, 2)
            drawing.text(34, y, stretch.what, "s", room=290)
            drawing.line(340, y + 6, 900, y + 6)
            drawing.rect(x, y - 11, width, 14, "wait" if stretch.waited else "did", 3)
            drawing.text(x + width + 6, y, _length(stretch.seconds), "s")
            y += ROW
    drawing.text(340, y + 4, "0 s", "s")
    drawing.text(900, y + 4, f"{span:.1f} s", "s", "end")
    waited = sum(s.seconds for s in stretches if s.waited)
    return drawing.picture(f"{title}: {span:.1f} seconds in all, {waited:.1f} of them waiting for something outside.")


def _legend(drawing: Drawing) -> None:
    drawing.rect(700, 19, 14, 14, "did", 3)
    drawing.text(720, 30, "did something", "s")
    drawing.rect(820, 19, 14, 14, "wait", 3)
    drawing.text(840, 30, "waited for something", "s")


def _length(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 0.1 else f"{seconds * 1000:.0f} ms"


def _time(iso: str) -> float:
    return datetime.fromisoformat(iso).timestamp()
