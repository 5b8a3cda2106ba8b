"""The Node object that the kubelet registers and keeps alive."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import platform
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

import jfsnb
from jfsnb.sandbox.apimachinery.client import ApiClient, ApiError, Obj
from jfsnb.sandbox.kubelet.status import stamp

VERSION = "v1.36.2"
LEASE_SECONDS, RENEW_SECONDS = 40, 10.0
LEAST_CPUS, LEAST_KIB = 32, 64 * 1024 * 1024
SYNC_ANNOTATION = "sandbox.jfsnb.io/sync-seconds"
CONDITIONS = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)


def node_address(name: str) -> str:
    """The loopback address of a node, the same in every sandbox."""
    digest = hashlib.sha256(name.encode()).digest()
    return f"127.120.{digest[0]}.{digest[1] or 1}"


def pod_address(uid: str) -> str:
    """A loopback address of its own for a Pod; reachable, because the machine answers on all of 127.0.0.0/8."""
    digest = hashlib.sha256(uid.encode()).digest()
    return f"127.{128 + digest[0] % 127}.{digest[1]}.{digest[2] % 254 + 1}"


def resources() -> tuple[dict[str, str], dict[str, str]]:
    """Capacity and allocatable. They are for bookkeeping only, as there are no cgroups; so a small machine claims more
    than it has, or two Mount Pods with the driver's default requests (1 CPU, 1 GiB) would fill a laptop."""
    kib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024
    cpus, kib = max(os.cpu_count() or 1, LEAST_CPUS), max(kib, LEAST_KIB)
    capacity = {"cpu": str(cpus), "memory": f"{kib}Ki", "pods": "110", "ephemeral-storage": "64Gi"}
    return capacity, {**capacity, "memory": f"{max(kib - 102400, 0)}Ki"}


def node_status(node: Obj, name: str, ip: str, port: int, images: Mapping[str, str], taken: str) -> Obj:
    """The status of a live node.

    Args:
        node: the object as it is; conditions keep their transition times.
        name: the node's.
        ip: its InternalIP.
        port: of the kubelet's HTTPS server.
        images: reference -> id.
        taken: the moment (RFC 3339).
    """
    capacity, allocatable = resources()
    old = {c["type"]: c for c in (node.get("status") or {}).get("conditions") or ()}
    conditions = []
    for kind, status, reason, message in CONDITIONS:
        same = (old.get(kind) or {}).get("status") == status
        since = old[kind]["lastTransitionTime"] if same else taken
        condition = {"type": kind, "status": status, "reason": reason, "message": message}
        conditions.append({**condition, "lastHeartbeatTime": taken, "lastTransitionTime": since})
    machine = uuid.uuid5(uuid.NAMESPACE_DNS, name).hex
    return {
        "addresses": [{"type": "InternalIP", "address": ip}, {"type": "Hostname", "address": name}],
        "capacity": capacity,
        "allocatable": allocatable,
        "conditions": conditions,
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        "images": [{"names": [ref], "sizeBytes": 0} for ref in images],
        "nodeInfo": {
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
            "bootID": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"boot/{name}")),
            "containerRuntimeVersion": f"jfsnb://{jfsnb.__version__}",
            "kernelVersion": platform.release(),
            "kubeProxyVersion": "",
            "kubeletVersion": VERSION,
            "machineID": machine,
            "operatingSystem": platform.system().lower(),
            "osImage": _os_image(),
            "systemUUID": str(uuid.UUID(machine)),
        },
    }


def _os_image() -> str:
    try:
        lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.system()
    names = [line.partition("=")[2].strip('"') for line in lines if line.startswith("PRETTY_NAME=")]
    return names[0] if names else platform.system()


async def register(api: ApiClient, name: str, ip: str, port: int, images: Mapping[str, str]) -> Obj:
    """Create the Node when it is missing, and report it ready; returns it."""
    path = f"/api/v1/nodes/{name}"
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
    }
    try:
        node = await api.get(path)
    except ApiError as error:
        if error.status != 404:
            raise
        body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "spec": {}}
        node = await api.create("/api/v1/nodes", body)
    if (node["metadata"].get("labels") or {}).items() < labels.items():
        await api.patch(path, {"metadata": {"labels": labels}})
    return await api.patch(f"{path}/status", {"status": node_status(node, name, ip, port, images, stamp())})


async def heartbeat(api: ApiClient, node: Obj, taken: datetime | None = None) -> None:
    """Renew the node's Lease once; a trouble is left to the next time."""
    name = node["metadata"]["name"]
    path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
    now = (taken or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {"holderIdentity": name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": now}
    owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": node["metadata"]["uid"]}
    body = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": "kube-node-lease", "ownerReferences": [owner]},
        "spec": spec,
    }
    try:
        await api.patch(f"{path}/{name}", {"spec": spec})
    except ApiError as error:
        if error.status == 404:
            await api.create(path, body)


async def keep_alive(api: ApiClient, node: Obj) -> None:
    """Renew the Lease until cancelled."""
    while True:
        with contextlib.suppress(ApiError, aiohttp.ClientError, OSError, TimeoutError):  # the next may get through
            await heartbeat(api, node)
        await asyncio.sleep(RENEW_SECONDS)
