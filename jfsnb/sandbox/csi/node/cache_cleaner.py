"""Cleaning the cache of a volume that nobody on this node uses any more (reference §1.11)."""

from __future__ import annotations

import asyncio

from jfsnb.driver.mountpods.recreate import random_suffix
from jfsnb.sandbox.apimachinery.client import ApiError, Obj
from jfsnb.sandbox.csi.cluster import Cluster, mount_pod_of
from jfsnb.sandbox.csi.controller.job_runner import JobFailed, JobRunner
from jfsnb.sandbox.csi.klog import Logger
from jfsnb.sandbox.csi.rules import job

log = Logger("pod-driver")
GONE_SECONDS = 180


class CacheCleaner:
    """Runs a Job for each Mount Pod that asks for it, once the Pod is gone."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.runner = cluster, JobRunner(cluster)
        self._tasks: set[asyncio.Task[None]] = set()

    def after(self, mount_pod: Obj) -> None:
        """Clean in the background what a deleted Mount Pod cached, if it carries ``juicefs-clean-cache: "true"``."""
        body = job.clean_cache(mount_pod, random_suffix())
        if body is not None:
            task = asyncio.ensure_future(self._clean(mount_pod, body))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _clean(self, mount_pod: Obj, body: Obj) -> None:
        pod = mount_pod_of(mount_pod)
        try:
            async with asyncio.timeout(GONE_SECONDS):
                while self.cluster.cached_mount_pod(pod.name) is not None:
                    await self.cluster.changed.within(GONE_SECONDS)
        except TimeoutError:
            log.info("Mount pod not deleted in 3 min. Skip clean cache.", podName=pod.name)
            return
        log.info("Cleanup cache of volume", uniqueId=pod.unique_id, node=pod.node)
        name = body["metadata"]["name"]
        try:
            await self.runner.ensure(body)
            await self.runner.wait(name)
        except (JobFailed, ApiError, OSError) as error:
            log.error(error, "Cleanup cache of volume error", uniqueId=pod.unique_id)
            await self.runner.delete(name)
