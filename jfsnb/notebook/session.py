"""Opening the run that a notebook is part of: parameters checked, cluster connected, results shown."""

from __future__ import annotations

import difflib
import importlib
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from jfsnb.errors import JfsnbError, UsageError
from jfsnb.notebook import door
from jfsnb.notebook.show import Shown
from jfsnb.redact import redact
from jfsnb.settings import Settings
from jfsnb.views import html, results
from jfsnb.views.live import Live

_NOT_PARAMETERS = frozenset({"In", "Out"})
#: what the first notebook leaves; without it a folder is no run that could go on
FIRST_RESULTS = Path("results", "01-background.json")
#: in the run folder: what its first notebook was given
PARAMETERS = "parameters.json"
_PLAIN = (str, int, float, bool, list, dict)


def start(namespace: Mapping[str, Any]) -> Any:
    """See `jfsnb.start`.

    Raises:
        UsageError: a parameter that does not exist, or with a value that cannot be used.
        ConnectionFailed, SandboxError: no cluster to work with.
    """
    from jfsnb.run.state import open_run

    shell = prepare_shell()
    settings = settings_of(namespace)
    settings = settings if namespace.get("run_id") else continued(settings)
    cluster = connect(settings)
    live = Live(limit=settings.timeout)
    run = open_run(settings, cluster, live if shell is not None else (lambda told: None))
    _remember(settings)
    _results_show_themselves()
    _follow_cells(shell, live)
    _display(shell, _welcome(run))
    return run


def prepare_shell() -> Any:
    """Make errors short, and put the kernel behind the redactor; returns the shell, None outside IPython."""
    shell = _shell()
    _short_errors(shell)
    door.guard(shell)
    return shell


def continued(settings: Settings, notebook: str | None = None) -> Settings:
    """For a person who opens one notebook after the other: the run that the one before began.

    A new run begins in a headless run, in the first notebook, and after a run that has come to its end.

    Args:
        settings: with a run id that was made.
        notebook: path of the notebook; JupyterLab says it.
    """
    path = os.environ.get("JPY_SESSION_NAME", "") if notebook is None else notebook
    if not (is_interactive() or notebook) or Path(path).name.startswith("01"):
        return settings
    open_runs = [
        folder
        for folder in sorted(settings.outputs.glob("*"))
        if (folder / FIRST_RESULTS).exists() and not (folder / "run.json").exists() and not _ended(folder)
    ]
    if not open_runs:
        return settings
    return replace(settings, **_unless_given(settings, open_runs[-1]), run_id=open_runs[-1].name)


def _remember(settings: Settings) -> None:
    """Keep the parameters for the notebooks that follow, so that what was chosen in one holds in all."""
    from jfsnb.run.state import atomic

    with atomic(settings.folder / PARAMETERS) as sink:
        json.dump(redact(settings.parameters()), sink, indent=1)


