"""One run: its settings, cluster, folder and journal, shared by all steps; results are kept in the run folder."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from jfsnb.checks.carried_out import not_carried_out
from jfsnb.checks.model import CheckResult, Evidence, Verdict
from jfsnb.cluster.client import Cluster
from jfsnb.errors import CheckFailed, ConflictError, JfsnbError, PermissionMissing, UsageError, WaitTimeout
from jfsnb.queries.model import Notify, Progress, Result
from jfsnb.redact import redact, redact_text
from jfsnb.run.journal import Journal
from jfsnb.settings import Settings

R = TypeVar("R", bound=Result)
P = ParamSpec("P")
#: Parts that change nothing, and come before any that does.
LOOKING = ("preflight", "who_is_who", "plan")


def _silent(_: Progress) -> None:
    return None


@dataclass(frozen=True)
class Run:
    """What every part of a step works with.

    Args:
        settings: with the image under test filled in.
        cluster: the connection.
        journal: where each change is written before it is made.
        notify: called with each thing worth telling while a part runs; in the thread that called the part.
    """

    settings: Settings
    cluster: Cluster
    journal: Journal
    notify: Notify = field(default=_silent, repr=False)

    @property
    def id(self) -> str:
        return self.settings.run_id

    @property
    def folder(self) -> Path:
        return self.settings.folder

    def same_cluster(self, part: str = "") -> None:
        """See that this is still the cluster in which the run began.

        Args:
            part: that is about to be carried out.

        Raises:
            ConflictError: it is another one. JfsnbError: it cannot be seen; only with parts that change nothing,
                somebody who may not look goes on: the preflight names all that is missing.
        """
        began = self.journal.cluster
        try:
            now = self.cluster.identity()
        except PermissionMissing:
            if began or part not in LOOKING:
                raise
            return
        if not began:
            self.journal.begin(now)
        elif began != now:
            raise ConflictError(
                f"{self.cluster.context} is another cluster than the one in which this run began (kube-system has uid "
                f"{now}, and had {began})",
                "start a new run; what this one has changed was changed in the other cluster",
            )

    def tell(self, kind: Any, text: str, source: str = "") -> None:
        self.notify(Progress(kind, redact_text(text), source))

    def finish(self, result: R) -> R:
        """Keep a part's result in the run folder and hand it back."""
        save(self.folder, result)
        return result

    def keep_log(self, pod: str, lines: Iterable[str]) -> None:
        """Keep a container's lines as logs/<pod>.log in the run folder."""
        folder = self.folder / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        with atomic(folder / f"{pod}.log") as sink:
            sink.write(redact_text("".join(f"{line}\n" for line in lines)))

    def require(self, result: R) -> R:
        """Keep the result; stop the run when it says that going on makes no sense.

        Raises:
            CheckFailed: a check looked and found it wrong.
            WaitTimeout: it cannot be judged yet.
            JfsnbError: a check could not look.
        """
        return required(self.finish(result))

    @property
    def node(self) -> str:
        """The node of this run's Pods, as far as an earlier part has placed one; else empty."""
        known = (self.recall(name) or {} for name in ("baseline", "load"))
        return next((str(found["node"]) for found in known if found.get("node")), "")

    def recall(self, part: str) -> dict[str, Any] | None:
        """The kept data of an earlier part of this run (``to_dict()["data"]``), also from another process."""
        found = next((p for p in load(self.folder) if p["part"] == part), None)
        return found["data"] if found else None


def part(
    kind: type[R],
) -> Callable[[Callable[Concatenate[Run, P], R]], Callable[Concatenate[Run, P], R]]:
    """Mark a function as a part of a step: it is announced, and an error that ends it is kept as its result.

    Args:
        kind: the class of its result, which says which part it is.
    """

    def mark(function: Callable[Concatenate[Run, P], R]) -> Callable[Concatenate[Run, P], R]:
        @functools.wraps(function)
        def carry_out(run: Run, /, *args: P.args, **kwargs: P.kwargs) -> R:
            run.tell("step", kind.TITLE)
            forget(run.folder, kind)
            try:
                run.same_cluster(kind.PART)
                return function(run, *args, **kwargs)
            except JfsnbError as error:
                if not any(p["part"] == kind.PART for p in load(run.folder)):
                    save(run.folder, kind(checks=(not_carried_out(error),)))
                raise

        return carry_out

    return mark


def open_run(settings: Settings, cluster: Cluster, notify: Notify = _silent) -> Run:
    """Open (or reopen) a run and make its folder.

    Raises:
        UsageError: the outputs folder cannot be written, or a real cluster was given without an image.
    """
    if not settings.image:
        if not cluster.default_image:
            raise UsageError("no image was given to test", "set image to the client image under test")
        settings = replace(settings, image=cluster.default_image)
    try:
        (settings.folder / "results").mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=settings.folder):
            pass
    except OSError as error:
        raise UsageError(
            f"cannot write to {settings.folder}: {error.strerror}", "choose another folder with JFSNB_OUTPUTS"
        ) from error
    return Run(settings, cluster, Journal(settings.folder / "journal.jsonl"), notify)


def save(folder: Path, result: Result) -> None:
    """Write a part into results/<step>.json: whole, or not at all; an earlier result of the same part is replaced."""
    path = folder / "results" / f"{result.STEP}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    data = redact(result.to_dict())
    parts = [p for p in _read(path) if p["part"] != result.PART] + [data]
    with atomic(path) as sink:
        json.dump(parts, sink, indent=1, ensure_ascii=False)


def forget(folder: Path, kind: type[Result]) -> None:
    """Drop an earlier result of a part that is about to be carried out again."""
    path = folder / "results" / f"{kind.STEP}.json"
    parts = _read(path)
    if any(p["part"] == kind.PART for p in parts):
        with atomic(path) as sink:
            json.dump([p for p in parts if p["part"] != kind.PART], sink, indent=1, ensure_ascii=False)


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Any]:
    """A text file that appears under its name only when it is complete."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as sink:
            yield sink
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


def load(folder: Path) -> list[dict[str, Any]]:
    """All kept parts of a run, in the order of the steps."""
    return [part for path in sorted((folder / "results").glob("*.json")) for part in _read(path)]


def _read(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def checks_of(parts: list[dict[str, Any]]) -> list[tuple[str, CheckResult]]:
    """(step, check) of kept parts, as objects again."""
    return [
        (
            part["step"],
            CheckResult(
                **{**c, "verdict": Verdict(c["verdict"]), "evidence": tuple(Evidence(**e) for e in c["evidence"])}
            ),
        )
        for part in parts
        for c in part["checks"]
    ]


def required(result: R) -> R:
    """The result, unless one of its checks says that going on makes no sense. Raises as ``Run.require``."""
    for verdict, error in (
        (Verdict.FAIL, CheckFailed),
        (Verdict.ERROR, JfsnbError),
        (Verdict.NOT_READY, WaitTimeout),
    ):
        bad = next((c for c in result.checks if c.verdict is verdict), None)
        if bad is not None:
            raise error(redact_text(f"{bad.title}? {bad.reason}"), redact_text(bad.next_action))
    return result
