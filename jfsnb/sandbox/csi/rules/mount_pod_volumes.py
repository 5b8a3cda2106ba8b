"""Volumes and volumeMounts of a Mount Pod, in the order in which the driver adds them (reference §1.7). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jfsnb.driver import names

Json = dict[str, Any]


def volumes_of(
    settings: Mapping[str, Any], node: str, upgrade_uuid: str, env: Mapping[str, str]
) -> tuple[list[Json], list[Json]]:
    """(volumes, volumeMounts) for settings whose templates are expanded already."""
    volumes: list[Json] = []
    mounts: list[Json] = []

    def add(name: str, source: Json, path: str, **more: Any) -> None:
        volumes.append({"name": name, **source})
        mounts.append({"name": name, "mountPath": path, **more})

    attr, secret = settings["Attr"], settings["SecretName"]
    if settings["encrypt_rsa_key"]:
        add("rsa-key", _secret(secret, "encrypt_rsa_key", "rsa-key.pem"), "/root/.rsa")
    if settings["initconfig"]:
        add("init-config", _secret(secret, "initconfig", f"{settings['name']}.conf"), "/etc/juicefs")
    for number, (name, path) in enumerate(settings["configs_map"].items(), start=1):
        add(f"config-{number}", {"secret": {"secretName": name}}, path)
    add("jfs-dir", _host(attr["MountPointPath"]), names.MOUNT_ROOT, mountPropagation="Bidirectional")
    add("jfs-fuse-fd", _host(f"/var/run/juicefs-csi/{upgrade_uuid}"), "/tmp")
    if not env.get("JUICEFS_IMMUTABLE"):
        add("updatedb", _host("/etc/updatedb.conf", "FileOrCreate"), "/etc/updatedb.conf")
    for number, path in enumerate(settings["CacheDirs"] or ()):
        add(f"cachedir-{number}", _host(path), path)
    for number, cache in enumerate(settings["CachePVCs"] or ()):
        add(f"cachedir-pvc-{number}", {"persistentVolumeClaim": {"claimName": cache["PVCName"]}}, cache["Path"])
    if cache := settings["CacheEmptyDir"]:
        add("cachedir-empty-dir", {"emptyDir": _empty_dir(cache)}, cache["Path"])
    for number, cache in enumerate(settings["CacheInlineVolumes"] or ()):
        add(f"cachedir-inline-volume-{number}", {"csi": cache["CSI"]}, cache["Path"])
    for number, cache in enumerate(settings["CacheEphemeral"] or ()):
        add(f"cachedir-ephemeral-{number}", {"ephemeral": _claim_template(cache, node)}, cache["Path"])
    for number, path in enumerate(settings["host_path"] or ()):
        add(f"hostpath-{number}", {"hostPath": {"path": path}}, path)
    return volumes + (attr.get("volumes") or []), mounts + (attr.get("volumeMounts") or [])


def _host(path: str, kind: str = "DirectoryOrCreate") -> Json:
    return {"hostPath": {"path": path, "type": kind}}


def _secret(name: str, key: str, file: str) -> Json:
    return {"secret": {"secretName": name, "items": [{"key": key, "path": file}]}}


def _empty_dir(cache: Mapping[str, Any]) -> Json:
    medium = {"medium": cache["Medium"]} if cache["Medium"] else {}
    size = {"sizeLimit": cache["SizeLimit"]} if cache["SizeLimit"] != "0" else {}
    return {**medium, **size}


def _claim_template(cache: Mapping[str, Any], node: str) -> Json:
    spec: Json = {"accessModes": cache["AccessModes"], "resources": {"requests": {"storage": cache["Storage"]}}}
    if cache.get("StorageClassName"):
        spec["storageClassName"] = cache["StorageClassName"]
    note = {"volume.kubernetes.io/selected-node": node}
    return {"volumeClaimTemplate": {"metadata": {"annotations": note}, "spec": spec}}
