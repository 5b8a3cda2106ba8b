"""How full CSI volumes are: asked of the drivers once a minute, as a kubelet does, and shown under /stats/summary.

A driver may notice in such a call that a mount is broken, and mend it (reference/csi-driver.md section 4.4).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

import grpc

from jfsnb.sandbox.apimachinery.client import Obj
from jfsnb.sandbox.kubelet.status import stamp
from jfsnb.sandbox.kubelet.volumes.content import VolumeError
from jfsnb.sandbox.proto import messages as proto

if TYPE_CHECKING:
    from jfsnb.sandbox.kubelet.pod_worker import PodWorker

PERIOD_SECONDS = 60.0
CALL_SECONDS = 10.0
UNITS = {1: ("availableBytes", "capacityBytes", "usedBytes"), 2: ("inodesFree", "inodes", "inodesUsed")}


async def keep_measuring(workers: dict[str, PodWorker]) -> None:
    """Measure the volumes of all Pods until cancelled."""
    while True:
        await asyncio.sleep(PERIOD_SECONDS)
        await asyncio.gather(*(_measure(w) for w in list(workers.values()) if not w.over))


async def _measure(worker: PodWorker) -> None:
    for source, path in worker.volumes.published():
        request = proto.NodeGetVolumeStatsRequest(volume_id=source.handle, volume_path=path)
        try:
            async with worker.node.plugins.client(source.spec["csi"]["driver"]) as driver:
                answer = await driver.NodeGetVolumeStats(request, timeout=CALL_SECONDS)
        except (grpc.RpcError, VolumeError, OSError):
            worker.volume_stats.pop(source.volume, None)
            continue
        stats: Obj = {"time": stamp(), "name": source.volume, **_claim(worker.obj, source.volume)}
        for usage in answer.usage:
            values = zip(UNITS.get(usage.unit, ()), (usage.available, usage.total, usage.used), strict=False)
            stats |= dict(values)
        worker.volume_stats[source.volume] = stats


def _claim(pod: Obj, volume: str) -> Obj:
    """The claim behind a Pod's volume, as ``pvcRef``."""
    found = next(v for v in pod["spec"]["volumes"] if v["name"] == volume)
    if "persistentVolumeClaim" in found:
        name = found["persistentVolumeClaim"]["claimName"]
    elif "ephemeral" in found:
        name = f"{pod['metadata']['name']}-{volume}"
    else:
        return {}
    return {"pvcRef": {"name": name, "namespace": pod["metadata"]["namespace"]}}


async def summary(node: str, workers: Iterable[PodWorker]) -> Obj:
    """The body of ``/stats/summary``: volumes only, as there are no cgroups that count CPU and memory.

    Volumes of Pods that are younger than the last measuring are measured now.
    """
    pods, known = [], list(workers)
    await asyncio.gather(*(_measure(w) for w in known if not w.over and not w.volume_stats))
    for worker in known:
        meta = worker.obj["metadata"]
        reference = {"name": meta["name"], "namespace": meta["namespace"], "uid": worker.uid}
        pods.append({"podRef": reference, "volume": list(worker.volume_stats.values())})
    return {"node": {"nodeName": node}, "pods": pods}
