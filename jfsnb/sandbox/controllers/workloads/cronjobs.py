"""CronJobs: a Job whenever the schedule says so, and not too many old ones."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jfsnb.sandbox.apimachinery.client import ApiError
from jfsnb.sandbox.controllers.objects import (
    Key,
    Obj,
    deleting,
    key_of,
    moment,
    owner_reference,
    spec_of,
    stamp,
    status_of,
)
from jfsnb.sandbox.controllers.workloads.cron import Schedule
from jfsnb.sandbox.controllers.workloads.jobs import finished
from jfsnb.sandbox.controllers.workloads.owning import PodOwner

SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp"
LATE = timedelta(seconds=100)  # runs missed while nobody looked are not made up for later than this


def due(cron_job: Obj, now: datetime) -> tuple[datetime | None, datetime | None]:
    """The latest run that is due and has not been started, and the next one after now."""
    spec, zone = spec_of(cron_job), spec_of(cron_job).get("timeZone")
    here = now.astimezone(ZoneInfo(zone)) if zone else now
    schedule = Schedule.parse(spec["schedule"])
    since = moment(status_of(cron_job).get("lastScheduleTime") or cron_job["metadata"]["creationTimestamp"]) or now
    deadline = spec.get("startingDeadlineSeconds")
    earliest = max(since, now - (timedelta(seconds=deadline) if deadline is not None else LATE))
    latest, candidate = None, schedule.after(earliest.astimezone(here.tzinfo))
    while candidate is not None and candidate <= here:
        latest, candidate = candidate, schedule.after(candidate)
    return latest, candidate


def job_for(cron_job: Obj, run: datetime) -> Obj:
    """The Job of one run; its name follows from the time, so that it is made once."""
    meta, template = cron_job["metadata"], cron_job["spec"]["jobTemplate"]
    own = template.get("metadata") or {}
    return {
        "metadata": {
            "name": f"{meta['name']}-{int(run.timestamp()) // 60}",
            "namespace": meta["namespace"],
            "labels": dict(own.get("labels") or {}),
            "annotations": {**(own.get("annotations") or {}), SCHEDULED_AT: stamp(run.astimezone(UTC))},
            "ownerReferences": [owner_reference(cron_job)],
        },
        "spec": copy.deepcopy(template["spec"]),
    }


class CronJobs(PodOwner):
    component = "cronjob-controller"
    kind, plural, dependents = "CronJob", "cronjobs", "jobs"

    async def sync(self, key: Key) -> float | None:
        cron_job, now = self.cluster.get("cronjobs", key), datetime.now(UTC)
        if cron_job is None or deleting(cron_job):
            return None
        await self._tidy(cron_job)
        try:
            run, following = due(cron_job, now)
        except (ValueError, ZoneInfoNotFoundError) as error:
            schedule = cron_job["spec"]["schedule"]
            words = f'unparseable schedule: "{schedule}" : {error}'
            self.events.event(cron_job, "Warning", "UnparseableSchedule", words)
            return None
        started = None
        if run is not None and not spec_of(cron_job).get("suspend"):
            started = await self._start(cron_job, run)
        await self._report(cron_job, started)
        return (following - now).total_seconds() if following and not spec_of(cron_job).get("suspend") else None

    def _jobs(self, cron_job: Obj) -> list[Obj]:
        jobs = self._owned.get(cron_job["metadata"]["uid"])
        return sorted(jobs, key=lambda j: (j["metadata"]["creationTimestamp"], j["metadata"]["name"]))

    async def _start(self, cron_job: Obj, run: datetime) -> datetime | None:
        running = [j for j in self._jobs(cron_job) if not finished(j)]
        policy = spec_of(cron_job).get("concurrencyPolicy", "Allow")
        if running and policy == "Forbid":
            words = "Not starting job because prior execution is running and concurrency policy is Forbid"
            self.events.event(cron_job, "Normal", "JobAlreadyActive", words)
            return None
        for job in running if policy == "Replace" else ():
            await self._delete(cron_job, job)
        try:
            made = await self.cluster.create("jobs", job_for(cron_job, run))
        except ApiError as error:
            if error.status == 409:
                return run
            self.events.event(cron_job, "Warning", "FailedCreate", f"Error creating job: {error.message}")
            raise
        self.events.event(cron_job, "Normal", "SuccessfulCreate", f"Created job {made['metadata']['name']}")
        return run

    async def _tidy(self, cron_job: Obj) -> None:
        """Say which Jobs have ended, and delete those beyond the history limits."""
        spec, active = spec_of(cron_job), {r["uid"] for r in status_of(cron_job).get("active") or ()}
        ended = [j for j in self._jobs(cron_job) if finished(j)]
        for job in ended:
            if job["metadata"]["uid"] in active:
                words = f"Saw completed job: {job['metadata']['name']}, condition: {finished(job)}"
                self.events.event(cron_job, "Normal", "SawCompletedJob", words)
        for how, field, limit in (
            ("Complete", "successfulJobsHistoryLimit", 3),
            ("Failed", "failedJobsHistoryLimit", 1),
        ):
            old = [j for j in ended if finished(j) == how and not deleting(j)]
            for job in old[: max(len(old) - spec.get(field, limit), 0)]:
                await self._delete(cron_job, job)

    async def _delete(self, cron_job: Obj, job: Obj) -> None:
        await self.cluster.delete("jobs", job, propagation="Background")
        self.events.event(cron_job, "Normal", "SuccessfulDelete", f"Deleted job {job['metadata']['name']}")

    async def _report(self, cron_job: Obj, started: datetime | None) -> None:
        jobs, old = self._jobs(cron_job), status_of(cron_job)
        active = [_reference(j) for j in jobs if not finished(j)]
        done = [status_of(j)["completionTime"] for j in jobs if status_of(j).get("completionTime")]
        fresh = {
            "active": active or None,
            "lastScheduleTime": stamp(started.astimezone(UTC)) if started else old.get("lastScheduleTime"),
            "lastSuccessfulTime": max(done, default=old.get("lastSuccessfulTime")),
        }
        current = self.cluster.get("cronjobs", key_of(cron_job)) or cron_job
        await self.write_status(current, fresh)


def _reference(job: Obj) -> Obj:
    meta = job["metadata"]
    names = {"namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]}
    return {"kind": "Job", "apiVersion": "batch/v1", **names, "resourceVersion": meta["resourceVersion"]}
