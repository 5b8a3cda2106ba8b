"""Step 4: the smoke Pod under the new configuration, beside the baseline."""

from __future__ import annotations

from jfsnb.steps.results import Deployed, Prepared, SideBySide
from jfsnb.steps.run import Run


def prepare(run: Run) -> Prepared:
    """Make the claim and updatedb-config where they are missing."""
    raise NotImplementedError


def smoke(run: Run) -> Deployed:
    """Deploy the smoke Pod and watch events, log and readiness.

    Raises:
        CheckFailed, WaitTimeout: it does not get there; says why.
    """
    raise NotImplementedError


def side_by_side(run: Run) -> SideBySide:
    """The Mount Pods of the smoke volume: who serves whom, with which image."""
    raise NotImplementedError
