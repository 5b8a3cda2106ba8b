"""Who a Mount Pod is for the driver, Pods of old versions included (§1.1, §3.8). Vectors: names/podids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jfsnb.driver import names

Obj = Mapping[str, Any]


def _labels(pod: Obj) -> Mapping[str, str]:
    return pod.get("metadata", {}).get("labels") or {}


def unique_id_of(pod: Obj) -> str:
    """Label ``volume-id``; without it what follows the node's name in the Pod's name, as very old drivers made it."""
    label = _labels(pod).get(names.VOLUME_ID, "")
    node = pod.get("spec", {}).get("nodeName", "")
    return label or str(pod.get("metadata", {}).get("name", "")).partition(f"{node}-")[2]


def upgrade_uuid_of(pod: Obj) -> str:
    """What stays the same over re-creation and upgrade; the hash for Pods from before that label."""
    return _labels(pod).get(names.UPGRADE_UUID, "") or _labels(pod).get(names.HASH, "")


def lock_key_of(pod: Obj) -> str:
    """By what the driver keeps its own hands off a Mount Pod: Pods of one hash are handled one after the other."""
    return _labels(pod).get(names.HASH, "") or str(pod.get("metadata", {}).get("name", ""))
