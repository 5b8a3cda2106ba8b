"""How the CSI driver is deployed: mode, ConfigMap, version, switches (reference/csi-driver.md §0.3, §2, §5.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jfsnb.driver import names
from jfsnb.driver.images import ImageReference

Obj = Mapping[str, Any]


@dataclass(frozen=True)
class Deployment:
    """What the DaemonSet of the CSI nodes (or one of its Pods) tells.

    Args:
        namespace: of the driver and its Mount Pods.
        config_map: name of the ConfigMap behind ``--config``; empty when there is none (drivers before 0.24).
        image: of the driver. version: (major, minor, patch) from its tag; None when the tag tells none.
        process_mode: clients run in the CSI node Pod; there are no Mount Pods.
        env: literal environment variables; what is baked into the image is not visible here.
        kubelet_root: the kubelet's directory on the node.
    """

    namespace: str
    config_map: str
    image: str
    version: tuple[int, int, int] | None
    process_mode: bool
    env: Mapping[str, str]
    kubelet_root: str

    @classmethod
    def from_object(cls, workload: Obj) -> Deployment:
        """Read a DaemonSet ``juicefs-csi-node``, or a Pod of it."""
        namespace = workload.get("metadata", {}).get("namespace", "")
        spec = workload.get("spec", {})
        pod = spec.get("template", {}).get("spec") or spec
        containers = pod.get("containers") or []
        named = [c for c in containers if c.get("name") == names.PLUGIN_CONTAINER] or containers
        plugin: Obj = named[0] if named else {}
        env = {e["name"]: e["value"] for e in plugin.get("env") or () if e.get("value") is not None}
        words = [*(plugin.get("command") or ()), *(plugin.get("args") or ())]
        volumes = {v["name"]: v for v in pod.get("volumes") or ()}
        image = plugin.get("image", "")
        return cls(
            namespace=env.get("JUICEFS_MOUNT_NAMESPACE") or namespace,
            config_map=(volumes.get(names.CONFIG_VOLUME, {}).get("configMap") or {}).get("name", ""),
            image=image,
            version=_version(image),
            process_mode=any(w in ("--by-process", "--by-process=true") for w in words),
            env=env,
            kubelet_root=(volumes.get("kubelet-dir", {}).get("hostPath") or {}).get("path", "/var/lib/kubelet"),
        )

    @property
    def driver_name(self) -> str:
        """Name of the CSI driver, as PVs and StorageClasses give it: DRIVER_NAME where it is set (§0.2)."""
        return self.env.get("DRIVER_NAME") or names.DRIVER

    @property
    def shares_by_storage_class(self) -> bool:
        return self.env.get("STORAGE_CLASS_SHARE_MOUNT") == "true"

    @property
    def shares_by_file_system(self) -> bool:
        return self.env.get("FS_SHARE_MOUNT") == "true"


def _version(image: str) -> tuple[int, int, int] | None:
    reference = ImageReference.find(image)
    found = re.match(r"v?([0-9]+)\.([0-9]+)\.([0-9]+)", reference.tag) if reference else None
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def managed_by(obj: Obj) -> str:
    """Who else writes this object (Helm, Argo CD, Flux, …), so that a hand edit may be undone; empty when nobody."""
    meta = obj.get("metadata", {})
    labels, notes = meta.get("labels") or {}, meta.get("annotations") or {}
    if "argocd.argoproj.io/tracking-id" in notes or "argocd.argoproj.io/instance" in labels:
        return "Argo CD"
    if any("toolkit.fluxcd.io/" in key for key in labels):
        return "Flux"
    if labels.get("app.kubernetes.io/managed-by") == "Helm" or "meta.helm.sh/release-name" in notes:
        release = notes.get("meta.helm.sh/release-name", "")
        return f"Helm (release {release})" if release else "Helm"
    return ""
