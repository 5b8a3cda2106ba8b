"""Diagnosis: runs of this very tool that are under way or have left something."""

from __future__ import annotations

from collections.abc import Iterator

from jfsnb.checks.diagnosis.snapshot import RULES, RegisteredRule, Snapshot
from jfsnb.checks.leftover import LEFT, RUN_LABEL, leftovers
from jfsnb.checks.model import CheckResult


def runs(snapshot: Snapshot) -> Iterator[CheckResult]:
    """Each run that has its note on the ConfigMap, or objects with its label."""
    claims = ({"kind": "PersistentVolumeClaim", **c} for c in snapshot.pvcs if RUN_LABEL in _labels(c))
    yield from leftovers(snapshot.config_map, [*snapshot.run_pods, *claims], snapshot.now)


def _labels(obj: dict[str, dict[str, dict[str, str]]]) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}


RULES.append(RegisteredRule(LEFT, ("config_map",), runs, ("run_pods", "pvcs")))
