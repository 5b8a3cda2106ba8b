"""Label ``juicefs-hash``: SHA-256 over the settings as Go's JSON encoder writes them (reference/csi-driver.md §3.1).

Settings are plain data in the driver's own layout, which is also what key ``jfsSettings`` of its Secret holds. They
contain credentials: never show them.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from jfsnb.driver import names

#: Fields in Go's order with their zero values; a field of OMITTED is left out when it has none.
FIELDS: dict[str, Any] = {
    "IsCe": False,
    "UsePod": False,
    "UUID": "",
    "name": "",
    "metaurl": "",
    "source": "",
    "storage": "",
    "format-options": "",
    "CachePVCs": None,
    "CacheEmptyDir": None,
    "CacheInlineVolumes": None,
    "CacheEphemeral": None,
    "CacheDirs": None,
    "secret-key": "",
    "secret-key2": "",
    "token": "",
    "passphrase": "",
    "envs_map": None,
    "encrypt_rsa_key": "",
    "initconfig": "",
    "configs_map": None,
    "deleted_delay": "",
    "clean_cache": False,
    "host_path": None,
    "VolumeId": "",
    "UniqueId": "",
    "MountPath": "",
    "Options": None,
    "FormatCmd": "",
    "SubPath": "",
    "SecretName": "",
    "Attr": None,
}
ATTR_FIELDS: dict[str, Any] = {
    "Namespace": "",
    "MountPointPath": "",
    "JFSConfigPath": "",
    "JFSMountPriorityName": "",
    "ServiceAccountName": "",
    "Resources": {},
    "imagePullPolicy": "",
    "labels": None,
    "annotations": None,
    "livenessProbe": None,
    "readinessProbe": None,
    "startupProbe": None,
    "lifecycle": None,
    "terminationGracePeriodSeconds": None,
    "volumes": None,
    "volumeDevices": None,
    "volumeMounts": None,
    "env": None,
    "cacheDirs": None,
    "initContainers": None,
    "Image": "",
    "HostNetwork": False,
    "HostAliases": None,
    "HostPID": False,
    "HostIPC": False,
    "DNSConfig": None,
    "DNSPolicy": "",
    "ImagePullSecrets": None,
    "PreemptionPolicy": None,
    "Tolerations": None,
}
OMITTED = {
    *("secret-key", "secret-key2", "token", "passphrase", "envs_map", "encrypt_rsa_key", "initconfig", "configs_map"),
    *("imagePullPolicy", "labels", "annotations", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle"),
    *("terminationGracePeriodSeconds", "volumes", "volumeDevices", "volumeMounts", "env", "cacheDirs"),
    "initContainers",
}
#: Go's field order inside Kubernetes types; fields that are not listed follow in the order of the alphabet.
NESTED_ORDER = (
    *("name", "key", "operator", "value", "valueFrom", "effect", "tolerationSeconds"),
    *("exec", "httpGet", "tcpSocket", "grpc", "initialDelaySeconds", "timeoutSeconds", "periodSeconds"),
    *("successThreshold", "failureThreshold", "postStart", "preStop"),
    *("limits", "requests", "claims"),
)
_SORTED_BY = {"env": "name", "cacheDirs": "name", "volumeDevices": "name", "volumes": "name", "volumeMounts": "name"}
_SORTED_BY |= {"Tolerations": "key", "ImagePullSecrets": "name", "HostAliases": "ip", "initContainers": "name"}
_MAPS = ("labels", "annotations", "limits", "requests", "envs_map", "configs_map")


def settings_hash(settings: Mapping[str, Any]) -> str:
    """The 63 hexadecimal digits that a Mount Pod with these settings carries.

    Args:
        settings: in the layout of ``jfsSettings``; fields that are missing have Go's zero value.
    """
    return hashlib.sha256(dump(normalised(settings)).encode()).hexdigest()[:63]


def normalised(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they are hashed: what must not count is blanked, lists are sorted."""
    result = copy.deepcopy(dict(settings))
    result.update({"VolumeId": "", "SubPath": "", "initconfig": ""})
    result["MountPath"] = f"{names.MOUNT_ROOT}/{result.get('UniqueId', '')}".rstrip("/")
    for name in ("Options", "host_path", "CacheDirs"):
        if result.get(name):
            result[name] = sorted(result[name])
    if result.get("CachePVCs"):
        result["CachePVCs"] = sorted(result["CachePVCs"], key=lambda c: str(c.get("PVCName", "")))
    attr = result.get("Attr")
    for name, key in _SORTED_BY.items():
        if attr and attr.get(name):
            attr[name] = sorted(attr[name], key=lambda item, key=key: str(item.get(key, "")))  # type: ignore[misc]
    return result


def dump(settings: Mapping[str, Any]) -> str:
    """Settings as Go's JSON encoder writes them: field order, empty fields, HTML escapes."""
    data = _struct(settings, FIELDS)
    if data["Attr"] is not None:
        data["Attr"] = _struct(data["Attr"], ATTR_FIELDS)
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    for char in "&<>\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def _struct(values: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    result = {}
    for name, zero in fields.items():
        value = values.get(name, zero)
        if name in OMITTED and value in (None, "", [], {}):
            continue
        result[name] = value if name == "Attr" else _ordered(value, in_map=name in _MAPS)
    return result


def _ordered(value: Any, in_map: bool = False) -> Any:
    if isinstance(value, list):
        return [_ordered(v) for v in value]
    if not isinstance(value, dict):
        return value
    if in_map:
        return {k: value[k] for k in sorted(value)}
    known = [k for k in NESTED_ORDER if k in value]
    rest = sorted(set(value) - set(known))
    return {k: _ordered(value[k], in_map=k in _MAPS) for k in (*known, *rest)}
