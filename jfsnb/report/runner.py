"""Runs one notebook and says what became of it.

The verdict is ours: papermill's own status metadata calls never-run cells "completed" after a timeout, an interrupt or
a killed kernel, and `sys.exit(0)` in a cell ends a notebook early without any error. So: every code cell must have been
executed, none may hold an error output, and what was raised decides the rest.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jfsnb import errors
from jfsnb.checks.model import Verdict
from jfsnb.errors import JfsnbError

CELL_GRACE_SECONDS = 300


@dataclass(frozen=True)
class NotebookOutcome:
    """What became of one notebook.

    Args:
        name: its file name without ``.ipynb``.
        title: its first heading.
        verdict: PASS when every code cell ran without an error; FAIL and ERROR otherwise; NOT_READY when it never ran.
        reason: one sentence.
        next_action: what to do now; may be empty.
        cells: number of code cells.
        executed: how many of them ran to their end.
        started: ISO time, UTC; empty when it never ran.
        seconds: how long it ran.
        exit_code: what the error class asks for; 0 without an error.
    """

    name: str
    title: str
    verdict: Verdict
    reason: str
    next_action: str
    cells: int
    executed: int
    started: str
    seconds: float
    exit_code: int


@dataclass(frozen=True)
class Watcher:
    """Told when a cell starts (number from 1, of how many, what it is about) and when it waits for something."""

    cell: Callable[[int, int, str], None] = lambda number, count, label: None
    waiting: Callable[[str], None] = lambda text: None


def run_notebook(
    source: Path,
    output: Path,
    parameters: Mapping[str, Any],
    kernel: Any,
    cell_seconds: float = CELL_GRACE_SECONDS,
    watcher: Watcher | None = None,
) -> NotebookOutcome:
    """Execute a notebook with these parameters.

    Args:
        source: the notebook.
        output: where the executed one is kept; written while it runs, too.
        parameters: already typed (`jfsnb.report.parameters.typed`).
        kernel: from `jfsnb.report.kernels.Kernels.take`; ended here.
        cell_seconds: a cell that takes longer is interrupted; its `finally` blocks run.
        watcher: told of every cell.

    Raises:
        KeyboardInterrupt: after Ctrl-C or a signal that the caller turned into one; the kernel was interrupted, so its
            own clean-up ran, and what it had done so far is in `output`.
    """
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    from jfsnb.report.engine import ENGINE

    watcher = watcher or Watcher()
    labels = cell_labels(source)
    started, clock = datetime.now(UTC), time.monotonic()

    number = 0

    def cell_starts(cell: Any, cell_index: int) -> None:
        nonlocal number
        if cell.cell_type == "code" and "injected-parameters" not in cell.metadata.get("tags", []):
            number += 1
            watcher.cell(number, len(labels), labels[number - 1])

    trouble: Exception | None = None
    try:
        papermill.execute_notebook(
            _plain(source),
            _plain(output),
            dict(parameters),
            engine_name=ENGINE,
            kernel_name="python3",
            progress_bar=False,
            cwd=source.parent,
            autosave_cell_every=2,
            start_timeout=60,
            execution_timeout=int(cell_seconds),
            interrupt_on_timeout=True,
            store_widget_state=False,
            on_cell_start=cell_starts,
            on_waiting=watcher.waiting,
            kernel=kernel,
        )
    except (PapermillExecutionError, DeadKernelError, RuntimeError, TimeoutError, OSError) as error:
        trouble = error
    finding = judge(output, trouble, dead=isinstance(trouble, DeadKernelError))
    return NotebookOutcome(
        name=source.stem,
        title=title_of(source),
        started=started.isoformat(timespec="milliseconds"),
        seconds=round(time.monotonic() - clock, 3),
        **finding,
    )


def judge(executed: Path, trouble: Exception | None, dead: bool = False) -> dict[str, Any]:
    """What an executed notebook and the exception around it amount to, as fields of `NotebookOutcome`.

    Args:
        executed: the notebook as it was saved; it may be missing.
        trouble: what papermill raised.
        dead: whether the kernel died.
    """
    cells = _code_cells(executed)
    done = [c for c in cells if c.get("execution_count") is not None]
    counts = {"cells": len(cells), "executed": len(done) - (1 if trouble and done else 0)}
    failed = [output for cell in cells for output in cell.get("outputs", []) if output["output_type"] == "error"]
    if dead:
        where = f" in cell {len(done)} of {len(cells)}" if done else ""
        return {
            **counts,
            **_error(
                f"the kernel died{where} (out of memory, or somebody killed it)",
                "run it again; if it dies again, look at dmesg",
            ),
        }
    if failed:
        return counts | _from_output(failed[0])
    if trouble is not None:
        return counts | _error(f"{type(trouble).__name__}: {trouble}", "")
    if not cells or len(done) < len(cells):
        return counts | _error(
            f"it ended early: {len(done)} of {len(cells)} cells ran", "look for sys.exit() in a cell"
        )
    return {**counts, "verdict": Verdict.PASS, "reason": "every cell ran", "next_action": "", "exit_code": 0}


def _error(reason: str, next_action: str) -> dict[str, Any]:
    return {"verdict": Verdict.ERROR, "reason": reason, "next_action": next_action, "exit_code": JfsnbError.exit_code}


def _from_output(output: dict[str, Any]) -> dict[str, Any]:
    """An error output names the exception's class and holds its text: what happened, then ``-> what to do``."""
    known = getattr(errors, output["ename"], None)
    what, _, next_action = output["evalue"].partition("\n  -> ")
    if not (isinstance(known, type) and issubclass(known, JfsnbError)):
        if output["ename"] == "KeyboardInterrupt":
            return _error("a cell was interrupted: it took longer than any of its waits may", "raise --timeout")
        return _error(
            f"{output['ename']}: {what}", "this is not one of jfsnb's own errors: see the notebook in the report"
        )
    verdict = Verdict.FAIL if issubclass(known, errors.CheckFailed) else Verdict.ERROR
    return {"verdict": verdict, "reason": what, "next_action": next_action, "exit_code": known.exit_code}


def not_run(source: Path, reason: str) -> NotebookOutcome:
    """The outcome of a notebook that was never started."""
    return NotebookOutcome(
        source.stem, title_of(source), Verdict.NOT_READY, reason, "", len(cell_labels(source)), 0, "", 0.0, 3
    )


def title_of(notebook: Path) -> str:
    """Its first heading."""
    headings = (line for cell in _cells(notebook) for line in _source(cell).splitlines() if line.startswith("# "))
    return next(headings, notebook.stem).lstrip("# ")


def cell_labels(notebook: Path) -> list[str]:
    """What each code cell is about: the last heading above it."""
    labels, heading = [], notebook.stem
    for cell in _cells(notebook):
        if cell["cell_type"] == "markdown":
            headings = [line.lstrip("# ") for line in _source(cell).splitlines() if line.startswith("#")]
            heading = headings[-1] if headings else heading
        elif cell["cell_type"] == "code":
            labels.append(heading)
    return labels


def _cells(notebook: Path) -> list[dict[str, Any]]:
    return json.loads(notebook.read_text(encoding="utf-8"))["cells"] if notebook.exists() else []


def _code_cells(notebook: Path) -> list[dict[str, Any]]:
    return [cell for cell in _cells(notebook) if cell["cell_type"] == "code" and _source(cell).strip()]


def _source(cell: dict[str, Any]) -> str:
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def _plain(path: Path) -> str:
    """papermill treats a path as a format string."""
    return str(path).replace("{", "{{").replace("}", "}}")
