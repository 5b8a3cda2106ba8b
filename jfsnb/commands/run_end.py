"""A run's end: what is written into its folder, what is said, and the exit code, whatever came before."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jfsnb
from jfsnb.errors import JfsnbError
from jfsnb.i18n import translated
from jfsnb.redact import redact, redact_text
from jfsnb.report.interrupt import Interrupted
from jfsnb.report.record import CleanUp, ClusterFacts, record
from jfsnb.report.runner import NotebookOutcome
from jfsnb.settings import Settings

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


def guarded(action: Callable[[], Any]) -> Exception | KeyboardInterrupt | None:
    """What went wrong, where something did."""
    try:
        action()
    except (Exception, KeyboardInterrupt) as error:
        return error
    return None


def finish(settings: Settings, story: Story, strict: bool = False) -> int:
    """Write run.json, junit.xml, report.html and the index; print the verdict; hand back the exit code.

    What cannot be written is told, and no verdict then: whoever reads the folder would miss it.
    """
    from jfsnb.report.index import write_index
    from jfsnb.report.junit import junit
    from jfsnb.report.page import report_html
    from jfsnb.run.state import atomic, load

    folder = settings.folder
    parts: list[dict[str, Any]] = []
    if (failed := guarded(lambda: parts.extend(redact(load(folder))))) is not None:
        story.stopped = story.stopped or JfsnbError(f"the results in {folder} cannot be read: {failed}", "run it again")
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

    def write(name: str, text: Callable[[], str]) -> None:
        with atomic(folder / name) as sink:
            sink.write(text())

    written = {
        "run.json": lambda: write("run.json", lambda: json.dumps(found, indent=1, ensure_ascii=False) + "\n"),
        "junit.xml": lambda: write("junit.xml", lambda: junit(found)),
        "report.html": lambda: write("report.html", lambda: report_html(found, parts, folder)),
        "index.html": lambda: write_index(settings.outputs, jfsnb.__version__),
    }
    unwritten = {name: error for name, action in written.items() if (error := guarded(action)) is not None}
    print(f"{found['verdict']}: {translated(found['reason'])}")
    if found["next_action"]:
        print(f"  -> {translated(found['next_action'])}")
    for name, error in unwritten.items():
        print(redact_text(f"{name} could not be written: {error}"))
    print(f"{found['verdict']} {_short(folder / 'report.html')}")
    return max(3, int(found["exit_code"])) if unwritten else int(found["exit_code"])


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
