"""What the driver on a node knows of itself: its CSI node Pod and what its environment says (reference §0.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jfsnb.driver import images, names

#: What Go's strconv.ParseBool takes for true.
_TRUE = ("1", "t", "T", "TRUE", "true", "True")


@dataclass(frozen=True)
class Host:
    """The driver on a node.

    Args:
        node: its name. namespace: of the driver and its Mount Pods.
        pod: the CSI node Pod. env: environment of the driver, as far as known.
    """

    node: str
    namespace: str
    pod: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def share_by_class(self) -> bool:
        return self.env.get("STORAGE_CLASS_SHARE_MOUNT") == "true"

    @property
    def share_by_file_system(self) -> bool:
        return self.env.get("FS_SHARE_MOUNT") == "true"

    @property
    def share_mode(self) -> str:
        """Annotation ``juicefs/mount-share-mode`` of its Mount Pods: whatever their unique id; empty: not shared."""
        if self.share_by_class:
            return names.SHARE_BY_STORAGE_CLASS
        return names.SHARE_BY_FILE_SYSTEM if self.share_by_file_system else ""

    @property
    def immutable(self) -> bool:
        """Whether the node's ``/etc/updatedb.conf`` is left alone."""
        return self.env.get("JUICEFS_IMMUTABLE") in _TRUE

    @property
    def no_grace_upgrade(self) -> bool:
        return self.env.get("DISABLE_GRACE_UPGRADE") == "true"

    @property
    def unsafe_annotations(self) -> bool:
        return self.env.get(names.UNSAFE_PVC_ANNOTATIONS) == "true"

    @property
    def no_update_config(self) -> bool:
        return self.env.get("JFS_NO_UPDATE_CONFIG") == "enabled"

    @property
    def priority_class(self) -> str:
        return self.env.get("JUICEFS_MOUNT_PRIORITY_NAME") or "system-node-critical"

    @property
    def preemption_policy(self) -> str:
        return self.env.get("JUICEFS_MOUNT_PREEMPTION_POLICY", "")

    @property
    def mount_root(self) -> str:
        """Where the node keeps the mounts."""
        return self.env.get("JUICEFS_MOUNT_PATH", names.HOST_MOUNT_ROOT)

    @property
    def config_root(self) -> str:
        return self.env.get("JUICEFS_CONFIG_PATH", "/var/lib/juicefs/config")

    def default_image(self, is_ce: bool) -> str:
        """Image of Mount Pods that nothing else names one for (§2.6, 4 to 6)."""
        return images.env_image(self.env, is_ce)[0] or images.COMPILED_IN[is_ce]
