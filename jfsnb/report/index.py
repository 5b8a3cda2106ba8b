"""outputs/index.html: all runs of the folder, and how verdicts and durations went."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from jfsnb.report.page import page, where_of
from jfsnb.report.record import SCHEMA_VERSION
from jfsnb.views import html
from jfsnb.views.svg import Drawing

MOST_BARS = 60


def read_runs(outputs: Path) -> list[dict[str, Any]]:
    """Every run.json below the folder that can be read, the latest first."""
    found = []
    for path in outputs.glob("*/run.json"):
        try:
            run = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if run.get("schema") == SCHEMA_VERSION:
            found.append(run)
    return sorted(found, key=lambda run: run["started"], reverse=True)


def index_html(runs: Sequence[Mapping[str, Any]], outputs: Path, version: str) -> str:
    """The page's text."""
    shown = [
        {
            **run,
            "chip": Markup(html.chip(run["verdict"])),
            "image": run["settings"]["image"] or "–",
            "where": where_of(run),
            "has_report": (outputs / run["run_id"] / "report.html").exists(),
        }
        for run in runs
    ]
    return page("index.html", runs=shown, trend=Markup(trend(list(reversed(runs))[-MOST_BARS:])), version=version)


def write_index(outputs: Path, version: str) -> Path:
    """Write index.html anew; returns its path."""
    path = outputs / "index.html"
    path.write_text(index_html(read_runs(outputs), outputs, version), encoding="utf-8")
    return path


def trend(runs: Sequence[Mapping[str, Any]]) -> str:
    """One bar per run, the oldest first: its height is the duration, its colour (and letter) the verdict."""
    if len(runs) < 2:
        return ""
    drawing = Drawing(980, 190)
    drawing.text(20, 30, "Duration and verdict of the runs, oldest first", "t")
    longest = max(float(run["seconds"]) for run in runs) or 1
    step = min(40.0, 900 / len(runs))
    for number, run in enumerate(runs):
        height = max(100 * run["seconds"] / longest, 4)
        x = 44 + step * number
        colour = html.VERDICT_COLOURS[run["verdict"]]
        drawing.parts.append(
            f'<rect x="{x:.1f}" y="{150 - height:.1f}" width="{step * 0.7:.1f}" height="{height:.1f}" rx="2" '
            f'fill="{colour}"/>'
        )
        drawing.text(x + step * 0.35, 168, run["verdict"][0], "s", "middle")
    drawing.text(36, 56, f"{longest:.0f} s", "s", "end")
    counts = {verdict: sum(r["verdict"] == verdict for r in runs) for verdict in html.VERDICT_COLOURS}
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    return drawing.picture(f"The last {len(runs)} runs: {told}; the longest took {longest:.0f} seconds.")
