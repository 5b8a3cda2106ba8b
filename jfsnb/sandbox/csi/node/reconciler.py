"""Looking after the Mount Pods of this node (reference §4.6).

The real driver polls its kubelet every five seconds and falls back to watching the API server where it cannot. Here it
is always the watch: changes are seen at once, and an app Pod is known by its label ``juicefs-uniqueid``.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from jfsnb.driver import names
from jfsnb.driver.mountpods import recreate
from jfsnb.driver.mountpods.building import without_requests
from jfsnb.driver.mountpods.mount_pods import MountPod
from jfsnb.driver.mountpods.pod_state import State, is_resource_error, state_of
from jfsnb.sandbox.apimachinery.client import Obj
from jfsnb.sandbox.apimachinery.wakeups import Wakeups
from jfsnb.sandbox.csi.cluster import Cluster, mount_pod_of
from jfsnb.sandbox.csi.klog import Logger, handling
from jfsnb.sandbox.csi.node.cache_cleaner import CacheCleaner
from jfsnb.sandbox.csi.node.mounter import Mounter
from jfsnb.sandbox.csi.node.recovery import recover
from jfsnb.sandbox.csi.node.releaser import Releaser, remove_directory, unmount_path
from jfsnb.sandbox.csi.node.replacer import Replacer
from jfsnb.sandbox.csi.rules import fuse_session
from jfsnb.sandbox.csi.rules.stopping import has_stopped

log = Logger("pod-driver")
RESYNC_SECONDS = 600
RETRY_SECONDS = 5
#: Then a Ready Mount Pod is given up, and its FUSE session with it: as long as in reality, however busy the machine is.
NOT_SERVED_SECONDS = 60


class Reconciler:
    """Watches Mount Pods and app Pods of the node and brings them to where they should be."""

    def __init__(self, cluster: Cluster, mounter: Mounter) -> None:
        self.cluster, self.mounter = cluster, mounter
        self.wakeups = Wakeups(self._sync_safely)
        self.descriptors = mounter.descriptors
        self.replacer = Replacer(mounter)
        self.releaser = Releaser(cluster, mounter.locks, self.wakeups.wake, self.descriptors)
        self.cache_cleaner = CacheCleaner(cluster)
        self._complained: dict[str, tuple[str, str]] = {}
        self._told: set[tuple[str, int, str]] = set()

    async def run(self) -> None:
        """Until cancelled."""
        self.cluster.mount_pods.add_handler(self._on_mount_pod)
        self.cluster.app_pods.add_handler(self._on_app_pod)
        work = (self.cluster.mount_pods.run(), self.cluster.app_pods.run(), self._resync(), self._recover_descriptors())
        await asyncio.gather(*work)

    async def _recover_descriptors(self) -> None:
        """After a restart: ask the clients for the copies that went with the last process."""
        env = self.mounter.host.env
        await self.cluster.mount_pods.synced.wait()
        ours = [p for p in self.cluster.mount_pods.store.values() if self.cluster.is_ours(p)]
        keepers = [mount_pod_of(p) for p in ours if fuse_session.can_hand_on(p, env)]
        if env.get(fuse_session.DISABLED) != "true":
            await self.descriptors.recover({p.upgrade_uuid for p in keepers if not p.deleting})

    def _on_mount_pod(self, kind: str, pod: Obj, _old: Obj | None) -> None:
        if kind != "DELETED" and self.cluster.is_bound_here(pod):
            self.wakeups.wake(pod["metadata"]["name"], 0)

    def _on_app_pod(self, kind: str, pod: Obj, _old: Obj | None) -> None:
        """An app Pod is gone, or came back into sight: look at the Mount Pods that it refers to."""
        if kind == "MODIFIED":
            return
        for mount_pod in list(self.cluster.mount_pods.store.values()):
            references = mount_pod_of(mount_pod).references
            if any(r.pod_uid == pod["metadata"]["uid"] for r in references):
                self.wakeups.wake(mount_pod["metadata"]["name"], 0)

    async def _resync(self) -> None:
        while True:
            await asyncio.sleep(RESYNC_SECONDS)
            for _, name in list(self.cluster.mount_pods.store):
                self.wakeups.wake(name, 0)

    async def _sync_safely(self, name: str) -> None:
        try:
            with handling(log.name, podName=name):
                await self.sync(name)
        except Exception as error:  # whatever it is, the other Mount Pods and the next round go on
            log.error(repr(error), "mount pod reconcile error", podName=name)
            self.wakeups.wake(name, RETRY_SECONDS)

    async def sync(self, name: str) -> None:
        """One round for one Mount Pod: clean references, maybe retire it, else act on its state."""
        obj = self.cluster.cached_mount_pod(name)
        if obj is None or not self.cluster.is_bound_here(obj):
            return
        async with self.mounter.locks[mount_pod_of(obj).settings_hash]:
            obj = await self._clean_references(obj)
            if not mount_pod_of(obj).references:  # the watch may lag behind a publication of a moment ago
                obj = await self.cluster.pod(self.cluster.namespace, name)
                if obj is None:
                    return
            if await self.releaser.retire(mount_pod_of(obj)):
                return
        if names.IMMEDIATE_RECONCILE in (obj["metadata"].get("annotations") or {}):
            await self.cluster.annotate(name, {}, (names.IMMEDIATE_RECONCILE,))
        handlers = {
            State.DELETED: self._on_deleted,
            State.COMPLETE: self._on_complete,
            State.ERROR: self._on_error,
            State.READY: self._on_ready,
            State.PENDING: self._on_pending,
        }
        await handlers[state_of(obj)](obj)

    async def _clean_references(self, obj: Obj) -> Obj:
        """Drop references of Pods that no longer exist (§1.10)."""
        pod = mount_pod_of(obj)
        known = {p["metadata"]["uid"] for p in self.cluster.app_pods.store.values()}
        lost = [r for r in pod.references if r.pod_uid and r.pod_uid not in known]
        if not lost or not self.cluster.app_pods.synced.is_set():
            return obj
        known = await self.cluster.app_pod_uids()  # the watch may lag behind a publication of a moment ago
        gone = [r for r in lost if r.pod_uid not in known]
        if not gone:
            return obj
        for reference in gone:
            log.info(
                "get app pod deleted in annotations of mount pod, remove its ref.",
                podName=pod.name,
                appId=reference.pod_uid,
            )
        return await self.cluster.drop_references(pod.name, tuple(r.target for r in gone))

    # ---------------------------------------------------------------- states

    async def _on_pending(self, obj: Obj) -> None:
        if is_resource_error(obj) and self.mounter.config.current.switches.get(
            "enableAutoRemoveRequestResources", True
        ):
            await self._redeploy(obj)

    async def _on_error(self, obj: Obj) -> None:
        if is_resource_error(obj):
            return await self._redeploy(obj)
        pod = mount_pod_of(obj)
        message = next((_message(c) for c in (obj.get("status") or {}).get("containerStatuses") or ()), "")
        if self._complained.get(pod.name) != (pod.reason, message):
            self._complained[pod.name] = pod.reason, message
            log.info("Pod is error", podName=pod.name, reason=pod.reason, message=message)

    async def _on_ready(self, obj: Obj) -> None:
        pod = mount_pod_of(obj)
        path = pod.command.mount_path

        def is_still_ready() -> bool:
            latest = self.cluster.cached_mount_pod(pod.name)
            return latest is not None and state_of(latest) is State.READY

        if await self.mounter.watch.served(path, NOT_SERVED_SECONDS, is_still_ready):
            self._tell_once(pod, "Mount point is ready")
            return await recover(pod, self.mounter.directory, self._sub_path_of)
        if not is_still_ready():
            return
        log.error("mount point is not ready", "pod is ready but its mount point does not answer", podName=pod.name)
        if fuse_session.can_hand_on(obj, self.mounter.host.env):
            self.descriptors.close_copy(pod.upgrade_uuid)
            await unmount_path(path)
            await self.cluster.delete_mount_pod(pod.name)

    async def _on_complete(self, obj: Obj) -> None:
        pod = mount_pod_of(obj)
        async with self.mounter.locks[pod.settings_hash]:
            latest = await self.cluster.pod(self.cluster.namespace, pod.name)
            if latest is None or mount_pod_of(latest).deleting:
                return
            if mount_pod_of(latest).references and not self._successor_of(pod):
                await self.replacer.replace(latest, smooth=True)
        log.info("delete the old complete mount pod", podName=pod.name)
        await self.cluster.delete_mount_pod(pod.name)

    async def _on_deleted(self, obj: Obj) -> None:
        """Without users: clean up and let it go. With users: a successor at the same mount path first (§3.3).

        A successor waits until the old client has stopped, whose preStop would unmount the path under it; the real
        driver does not wait, its Pods start more slowly.
        """
        pod = mount_pod_of(obj)
        if names.FINALIZER not in pod.finalizers:
            return
        self._tell_once(pod, "Pod is to be deleted.")
        if not has_stopped(obj, datetime.now(UTC)):
            return self.wakeups.wake(pod.name, 1)
        async with self.mounter.locks[pod.settings_hash]:
            obj = await self.cluster.pod(self.cluster.namespace, pod.name) or obj
            ends = not mount_pod_of(obj).references and not self._successor_of(pod)
            if ends:
                log.info("Clean mount point", podName=pod.name, mountPath=pod.command.mount_path)
                self.descriptors.stop(pod.upgrade_uuid)
                await unmount_path(pod.command.mount_path)
                remove_directory(pod.command.mount_path)
            elif not self._successor_of(pod):
                await self.replacer.replace(obj, smooth=False)
            await self.cluster.drop_finalizer(pod.name)
        if ends and not self._others_of(pod):
            self.cache_cleaner.after(obj)

    def _tell_once(self, pod: MountPod, message: str) -> None:
        """What the real driver says each time that it looks, which is less often."""
        if (pod.uid, pod.restarts, message) not in self._told:
            self._told.add((pod.uid, pod.restarts, message))
            log.info(message, podName=pod.name)

    # ---------------------------------------------------------------- making Pods

    def _others_of(self, pod: MountPod) -> list[MountPod]:
        """Live Mount Pods of the same unique id on this node: they use the same cache."""
        known = map(mount_pod_of, filter(self.cluster.is_ours, self.cluster.mount_pods.store.values()))
        return [p for p in known if p.unique_id == pod.unique_id and p.name != pod.name and not p.deleting]

    def _successor_of(self, pod: MountPod) -> MountPod | None:
        """A live Mount Pod of the same unique id and upgrade UUID."""
        same = (p for p in self._others_of(pod) if p.upgrade_uuid == pod.upgrade_uuid)
        return next((p for p in same if not p.completed), None)

    async def _sub_path_of(self, pv_name: str) -> str:
        pv = await self.cluster.pv(pv_name)
        csi = ((pv or {}).get("spec") or {}).get("csi") or {}
        return str((csi.get("volumeAttributes") or {}).get("subPath", ""))

    async def _redeploy(self, obj: Obj) -> None:
        """The same Pod again, asking for nothing (§3.3)."""
        name = obj["metadata"]["name"]
        log.info("mount pod has resource error, redeploy it without requests", podName=name)
        await self.cluster.drop_finalizer(name)
        await self.cluster.delete_mount_pod(name)
        while self.cluster.cached_mount_pod(name) is not None:
            await self.cluster.changed.within(5)
        await self.cluster.create_mount_pod(without_requests(recreate.same_again(obj)))


def _message(container: Obj) -> str:
    state = container.get("state") or {}
    return str((state.get("waiting") or state.get("terminated") or {}).get("message", ""))
