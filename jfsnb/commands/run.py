"""`jfsnb run`: the notebooks in order, one run id, one folder; then clean-up, verdict and report, whatever happened."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import platform
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO

import jfsnb
from jfsnb.errors import JfsnbError, UsageError
from jfsnb.i18n import say, translated
from jfsnb.notebook.lessons import NOTEBOOKS, localized
from jfsnb.redact import redact, redact_text
from jfsnb.report.interrupt import Interrupted, interruptible, undisturbed
from jfsnb.report.kernels import Kernels
from jfsnb.report.parameters import declared, typed
from jfsnb.report.progress import Progress, make_progress
from jfsnb.report.record import CleanUp, ClusterFacts, record
from jfsnb.report.runner import CELL_GRACE_SECONDS, NotebookOutcome, not_run, run_notebook, title_of
from jfsnb.settings import Settings

KERNELS_AHEAD = 2
IN_A_RUN = ("01-csi-background", "02-build-image", "03-patch-config", "04-deploy-smoke-pod", "05-verify-mount-pod")
#: While the baseline and the Pod under test both run; then the end of a run.
IN_A_COMPARISON = (*IN_A_RUN[:4], "08-compare-clients", IN_A_RUN[4])


NOTHING_BEGUN = CleanUp(True, "nothing was begun, so nothing had to be undone")


@dataclass(frozen=True)
class Place:
    """Where a run happens.

    Args:
        facts: about the cluster.
        sandbox: name of the sandbox; empty for a real cluster.
        own: whether the sandbox was started for this run, and goes with it.
    """

    facts: ClusterFacts
    sandbox: str = ""
    own: bool = False


@dataclass
class Story:
    """What has happened in a run so far.

    Args:
        place: where it happens.
        outcomes: of the notebooks that were started.
        clean_up: what was done so that nothing stays.
        stopped: what ended it before its time.
        started, clock: its beginning, as a date and on the monotonic clock.
    """

    place: Place
    outcomes: list[NotebookOutcome] = field(default_factory=list)
    clean_up: CleanUp = NOTHING_BEGUN
    stopped: JfsnbError | Interrupted | None = None
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    clock: float = field(default_factory=time.monotonic)

    def times(self) -> tuple[str, str, float]:
        """Begin and end (now), and seconds between them."""
        begin, end = (moment.isoformat(timespec="milliseconds") for moment in (self.started, datetime.now(UTC)))
        return begin, end, round(time.monotonic() - self.clock, 3)


def run(
    values: Mapping[str, Any],
    strict: bool = False,
    out: TextIO | None = None,
    baseline: str = "",
    notebooks: Sequence[str] = IN_A_RUN,
) -> int:
    """Run the notebooks of a run.

    Args:
        values: parameters, as text or typed.
        strict: whether WARN ends with 1.
        out: for progress; stderr when not given.
        baseline: client image that serves everybody in the sandbox; empty: what it has.
        notebooks: which, in order.

    Returns:
        The exit code (see `jfsnb.report.record.exit_code`).

    Raises:
        UsageError: a parameter that cannot be used, or a folder that cannot be written; nothing has been done then.
    """
    with tempfile.TemporaryDirectory(prefix="jfsnb-lessons-") as composed:
        sources = [localized(NOTEBOOKS / f"{name}.ipynb", Path(composed)) for name in notebooks]
        return _run(sources, values, strict, out, baseline)


def _run(sources: Sequence[Path], values: Mapping[str, Any], strict: bool, out: TextIO | None, baseline: str) -> int:
    known = {name: parameter for source in sources for name, parameter in declared(source).items()}
    settings = _absolute(Settings.from_mapping(typed(values, known)))
    if not settings.is_sandbox and not settings.image:
        raise UsageError("no image was given to test", "name the client image under test: --image")
    name = os.environ.get("JFSNB_SANDBOX", "default") if settings.is_sandbox else ""
    _check_baseline(baseline, name)
    _must_be_writable(settings.folder)
    progress = make_progress(out or sys.stderr, [title_of(source) for source in sources])
    progress.say(say("run {}", settings.run_id))
    story = Story(Place(ClusterFacts(context=settings.cluster)))
    with undisturbed():
        _carry_out(sources, settings, _place(settings, progress, name, baseline), progress, story)
        story.outcomes += [not_run(source, "the run ended before") for source in sources[len(story.outcomes) :]]
        return finish(settings, story, strict)


def _carry_out(
    sources: Sequence[Path],
    settings: Settings,
    at: AbstractContextManager[tuple[Place, Kernels]],
    progress: Progress,
    story: Story,
) -> None:
    """Notebooks, then clean-up, whatever happens; the story tells what did."""
    try:
        with interruptible(), at as (story.place, kernels):
            try:
                _notebooks(sources, settings, kernels, progress, story.outcomes)
            except Interrupted as signal:
                story.stopped = signal
                progress.say(f"{signal}: cleaning up")
            except Exception as error:
                story.stopped = _unexpected(error, settings.folder)
            with undisturbed():
                story.clean_up = _clean_up(settings, story)
    except (JfsnbError, Interrupted) as error:
        story.stopped = story.stopped or error
    finally:
        progress.close()


def _unexpected(error: Exception, folder: Path) -> JfsnbError:
    """An error that nobody foresaw must not keep the clean-up from running; its stack goes into the run folder."""
    if isinstance(error, JfsnbError):
        return error
    text = redact_text("".join(traceback.format_exception(error)))
    (folder / "error.txt").write_text(text, encoding="utf-8")
    return JfsnbError(f"{type(error).__name__}: {error}", "a mistake in jfsnb: error.txt in the run folder says where")


def _check_baseline(baseline: str, sandbox: str) -> None:
    """A baseline is chosen when a sandbox starts; one that runs already must have it."""
    if not baseline:
        return
    if not sandbox:
        raise UsageError("--baseline is for the sandbox", "on a cluster the baseline is what its configuration names")
    from jfsnb.sandbox import lifecycle
    from jfsnb.sandbox.images.image import full_name

    running = lifecycle.find(sandbox)
    if running is not None and running.baseline != full_name(baseline):
        raise UsageError(
            f"sandbox {sandbox!r} is running with the baseline {running.baseline}",
            f"stop it first: jfsnb sandbox down --name {sandbox}; the run then brings its own",
        )


def _absolute(settings: Settings) -> Settings:
    """Paths that hold for kernels too, which work in another directory."""
    if "KUBECONFIG" in os.environ:
        paths = os.environ["KUBECONFIG"].split(os.pathsep)
        os.environ["KUBECONFIG"] = os.pathsep.join(str(Path(path).absolute()) for path in paths if path)
    if not settings.kubeconfig:
        return settings
    return replace(settings, kubeconfig=str(Path(settings.kubeconfig).expanduser().absolute()))


def _must_be_writable(folder: Path) -> None:
    try:
        (folder / "results").mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(
            f"cannot write to {folder}: {error.strerror}", "choose another folder: --outputs, or JFSNB_OUTPUTS"
        ) from error


@contextlib.contextmanager
def _place(settings: Settings, progress: Progress, name: str, baseline: str) -> Iterator[tuple[Place, Kernels]]:
    """Connect to the cluster, or to a sandbox: the running one, or one of our own that goes at the end.

    Meanwhile the first kernel starts.
    """
    from jfsnb.cluster.connect import connect
    from jfsnb.sandbox import lifecycle

    sandbox = lifecycle.find(name) if name else None
    own = bool(name) and sandbox is None
    name = f"run-{settings.run_id}" if own else name
    environment = {"JFSNB_HEADLESS": "1", "JFSNB_OUTPUTS": str(settings.outputs), "JFSNB_SANDBOX": name}
    kernels = Kernels(environment, NOTEBOOKS)
    try:
        kernels.prepare()
        if own:
            with _importing("jfsnb.report.engine"):
                sandbox = lifecycle.up(name, owner_pid=os.getpid(), baseline=baseline, tested=settings.image)
        if sandbox is None:
            cluster = connect(settings)
        else:
            progress.say(say("sandbox {}, tier {}: {}", name, sandbox.tier, translated(sandbox.tier_reason)))
            cluster = connect(settings, kubeconfig=str(sandbox.kubeconfig), context=sandbox.context)
        facts = ClusterFacts(cluster.context, cluster.version, cluster.tier, cluster.tier_reason)
        yield Place(facts, name, own), kernels
    finally:
        with undisturbed():
            kernels.close()
            if own:
                lifecycle.down(name)


@contextlib.contextmanager
def _importing(module: str) -> Iterator[None]:
    """Import meanwhile (papermill takes two seconds). The block must import nothing itself: imports that meet in two
    threads see each other half done."""
    thread = threading.Thread(target=importlib.import_module, args=(module,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _notebooks(
    sources: Sequence[Path],
    settings: Settings,
    kernels: Kernels,
    progress: Progress,
    outcomes: list[NotebookOutcome],
) -> None:
    """Run them in order, up to the first that does not pass; outcomes are added as they come."""
    for number, source in enumerate(sources, 1):
        watcher = progress.notebook(number)
        kernel = kernels.take()
        kernels.prepare(min(KERNELS_AHEAD, len(sources) - number))
        outcome = run_notebook(
            source,
            settings.folder / source.name,
            {name: value for name, value in settings.parameters().items() if name in declared(source)},
            kernel,
            CELL_GRACE_SECONDS + 3 * settings.timeout,
            watcher,
        )
        outcomes.append(outcome)
        progress.done(outcome)
        if outcome.verdict != "PASS":
            return


def _clean_up(settings: Settings, story: Story) -> CleanUp:
    """What the notebooks themselves could not undo; a sandbox of our own is taken away whole."""
    if story.place.own:
        return CleanUp(True, "the sandbox was started for this run and was taken away with everything in it")
    passed = [outcome for outcome in story.outcomes if outcome.verdict == "PASS"]
    if settings.keep and story.stopped is None and len(passed) == len(story.outcomes):
        return CleanUp(True, f"kept, as asked; undo it later: jfsnb rollback {settings.run_id}")
    from jfsnb.run.rollback import rollback

    try:
        done = rollback(connected(settings, story.place.sandbox), settings.run_id, settings.outputs)
    except (JfsnbError, OSError) as error:
        return CleanUp(False, f"could not look: {error}")
    sentence = "nothing of the run is left in the cluster" if done.complete else "something of the run is left"
    return CleanUp(done.complete, sentence, tuple(done.rows))


def connected(settings: Settings, sandbox: str = "") -> Any:
    """The cluster that the settings name; never starts a sandbox.

    Raises:
        ConnectionFailed: it does not answer, or there is no such sandbox.
    """
    from jfsnb.cluster.connect import connect
    from jfsnb.errors import ConnectionFailed, UsageError

    if settings.file is not None:
        raise UsageError(f"{settings.cluster} can only be asked", "name a cluster to work in: --cluster")
    if not settings.is_sandbox:
        return connect(settings)
    from jfsnb.sandbox import lifecycle

    name = sandbox or os.environ.get("JFSNB_SANDBOX", "default")
    found = lifecycle.find(name)
    if found is None:
        raise ConnectionFailed(f"no sandbox {name!r} is running", "start one: jfsnb sandbox up; or name a --cluster")
    return connect(settings, kubeconfig=str(found.kubeconfig), context=found.context)


def finish(settings: Settings, story: Story, strict: bool = False) -> int:
    """Write run.json, junit.xml, report.html and the index; print the verdict; hand back the exit code."""
    from jfsnb.report.index import write_index
    from jfsnb.report.junit import junit
    from jfsnb.report.page import report_html
    from jfsnb.run.state import load

    folder = settings.folder
    parts = redact(load(folder))
    parameters = {**settings.parameters(), "image": settings.image or _tested_image(parts)}
    found = redact(
        record(
            settings.run_id,
            parameters,
            story.place.facts,
            story.outcomes,
            parts,
            story.clean_up,
            versions(),
            story.times(),
            strict,
            story.stopped,
        )
    )
    (folder / "run.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "junit.xml").write_text(junit(found), encoding="utf-8")
    report = folder / "report.html"
    report.write_text(report_html(found, parts, folder), encoding="utf-8")
    write_index(settings.outputs, jfsnb.__version__)
    print(f"{found['verdict']}: {translated(found['reason'])}")
    if found["next_action"]:
        print(f"  -> {translated(found['next_action'])}")
    print(f"{found['verdict']} {_short(report)}")
    return int(found["exit_code"])


def _tested_image(parts: Sequence[Mapping[str, Any]]) -> str:
    return next((str(part["data"]["image"]) for part in parts if part["part"] == "build"), "")


def versions() -> dict[str, str]:
    """What ran here."""
    names = ("kubernetes", "papermill", "nbclient", "jupyterlab", "pandas")
    return {"jfsnb": jfsnb.__version__, "python": platform.python_version(), **{name: version(name) for name in names}}


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
