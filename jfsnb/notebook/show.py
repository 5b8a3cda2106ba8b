"""Pictures for a notebook cell: each call reads what the run has found so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jfsnb.i18n import say
from jfsnb.views import diagrams, html, results
from jfsnb.views.bars import bars as draw_bars
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
    return Shown(diagrams.csi_calls(), say("the order of CSI calls (a picture)"))


def trace(run: Any) -> Shown:
    """The CSI calls that really were made for this run's smoke Pods, read from the driver's own log."""
    from jfsnb.notebook.trace import calls

    rows = calls(run)
    columns = ("at", "caller", "method", "about", "answer", "milliseconds")
    if not rows:
        told = say("The driver's log tells no call of this run (the real driver logs only some of them).")
        return Shown(html.note(html.escape(told)), told)
    table = html.folded("the same as a table", html.table(rows, columns, "CSI calls of this run"))
    return Shown(diagrams.trace(rows) + table, "\n".join(f"{row['at']} {row['method']}" for row in rows))


def smoke_pod(run: Any) -> Shown:
    """The smoke Pod line by line, as this run has made it."""
    import yaml

    from jfsnb.notebook.annotated import lines

    part = _parts(run).get("baseline") or _parts(run).get("smoke")
    if part is None or not part["data"]["manifest"]:
        told = say("Nothing to show yet: no smoke Pod was deployed.")
        return Shown(html.note(html.escape(told)), told)
    rows = lines(yaml.safe_load(part["data"]["manifest"]))
    return Shown(html.table(rows, caption="the smoke Pod, line by line"), say("the smoke Pod, line by line (a table)"))


def serving(run: Any) -> Shown:
    """Who serves whom in this run."""
    picture = results.serving(_parts(run))
    nothing = html.note(html.escape(say("Nothing to show yet: no smoke Pod was deployed.")))
    return Shown(picture or nothing, say("who serves whom (a picture)"))


def bars(groups: Any, title: str) -> Shown:
    """The numbers of a DataFrame's groups as bars, for example of ``frame.groupby("image").size()``.

    Args:
        groups: a Series of numbers.
    """
    values = [(", ".join(map(str, key)) if isinstance(key, tuple) else str(key), float(n)) for key, n in groups.items()]
    nothing = html.note(html.escape(say("Nothing to show yet.")))
    return Shown(draw_bars(values, title) or nothing, "\n".join(f"{label}: {n:g}" for label, n in values) or title)


def timeline(run: Any) -> Shown:
    """Where the time of this run went so far."""
    stretches = [
        Stretch(part["step"], entry["what"], entry["started"], entry["seconds"], entry["kind"] == "waited for")
        for part in _parts(run).values()
        for entry in part["timeline"]
    ]
    nothing = html.note(html.escape(say("Nothing was measured yet.")))
    return Shown(draw_timeline(stretches) or nothing, say("timeline (a picture)"))


def _parts(run: Any) -> dict[str, Any]:
    from jfsnb.run.state import load

    return {part["part"]: part for part in load(run.folder)}
