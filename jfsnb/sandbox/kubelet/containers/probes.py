"""The three probes of a container: when to try, what a run of results means.

``ProbeState`` decides, without I/O; ``Prober`` tries and reports.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from jfsnb.sandbox.apimachinery.client import Obj
from jfsnb.sandbox.kubelet.containers.handlers import Outcome, Target, act

KINDS = {"startup": "Startup", "readiness": "Readiness", "liveness": "Liveness"}


@dataclass
class ProbeState:
    """Counts equal results in a row and turns over when a threshold is reached.

    Args:
        failure_threshold: so many failures in a row mean "bad".
        success_threshold: so many successes in a row mean "good".
        good: the verdict before the first result: readiness and startup begin bad, liveness begins good.
    """

    failure_threshold: int
    success_threshold: int
    good: bool
    _last: bool | None = None
    _run: int = 0

    def result(self, ok: bool) -> bool:
        """Take in one result; whether a threshold has been reached with it (the verdict may be the same as before)."""
        self._run = self._run + 1 if ok == self._last else 1
        self._last = ok
        if self._run < (self.success_threshold if ok else self.failure_threshold):
            return False
        self.good = ok
        return True


class Prober:
    """Runs one probe of one start of a container until it is cancelled.

    Args:
        kind: a key of KINDS.
        probe: its spec.
        target: the container.
        report: called with (kind, verdict) whenever a threshold is reached.
        complain: called with the text of an Unhealthy event.
    """

    def __init__(
        self,
        kind: str,
        probe: Obj,
        target: Target,
        report: Callable[[str, bool], None],
        complain: Callable[[str], None],
    ) -> None:
        self.kind, self.probe, self.target, self._report, self._complain = kind, probe, target, report, complain
        self.state = ProbeState(
            int(probe.get("failureThreshold") or 3), int(probe.get("successThreshold") or 1), kind == "liveness"
        )

    async def run(self) -> None:
        """Try at each period; startup ends with the first verdict."""
        await asyncio.sleep(float(self.probe.get("initialDelaySeconds") or 0))
        period, clock = float(self.probe.get("periodSeconds") or 10), asyncio.get_running_loop().time
        while True:
            begun = clock()
            self._take(await act(self.probe, self.target, float(self.probe.get("timeoutSeconds") or 1)))
            if self.kind == "startup" and self.state.good:
                return
            await asyncio.sleep(max(0.0, begun + period - clock()))

    def _take(self, outcome: Outcome) -> None:
        name = KINDS[self.kind]
        if outcome.unknown:
            self._complain(f"{name} probe errored and resulted in unknown state: {outcome.text}")
            return
        if not outcome.ok:
            self._complain(f"{name} probe failed: {outcome.text}")
        if self.state.result(outcome.ok):
            self._report(self.kind, outcome.ok)
