"""What a run has left in a cluster: its note on the driver's ConfigMap, and objects that carry its label."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from jfsnb.checks.codes import register, result
from jfsnb.checks.model import CheckResult, Evidence, Verdict
from jfsnb.driver.mountpods.mount_pods import parse_time

Obj = Mapping[str, Any]
#: Label of everything that a run makes.
RUN_LABEL = "jfsnb.io/run"
#: Annotations on the driver's ConfigMap, each with a run's id: its edit stands as long as its note.
NOTE_PREFIX = "undo.jfsnb.io/"
LEFT = register(
    "JFS-RUN-101",
    "No other run of jfsnb has anything in the cluster",
    "It is at work now, or it ended without undoing what it did: its patch and its Pods stand.",
    "When that run has ended: jfsnb rollback with its id, from anywhere.",
)


def leftovers(config_map: Obj | None, objects: Iterable[Obj], now: datetime, own: str = "") -> tuple[CheckResult, ...]:
    """One result for each run that has something in the cluster; empty when none has.

    Args:
        config_map: the driver's. objects: with the label, each with its kind.
        own: id of the run that asks, which is no leftover.
    """
    found: dict[str, list[Evidence]] = defaultdict(list)
    notes = ((config_map or {}).get("metadata") or {}).get("annotations") or {}
    for key in notes:
        if key.startswith(NOTE_PREFIX):
            name = (config_map or {})["metadata"]["name"]
            found[key.removeprefix(NOTE_PREFIX)].append(Evidence(f"configmap/{name}", f"annotation {key}", "there"))
    for obj in objects:
        meta = obj["metadata"]
        made = parse_time(meta.get("creationTimestamp"))
        age = f"{int((now - made).total_seconds() // 60)} min old" if made else "there"
        where = f"{str(obj.get('kind', 'object')).lower()}/{meta['name']}"
        found[(meta.get("labels") or {}).get(RUN_LABEL, "")].append(Evidence(where, f"label {RUN_LABEL}", age))
    return tuple(_left(run, evidence) for run, evidence in sorted(found.items()) if run not in ("", own))


def _left(run: str, evidence: list[Evidence]) -> CheckResult:
    patched = any(e.object.startswith("configmap/") for e in evidence)
    made = len([e for e in evidence if not e.object.startswith("configmap/")])
    parts = [*(["its patch of config.yaml"] if patched else []), *([f"{made} objects"] if made else [])]
    reason = f"run {run} is under way or has left {' and '.join(parts)}"
    return result(LEFT, Verdict.WARN, reason, evidence, f"When that run has ended: jfsnb rollback {run}")
