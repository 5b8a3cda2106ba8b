"""Sequence pictures: who turned to whom, in which order, and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jfsnb.views.svg import Drawing

LANES = ("API server", "kubelet", "CSI node", "metadata engine", "Mount Pod", "app Pod")
ROW = 38
#: Pixels that a line of text may take.
ROOM = 860


def csi_sequence(moments: Sequence[Mapping[str, Any]], pod: str) -> str:
    """The calls and deeds that a CSI node Pod's log tells of, one arrow each, with milliseconds since the first.

    Args:
        moments: rows with at, caller, callee, what, seconds, error, answer.
        pod: the CSI node Pod.
    """
    if not moments:
        return ""
    present = {m[key] for m in moments for key in ("caller", "callee")}
    lanes = [lane for lane in (*LANES[:2], "controller", *LANES[2:]) if lane in present]
    columns = {lane: 180 + 700 * number / max(len(lanes) - 1, 1) for number, lane in enumerate(lanes)}
    drawing = Drawing(980, 84 + ROW * len(moments))
    for lane, x in columns.items():
        drawing.rect(x - 66, 14, 132, 30, "hot" if lane == "Mount Pod" else "box")
        drawing.text(x, 34, lane, "t", "middle")
        drawing.line(x, 44, x, drawing.height - 14)
    first = _seconds(moments[0]["at"])
    drawing.text(16, 34, "after", "k")
    for number, moment in enumerate(moments):
        y = 82 + ROW * number
        since = (_seconds(moment["at"]) - first) % 86400
        drawing.text(16, y + 4, f"{since * 1000:.0f} ms" if since < 10 else f"{since:.1f} s", "s")
        _arrow(drawing, columns, moment, y)
    told = "; ".join(f"{m['caller']} to {m['callee']}: {m['what']}" for m in moments)
    return drawing.picture(f"What the log of {pod} tells, in order. {told}.")


def _arrow(drawing: Drawing, columns: Mapping[str, float], moment: Mapping[str, Any], y: float) -> None:
    x1, x2 = columns[moment["caller"]], columns[moment["callee"]]
    drawing.arrow([(x1, y), (x2, y)], "d" if moment["answer"] else "e")
    took = f", {moment['seconds']:.3f} s" if moment["seconds"] is not None else ""
    text = f"{moment['what']}{took}"
    middle, half = (x1 + x2) / 2, min(3.3 * len(text) + 8, ROOM / 2)
    middle = min(max(middle, 96 + half), max(972 - half, 96 + half))
    drawing.text(middle, y - 7, text, "s h", "middle", room=ROOM)


def _seconds(at: str) -> float:
    """Of the day, from ``MM-DD HH:MM:SS.ffffff``."""
    hours, minutes, seconds = at.rpartition(" ")[2].split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
