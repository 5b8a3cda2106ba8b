"""report.html: one file that answers on its first screen what was proven and what was not; all the rest below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from jfsnb import i18n as words
from jfsnb.report.notebook_html import code_style, render_notebook
from jfsnb.views import html, results
from jfsnb.views.timeline import Stretch, timeline

TEMPLATES = Path(__file__).parent / "templates"


def report_html(run: Mapping[str, Any], parts: Sequence[Mapping[str, Any]], folder: Path) -> str:
    """The report's text.

    Args:
        run: `record.record`.
        parts: of all steps, as they are kept in the run folder.
        folder: of the run; its executed notebooks are folded into the page.
    """
    named = {part["part"]: part for part in parts}
    plan = named.get("plan", {}).get("data", {})
    cast = named.get("who_is_who", {}).get("data", {})
    undone = run["clean_up"]["rows"]
    titles = {book["name"]: book["title"] for book in run["notebooks"]}
    return page(
        "report.html",
        run=run,
        code_style=Markup(code_style()),
        colour=html.VERDICT_COLOURS[run["verdict"]],
        facts=_facts(run, named),
        serving=Markup(results.serving(named)),
        architecture=Markup(results.architecture(cast)) if cast.get("cast") else "",
        checks=_checks(parts, titles),
        diff=Markup(html.diff(plan["diff"])) if plan.get("changed") else "",
        config_map=plan.get("config_map", ""),
        restored="restore" in named and not run["settings"]["keep"],
        timeline=Markup(timeline([_stretch(entry, titles) for entry in run["timeline"]])),
        clean_up=Markup(html.table(undone, caption="what was undone") if undone else ""),
        settings=Markup(html.facts(run["settings"].items(), named=True)),
        versions=Markup(html.facts(run["versions"].items(), named=True)),
        books=[
            {**book, "body": Markup(render_notebook(folder / f"{book['name']}.ipynb"))}
            for book in run["notebooks"]
            if book["started"]
        ],
    )


def page(template: str, **values: Any) -> str:
    """Fill a template; every value is escaped there, except `Markup`."""
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True)
    style = Markup((TEMPLATES / "style.css").read_text(encoding="utf-8"))
    tongue = {"lang": words.TAGS[words.language()], "say": words.say, "translated": words.translated}
    return environment.get_template(template).render(style=style, **tongue, **values)


def _facts(run: Mapping[str, Any], named: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str, bool]]:
    """Name, value, whether it is set in a fixed-width face."""
    cluster, settings = run["cluster"], run["settings"]
    smoke = (named.get("smoke") or named.get("baseline") or {}).get("data", {})
    levels = named.get("client", {}).get("data", {}).get("levels") or []
    return [
        ("image under test", settings["image"] or "not known", True),
        ("client that really ran", html.show(results.running_client(levels)), True),
        ("Mount Pod", html.show(smoke.get("mount_pod")), True),
        ("node", html.show(smoke.get("node")), True),
        ("scope of the patch", settings["scope"], False),
        ("cluster", f"{where_of(run)}, Kubernetes {cluster['server'] or 'not reached'}", False),
    ]


def where_of(run: Mapping[str, Any]) -> str:
    """The cluster in a few words: a context, or the sandbox and its tier."""
    cluster, asked = run["cluster"], run["settings"]["cluster"]
    name = asked if asked == "sandbox" else cluster["context"] or asked
    return f"{name}, tier {cluster['tier']}" if cluster["tier"] else str(name)


def _checks(parts: Sequence[Mapping[str, Any]], titles: Mapping[str, str]) -> list[tuple[str, Markup]]:
    """Per step: its title and the table of its checks."""
    steps = dict.fromkeys(part["step"] for part in parts if part["checks"])
    return [
        (_title(step, titles), Markup(html.checks([c for p in parts if p["step"] == step for c in p["checks"]])))
        for step in steps
    ]


def _title(step: str, titles: Mapping[str, str]) -> str:
    """The notebook's title for a step; both begin with the same number."""
    return next((title for name, title in titles.items() if name[:2] == step[:2]), step)


def _stretch(entry: Mapping[str, Any], titles: Mapping[str, str]) -> Stretch:
    group = _title(entry["step"], titles)
    return Stretch(group, entry["what"], entry["started"], entry["seconds"], entry["kind"] == "waited for")
