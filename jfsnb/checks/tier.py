"""A verdict reached without a real data path says so: a tier never pretends to be a higher one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from jfsnb.checks.codes import register, result
from jfsnb.checks.model import CheckResult, Evidence, Verdict

TIER = register(
    "JFS-TIER-001",
    "The data path is real",
    "This machine lets the sandbox run no FUSE mount or no namespaces, so no client really served the Pod.",
    "Run on Linux x86-64 with /dev/fuse and user namespaces, or against a real cluster.",
)
REAL_CLUSTER, FULL = "", "full"
#: Areas whose checks mean nothing unless a client really served the Pod.
_NEEDS_DATA_PATH = ("JFS-IO-", "JFS-IMG-002", "JFS-IMG-003", "JFS-END-")


def real_data_path(tier: str, reason: str = "") -> CheckResult:
    """Whether I/O really went through a client.

    Args:
        tier: ``full``, ``namespaces``, ``recorded``; empty for a real cluster. reason: why it is no higher.
    """
    if tier == REAL_CLUSTER:
        return result(TIER, Verdict.PASS, "a real cluster", [Evidence("cluster", "sandbox", "none")])
    evidence = [Evidence("configmap/jfsnb-sandbox", "tier", f"{tier} {reason}".strip())]
    if tier == FULL:
        return result(TIER, Verdict.PASS, "sandbox tier full: a real client serves a real FUSE mount", evidence)
    return result(TIER, Verdict.WARN, f"sandbox tier {tier}: {reason or 'no real FUSE mount'}", evidence)


def labelled(results: Iterable[CheckResult], tier: str) -> tuple[CheckResult, ...]:
    """Results as a tier may show them: below full, a PASS that needs a data path becomes N/A, with the reason."""
    if tier in (REAL_CLUSTER, FULL):
        return tuple(results)
    return tuple(_labelled(r, tier) for r in results)


def _labelled(found: CheckResult, tier: str) -> CheckResult:
    if found.verdict is not Verdict.PASS or not found.code.startswith(_NEEDS_DATA_PATH):
        return found
    return replace(found, verdict=Verdict.NA, reason=f"no real data path in sandbox tier {tier}: {found.reason}")
