"""The journal: each change is written down, with how to undo it, before it is made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jfsnb.kube.cluster import Cluster
from jfsnb.steps.model import Table


class Journal:
    """outputs/<run-id>/journal.jsonl."""

    def __init__(self, path: Path) -> None:
        self.path = path


@dataclass(frozen=True)
class RolledBack:
    """What a rollback did.

    Args:
        rows: columns what, object, outcome (``undone``, ``already gone``, ``left: <why>``, ``failed: <why>``).
        complete: whether nothing of the run is left.
    """

    rows: Table
    complete: bool


def rollback(cluster: Cluster, run_id: str, outputs: Path | None = None) -> RolledBack:
    """Undo what is left of a run: what its journal says, and everything in the cluster that carries its label.

    Safe to call at any time, any number of times, and when nothing is left to do.

    Args:
        outputs: folder of the run folders; None for $JFSNB_OUTPUTS or ./outputs.
    """
    raise NotImplementedError
