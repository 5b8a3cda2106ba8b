"""Step 1: who is who, and what a smoke test says when it is believed too early."""

from __future__ import annotations

from jfsnb.steps.results import Baseline, Preflight, ServedBy, WhoIsWho
from jfsnb.steps.run import Run


def preflight(run: Run) -> Preflight:
    """Ask what could go wrong before anything is changed: driver, its mode, ConfigMap, claim, permission by permission.

    Raises:
        NotInCluster, PermissionMissing: with what is missing.
    """
    raise NotImplementedError


def who_is_who(run: Run) -> WhoIsWho:
    """Read who takes part: driver, nodes, driver Pods, class, volume, claim, ConfigMap, Mount Pods."""
    raise NotImplementedError


def baseline(run: Run) -> Baseline:
    """Deploy the smoke Pod under the configuration as it is and watch it until it is Ready.

    Raises:
        CheckFailed, WaitTimeout: it does not get there; says why.
    """
    raise NotImplementedError


def served_by(run: Run) -> ServedBy:
    """Put the client in the app Pod beside the client that serves it."""
    raise NotImplementedError
