"""Successors of Mount Pods that ended while they were in use (reference §3.3, §3.4; fuse-handover §10, §11)."""

from __future__ import annotations

import os

from jfsnb.driver import names
from jfsnb.driver.config.merging import merge
from jfsnb.driver.mountpods import recreate
from jfsnb.driver.mountpods.mount_pods import MountPod
from jfsnb.driver.settings.errors import DriverPanics
from jfsnb.driver.settings.publication import Json
from jfsnb.driver.settings.renewal import Sources, pv_name_of
from jfsnb.sandbox.apimachinery.client import Obj
from jfsnb.sandbox.csi.cluster import mount_pod_of
from jfsnb.sandbox.csi.klog import Logger
from jfsnb.sandbox.csi.node import mounts
from jfsnb.sandbox.csi.node.mounter import Mounter
from jfsnb.sandbox.csi.node.releaser import unmount_path
from jfsnb.sandbox.csi.rules import fuse_session

log = Logger("pod-driver")
MKDIR_SECONDS = 3


class Replacer:
    """Makes a Mount Pod anew: same mount path, same references, the configuration of today."""

    def __init__(self, mounter: Mounter) -> None:
        self.mounter, self.cluster, self.descriptors = mounter, mounter.cluster, mounter.descriptors

    async def replace(self, old: Obj, smooth: bool) -> None:
        """Make the successor of a Mount Pod. The caller holds the lock of its hash.

        Args:
            smooth: the old client ended by itself, for example in an upgrade: the new one gets its session and state.
        """
        pod = mount_pod_of(old)
        name = names.mount_pod_name(pod.node, pod.unique_id, recreate.random_suffix())
        try:
            made = recreate.replacement(await self.sources(old, pod), self.mounter.host, name)
        except DriverPanics as error:  # the real driver's process ends here, again and again
            return log.error(error, "apply config patch error", podName=pod.name)
        if made.problem is not None:
            log.error(made.problem, "apply config patch error, will ignore", podName=pod.name)
        body = self._hand_over(made.pod, pod, smooth)
        if made.secret is not None:
            await self.cluster.write_secret(names.secret_name(pod.unique_id), made.secret, None)
        await self._make_way(old, body)
        created = await self.cluster.create_mount_pod(body)
        self.cluster.mount_pods.store.setdefault((self.cluster.namespace, created["metadata"]["name"]), created)

    def _hand_over(self, body: Json, pod: MountPod, smooth: bool) -> Json:
        """What the old client left for the new one: its session, or nothing but the mount."""
        key, name = pod.upgrade_uuid, body["metadata"]["name"]
        if not smooth:
            log.info("pod targetPath not empty, need to create a new one", podName=pod.name, newPodName=name)
            log.info("delete tmp state file because it is not smoothly upgrade", podName=pod.name)
            self.descriptors.forget_handles(key)
            return body
        log.info("need to create a new one", podName=pod.name, newPodName=name)
        kept = self.descriptors.kept.get(key)
        return fuse_session.continuing(body, kept.session, kept.state_path) if kept else body

    async def _make_way(self, old: Obj, new: Json) -> None:
        """Have the mount path ready: for a client that takes over the mount there, or for one that mounts anew."""
        pod, env = mount_pod_of(old), self.mounter.host.env
        path, key = pod.command.mount_path, pod.upgrade_uuid
        could, can = fuse_session.can_hand_on(old, env), fuse_session.can_hand_on(new, env)
        if not can:
            self.descriptors.stop(key)
        if not (could and can):
            await unmount_path(path)
        if can and not could:
            self.descriptors.listen(key)
        try:  # while nobody serves the mount this takes all of its time, as on real nodes
            await mounts.away_from_loop(lambda: _make_directory(path), MKDIR_SECONDS)
        except TimeoutError:
            log.error("function timeout", "mkdir mount point of pod", podName=pod.name)
        except OSError as error:
            log.error(error, "mkdir mount point of pod", podName=pod.name)

    async def sources(self, obj: Obj, pod: MountPod) -> Sources:
        """What is known now for a successor of a Mount Pod (§3.4)."""
        made = await self.cluster.secret(self.cluster.namespace, names.secret_name(pod.unique_id))
        pv = await self.cluster.pv(pv_name_of(obj, self.mounter.host) or "-")
        _, pvc = await self.cluster.claim_of("", pv, None)
        ref = (((pv or {}).get("spec") or {}).get("csi") or {}).get("nodePublishSecretRef")
        is_bound = pv is not None and pv["spec"].get("claimRef")
        secret = await self.cluster.secret(ref["namespace"], ref["name"]) if ref and is_bound else None
        patch = merge(self.mounter.config.current, pvc, await self.cluster.own_node()).fields
        return Sources(obj, made, pv, pvc, secret, patch)


def _make_directory(path: str) -> None:
    """Make a mount path. One that is there is looked at; the kernel's own memory of it (1 s) is no answer."""
    try:
        os.makedirs(path, 0o777)
    except FileExistsError:
        os.statvfs(path)
