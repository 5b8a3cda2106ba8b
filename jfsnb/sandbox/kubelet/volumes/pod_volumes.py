"""All volumes of one Pod: set up before its containers start, kept up to date, taken away after they are gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import posixpath
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from jfsnb.driver.settings import quantity
from jfsnb.sandbox.apimachinery.client import ApiError, Obj
from jfsnb.sandbox.kubelet.containers.backoff import MOUNT_INITIAL, MOUNT_LONGEST
from jfsnb.sandbox.kubelet.containers.env import expand
from jfsnb.sandbox.kubelet.volumes import atomic, content, csi
from jfsnb.sandbox.kubelet.volumes.claims import ProcessingError, Source, resolve
from jfsnb.sandbox.kubelet.volumes.content import VolumeError
from jfsnb.sandbox.kubelet.volumes.paths import outside, pod_directory, volume_directory
from jfsnb.sandbox.runtime.runtime import BindMount

if TYPE_CHECKING:
    from jfsnb.sandbox.kubelet.objects import Cache
    from jfsnb.sandbox.kubelet.pod_worker import PodWorker

TROUBLE = (ApiError, aiohttp.ClientError, OSError, TimeoutError)
PROJECTED = ("configMap", "secret", "projected", "downwardAPI")
HOST_PATH_CHECKS = {
    "Directory": (stat.S_ISDIR, "is not a directory"),
    "File": (stat.S_ISREG, "is not a file"),
    "Socket": (stat.S_ISSOCK, "is not a socket"),
    "CharDevice": (stat.S_ISCHR, "is not a character device"),
    "BlockDevice": (stat.S_ISBLK, "is not a block device"),
}


class PodVolumes:
    """Sets up, refreshes and removes the volumes that containers of a Pod mount."""

    def __init__(self, pod: PodWorker) -> None:
        self._pod, self._node = pod, pod.node
        self._paths: dict[str, str] = {}  # volume -> path on the node
        self._sources: dict[str, Source] = {}
        self._mounted_tmpfs: list[str] = []

    # ------------------------------------------------------------ set up

    async def mount(self) -> None:
        """Set up all volumes; each is tried again until it works."""
        used = {m["name"] for c in self._pod.all_specs for m in c.get("volumeMounts") or ()}
        volumes = [v for v in self._pod.obj["spec"].get("volumes") or () if v["name"] in used]
        async with asyncio.TaskGroup() as group:
            for volume in volumes:
                group.create_task(self._until_mounted(volume))

    async def _until_mounted(self, volume: Obj) -> None:
        delay, name = MOUNT_INITIAL, volume["name"]
        while True:
            resync, registered = self._pod.resync.next, self._node.plugins.changed.next
            try:
                self._sources[name] = source = await resolve(self._node.api, self._pod.facts(), volume)
                name_shown = source.name
                self._paths[name] = await self._set_up(source)
                return
            except ProcessingError as error:
                text = f"unmounted volumes=[{name}], unattached volumes=[], failed to process volumes=[{name}]: {error}"
                self._event(f"Unable to attach or mount volumes: {text}")
            except (VolumeError, *TROUBLE) as error:
                name_shown = self._sources[name].name if name in self._sources else name
                self._event(f'MountVolume.SetUp failed for volume "{name_shown}" : {error}')
            await _first_of(delay, resync, registered)
            delay = min(delay * 2, MOUNT_LONGEST)

    def _event(self, message: str) -> None:
        self._node.event(self._pod.obj, "Warning", "FailedMount", message)

    async def _set_up(self, source: Source) -> str:
        if source.kind == "csi":
            return await csi.publish(self._node, self._pod.facts(), source)
        if source.kind == "hostPath":
            return await self._host_path(source.spec["hostPath"])
        if source.kind == "emptyDir":
            return await self._empty_dir(source)
        path = volume_directory(self._pod.uid, source.kind, source.name)
        await self._write(source, path, None)
        return path

    async def _write(self, source: Source, path: str, cache: Cache | None) -> bool:
        facts = self._pod.facts()
        pairs = content.sources(source.spec)
        wanted = {kind: {content.object_name(k, s) for k, s in pairs if k == kind} for kind in ("configMap", "secret")}
        namespace, objects = facts["metadata"]["namespace"], self._node.objects
        tokens = [s for kind, s in pairs if kind == "serviceAccountToken"]
        known = content.Objects(
            await objects.config_maps(namespace, wanted["configMap"], cache),
            await objects.secrets(namespace, wanted["secret"], cache),
            {s.get("audience") or "": await objects.token(facts, s) for s in tokens},
            self._node.allocatable,
        )
        files = content.files(facts, source.spec, known)
        return atomic.write(outside(self._node.root, path), files, self._fs_group())

    def _fs_group(self) -> int | None:
        group = (self._pod.obj["spec"].get("securityContext") or {}).get("fsGroup")
        return None if group is None else int(group)

    async def _host_path(self, spec: Obj) -> str:
        path, kind = posixpath.normpath(str(spec["path"])), spec.get("type") or ""
        if kind in ("", "DirectoryOrCreate", "FileOrCreate"):
            await self._node.runtime.make_path(path, directory=kind != "FileOrCreate")
        elif kind in HOST_PATH_CHECKS:
            check, complaint = HOST_PATH_CHECKS[kind]
            there = outside(self._node.inside, path)
            if not there.exists() or not check(there.stat().st_mode):
                raise VolumeError(f"hostPath type check failed: {path} {complaint}")
        return path

    async def _empty_dir(self, source: Source) -> str:
        path = volume_directory(self._pod.uid, "emptyDir", source.name)
        there, spec = outside(self._node.root, path), source.spec["emptyDir"] or {}
        there.mkdir(parents=True, exist_ok=True)
        there.chmod(0o777)
        group = self._fs_group()
        if group is not None:
            with contextlib.suppress(PermissionError):  # an ordinary user has one group only
                os.chown(there, -1, group)
                there.chmod(0o2777)
        if spec.get("medium") == "Memory":
            size = int(quantity.parse(str(spec.get("sizeLimit") or "0")))
            await self._node.runtime.tmpfs(path, size, 0o777)
            self._mounted_tmpfs.append(path)
        return path

    # ------------------------------------------------------------ into containers

    async def bind_mounts(self, container: Obj, env: Mapping[str, str]) -> tuple[BindMount, ...]:
        """What a container mounts of these volumes.

        Raises:
            VolumeError: a subPath that cannot be used; shown as CreateContainerConfigError.
        """
        result = []
        for mount in container.get("volumeMounts") or ():
            source = self._sources[mount["name"]]
            result.append(
                BindMount(
                    await self._below(mount, env),
                    mount["mountPath"],
                    bool(mount.get("readOnly")) or source.read_only or source.kind in PROJECTED,
                    mount.get("mountPropagation") or "None",
                )
            )
        return tuple(sorted(result, key=lambda m: m.target.count("/")))

    async def _below(self, mount: Obj, env: Mapping[str, str]) -> str:
        root = self._paths[mount["name"]]
        sub = mount.get("subPath") or expand(mount.get("subPathExpr") or "", env)
        if not sub:
            return root
        if sub.startswith("/") or ".." in sub.split("/"):
            raise VolumeError(f'subPath "{sub}" must be a relative path without ".."')
        if self._sources[mount["name"]].kind in PROJECTED:
            return self._real_file(root, sub)
        path = f"{root}/{posixpath.normpath(sub)}"
        await self._node.runtime.make_path(path, mode=0o777)
        return path

    def _real_file(self, root: str, sub: str) -> str:
        """The file behind the links of an atomic volume: a subPath mount does not follow later changes."""
        there = outside(self._node.root, f"{root}/{sub}")
        if not there.exists():
            there.mkdir(parents=True)  # as the kubelet does, to the surprise of many
        return "/" + str(there.relative_to(self._node.root))

    # ------------------------------------------------------------ refresh and remove

    def published(self) -> list[tuple[Source, str]]:
        """The CSI volumes that are mounted now, with their target paths."""
        return [(s, self._paths[v]) for v, s in self._sources.items() if s.kind == "csi" and v in self._paths]

    async def refresh(self, cache: Cache | None = None) -> None:
        """Compare projected volumes with what they are made from; a trouble is told and tried again next time."""
        for volume, source in list(self._sources.items()):
            if source.kind not in PROJECTED or volume not in self._paths:
                continue
            try:
                await self._write(source, self._paths[volume], cache)
            except (VolumeError, *TROUBLE) as error:
                self._event(f'MountVolume.SetUp failed for volume "{source.name}" : {error}')

    async def unmount(self) -> None:
        """Take everything away; CSI volumes are tried again until the driver has done it."""
        async with asyncio.TaskGroup() as group:
            for source in self._sources.values():
                if source.kind == "csi":
                    group.create_task(self._until_unpublished(source))
        for path in self._mounted_tmpfs:
            await self._node.runtime.unmount(path, lazy=True)
        self._sources, self._paths, self._mounted_tmpfs = {}, {}, []
        volumes = outside(self._node.root, f"{pod_directory(self._pod.uid)}/volumes")
        await asyncio.to_thread(_remove_tree, volumes)

    async def _until_unpublished(self, source: Source) -> None:
        if not self._may_be_mounted(source):
            return
        delay = MOUNT_INITIAL
        while True:
            registered = self._node.plugins.changed.next
            try:
                return await csi.unpublish(self._node, self._pod.uid, source)
            except (VolumeError, *TROUBLE):
                await _first_of(delay, registered)
                delay = min(delay * 2, MOUNT_LONGEST)

    def _may_be_mounted(self, source: Source) -> bool:
        """A driver that was never asked has nothing to take away."""
        return outside(self._node.root, csi.target_path(self._pod.uid, source.name)).parent.exists()


async def _first_of(seconds: float, *events: asyncio.Event) -> None:
    """Wait for the first of some events, at most so long."""
    waiting = [asyncio.ensure_future(e.wait()) for e in events]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()


def _remove_tree(path: Path) -> None:
    """Remove a directory, but never reach through a mount into somebody's data: os.path.ismount stops it."""
    if os.path.ismount(path):
        return
    shutil.rmtree(path, ignore_errors=True)
