"""Volumes and volumeMounts of a Mount Pod, in the order in which the driver adds them (reference §1.7). Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jfsnb.driver import names
from jfsnb.driver.golang import paths
from jfsnb.driver.settings.host import Host

Json = dict[str, Any]
FUSE_FD, UPDATEDB, CACHE_PREFIX = "jfs-fuse-fd", "updatedb", "cachedir-"
_FUSE_FD_IN_HOST = "/var/run/juicefs-csi"


def volumes_of(
    settings: Mapping[str, Any], upgrade_uuid: str, host: Host, expand: Callable[[str], str]
) -> tuple[list[Json], list[Json]]:
    """(volumes, volumeMounts).

    Args:
        expand: replaces templates in host paths.
    """
    pairs = [*_of_secrets(settings), *_of_node(upgrade_uuid, host), *_of_cache(settings, host.node, expand)]
    for number, path in enumerate(map(expand, settings.get("host_path") or ())):
        pairs.append(_pair(f"hostpath-{number}", {"hostPath": {"path": path}}, path))
    attr = settings["Attr"]
    volumes, mounts = [v for v, _ in pairs], [m for _, m in pairs]
    return volumes + (attr.get("volumes") or []), mounts + (attr.get("volumeMounts") or [])


def _pair(name: str, source: Json, path: str) -> tuple[Json, Json]:
    return {"name": name, **source}, {"name": name, "mountPath": path}


def _of_secrets(settings: Mapping[str, Any]) -> list[tuple[Json, Json]]:
    pairs, secret = [], settings.get("SecretName", "")
    if settings.get("encrypt_rsa_key"):
        pairs.append(_pair("rsa-key", _secret(secret, "encrypt_rsa_key", "rsa-key.pem"), "/root/.rsa"))
    if settings.get("initconfig"):
        pairs.append(_pair("init-config", _secret(secret, "initconfig", f"{settings['name']}.conf"), "/etc/juicefs"))
    for number, (name, path) in enumerate(sorted((settings.get("configs_map") or {}).items()), start=1):
        pairs.append(_pair(f"config-{number}", {"secret": {"secretName": name}}, path))
    return pairs


def _secret(name: str, key: str, file: str) -> Json:
    return {"secret": {"secretName": name, "items": [{"key": key, "path": file}]}}


def _of_node(upgrade_uuid: str, host: Host) -> list[tuple[Json, Json]]:
    volume, mount = _pair("jfs-dir", _host(host.mount_root), names.MOUNT_ROOT)
    pairs = [(volume, {**mount, "mountPropagation": "Bidirectional"}), fuse_fd(upgrade_uuid)]
    if not host.immutable:
        pairs.append(_pair(UPDATEDB, _host("/etc/updatedb.conf", "FileOrCreate"), "/etc/updatedb.conf"))
    return pairs


def fuse_fd(upgrade_uuid: str) -> tuple[Json, Json]:
    """Where a client and its successor hand on the FUSE descriptor."""
    return _pair(FUSE_FD, _host(paths.join(_FUSE_FD_IN_HOST, upgrade_uuid)), "/tmp")


def _host(path: str, kind: str = "DirectoryOrCreate") -> Json:
    return {"hostPath": {"path": path, "type": kind}}


def of_cache_directories(settings: Mapping[str, Any], expand: Callable[[str], str] = str) -> list[tuple[Json, Json]]:
    """The cache on host paths and in claims."""
    dirs = enumerate(map(expand, settings.get("CacheDirs") or ()))
    pairs = [_pair(f"{CACHE_PREFIX}{number}", _host(path), path) for number, path in dirs]
    for number, cache in enumerate(settings.get("CachePVCs") or ()):
        claim = {"persistentVolumeClaim": {"claimName": cache["PVCName"]}}
        pairs.append(_pair(f"{CACHE_PREFIX}pvc-{number}", claim, cache["Path"]))
    return pairs


def _of_cache(settings: Mapping[str, Any], node: str, expand: Callable[[str], str]) -> list[tuple[Json, Json]]:
    pairs = of_cache_directories(settings, expand)
    if cache := settings.get("CacheEmptyDir"):
        source = {"emptyDir": {"medium": cache["Medium"], "sizeLimit": cache["SizeLimit"]}}
        pairs.append(_pair(f"{CACHE_PREFIX}empty-dir", source, cache["Path"]))
    for number, cache in enumerate(settings.get("CacheInlineVolumes") or ()):
        pairs.append(_pair(f"{CACHE_PREFIX}inline-volume-{number}", {"csi": cache["CSI"]}, cache["Path"]))
    for number, cache in enumerate(settings.get("CacheEphemeral") or ()):
        source = {"ephemeral": {"volumeClaimTemplate": _claim_template(cache, node)}}
        pairs.append(_pair(f"{CACHE_PREFIX}ephemeral-{number}", source, cache["Path"]))
    return pairs


def _claim_template(cache: Mapping[str, Any], node: str) -> Json:
    """Nobody schedules a Mount Pod, so the annotation says where the claim's volume is wanted."""
    return {
        "metadata": {"annotations": {"volume.kubernetes.io/selected-node": node}},
        "spec": {
            "accessModes": cache["AccessModes"],
            "resources": {"requests": {"storage": cache["Storage"]}},
            "storageClassName": cache.get("StorageClassName"),
        },
    }
