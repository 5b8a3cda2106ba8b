"""Pictures for a notebook cell: each call reads what the run has found so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jfsnb.views import diagrams, results
from jfsnb.views.timeline import Stretch
from jfsnb.views.timeline import timeline as draw_timeline


@dataclass(frozen=True)
class Shown:
    """Something to look at: HTML, and the same in words where there is no HTML."""

    markup: str
    words: str

    def _repr_html_(self) -> str:
        return self.markup

    def __repr__(self) -> str:
        return self.words


def csi_calls() -> Shown:
    """The order of CSI calls, from a new app Pod to its end."""
    return Shown(diagrams.csi_calls(), "the order of CSI calls (a picture)")


def serving(run: Any) -> Shown:
    """Who serves whom in this run."""
    picture = results.serving(_parts(run))
    return Shown(picture or "<p>Nothing to show yet: no smoke Pod was deployed.</p>", "who serves whom (a picture)")


def timeline(run: Any) -> Shown:
    """Where the time of this run went so far."""
    stretches = [
        Stretch(part["step"], entry["what"], entry["started"], entry["seconds"], entry["kind"] == "waited for")
        for part in _parts(run).values()
        for entry in part["timeline"]
    ]
    return Shown(draw_timeline(stretches) or "<p>Nothing was measured yet.</p>", "timeline (a picture)")


def _parts(run: Any) -> dict[str, Any]:
    from jfsnb.steps.run import load

    return {part["part"]: part for part in load(run.folder)}
