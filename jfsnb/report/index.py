"""outputs/index.html: all runs of the folder, how verdicts and durations went, and which images were tested."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from jfsnb.checks.model import Verdict, overall
from jfsnb.report.page import page, where_of
from jfsnb.report.record import SCHEMA_VERSION
from jfsnb.run.state import load
from jfsnb.views import html, results
from jfsnb.views.trends import bars, sparkline

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


def open_runs(outputs: Path) -> list[dict[str, Any]]:
    """Runs that left results but no run.json, the latest first: columns run_id, verdict, parts, last, sentence.

    JupyterLab leaves such: there nobody can tell when a run is over.
    """
    found = []
    for folder in sorted({path.parents[1] for path in outputs.glob("*/results/*.json")}, reverse=True):
        if (folder / "run.json").exists():
            continue
        try:
            parts = load(folder)
        except (OSError, ValueError):
            continue
        verdicts = [Verdict(check["verdict"]) for part in parts for check in part["checks"]]
        sentences = [part["data"]["sentence"] for part in parts if part["part"] == "verdict"]
        found.append(
            {
                "run_id": folder.name,
                "verdict": str(overall(verdicts)) if verdicts else str(Verdict.NOT_READY),
                "parts": len(parts),
                "last": parts[-1]["title"] if parts else "",
                "sentence": sentences[-1] if sentences else "",
            }
        )
    return found


def by_image(runs: Sequence[Mapping[str, Any]], outputs: Path) -> list[dict[str, Any]]:
    """One row per image under test, the latest first: columns image, client, runs, passed, verdict, last, seconds.

    Args:
        runs: the latest first.
    """
    rows: dict[str, dict[str, Any]] = {}
    for run in runs:
        image = run["settings"]["image"] or "–"
        row = rows.setdefault(
            image,
            {
                "image": image,
                "client": _client(outputs / run["run_id"]),
                "runs": 0,
                "passed": 0,
                "verdict": run["verdict"],
                "last": run["started"][:16].replace("T", " "),
                "seconds": [],
            },
        )
        row["runs"] += 1
        row["passed"] += run["verdict"] == "PASS"
        row["client"] = row["client"] or _client(outputs / run["run_id"])
        row["seconds"].insert(0, float(run["seconds"]))
    return list(rows.values())


def _client(folder: Path) -> str:
    """The client that a run found running; empty when it did not get so far."""
    try:
        levels = next((part["data"]["levels"] for part in load(folder) if part["part"] == "client"), ())
    except (OSError, ValueError, KeyError):
        return ""
    return results.short_version(results.running_client(levels))


def index_html(runs: Sequence[Mapping[str, Any]], outputs: Path, version: str) -> str:
    """The page's text."""
    shown = [
        {
            **run,
            "chip": _chip(run),
            "image": run["settings"]["image"] or "–",
            "where": where_of(run),
            "has_report": (outputs / run["run_id"] / "report.html").exists(),
        }
        for run in runs
    ]
    images = [{**row, "chip": _chip(row), "line": Markup(sparkline(row["seconds"]))} for row in by_image(runs, outputs)]
    unfinished = [{**run, "chip": _chip(run)} for run in open_runs(outputs)]
    trend = Markup(bars(list(reversed(runs))[-MOST_BARS:]))
    return page("index.html", runs=shown, images=images, open_runs=unfinished, trend=trend, version=version)


def _chip(row: Mapping[str, Any]) -> Markup:
    return Markup(html.chip(row["verdict"]))


def write_index(outputs: Path, version: str) -> Path:
    """Write index.html anew; returns its path."""
    path = outputs / "index.html"
    path.write_text(index_html(read_runs(outputs), outputs, version), encoding="utf-8")
    return path