def _unless_given(settings: Settings, folder: Path) -> dict[str, Any]:
    """The parameters that a run was begun with, except those that this notebook sets otherwise than by default."""
    try:
        begun = json.loads((folder / PARAMETERS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    given, default = settings.parameters(), Settings().parameters()
    return {name: value for name, value in begun.items() if given.get(name) == default.get(name) and name != "run_id"}


def _ended(folder: Path) -> bool:
    from jfsnb.run.state import load

    return any(part["part"] == "restore" for part in load(folder))


def settings_of(namespace: Mapping[str, Any]) -> Settings:
    """The settings that a notebook's variables make.

    papermill injects what it is given under any name. Without a front end every other plain variable is therefore a
    mistaken parameter; with one, only a name that looks like a parameter's is.
    """
    names = Settings.names()
    headless = not is_interactive()
    for name, value in namespace.items():
        if name in names or name in _NOT_PARAMETERS or name.startswith("_") or not isinstance(value, _PLAIN):
            continue
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.6 if headless else 0.8)
        if near or headless:
            hint = f"did you mean {near[0]}?" if near else f"parameters are: {', '.join(names)}"
            raise UsageError(f"there is no parameter {name!r}", hint)
    return Settings.from_mapping({name: namespace[name] for name in names if name in namespace})


def connect(settings: Settings) -> Any:
    """The cluster that the settings name; a sandbox is started (and goes with this process) where there is none."""
    from jfsnb.cluster.connect import connect as connect_to

    if settings.file is not None:
        raise UsageError(
            f"{settings.cluster} can only be asked", "that is what notebook 06 does; here a cluster is needed"
        )
    if not settings.is_sandbox:
        return connect_to(settings)
    from jfsnb.sandbox import lifecycle

    name = os.environ.get("JFSNB_SANDBOX", "default")
    sandbox = lifecycle.ensure(name, owner_pid=os.getpid())
    return connect_to(settings, kubeconfig=str(sandbox.kubeconfig), context=sandbox.context)


def is_interactive() -> bool:
    """Whether somebody sits in front: JupyterLab names its session, a headless run does not, or says so."""
    return "JPY_SESSION_NAME" in os.environ and not os.environ.get("JFSNB_HEADLESS")


def warm_up() -> None:
    """Import what `start` and the steps import."""
    for module in ("background", "build", "patch", "deploy", "verify"):
        importlib.import_module(f"jfsnb.run.{module}")
    importlib.import_module("jfsnb.cluster.connect")
    importlib.import_module("kubernetes.client")
    importlib.import_module("jfsnb.sandbox.lifecycle")


def _shell() -> Any:
    from IPython.core.getipython import get_ipython

    return get_ipython()


def _display(shell: Any, shown: Shown) -> None:
    if shell is not None:
        from IPython import display as untyped

        ipython: Any = untyped
        ipython.display(shown)


def _welcome(run: Any) -> Shown:
    """Effective parameters, where they go, and how real the cluster is."""
    cluster, settings = run.cluster, run.settings
    where = f"sandbox, tier {cluster.tier}: {cluster.tier_reason}" if cluster.tier else f"{cluster.server}"
    place = [
        ("cluster", f"{cluster.context} ({cluster.version})"),
        ("what it is", where),
        ("run folder", _relative(run.folder)),
    ]
    given = [(name, value) for name, value in settings.parameters().items() if name not in ("cluster", "kubeconfig")]
    plain = "\n".join(f"{name}: {html.show(value)}" for name, value in (*place, *given))
    return Shown(html.heading(f"Run {run.id}") + html.facts(place) + html.facts(given, named=True), plain)


def _relative(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd().parent))
    except ValueError:
        return str(path)


def _results_show_themselves() -> None:
    """Give the steps' results their looks; steps themselves know nothing of views."""
    from jfsnb.queries.model import Result
    from jfsnb.views.frames import frames

    looks: dict[str, Any] = {
        "_repr_html_": lambda self: results.render(self.to_dict()),
        "_repr_pretty_": lambda self, printer, cycle: printer.text(results.plain(self.to_dict())),
        "frames": property(lambda self: frames(self.to_dict()["data"])),
    }
    for name, look in looks.items():
        setattr(Result, name, look)


def _follow_cells(shell: Any, live: Live) -> None:
    """Each cell gets a progress display of its own, folded when the cell is done."""
    if shell is None:
        return
    for old in list(shell.events.callbacks["post_run_cell"]):
        if getattr(old, "jfsnb", False):
            shell.events.unregister("post_run_cell", old)

    def close(*_: Any) -> None:
        live.close()

    close.jfsnb = True  # type: ignore[attr-defined]
    shell.events.register("post_run_cell", close)


def _short_errors(shell: Any) -> None:
    """Errors that jfsnb raises on purpose say what happened and what to do; their stack helps nobody."""
    if shell is None:
        return

    def tell(shell: Any, kind: type, error: BaseException, stack: Any, tb_offset: Any = None) -> list[str]:
        lines = [f"{kind.__name__}: {error}"]
        shell._showtraceback(kind, error, lines)
        return lines

    shell.set_custom_exc((JfsnbError,), tell)
