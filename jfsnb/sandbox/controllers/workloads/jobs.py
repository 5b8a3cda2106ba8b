"""Jobs: Pods that run to their end, retried up to a limit, and taken away after their time to live."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from jfsnb.sandbox.controllers.objects import (
    Key,
    Obj,
    condition_is,
    deleting,
    moment,
    pod_from_template,
    ready,
    spec_of,
    stamp,
    status_of,
    terminated,
    with_condition,
)
from jfsnb.sandbox.controllers.workloads.owning import PodOwner

FIRST_RETRY, LONGEST_RETRY = 10.0, 600.0
INDEX = "batch.kubernetes.io/job-completion-index"


def finished(job: Obj) -> str:
    """``Complete``, ``Failed`` or empty."""
    return next((c for c in ("Complete", "Failed") if condition_is(job, c)), "")


def verdict(job: Obj, succeeded: int, failed: int, now: datetime) -> tuple[str, str, str] | None:
    """How the Job has ended: (condition, reason, message); None while it has not."""
    spec = spec_of(job)
    began, limit = moment(status_of(job).get("startTime")), spec.get("activeDeadlineSeconds")
    if began and limit is not None and (now - began).total_seconds() >= limit:
        return "Failed", "DeadlineExceeded", "Job was active longer than specified deadline"
    if failed > spec.get("backoffLimit", 6):
        return "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    if succeeded >= (spec.get("completions") or 1):
        return "Complete", "CompletionsReached", "Reached expected number of succeeded pods"
    return None


def wanted_pods(job: Obj, succeeded: int) -> int:
    """How many Pods should be running now."""
    spec = spec_of(job)
    if spec.get("suspend"):
        return 0
    parallel = spec.get("parallelism", 1)
    if spec.get("completions") is None:
        return int(parallel) if not succeeded else 0
    return int(min(parallel, spec["completions"] - succeeded))


def retry_in(pods: Iterable[Obj], now: datetime) -> float:
    """Seconds until the next Pod may be started after failures: ten, doubled with each failure in a row."""
    failed = [p for p in pods if status_of(p).get("phase") == "Failed"]
    if not failed:
        return 0
    latest = max(filter(None, (_ended(p) for p in failed)), default=None)
    pause = min(FIRST_RETRY * 2 ** (len(failed) - 1), LONGEST_RETRY)
    return max(pause - (now - latest).total_seconds(), 0) if latest else 0


def completed_indexes(pods: Iterable[Obj]) -> str | None:
    """The indexes of an indexed Job that succeeded, as ``0,1`` or ``0-4,6``; None for none."""
    done = [p for p in pods if status_of(p).get("phase") == "Succeeded"]
    found = sorted({int((p["metadata"].get("annotations") or {}).get(INDEX, -1)) for p in done} - {-1})
    spans: list[list[int]] = []
    for number in found:
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    words = [str(a) if a == b else f"{a},{b}" if b == a + 1 else f"{a}-{b}" for a, b in spans]
    return ",".join(words) or None


def _ended(pod: Obj) -> datetime | None:
    states = [s.get("state", {}).get("terminated") or {} for s in status_of(pod).get("containerStatuses") or ()]
    times = [moment(s.get("finishedAt")) for s in states]
    return max(filter(None, times), default=moment(pod["metadata"].get("creationTimestamp")))


class Jobs(PodOwner):
    component = "job-controller"
    kind, plural = "Job", "jobs"

    async def sync(self, key: Key) -> float | None:
        job, now = self.cluster.get("jobs", key), datetime.now(UTC)
        if job is None or deleting(job):
            return None
        if finished(job):
            return await self._expire(job, now)
        pods = self._owned.get(job["metadata"]["uid"])
        old = status_of(job)
        succeeded = max(sum(status_of(p).get("phase") == "Succeeded" for p in pods), old.get("succeeded", 0))
        failed = max(sum(status_of(p).get("phase") == "Failed" for p in pods), old.get("failed", 0))
        running = [p for p in pods if not terminated(p) and not deleting(p)]
        end = verdict(job, succeeded, failed, now)
        again: float | None = None
        if end is not None:
            await self.delete_pods(job, running)
        else:
            again = await self._fill(job, pods, running, wanted_pods(job, succeeded), now)
        await self._report(job, succeeded, failed, end, now)
        return again if end is None else 0.0

    async def _fill(self, job: Obj, pods: list[Obj], running: list[Obj], wanted: int, now: datetime) -> float | None:
        if len(running) > wanted:
            await self.delete_pods(job, running[wanted:])
        pause = retry_in(pods, now)
        if len(running) < wanted and not pause:
            await self.create_pods(job, self._new_pods(job, pods, wanted - len(running)))
        limit, began = spec_of(job).get("activeDeadlineSeconds"), moment(status_of(job).get("startTime"))
        waits = [pause] if pause else []
        if limit is not None:
            waits.append(limit - (now - began).total_seconds() if began else limit)
        return min(waits) if waits else None

    def _new_pods(self, job: Obj, pods: list[Obj], count: int) -> list[Obj]:
        made = [pod_from_template(job["spec"]["template"], job) for _ in range(count)]
        if spec_of(job).get("completionMode") != "Indexed":
            return made
        taken = {
            (p["metadata"].get("annotations") or {}).get(INDEX)
            for p in pods
            if status_of(p).get("phase") != "Failed" and not deleting(p)
        }
        free = [i for i in range(spec_of(job)["completions"]) if str(i) not in taken]
        for pod, index in zip(made, free, strict=False):
            number = str(index)
            pod["metadata"]["generateName"] = f"{job['metadata']['name']}-{number}-"
            pod["metadata"].setdefault("annotations", {})[INDEX] = number
            pod["metadata"]["labels"][INDEX] = number
            for container in (*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ())):
                container.setdefault("env", []).append({"name": "JOB_COMPLETION_INDEX", "value": number})
        return made[: len(free)]

    async def _report(
        self, job: Obj, succeeded: int, failed: int, end: tuple[str, str, str] | None, now: datetime
    ) -> None:
        pods, old = self._owned.get(job["metadata"]["uid"]), status_of(job)
        alive = [p for p in pods if not terminated(p)]
        conditions = list(old.get("conditions") or ())
        suspended = bool(spec_of(job).get("suspend"))
        if suspended != condition_is(job, "Suspended") and (suspended or conditions):
            conditions = self._suspension(job, conditions, suspended)
        if end is not None:
            kind, reason, message = end
            before = "SuccessCriteriaMet" if kind == "Complete" else "FailureTarget"
            for name in (before, kind):
                conditions = with_condition(conditions, name, "True", reason, message, lastProbeTime=stamp(now))
        await self.write_status(
            job,
            {
                "startTime": old.get("startTime") or (None if suspended else stamp(now)),
                "completionTime": stamp(now) if end and end[0] == "Complete" else None,
                "active": sum(not deleting(p) for p in alive) or None if end is None else None,
                "terminating": sum(map(deleting, alive)),
                "ready": sum(ready(p) for p in alive) if end is None else 0,
                "succeeded": succeeded or None,
                "failed": failed or None,
                "completedIndexes": completed_indexes(pods)
                if spec_of(job).get("completionMode") == "Indexed"
                else None,
                "uncountedTerminatedPods": {},
                "conditions": conditions or None,
            },
        )
        if end is not None:
            normal = end[0] == "Complete"
            words = ("Normal", "Completed", "Job completed") if normal else ("Warning", end[1], end[2])
            self.events.event(job, *words)

    def _suspension(self, job: Obj, conditions: list[Obj], suspended: bool) -> list[Obj]:
        words = ("Suspended", "Job suspended") if suspended else ("Resumed", "Job resumed")
        self.events.event(job, "Normal", *words)
        status, reason = ("True", "JobSuspended") if suspended else ("False", "JobResumed")
        return with_condition(conditions, "Suspended", status, reason, words[1], lastProbeTime=stamp())

    async def _expire(self, job: Obj, now: datetime) -> float | None:
        seconds = spec_of(job).get("ttlSecondsAfterFinished")
        if seconds is None:
            return None
        ended = next(c for c in status_of(job)["conditions"] if c["type"] == finished(job))["lastTransitionTime"]
        since = moment(ended)
        left = seconds - (now - since).total_seconds() if since else 0
        if left > 0:
            return float(left)
        await self.cluster.delete("jobs", job, propagation="Foreground")
        return None
