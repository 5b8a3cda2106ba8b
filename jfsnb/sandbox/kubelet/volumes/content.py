"""Which files a configMap, secret, downwardAPI or projected volume contains. Pure: objects come as arguments."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jfsnb.sandbox.apimachinery.client import Obj
from jfsnb.sandbox.kubelet.containers import downward

DEFAULT_MODE = 0o644


class VolumeError(Exception):
    """A volume cannot be set up: the sentence after ``MountVolume.SetUp failed for volume "x" :``."""


@dataclass(frozen=True)
class File:
    """One file of a volume: its bytes and its permission bits."""

    data: bytes
    mode: int = DEFAULT_MODE


@dataclass(frozen=True)
class Objects:
    """What projected volumes are made from.

    Args:
        config_maps: by name; a missing name is not in the cluster.
        secrets: the same of Secrets.
        tokens: service account tokens by audience ("" for the API server's).
        allocatable: the node's resources.
    """

    config_maps: Mapping[str, Obj] = field(default_factory=dict)
    secrets: Mapping[str, Obj] = field(default_factory=dict)
    tokens: Mapping[str, str] = field(default_factory=dict)
    allocatable: Mapping[str, str] = field(default_factory=dict)


def sources(volume: Obj) -> list[tuple[str, Obj]]:
    """The (kind, source) pairs of a volume; a plain configMap volume is a projection of one source."""
    if "projected" in volume:
        return [pair for entry in volume["projected"].get("sources") or () for pair in entry.items()]
    for kind in ("configMap", "secret", "downwardAPI"):
        if kind in volume:
            return [(kind, volume[kind])]
    return []


def object_name(kind: str, source: Obj) -> str:
    """The name of the ConfigMap or Secret; a secret volume calls it ``secretName``."""
    return (
        str(source.get("secretName") or source.get("name") or "") if kind == "secret" else str(source.get("name", ""))
    )


def files(pod: Obj, volume: Obj, objects: Objects) -> dict[str, File]:
    """Path below the volume's root -> file.

    Args:
        pod: with its status as far as it is known (downward API).
        volume: an entry of ``spec.volumes``.
        objects: what the sources name.

    Raises:
        VolumeError: something that is not optional is missing.
    """
    whole = next(iter(volume[k] for k in ("projected", "configMap", "secret", "downwardAPI") if k in volume))
    mode = int(whole.get("defaultMode") or DEFAULT_MODE)
    result: dict[str, File] = {}
    for kind, source in sources(volume):
        if kind in ("configMap", "secret"):
            result |= _keyed(pod, kind, source, objects, mode)
        elif kind == "downwardAPI":
            result |= {i["path"]: _downward(pod, i, objects, mode) for i in source.get("items") or ()}
        elif kind == "serviceAccountToken":
            token = objects.tokens.get(source.get("audience") or "", "")
            # The token is nobody's but the owner's, whatever defaultMode says.
            result[source["path"]] = File(token.encode(), 0o600 if pod["spec"].get("securityContext") else mode)
    return result


def _keyed(pod: Obj, kind: str, source: Obj, objects: Objects, mode: int) -> dict[str, File]:
    name, optional = object_name(kind, source), bool(source.get("optional"))
    obj = (objects.secrets if kind == "secret" else objects.config_maps).get(name)
    if obj is None:
        if optional:
            return {}
        raise VolumeError(f'{"secret" if kind == "secret" else "configmap"} "{name}" not found')
    data = _bytes(kind, obj)
    items = source.get("items")
    if not items:
        return {key: File(value, mode) for key, value in data.items()}
    result = {}
    for item in items:
        if item["key"] in data:
            result[item["path"]] = File(data[item["key"]], int(item.get("mode") or mode))
        elif not optional:
            raise VolumeError(
                f"references non-existent {'secret' if kind == 'secret' else 'config'} key: {item['key']}"
            )
    return result


def _bytes(kind: str, obj: Obj) -> dict[str, bytes]:
    data: Mapping[str, Any] = obj.get("data") or {}
    if kind == "secret":
        return {key: base64.b64decode(value or "") for key, value in data.items()}
    binary = {key: base64.b64decode(value) for key, value in (obj.get("binaryData") or {}).items()}
    return {key: str(value).encode() for key, value in data.items()} | binary


def _downward(pod: Obj, item: Obj, objects: Objects, mode: int) -> File:
    try:
        if "fieldRef" in item:
            value = downward.field(pod, item["fieldRef"]["fieldPath"])
        else:
            ref = item["resourceFieldRef"]
            everyone = [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]
            owner: Obj = next((c for c in everyone if c["name"] == ref.get("containerName")), {})
            value = downward.resource(owner, ref, objects.allocatable)
    except downward.UnknownField as error:
        raise VolumeError(str(error)) from None
    return File(value.encode(), int(item.get("mode") or mode))
