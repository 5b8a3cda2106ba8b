"""The case that lesson 6 begins with, made anew: ``python -m jfsnb.notebook.case FOLDER`` (of kubectl's output)."""

from __future__ import annotations

import sys
from pathlib import Path

from jfsnb.bundle.read import read
from jfsnb.bundle.write import write
from jfsnb.checks.snapshot import Snapshot
from jfsnb.notebook.investigate import CASE


def case_of(folder: Path) -> Snapshot:
    """The snapshot in a folder, under a name that means something to a learner."""
    return read(folder).but(source="a real cluster")


if __name__ == "__main__":
    write(case_of(Path(sys.argv[1])), CASE)
