"""`jfsnb run`: the notebooks in order, one run id, one folder; then clean-up, verdict and report, whatever happened."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from jfsnb.commands.run_end import Place, Story, finish, guarded
from jfsnb.errors import JfsnbError, UsageError
from jfsnb.i18n import say, translated
from jfsnb.notebook.lessons import NOTEBOOKS, localized
from jfsnb.redact import redact_text
from jfsnb.report import leftovers
from jfsnb.report.interrupt import Interrupted, interruptible, undisturbed
from jfsnb.report.kernels import Kernels
from jfsnb.report.parameters import declared, typed
from jfsnb.report.progress import Progress, make_progress
from jfsnb.report.record import CleanUp, ClusterFacts
from jfsnb.report.runner import CELL_GRACE_SECONDS, NotebookOutcome, not_run, run_notebook, title_of
from jfsnb.settings import Settings

KERNELS_AHEAD = 2
IN_A_RUN = ("01-csi-background", "02-build-image", "03-patch-config", "04-deploy-smoke-pod", "05-verify-mount-pod")
#: While the baseline and the Pod under test both run; then the end of a run.
IN_A_COMPARISON = (*IN_A_RUN[:4], "08-compare-clients", IN_A_RUN[4])
#: Stands alone, and can follow a whole run.
IN_AN_UPGRADE = ("07-upgrade-in-place",)


_MISTAKE = "a mistake in jfsnb: error.txt in the run folder says where"


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
    leftovers.sweep()
    with tempfile.TemporaryDirectory(prefix=leftovers.prefix("lessons")) as composed:
        os.environ["IPYTHONDIR"] = f"{composed}/ipython"  # else it makes one in the home directory
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
    """Notebooks, then clean-up, whatever happens; the story tells what did.

    Nothing that fails in here keeps the next from being done: that is what the guards are for.
    """
    with contextlib.ExitStack() as leaving:
        begun = False
        try:
            with interruptible():
                story.place, kernels = leaving.enter_context(at)
                begun = True
                _notebooks(sources, settings, kernels, progress, story.outcomes)
        except (Exception, KeyboardInterrupt) as error:
            story.stopped = _stopped(error, settings.folder)
            guarded(lambda: progress.say(f"{story.stopped}: cleaning up"))
        if begun:
            story.clean_up = _clean_up(settings, story)
        if (failed := guarded(leaving.close)) is not None:
            story.stopped = story.stopped or _stopped(failed, settings.folder)
            if story.place.own:
                story.clean_up = CleanUp(False, f"the sandbox of this run could not be taken away: {failed}")
    guarded(progress.close)


def _stopped(error: Exception | KeyboardInterrupt, folder: Path) -> JfsnbError | Interrupted:
    """What ended a run, in words; the stack of an error that nobody foresaw goes into the run folder."""
    if isinstance(error, JfsnbError | Interrupted):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Interrupted(signal.SIGINT)
    text = redact_text("".join(traceback.format_exception(error)))
    guarded(lambda: (folder / "error.txt").write_text(text, encoding="utf-8"))
    next_step = "make room, or look at the rights of the folder" if isinstance(error, OSError) else _MISTAKE
    return JfsnbError(f"{type(error).__name__}: {error}", next_step)


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
    """What the notebooks themselves could not undo; a sandbox of our own is taken away whole. Never raises."""
    if story.place.own:
        return CleanUp(True, "the sandbox was started for this run and was taken away with everything in it")
    passed = [outcome for outcome in story.outcomes if outcome.verdict == "PASS"]
    if settings.keep and story.stopped is None and len(passed) >= len(IN_A_RUN):
        return CleanUp(True, f"kept, as asked; undo it later: jfsnb rollback {settings.run_id}")
    found = CleanUp(False, "it was not carried out")

    def undo() -> None:
        nonlocal found
        from jfsnb.run.rollback import rollback

        cluster = connected(settings, story.place.sandbox)
        done = rollback(cluster, settings.run_id, settings.outputs, settings.namespace, settings.driver_namespace)
        sentence = "nothing of the run is left in the cluster" if done.complete else "something of the run is left"
        found = CleanUp(done.complete, sentence, tuple(done.rows))

    failed = guarded(undo)
    return found if failed is None else CleanUp(False, f"could not look: {failed or type(failed).__name__}")


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
