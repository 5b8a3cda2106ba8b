"""Was the run carried out at all? A verdict needs every part to have looked; a part that could not says so."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from jfsnb.checks.codes import register, result
from jfsnb.checks.model import CheckResult, Evidence, Verdict
from jfsnb.errors import CheckFailed, JfsnbError, WaitTimeout

CARRIED_OUT = register(
    "JFS-RUN-001",
    "The step could be carried out",
    "Something that the step needs is missing, refused or not in time; the reason names it.",
    "Do what the reason suggests, and run again.",
)
COMPLETE = register(
    "JFS-RUN-002",
    "Every part of the run has looked",
    "The run was stopped early; what was not looked at cannot be PASS.",
    "Look at the first part that failed, and run again.",
)
CLEAN = register(
    "JFS-RUN-003",
    "Nothing of the run is left in the cluster",
    "Something could not be removed or restored; the reason names it.",
    "Look at it, then run jfsnb rollback with the run's id.",
)


def not_carried_out(error: JfsnbError) -> CheckResult:
    """The result of a part that ended in an error before it could judge anything."""
    verdict = {CheckFailed: Verdict.FAIL, WaitTimeout: Verdict.NOT_READY}.get(type(error), Verdict.ERROR)
    return result(CARRIED_OUT, verdict, error.what, next_action=error.next_step or None)


def all_parts_looked(expected: Sequence[str], seen: Collection[str]) -> CheckResult:
    """Each expected part has left a result.

    Args:
        expected: names of parts, in order. seen: names of the parts that have results.
    """
    missing = [part for part in expected if part not in seen]
    evidence = [Evidence("run folder", "results", ", ".join(p for p in expected if p in seen))]
    if missing:
        return result(COMPLETE, Verdict.NOT_READY, f"no result of: {', '.join(missing)}", evidence)
    return result(COMPLETE, Verdict.PASS, f"all {len(expected)} parts", evidence)


def nothing_left(left: Sequence[str], failed: Sequence[str] = (), kept: bool = False) -> CheckResult:
    """Nothing that the run made is left in the cluster.

    Args:
        left: what is still there, in words. failed: what could not be looked at, or not be undone.
        kept: the user asked to keep it all.
    """
    evidence = [Evidence("cluster", "left", item) for item in left]
    evidence += [Evidence("cluster", "failed", item) for item in failed]
    if kept:
        return result(CLEAN, Verdict.NA, "kept, as asked; jfsnb rollback removes it", evidence)
    if left:
        return result(CLEAN, Verdict.FAIL, left[0], evidence)
    if failed:
        return result(CLEAN, Verdict.ERROR, failed[0], evidence)
    evidence = [Evidence("cluster", "left", "nothing")]
    return result(CLEAN, Verdict.PASS, "everything is as it was before", evidence)
