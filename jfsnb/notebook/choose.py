"""Forms for people; without a front end the same facts as a table, and no widget is made."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

from jfsnb.driver import names
from jfsnb.errors import JfsnbError
from jfsnb.i18n import say
from jfsnb.notebook import before_after, investigate, session
from jfsnb.notebook.forms import dropdown, form, text
from jfsnb.notebook.session import is_interactive
from jfsnb.notebook.show import Shown
from jfsnb.run.state import Run
from jfsnb.settings import PROFILES, SCOPES, Settings
from jfsnb.views import html

_ANY = "any column"


def parameters(namespace: MutableMapping[str, Any]) -> Any:
    """Choose namespace, claim, image, scope and profile from what the cluster has; the choice becomes the parameters.

    Args:
        namespace: the notebook's ``globals()``; its parameters are written back.
    """
    session.prepare_shell()
    settings = session.settings_of(namespace)
    cluster = session.connect(settings)
    options = _options(cluster, settings)
    if not is_interactive():
        rows = [
            {"parameter": name, "now": getattr(settings, name), "choices": choices} for name, choices in options.items()
        ]
        return Shown(html.table(rows, caption="what could be chosen"), f"{len(rows)} parameters could be chosen")
    free = ("namespace", "pvc", "image")
    controls = {n: dropdown(n, c, getattr(settings, n), free=n in free) for n, c in options.items()}

    def write_back() -> str:
        chosen = {name: str(control.value) for name, control in controls.items()}
        session.settings_of({**namespace, **chosen})
        namespace.update(chosen)
        changed = [(name, value) for name, value in chosen.items() if value != getattr(settings, name)]
        told = say("These are the parameters now; run the next cell with them.")
        return html.note(html.escape(told)) + (html.facts(changed, named=True) if changed else "")

    return form(list(controls.values()), "use these", write_back)


def _options(cluster: Any, settings: Settings) -> dict[str, Sequence[str]]:
    """What the cluster offers for each parameter; empty for what may not be listed."""
    volumes = {
        (claim["namespace"], claim["name"])
        for pv in _listed(cluster, "persistentvolumes")
        if (pv["spec"].get("csi") or {}).get("driver") == names.DRIVER and (claim := pv["spec"].get("claimRef"))
    }
    pods = _listed(cluster, "pods", labels=names.mount_pod_selector())
    images = {container["image"] for pod in pods for container in pod["spec"]["containers"][:1]}
    images |= {cluster.default_image} if cluster.default_image else set()
    spaces = {space for space, _ in volumes} | {settings.namespace}
    return {
        "namespace": sorted(spaces),
        "pvc": sorted(name for space, name in volumes if space == settings.namespace),
        "image": sorted(images),
        "scope": SCOPES,
        "profile": PROFILES,
    }


def _listed(cluster: Any, plural: str, labels: str = "") -> list[dict[str, Any]]:
    """The first page of a collection, which is enough to choose from; nothing where listing is not allowed."""
    try:
        return list(next(iter(cluster.pages(plural, labels=labels)), ()))
    except JfsnbError:
        return []


def pod(at: investigate.AtHand) -> Any:
    """Choose one of the served Pods and see who serves it."""
    if not is_interactive():
        return investigate.list_served(at)
    served = investigate.served_pods(at)
    choice = dropdown("app Pod", served, served[0] if served else "", free=True)
    return form([choice], "who serves it?", lambda: investigate.verify(at, choice.value)._repr_html_())


def claim(run: Run) -> Any:
    """Choose a claim, and see what the edit of the configuration means for its next Mount Pod: before and after."""
    smoke = before_after.smoke_claim(run)
    if not is_interactive():
        shown = before_after.of_claim(run, smoke)
        return Shown(shown, say("before and after (a table)"))
    choice = dropdown("claim", before_after.claims(run), smoke)
    view = form([choice], "before and after", lambda: before_after.of_claim(run, choice.value))
    view.children[-1].value = before_after.of_claim(run, smoke)
    return view


def rows(answer: investigate.Answer) -> Any:
    """A table to filter: rows that hold a word, in any column or in one."""
    if not is_interactive():
        return answer
    found = answer.found.rows
    columns = answer.columns or tuple(found[0]) if found else ()
    word, column = text("only rows with", "a word"), dropdown("in", (_ANY, *columns), _ANY)
    total = len(found)

    def filtered() -> str:
        kept = [row for row in found if _holds(row, word.value, (column.value,) if column.value != _ANY else columns)]
        return html.note(html.escape(say("{} of {} rows", len(kept), total))) + html.table(kept, columns)

    view = form([word, column], "filter", filtered, above=answer.above())
    view.children[-1].value = filtered()
    word.observe(lambda change: view.children[1].children[-1].click(), names="value")
    return view


def _holds(row: Mapping[str, Any], word: str, columns: Sequence[str]) -> bool:
    return any(word.casefold() in html.show(row.get(name), name).casefold() for name in columns)
