"""The sandbox's control loops: scheduler, volume binder, garbage collector, workload controllers.

All are ordinary API clients in one event loop, driven by watches; they would work against another API server too.
Objects with the annotation ``sandbox.jfsnb.io/recorded`` are left alone.
"""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import yaml

from jfsnb.sandbox.apimachinery.client import ApiClient
from jfsnb.sandbox.controllers.accounts import NamespaceDefaults
from jfsnb.sandbox.controllers.cleanup.expiry import EventExpiry
from jfsnb.sandbox.controllers.cleanup.garbage import GarbageCollector
from jfsnb.sandbox.controllers.cleanup.graph import Graph
from jfsnb.sandbox.controllers.cleanup.namespaces import NamespaceDeletion
from jfsnb.sandbox.controllers.cleanup.podgc import PodCollector
from jfsnb.sandbox.controllers.cluster import Cluster
from jfsnb.sandbox.controllers.controller import Controller
from jfsnb.sandbox.controllers.endpoints import Endpoints
from jfsnb.sandbox.controllers.nodes import NodeLifecycle
from jfsnb.sandbox.controllers.scheduling.scheduler import Scheduler
from jfsnb.sandbox.controllers.storage.binder import VolumeBinder
from jfsnb.sandbox.controllers.storage.ephemeral import EphemeralVolumes
from jfsnb.sandbox.controllers.storage.protection import Protection
from jfsnb.sandbox.controllers.workloads.daemonsets import DaemonSets
from jfsnb.sandbox.controllers.workloads.deployments import Deployments
from jfsnb.sandbox.controllers.workloads.jobs import Jobs
from jfsnb.sandbox.controllers.workloads.replicasets import ReplicaSets
from jfsnb.sandbox.controllers.workloads.statefulsets import StatefulSets


async def run_control(kubeconfig: Path, stop: asyncio.Event) -> None:
    """Run all control loops until ``stop`` is set.

    Raises:
        Exception: whatever ended a loop; an API server that cannot be reached is waited for.
    """
    async with ApiClient.from_kubeconfig(kubeconfig) as api:
        cluster = Cluster(api)
        graph = Graph(cluster)
        controllers: list[Controller] = [
            NamespaceDefaults(cluster, cluster_ca(kubeconfig)),
            Scheduler(cluster),
            VolumeBinder(cluster),
            EphemeralVolumes(cluster),
            Protection(cluster),
            DaemonSets(cluster),
            ReplicaSets(cluster),
            Deployments(cluster),
            StatefulSets(cluster),
            Jobs(cluster),
            Endpoints(cluster),
            NodeLifecycle(cluster),
            PodCollector(cluster),
            EventExpiry(cluster),
            GarbageCollector(cluster, graph),
            NamespaceDeletion(cluster, graph),
        ]
        loops = [cluster.run(), graph.run(), *(c.run() for c in controllers)]
        tasks = [asyncio.ensure_future(loop) for loop in loops]
        ended = asyncio.ensure_future(stop.wait())
        try:
            done, _ = await asyncio.wait([*tasks, ended], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*tasks, ended):
                task.cancel()
            await asyncio.gather(*tasks, ended, return_exceptions=True)
        for task in done - {ended}:
            task.result()


def cluster_ca(kubeconfig: Path) -> str:
    """The CA certificate (PEM) that the current context trusts; empty when it has none."""
    config = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    contexts = {c["name"]: c["context"] for c in config.get("contexts") or ()}
    clusters = {c["name"]: c["cluster"] for c in config.get("clusters") or ()}
    cluster = clusters[contexts[config["current-context"]]["cluster"]]
    if "certificate-authority-data" in cluster:
        return base64.b64decode(cluster["certificate-authority-data"]).decode()
    path = cluster.get("certificate-authority")
    return Path(path).read_text(encoding="utf-8") if path else ""
