"""The unique id of a volume: its volumeHandle, unless Mount Pods are shared (reference §1.1)."""

from __future__ import annotations

from collections.abc import Mapping

from jfsnb.driver import names
from jfsnb.driver.sharing import class_that_shares, unique_id
from jfsnb.sandbox.apimachinery.client import Obj
from jfsnb.sandbox.csi.cluster import Cluster
from jfsnb.sandbox.csi.rules.settings import Host


class Sharing:
    """Finds out with whom a volume shares its Mount Pod, by STORAGE_CLASS_SHARE_MOUNT and FS_SHARE_MOUNT."""

    def __init__(self, cluster: Cluster, host: Host) -> None:
        self.cluster = cluster
        self.by_class = host.env.get("STORAGE_CLASS_SHARE_MOUNT") == "true"
        self.by_file_system = host.env.get("FS_SHARE_MOUNT") == "true"

    async def resolve(self, volume_id: str, pv: Obj | None, secrets: Mapping[str, str]) -> tuple[str, str, Obj | None]:
        """(unique id, share mode, owner of the driver-made Secret when it is not the PV)."""
        class_name = class_that_shares(pv) if self.by_class else ""
        storage_class = await self.cluster.storage_class(class_name) if class_name else None
        made = None
        if self.by_file_system and secrets.get("name"):
            made = await self.cluster.secret(self.cluster.namespace, names.secret_name(secrets["name"]))
        shared = unique_id(
            volume_id, secrets, storage_class=storage_class, by_file_system=self.by_file_system, made=made
        )
        if shared.unique_id == volume_id:
            return volume_id, "", None
        mode = names.SHARE_BY_STORAGE_CLASS if shared.storage_class else names.SHARE_BY_FILE_SYSTEM
        return shared.unique_id, mode, shared.storage_class

    async def owner(self, share_mode: str, pv: Obj | None) -> Obj | None:
        """Who owns the driver-made Secret of a Mount Pod: the class that is shared by, else the PV (§1.8)."""
        class_name = class_that_shares(pv)
        if share_mode == names.SHARE_BY_STORAGE_CLASS and class_name:
            return await self.cluster.storage_class(class_name)
        return pv
