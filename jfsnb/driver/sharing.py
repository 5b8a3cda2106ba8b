"""With whom a volume shares its Mount Pods: the unique id, by STORAGE_CLASS_SHARE_MOUNT and FS_SHARE_MOUNT (§1.1).

Vectors: names/uniqueid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jfsnb.driver.settings.user_secret import string_map

Obj = Mapping[str, Any]
BASE_URL = "BASE_URL"
_SECRET_PARAMETERS = tuple(f"csi.storage.k8s.io/node-publish-secret-{part}" for part in ("name", "namespace"))


@dataclass(frozen=True)
class SharedBy:
    """What Mount Pods of a volume carry in label ``volume-id``, and why.

    Args:
        unique_id: the volumeHandle, or the name of the StorageClass or file system.
        storage_class: the class that shares its Mount Pods and owns the driver's Secret; None when it does not.
    """

    unique_id: str
    storage_class: Any = None


def class_that_shares(pv: Obj | None) -> str:
    """Name of the StorageClass that a PV (of the volumeHandle's name) belongs to; empty without one."""
    return str(((pv or {}).get("spec") or {}).get("storageClassName") or "")


def unique_id(
    volume_id: str,
    secret: Mapping[str, str],
    *,
    storage_class: Obj | None = None,
    by_file_system: bool = False,
    made: Mapping[str, str] | None = None,
) -> SharedBy:
    """The unique id of a volume.

    Args:
        volume_id: ``spec.csi.volumeHandle`` of the PV. secret: data of the volume's Secret.
        storage_class: with STORAGE_CLASS_SHARE_MOUNT, the class of the PV *whose name is the volumeHandle*.
        by_file_system: FS_SHARE_MOUNT.
        made: data of the driver's Secret ``juicefs-<file system>-secret``; None when there is none.

    Raises:
        ConfigInvalid: the Secret's ``envs`` are no map.
    """
    if storage_class is not None:
        parameters = storage_class.get("parameters") or {}
        if any("$" in parameters.get(key, "") for key in _SECRET_PARAMETERS):
            return SharedBy(volume_id)
        return SharedBy(str(storage_class["metadata"]["name"]), storage_class)
    if by_file_system and secret.get("name") and (made is None or _is_same_file_system(secret, made)):
        return SharedBy(secret["name"])
    return SharedBy(volume_id)


def _is_same_file_system(secret: Mapping[str, str], made: Mapping[str, str]) -> bool:
    """By the metadata address of the community edition; by token and console of the Enterprise Edition."""
    if "metaurl" in secret or "metaurl" in made:
        return secret.get("metaurl") == made.get("metaurl")
    console = string_map(secret.get("envs", "")).get(BASE_URL, "")
    return secret.get("token", "") == made.get("token", "") and console == made.get(BASE_URL, "")
