"""All diagnosis rules (peers.md §2), as one function over a snapshot of the cluster."""

from __future__ import annotations

from jfsnb.checks import diagnosis_configuration, diagnosis_end, diagnosis_image, diagnosis_pods, diagnosis_references
from jfsnb.checks.model import CheckResult
from jfsnb.checks.snapshot import Snapshot, diagnose

#: Imported for their rules, which register themselves.
PARTS = (diagnosis_configuration, diagnosis_end, diagnosis_image, diagnosis_pods, diagnosis_references)


def examine(snapshot: Snapshot) -> tuple[CheckResult, ...]:
    """Apply every rule. Silent (empty) when nothing is wrong and everything could be read."""
    return diagnose(snapshot)
