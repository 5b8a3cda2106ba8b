"""How runs went over time: bars of duration and verdict, and a line small enough for a table cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jfsnb.views.html import VERDICT_COLOURS
from jfsnb.views.svg import Drawing


def bars(runs: Sequence[Mapping[str, Any]]) -> str:
    """One bar per run, the oldest first: its height is the duration, its colour and letter the verdict; below it a
    letter that stands for the image under test. Empty for fewer than two runs.

    Args:
        runs: as in run.json: seconds, verdict, settings.
    """
    if len(runs) < 2:
        return ""
    images = list(dict.fromkeys(str(run["settings"]["image"] or "–") for run in runs))[-6:]
    drawing = Drawing(980, 214 + 20 * len(images))
    drawing.text(20, 30, "Duration and verdict of the runs, oldest first", "t")
    longest = max(float(run["seconds"]) for run in runs) or 1
    step = min(40.0, 880 / len(runs))
    for number, run in enumerate(runs):
        height = max(100 * run["seconds"] / longest, 4)
        x = 70 + step * number
        colour = VERDICT_COLOURS[run["verdict"]]
        drawing.parts.append(
            f'<rect x="{x:.1f}" y="{150 - height:.1f}" width="{step * 0.7:.1f}" height="{height:.1f}" rx="2" '
            f'fill="{colour}"/>'
        )
        drawing.text(x + step * 0.35, 168, run["verdict"][0], "s", "middle")
        image = str(run["settings"]["image"] or "–")
        drawing.text(x + step * 0.35, 186, _letter(images, image), "m", "middle")
    drawing.text(60, 56, f"{longest:.0f} s", "s", "end")
    drawing.text(60, 168, "verdict", "s", "end")
    drawing.text(60, 186, "image", "s", "end")
    for number, image in enumerate(images):
        drawing.text(70, 212 + 20 * number, f"{_letter(images, image)}  {image}", "m", room=880)
    counts = {verdict: sum(run["verdict"] == verdict for run in runs) for verdict in VERDICT_COLOURS}
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    return drawing.picture(f"The last {len(runs)} runs: {told}; the longest took {longest:.0f} seconds.")


def _letter(images: Sequence[str], image: str) -> str:
    return chr(65 + images.index(image)) if image in images else "…"


def sparkline(values: Sequence[float]) -> str:
    """The values as a small line, the last one marked; its words are the first, the last and the extremes."""
    kept = list(values)[-40:]
    drawing = Drawing(140, 28)
    low, high = min(kept), max(kept)
    span, step = (high - low) or 1.0, 124 / max(len(kept) - 1, 1)
    points = [(8 + step * number, 21 - 14 * (value - low) / span) for number, value in enumerate(kept)]
    path = "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    drawing.parts.append(f'<path class="e" d="{path}"/>')
    x, y = points[-1]
    drawing.parts.append(f'<circle class="did" cx="{x:.1f}" cy="{y:.1f}" r="3"/>')
    return drawing.picture(f"{kept[-1]:.1f} seconds the last time, between {low:.1f} and {high:.1f}")
