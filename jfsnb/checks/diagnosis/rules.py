"""All diagnosis rules (peers.md §2), as one function over a snapshot of the cluster."""

from __future__ import annotations

from jfsnb.checks.diagnosis import configuration as diagnosis_configuration
from jfsnb.checks.diagnosis import end as diagnosis_end
from jfsnb.checks.diagnosis import image as diagnosis_image
from jfsnb.checks.diagnosis import pods as diagnosis_pods
from jfsnb.checks.diagnosis import references as diagnosis_references
from jfsnb.checks.diagnosis.snapshot import Snapshot, diagnose
from jfsnb.checks.model import CheckResult

#: Imported for their rules, which register themselves.
PARTS = (diagnosis_configuration, diagnosis_end, diagnosis_image, diagnosis_pods, diagnosis_references)


def examine(snapshot: Snapshot) -> tuple[CheckResult, ...]:
    """Apply every rule. Silent (empty) when nothing is wrong and everything could be read."""
    return diagnose(snapshot)
