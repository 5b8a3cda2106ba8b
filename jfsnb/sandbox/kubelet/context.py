"""What everything on one node shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from jfsnb.sandbox.apimachinery.client import ApiClient, EventRecorder, Obj
from jfsnb.sandbox.kubelet.objects import Objects

if TYPE_CHECKING:
    from jfsnb.sandbox.images.images import ImageStore
    from jfsnb.sandbox.kubelet.csi_plugins import CsiPlugins
    from jfsnb.sandbox.runtime.runtime import Runtime

#: Prefix of container ids: these are no containerd's.
RUNTIME_NAME = "jfsnb"


@dataclass
class NodeContext:
    """One node's services.

    Args:
        name: the node's.
        ip: its InternalIP.
        api: client with the node's own credentials.
        recorder: writes events as ``kubelet`` of this node.
        runtime: runs processes.
        images: finds images.
        plugins: registered CSI drivers.
        service_env: where containers find the API server.
        allocatable: the node's resources.
        sync_seconds: how often volumes are compared with their ConfigMaps and Secrets, and broken starts are retried.
    """

    name: str
    ip: str
    api: ApiClient
    recorder: EventRecorder
    runtime: Runtime
    images: ImageStore
    plugins: CsiPlugins
    service_env: Mapping[str, str]
    allocatable: Mapping[str, str]
    sync_seconds: float = 10.0
    objects: Objects = field(init=False)

    def __post_init__(self) -> None:
        self.objects = Objects(self.api)

    @property
    def root(self) -> Path:
        """The node's root directory, seen from outside."""
        return self.runtime.node_root

    @property
    def inside(self) -> Path:
        """The same with everything that is mounted in the node; FUSE mounts deny access to this process."""
        return Path(f"/proc/{self.runtime.agent_pid}/root")

    def event(self, pod: Obj, kind: str, reason: str, message: str, container: str = "", init: bool = False) -> None:
        """Record an event about a Pod, or about one of its containers."""
        path = f"spec.{'initContainers' if init else 'containers'}{{{container}}}" if container else None
        self.recorder.event({"kind": "Pod", "apiVersion": "v1", **pod}, kind, reason, message, path)
