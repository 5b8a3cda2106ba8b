"""All diagnosis rules (peers.md §2), as one function over a snapshot of the cluster."""

from __future__ import annotations

from jfsnb.checks.diagnosis import (
    app_pods,
    claims,
    clocks,
    configuration,
    csi_pods,
    end,
    handover,
    image,
    inside,
    mount_pods,
    references,
    runs,
)
from jfsnb.checks.diagnosis.snapshot import Snapshot, diagnose
from jfsnb.checks.model import CheckResult

#: Imported for their rules, which register themselves.
PARTS = (app_pods, claims, clocks, configuration, csi_pods, end, handover, image, inside, mount_pods, references, runs)


def examine(snapshot: Snapshot) -> tuple[CheckResult, ...]:
    """Apply every rule. Silent (empty) when nothing is wrong and everything could be read."""
    return diagnose(snapshot)
