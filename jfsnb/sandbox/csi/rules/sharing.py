"""The unique id of a volume: its volumeHandle, unless Mount Pods are shared (reference §1.1)."""

from __future__ import annotations

import json
from collections.abc import Mapping

from jfsnb.driver import names
from jfsnb.driver.settings.options import string_map
from jfsnb.sandbox.apimachinery.client import Obj
from jfsnb.sandbox.csi.cluster import Cluster
from jfsnb.sandbox.csi.rules.settings import Host, with_scheme

BASE_URL = "BASE_URL"
SECRET_PARAMETERS = ("csi.storage.k8s.io/node-publish-secret-name", "csi.storage.k8s.io/node-publish-secret-namespace")


class Sharing:
    """Finds out with whom a volume shares its Mount Pod, by STORAGE_CLASS_SHARE_MOUNT and FS_SHARE_MOUNT."""

    def __init__(self, cluster: Cluster, host: Host) -> None:
        self.cluster = cluster
        self.by_class = host.env.get("STORAGE_CLASS_SHARE_MOUNT") == "true"
        self.by_file_system = host.env.get("FS_SHARE_MOUNT") == "true"

    async def resolve(self, volume_id: str, pv: Obj | None, secrets: Mapping[str, str]) -> tuple[str, str, Obj | None]:
        """(unique id, share mode, owner of the driver-made Secret when it is not the PV)."""
        if not self.by_class and not self.by_file_system:
            return volume_id, "", None
        class_name = ((pv or {}).get("spec") or {}).get("storageClassName") or ""
        storage_class = await self.cluster.storage_class(class_name) if self.by_class and class_name else None
        parameters = (storage_class or {}).get("parameters") or {}
        unique = names.unique_id(
            volume_id,
            share_by_storage_class=self.by_class,
            storage_class=class_name,
            secret_is_templated=any("$" in parameters.get(k, "") for k in SECRET_PARAMETERS),
            share_by_file_system=self.by_file_system,
            file_system=secrets.get("name", ""),
            file_system_agrees=await self._agrees(secrets),
        )
        if unique == volume_id:
            return volume_id, "", None
        if self.by_class and unique == class_name:
            return unique, names.SHARE_BY_STORAGE_CLASS, storage_class
        return unique, names.SHARE_BY_FILE_SYSTEM, None

    async def _agrees(self, secrets: Mapping[str, str]) -> bool:
        """Whether Secret juicefs-<name>-secret is absent or describes the same file system."""
        if not self.by_file_system or not secrets.get("name"):
            return False
        made = await self.cluster.secret(self.cluster.namespace, names.secret_name(secrets["name"]))
        if made is None:
            return True
        known = json.loads(made.get("jfsSettings") or "{}")
        mine = with_scheme(secrets.get("metaurl", "")) if "metaurl" in secrets else ""
        same_place = (known.get("IsCe"), known.get("metaurl", "")) == ("metaurl" in secrets, mine)
        base_urls = [(known.get("envs_map") or {}).get(BASE_URL), string_map(secrets.get("envs", "")).get(BASE_URL)]
        return same_place and known.get("token", "") == secrets.get("token", "") and len(set(base_urls)) == 1

    async def owner(self, share_mode: str, pv: Obj | None) -> Obj | None:
        """Who owns the driver-made Secret of a Mount Pod: the class that is shared by, else the PV (§1.8)."""
        class_name = ((pv or {}).get("spec") or {}).get("storageClassName")
        if share_mode == names.SHARE_BY_STORAGE_CLASS and class_name:
            return await self.cluster.storage_class(class_name)
        return pv
