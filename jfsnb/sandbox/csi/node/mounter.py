"""Publishing: from a CSI call to a served mount at the app Pod's target (reference §4.2 steps 5 to 10)."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jfsnb.driver import names
from jfsnb.driver.config.merging import merge
from jfsnb.driver.masking import strip_password
from jfsnb.driver.mountpods.building import Identity, build, placed_by_selector
from jfsnb.driver.mountpods.mount_pods import MountPod, losing_reference, would_reuse
from jfsnb.driver.mountpods.recreate import random_suffix
from jfsnb.driver.provisioning.persistent_volume import QUOTA_SET
from jfsnb.driver.settings import quantity
from jfsnb.driver.settings.attr import volume_context
from jfsnb.driver.settings.driver_secret import secret_data
from jfsnb.driver.settings.hash import settings_hash
from jfsnb.driver.settings.host import Host
from jfsnb.driver.settings.mount_options import requested
from jfsnb.driver.settings.publication import Json, Volume, settings_of, with_scheme
from jfsnb.sandbox.apimachinery.client import ApiError, Obj
from jfsnb.sandbox.csi.cluster import Cluster, mount_pod_of
from jfsnb.sandbox.csi.controller.quota import set_quota
from jfsnb.sandbox.csi.juicefs import ClientError, file_system_uuid
from jfsnb.sandbox.csi.klog import Logger
from jfsnb.sandbox.csi.node import mounts
from jfsnb.sandbox.csi.node.config_file import ConfigFile
from jfsnb.sandbox.csi.node.passfd import FuseDescriptors
from jfsnb.sandbox.csi.rules import fuse_session
from jfsnb.sandbox.csi.rules.job import volume_directory
from jfsnb.sandbox.csi.rules.sharing import Sharing

log = Logger("juicefs")
POD_NAME, POD_NAMESPACE = "csi.storage.k8s.io/pod.name", "csi.storage.k8s.io/pod.namespace"
NO_POD_INFO = "can not connect to kubelet, please turn `podInfoOnMount` on in csiDriver, and fallback to apiServer"


class MountFailed(Exception):
    """The volume could not be mounted; the text comes after ``Could not mount juicefs: ``."""


@dataclass(frozen=True)
class Publication:
    """A NodePublishVolume call as plain data."""

    volume_id: str
    target: str
    secrets: Mapping[str, str]
    context: Mapping[str, str]
    flags: tuple[str, ...] = ()
    read_only: bool = False


@dataclass(frozen=True)
class Plan:
    """What a publication comes to: settings, patch, hash.

    Args:
        share_mode: empty when not shared. owner: of the driver-made Secret.
        capacity: bytes for the volume's quota; 0 when there is nothing for the node to limit.
    """

    settings: Json
    patch: Mapping[str, Any]
    settings_hash: str
    share_mode: str
    owner: Obj | None
    capacity: int = 0


class Mounter:
    """Mounts volumes on this node through Mount Pods.

    Args:
        cluster: the API server.
        config: the configuration in force.
        host: what is inherited from the CSI node Pod.
        watch: of the mount table.
        patience: seconds for a Mount Pod to run, and again for its mount to answer (60 in reality).
        descriptors: of the FUSE sessions of this node's Mount Pods.
    """

    def __init__(
        self,
        cluster: Cluster,
        config: ConfigFile,
        host: Host,
        watch: mounts.MountWatch,
        patience: float,
        descriptors: FuseDescriptors,
    ) -> None:
        self.cluster, self.config, self.host, self.watch, self.patience = cluster, config, host, watch, patience
        self.descriptors = descriptors
        self.sharing = Sharing(cluster, host)
        self.locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tasks: set[asyncio.Task[None]] = set()

    async def mount(self, wanted: Publication) -> str:
        """Have a Mount Pod serve the volume; returns the directory to bind to the target.

        Raises:
            MountFailed, SettingsError, ClientError, ApiError.
        """
        app_pod = await self._app_pod(wanted)
        plan = await self.plan(wanted, app_pod)
        async with self.locks[plan.settings_hash]:
            pod = await self._choose(plan, wanted.target)
            await self.cluster.label_app_pod(app_pod["metadata"]["namespace"], app_pod["metadata"]["name"])
            log.info("set mount info in pod", podName=app_pod["metadata"]["name"])
            if pod is None:
                pod = await self._create(plan, wanted.target, app_pod)
            else:
                await self._reuse(plan, pod, wanted.target)
        await self._wait_running(pod.name)
        await self._wait_ready(plan, pod)
        if not plan.settings["UUID"]:
            await self._record_uuid(plan, pod.name)
        directory = await self.directory(
            pod.command.mount_path, plan.settings.get("SubPath", ""), bool(plan.share_mode)
        )
        if plan.capacity and plan.settings["IsCe"]:
            task = asyncio.ensure_future(self._limit(plan))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return directory

    # ---------------------------------------------------------------- what is wanted

    async def _app_pod(self, wanted: Publication) -> Obj:
        namespace, name = wanted.context.get(POD_NAMESPACE, ""), wanted.context.get(POD_NAME, "")
        if not name:
            raise MountFailed(NO_POD_INFO)
        pod = await self.cluster.pod(namespace, name)
        if pod is None:
            raise MountFailed(f'pods "{name}" not found')
        return pod

    async def plan(self, wanted: Publication, app_pod: Obj) -> Plan:
        """Settings and hash of a publication under the configuration that is in force now."""
        probe = asyncio.ensure_future(self._uuid(wanted.secrets))
        try:
            pv = await self.cluster.pv(wanted.volume_id)
            shared = await self.sharing.resolve(wanted.volume_id, pv, wanted.secrets)
            pv, pvc = await self.cluster.claim_of(wanted.volume_id, pv, app_pod)
            node = await self.cluster.own_node()
            patch = merge(self.config.current, pvc, node).fields
            annotations = ((pvc or {}).get("metadata") or {}).get("annotations") or {}
            context = volume_context(_own(wanted.context), annotations, self.host.unsafe_annotations)
            options = requested(context, wanted.flags, wanted.read_only)
            volume = Volume(wanted.volume_id, shared.unique_id, wanted.secrets, context, options, await probe)
        finally:
            probe.cancel()
        settings = settings_of(volume, self.host, patch)
        log.info("Format/Auth command", cmd=settings["FormatCmd"])
        capacity = self._capacity(context, pv)
        return Plan(
            settings, patch, settings_hash(settings), self.host.share_mode, shared.storage_class or pv, capacity
        )

    def _capacity(self, context: Mapping[str, str], pv: Obj | None) -> int:
        """Bytes for the quota that the node sets, unless the controller has (§4.2 step 11)."""
        text = context.get("capacity", "")
        if not text or QUOTA_SET in context or not self.config.current.switches.get("enableSetQuota", True):
            return 0
        if not text.isdigit():
            raise MountFailed(f"invalid capacity {text}")
        now = ((pv or {}).get("spec") or {}).get("capacity", {}).get("storage")
        return int(quantity.parse(str(now))) if now else int(text)

    async def _limit(self, plan: Plan) -> None:
        """Set the volume's quota; nobody waits for it."""
        try:
            await set_quota(plan.settings["metaurl"], volume_directory(plan.settings), plan.capacity)
        except (ClientError, OSError) as error:
            log.error(error, "set quota failed", volumeId=plan.settings["VolumeId"])

    async def _uuid(self, secrets: Mapping[str, str]) -> str:
        if not secrets.get("metaurl") or not secrets.get("name"):
            return ""
        return await file_system_uuid(with_scheme(secrets["metaurl"]))

    # ---------------------------------------------------------------- which Mount Pod

    async def _choose(self, plan: Plan, target: str) -> MountPod | None:
        """The Mount Pod to use again, or None; Pods that cannot be used lose this target's reference (§3.2)."""
        unique_id = plan.settings["UniqueId"]
        found = [mount_pod_of(p) for p in await self.cluster.mount_pods_here(unique_id)]
        chosen = would_reuse(found, unique_id=unique_id, node=self.cluster.node, settings_hash=plan.settings_hash)
        losers = losing_reference(found, node=self.cluster.node, settings_hash=plan.settings_hash, target=target)
        for pod in losers:
            log.info("Found pod with same target path, delete the reference", podName=pod.name, target=target)
            await self.cluster.drop_references(pod.name, (target,))
        return chosen

    async def _create(self, plan: Plan, target: str, app_pod: Obj) -> MountPod:
        unique_id = plan.settings["UniqueId"]
        name = names.mount_pod_name(self.cluster.node, unique_id, random_suffix())
        path = names.first_mount_path(unique_id, name)
        log.info("Need to create pod", podName=name)
        os.makedirs(path, 0o777, exist_ok=True)
        who = Identity(name, path, plan.settings_hash, str(uuid.uuid4()), (target,), plan.share_mode)
        body = build(plan.settings, plan.patch, who, self.host)
        by_selector = self.config.current.enable_node_selector
        if by_selector and await self.cluster.nodes_with_hostname(self.cluster.node) == [self.cluster.node]:
            body = placed_by_selector(body, app_pod)
        if fuse_session.can_hand_on(body, self.host.env):
            self.descriptors.listen(who.upgrade_uuid)
        await self.write_secret(plan)
        try:
            return mount_pod_of(await self.cluster.create_mount_pod(body))
        except ApiError as error:
            log.error(error.message, "Create pod err, stop fuse fd server", podName=name)
            self.descriptors.stop(who.upgrade_uuid)
            raise

    async def _reuse(self, plan: Plan, pod: MountPod, target: str) -> None:
        await self.write_secret(plan)
        log.info("Add target ref in mount pod.", podName=pod.name, target=target)
        await self.cluster.add_reference(pod.name, target)

    async def write_secret(self, plan: Plan) -> None:
        """The driver-made Secret of this unique id; the last publication wins (§1.8)."""
        data = secret_data(plan.settings, plan.share_mode)
        await self.cluster.write_secret(plan.settings["SecretName"], data, plan.owner)

    # ---------------------------------------------------------------- waiting

    async def _wait_running(self, name: str) -> None:
        """Until the Pod's phase is Running (step 7)."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.patience
        pod: Obj | None = None
        while (left := deadline - loop.time()) > 0:
            pod = self.cluster.cached_mount_pod(name)
            if pod is not None and (pod.get("status") or {}).get("phase") == "Running":
                log.info("Mount pod is running", podName=name)
                return
            await self.cluster.changed.within(min(left, 1))
        reason = mount_pod_of(pod).reason if pod else "Pending"
        raise MountFailed(
            f"mount pod is not running in {_seconds(self.patience)}s, reason: {reason}, "
            f"please check its event, mountpod: {name}"
        )

    async def _wait_ready(self, plan: Plan, pod: MountPod) -> None:
        """Until the mount answers in this namespace (step 8)."""
        if await self.watch.served(pod.command.mount_path, self.patience):
            log.info("Mount point is ready", podName=pod.name)
            where = {"source": strip_password(plan.settings["source"]), "mountPath": pod.command.mount_path}
            log.info("mounting with options", **where, options=list(plan.settings["Options"] or ()))
            return
        text = (
            f"wait for mount {strip_password(plan.settings['source'])} ready failed, err: mount point is not ready in "
            f"{_seconds(self.patience)}s, mountpod: {pod.name}"
        )
        tail = await self.cluster.logs(pod.name, names.MOUNT_CONTAINER, 20)
        raise MountFailed(f"{text}, log: {tail.strip()}" if tail.strip() else text)

    async def _record_uuid(self, plan: Plan, pod_name: str) -> None:
        """The first Mount Pod formatted the file system: tell its UUID (step 9)."""
        if plan.settings["IsCe"]:
            found = await file_system_uuid(plan.settings["metaurl"])
            await self.cluster.annotate(pod_name, {names.FS_UUID: found})

    # ---------------------------------------------------------------- what is bound

    async def directory(self, mount_path: str, sub_path: str, sharing: bool) -> str:
        """What to bind to the target: the whole mount, or where a mount is shared a directory in it (§1.9)."""
        if not sub_path or not sharing:
            return mount_path
        path = f"{mount_path}/{os.path.normpath('/' + sub_path).lstrip('/')}"

        def find() -> str:
            if not os.path.isdir(path):
                os.makedirs(path, exist_ok=True)
                os.chmod(path, 0o777)
            return path

        return await mounts.away_from_loop(find, 10)


def _own(context: Mapping[str, str]) -> dict[str, str]:
    """volumeAttributes without what the kubelet added about the Pod."""
    return {k: v for k, v in context.items() if not k.startswith("csi.storage.k8s.io/")}


def _seconds(value: float) -> str:
    return f"{value:g}"
