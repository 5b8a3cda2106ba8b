"""Running one of the driver's Jobs to its end (reference §4.5, §1.11)."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from jfsnb.sandbox.apimachinery.broadcast import Broadcast
from jfsnb.sandbox.apimachinery.client import ApiError, Informer, Obj
from jfsnb.sandbox.csi.cluster import Cluster
from jfsnb.sandbox.csi.klog import Logger

log = Logger("job")
SECONDS = 40
GONE_AGAIN_SECONDS = 0.1


class JobFailed(Exception):
    """A Job did not complete; the text is the driver's, with the tail of the Job's log."""


class JobRunner:
    """Creates Jobs in the driver's namespace and waits for them."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.jobs = f"/apis/batch/v1/namespaces/{cluster.namespace}/jobs"

    async def ensure(self, job: Obj) -> Obj:
        """The Job of that name; made when there is none."""
        name = job["metadata"]["name"]
        found = await self.cluster.find(f"{self.jobs}/{name}")
        if found is not None:
            return found
        log.info("create job", jobName=name)
        return await self.cluster.api.create(self.jobs, job)

    async def replace(self, canary: Obj) -> None:
        """Make a canary Job; one of that name is taken away first."""
        name, builder = canary["metadata"]["name"], Logger("job-builder")
        if await self.cluster.find(f"{self.jobs}/{name}") is not None:
            builder.info("canary job already exists, delete it first", name=name)
            await self.delete(name)
            await self.wait_gone(name)
        builder.info("create canary job", image=canary["spec"]["template"]["spec"]["containers"][0]["image"], name=name)
        await self.cluster.api.create(self.jobs, canary)

    async def delete(self, name: str) -> None:
        """Take a Job and its Pods away; one that is gone is fine."""
        with contextlib.suppress(ApiError):
            await self.cluster.api.delete(f"{self.jobs}/{name}", propagationPolicy="Background")

    async def wait(self, name: str, seconds: float = SECONDS) -> None:
        """Until the Job is complete, or was complete and is gone.

        Raises:
            JobFailed: it failed, or it is not complete after so many seconds.
        """
        Logger("job-util").info("waiting for job complete", name=name)
        changed = Broadcast()
        informer = Informer(self.cluster.api, self.jobs, fieldSelector=f"metadata.name={name}")
        informer.add_handler(lambda *_: changed.send())
        follow = asyncio.ensure_future(informer.run())
        try:
            async with asyncio.timeout(seconds):
                await informer.synced.wait()
                while (job := informer.store.get((self.cluster.namespace, name))) is not None:
                    end = _end(job)
                    if end == "Complete":
                        return
                    if end == "Failed":
                        break
                    await changed.within(seconds)
                else:
                    return
        except TimeoutError:
            pass
        finally:
            follow.cancel()
        raise JobFailed(f"waitUntilJobCompleted: job {name} isn't completed: {await self._log(name)}")

    async def wait_gone(self, name: str) -> None:
        """Until there is no Job of that name; its controller takes its Pods away first."""
        while await self.cluster.find(f"{self.jobs}/{name}") is not None:
            await asyncio.sleep(GONE_AGAIN_SECONDS)

    async def pods(self, name: str) -> list[Obj]:
        """The Pods of a Job."""
        path = f"/api/v1/namespaces/{self.cluster.namespace}/pods"
        found = await self.cluster.api.list(path, labelSelector=f"job-name={name}")
        return list(found["items"])

    async def _log(self, name: str) -> str:
        pods = await self.pods(name)
        if not pods:
            return "it has no pod"
        container = pods[-1]["spec"]["containers"][0]["name"]
        return (await self.cluster.logs(pods[-1]["metadata"]["name"], container, 20)).strip()


def _end(job: dict[str, Any]) -> str:
    conditions = (job.get("status") or {}).get("conditions") or ()
    met = {c["type"] for c in conditions if c.get("status") == "True"}
    return next((end for end in ("Complete", "Failed") if end in met), "")
