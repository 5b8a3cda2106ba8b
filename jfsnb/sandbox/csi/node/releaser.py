"""Unpublishing: from the target back to a Mount Pod that goes when nobody uses it (reference §1.11, §4.3)."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from datetime import UTC, datetime

from jfsnb.driver import names
from jfsnb.driver.mountpods.deletion import delete_at
from jfsnb.driver.mountpods.mount_pods import MountPod
from jfsnb.sandbox.csi.cluster import Cluster, mount_pod_of
from jfsnb.sandbox.csi.klog import Logger
from jfsnb.sandbox.csi.node import mounts
from jfsnb.sandbox.csi.node.passfd import FuseDescriptors

log = Logger("juicefs")


class Releaser:
    """Takes references away and deletes Mount Pods without any.

    Args:
        locks: by hash, shared with the Mounter.
        wake: asks for a reconciliation of a Mount Pod by name, after so many seconds.
        descriptors: of the FUSE sessions, which end with their last user.
    """

    def __init__(
        self,
        cluster: Cluster,
        locks: dict[str, asyncio.Lock],
        wake: Callable[[str, float], None],
        descriptors: FuseDescriptors,
    ) -> None:
        self.cluster, self.locks, self.wake, self.descriptors = cluster, locks, wake, descriptors

    async def unpublish(self, volume_id: str, target: str) -> None:
        """Unmount the target and drop its reference; both may be gone already."""
        log.info("umount target", target=target, lazy=True)
        mounts.unmount_all(target)
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(target)
        pod = await self._holder(volume_id, target)
        if pod is None:
            whose = {"mountPath": target, "uniqueId": volume_id, "volumeId": volume_id}
            return log.info("No mount pod found, skip umount mount pod", **whose)
        async with self.locks[pod.settings_hash]:
            await self.release(pod.name, target)

    async def _holder(self, volume_id: str, target: str) -> MountPod | None:
        """The live Mount Pod on this node that carries the target's reference, whatever its unique id."""
        known = [mount_pod_of(p) for p in self.cluster.mount_pods.store.values() if self.cluster.is_ours(p)]
        holders = [p for p in known if any(r.target == target for r in p.references) and not p.deleting]
        if not holders:  # the watch may lag behind a publication of a moment ago
            fresh = [mount_pod_of(p) for p in await self.cluster.mount_pods_here(volume_id)]
            holders = [p for p in fresh if any(r.target == target for r in p.references) and not p.deleting]
        return holders[0] if holders else None

    async def release(self, name: str, target: str) -> None:
        """Drop a reference, then delete the Mount Pod if none is left. The caller holds the lock of its hash."""
        about = {"target": target, "podName": name, "key": names.reference_key(target)}
        log.info("Delete target ref and check mount pod is need to delete or not.", **about)
        pod = mount_pod_of(await self.cluster.drop_references(name, (target,)))
        if pod.references:
            return log.info("pod still has juicefs- refs.", podName=name)
        await self.retire(pod, "pod has no juicefs- refs. delete it.")

    async def retire(self, pod: MountPod, why: str = "There are no refs in pod annotation, delete it") -> bool:
        """Delete a Mount Pod that nobody uses, now or after its delay; True when it was deleted now (§1.11).

        Args:
            why: for the log.
        """
        if pod.references or pod.deleting:
            return False
        now = datetime.now(UTC)
        moment = delete_at(pod.annotations, now)
        if moment is not None and moment > now:
            if names.DELETE_AT not in pod.annotations:
                stamp = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
                note = {names.DELETE_AT: stamp}
                Logger("util", own=True).info("delayDelete: add annotation to pod", annotations=note, podName=pod.name)
                await self.cluster.annotate(pod.name, note)
            self.wake(pod.name, (moment - now).total_seconds())
            return False
        log.info(why, podName=pod.name)
        self.descriptors.stop(pod.upgrade_uuid)
        await unmount_path(pod.command.mount_path)
        await self.cluster.delete_mount_pod(pod.name)
        return True

    def reconcile_soon(self, volume_id: str) -> None:
        """A volume of this id looked broken: look after its Mount Pods now (§4.4)."""
        for pod in map(mount_pod_of, list(self.cluster.mount_pods.store.values())):
            if pod.unique_id == volume_id and pod.node == self.cluster.node:
                self.wake(pod.name, 0)


async def unmount_path(path: str) -> None:
    """``umount -l`` of a mount path, as often as something is mounted there; what cannot be unmounted is left."""
    if not path:
        return
    try:
        await mounts.away_from_loop(lambda: mounts.unmount_all(path), 5)
    except (OSError, TimeoutError) as error:
        log.error(error, "umount mount path error", path=path)


def remove_directory(path: str) -> None:
    """Remove an unmounted mount path; never what is in it."""
    if path and not mounts.mounts_at(path):
        with contextlib.suppress(OSError):
            os.rmdir(path)
