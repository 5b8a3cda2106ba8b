"""`jfsnb report`: pages made anew from what the run folders hold."""

from __future__ import annotations

import json
from pathlib import Path

import jfsnb
from jfsnb.errors import UsageError


def report(outputs: Path, run_id: str | None) -> str:
    """Write the index (and one run's report) anew; tells where.

    Raises:
        UsageError: no such folder or run.
    """
    from jfsnb.redact import redact
    from jfsnb.report.index import write_index
    from jfsnb.report.page import report_html
    from jfsnb.run.state import load

    if not outputs.is_dir():
        raise UsageError(f"there is no folder {outputs}", "name it: --outputs, or make a run first: jfsnb run")
    told = []
    if run_id:
        folder = outputs / run_id
        try:
            run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(f"there is no finished run {run_id!r} in {outputs}", "jfsnb report lists them") from error
        page = folder / "report.html"
        page.write_text(report_html(run, redact(load(folder)), folder), encoding="utf-8")
        told.append(str(page))
    return "\n".join([*told, str(write_index(outputs, jfsnb.__version__))])
