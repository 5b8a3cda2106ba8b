"""Step 3: put the image under test into the driver's configuration, and see when it is in force."""

from __future__ import annotations

from jfsnb.steps.results import InForce, Patched, PatchPlan
from jfsnb.steps.run import Run


def plan(run: Run) -> PatchPlan:
    """Current and future effective image for the smoke PVC, the smallest edit, and whom it affects. Changes nothing."""
    raise NotImplementedError


def apply(run: Run) -> Patched:
    """Patch the ConfigMap, guarded by its resourceVersion; journal and backup come first.

    Raises:
        ConflictError: somebody else changed it since the plan.
    """
    raise NotImplementedError


def wait_in_force(run: Run) -> InForce:
    """Wait until every CSI node that matters has loaded the patched configuration.

    Raises:
        CheckFailed: a driver rejected it. WaitTimeout: it is not in force in time.
    """
    raise NotImplementedError
