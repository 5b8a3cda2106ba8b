"""Binding a Mount Pod's new mount into the targets of running app Pods (reference §4.6 ready, §4.7).

An app container sees it when its volumeMount propagates (HostToContainer); without that it keeps the dead mount.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from jfsnb.driver.mountpods.mount_pods import MountPod
from jfsnb.driver.names import Reference
from jfsnb.sandbox.csi.klog import Logger
from jfsnb.sandbox.csi.node import mounts

log = Logger("pod-driver")
STACK_LIMIT = 5
Directory = Callable[[str, str, bool], Awaitable[str]]
SubPath = Callable[[str], Awaitable[str]]


async def recover(pod: MountPod, directory: Directory, sub_path: SubPath) -> None:
    """Re-bind every target of this Mount Pod that shows a mount other than its present one.

    Args:
        directory: what to bind for (mount path, sub path, sharing), see Mounter.
        sub_path: sub path of a PV by its name.
    """
    current = mounts.mounts_at(pod.command.mount_path)
    if not current:
        return
    for reference in pod.references:
        stale = [m for m in _binds_of(reference) if m.device != current[-1].device]
        if not stale:
            continue
        source = await directory(pod.command.mount_path, await sub_path(reference.pv_name), bool(pod.share_mode))
        for mount in stale:
            inside = mount.root if mount.mount_point != reference.target else ""
            log.info("recover volPath", target=mount.mount_point, mountPath=pod.command.mount_path)
            await _bind_again(f"{pod.command.mount_path}{inside}" if inside else source, mount)


def _binds_of(reference: Reference) -> list[mounts.Mount]:
    """What is visible at the target and at the Pod's subPath mounts of that volume."""
    if not reference.pod_uid:
        return []
    root = reference.target.partition("/pods/")[0]
    below = f"{root}/pods/{reference.pod_uid}/volume-subpaths/{reference.pv_name}/"
    visible = {
        m.mount_point: m
        for m in mounts.mount_table()
        if m.mount_point == reference.target or m.mount_point.startswith(below)
    }
    return list(visible.values())


async def _bind_again(source: str, old: mounts.Mount) -> None:
    while len(mounts.mounts_at(old.mount_point)) >= STACK_LIMIT:
        mounts.unmount(old.mount_point, lazy=True)
    try:
        await asyncio.to_thread(mounts.bind, source, old.mount_point, old.read_only)
    except OSError as error:
        log.error(error, "recover volPath error", target=old.mount_point)
