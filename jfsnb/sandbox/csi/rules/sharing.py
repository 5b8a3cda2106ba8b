"""The unique id of a volume: its volumeHandle, unless Mount Pods are shared (reference §1.1)."""

from __future__ import annotations

from collections.abc import Mapping

from jfsnb.driver import names
from jfsnb.driver.settings.errors import SettingsError
from jfsnb.driver.settings.host import Host
from jfsnb.driver.sharing import SharedBy, class_that_shares, unique_id
from jfsnb.sandbox.apimachinery.client import Obj
from jfsnb.sandbox.csi.cluster import Cluster


class Sharing:
    """Finds out with whom a volume shares its Mount Pod, by STORAGE_CLASS_SHARE_MOUNT and FS_SHARE_MOUNT."""

    def __init__(self, cluster: Cluster, host: Host) -> None:
        self.cluster, self.host = cluster, host

    async def resolve(self, volume_id: str, pv: Obj | None, secrets: Mapping[str, str]) -> SharedBy:
        """The unique id of a volume, and the class that owns the driver-made Secret instead of the PV.

        Args:
            pv: the one whose name is the volumeHandle, if there is one.

        Raises:
            SettingsError: the PV's class is not there.
        """
        class_name = class_that_shares(pv) if self.host.share_by_class else ""
        storage_class = await self.cluster.storage_class(class_name) if class_name else None
        if class_name and storage_class is None:
            raise SettingsError(f'storageclasses.storage.k8s.io "{class_name}" not found')
        made, by_file_system = None, self.host.share_by_file_system
        if by_file_system and secrets.get("name"):
            made = await self.cluster.secret(self.cluster.namespace, names.secret_name(secrets["name"]))
        return unique_id(volume_id, secrets, storage_class=storage_class, by_file_system=by_file_system, made=made)
