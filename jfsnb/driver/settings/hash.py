"""Label ``juicefs-hash``: SHA-256 over the settings as Go's JSON encoder writes them (reference/csi-driver.md §3.1).

Settings are plain data in the driver's own layout (``JfsSetting`` in golang/types.txt), which is also what key
``jfsSettings`` of its Secret holds. They contain credentials: never show them. Vectors: families settings and recreate.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from jfsnb.driver import names
from jfsnb.driver.golang import paths
from jfsnb.driver.golang.types import dumps, shape

SETTINGS = "JfsSetting"
_SORTED_BY = {"env": "name", "cacheDirs": "name", "volumeDevices": "name", "volumes": "name", "volumeMounts": "name"}
_SORTED_BY |= {"Tolerations": "key", "ImagePullSecrets": "name", "HostAliases": "ip", "initContainers": "name"}


def settings_hash(settings: Mapping[str, Any]) -> str:
    """The 63 hexadecimal digits that a Mount Pod with these settings carries.

    Args:
        settings: in the layout of ``jfsSettings``; fields that are missing have Go's zero value.
    """
    blanked = {**settings, "VolumeId": "", "SubPath": "", "initconfig": "", "MountPath": _mount_path(settings)}
    return hashlib.sha256(dump(with_sorted_lists(blanked)).encode()).hexdigest()[:63]


def with_sorted_lists(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as the driver leaves them when it has worked out their hash: what it sorts for that stays sorted."""
    result = dict(settings)
    for name in ("Options", "host_path", "CacheDirs"):
        if result.get(name):
            result[name] = sorted(result[name])
    if result.get("CachePVCs"):
        result["CachePVCs"] = sorted(result["CachePVCs"], key=lambda c: str(c.get("PVCName", "")))
    if result.get("Attr"):
        attr = result["Attr"] = dict(result["Attr"])
        for name, key in _SORTED_BY.items():
            if attr.get(name):
                attr[name] = sorted(attr[name], key=lambda item, key=key: str(item.get(key, "")))  # type: ignore[misc]
    return result


def dump(settings: Mapping[str, Any]) -> str:
    """Settings as Go's JSON encoder writes them: field order, empty fields, HTML escapes."""
    return dumps(shape(settings, SETTINGS))


def kept_text(settings: Mapping[str, Any], share_mode: str) -> str:
    """``jfsSettings`` of the driver's Secret: what tells one volume from another is left out where they share."""
    shared = {"VolumeId": settings.get("UniqueId", ""), "SubPath": ""} if share_mode else {}
    return dump({**settings, **shared, "MountPath": _mount_path(settings)})


def _mount_path(settings: Mapping[str, Any]) -> str:
    return paths.join(names.MOUNT_ROOT, settings.get("UniqueId") or "")
