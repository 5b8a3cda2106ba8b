"""Diagnosis: do the clocks of this machine, the API server and the nodes agree? Ages and orders rest on them."""

from __future__ import annotations

from collections.abc import Iterator

from jfsnb.checks.codes import result
from jfsnb.checks.diagnosis.snapshot import Snapshot, rule
from jfsnb.checks.model import CheckResult, Evidence, Verdict

#: Seconds; what is measured is good to about one.
CLOCKS_DIFFER = 5.0


@rule(
    "JFS-CSI-103",
    "Clocks agree",
    "A clock is wrong: what is said about ages and about what came first may be wrong by as much.",
    "Synchronise it (NTP, chrony).",
    needs=["csi_pods"],
)
def clocks(snapshot: Snapshot) -> Iterator[CheckResult]:
    api = snapshot.clock_offset
    if api is not None and abs(api) > CLOCKS_DIFFER:
        evidence = [Evidence("API server", "clock, seconds ahead of this machine's", f"{api:+.0f}")]
        reason = f"the API server's clock and this machine's differ by {abs(api):.0f} s"
        yield result("JFS-CSI-103", Verdict.WARN, reason, evidence)
    for node, ahead in sorted(snapshot.node_clocks.items()):
        differs = ahead - (api or 0.0)
        if abs(differs) > CLOCKS_DIFFER:
            evidence = [Evidence(f"node/{node}", "clock, seconds ahead of the API server's", f"{differs:+.0f}")]
            reason = f"the clocks of {node} and of the API server differ by {abs(differs):.0f} s"
            yield result("JFS-CSI-103", Verdict.WARN, reason, evidence)
