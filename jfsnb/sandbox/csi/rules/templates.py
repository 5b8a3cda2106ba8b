"""Placeholders in StorageClass parameters (reference §4.5). Pure.

``${.pvc.name}``, ``${.pvc.annotations.x}``, ``${.node.labels.x}`` in parameters, pathPattern and mountOptions;
``${pvc.name}``, ``${pvc.namespace}``, ``${pv.name}``, ``${pvc.annotations['x']}`` in ``csi.storage.k8s.io/*``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

PLACEHOLDER = re.compile(r"\$\{\.(PVC|pvc|node)\.((labels|annotations)\.(.*?)|.*?)\}")
SECRET_PLACEHOLDER = re.compile(r"\$\{([^}]+)\}")
ANNOTATION = re.compile(r"^pvc\.annotations\['(.+)'\]$")
SECRET_PREFIX = "csi.storage.k8s.io/"


def resolve(text: str, pvc: Mapping[str, Any], node: Mapping[str, Any] | None) -> str:
    """Replace placeholders of PVC and node; what is not there becomes empty."""

    def value(match: re.Match[str]) -> str:
        meta = ((node or {}) if match[1] == "node" else pvc).get("metadata") or {}
        if match[3]:
            return str((meta.get(match[3]) or {}).get(match[4], ""))
        return str(meta.get(match[2], ""))

    return PLACEHOLDER.sub(value, text)


def resolve_secret(text: str, pvc: Mapping[str, Any], pv_name: str) -> str:
    """Replace placeholders in the name or namespace of a Secret.

    Raises:
        ValueError: a placeholder that the driver does not know.
    """
    meta = pvc["metadata"]
    plain = {"pv.name": pv_name, "pvc.name": meta["name"], "pvc.namespace": meta["namespace"]}

    def value(match: re.Match[str]) -> str:
        if match[1] in plain:
            return str(plain[match[1]])
        annotation = ANNOTATION.match(match[1])
        if annotation is None:
            raise ValueError(f"unknown placeholder {match[0]} in secret parameter {text}")
        return str((meta.get("annotations") or {}).get(annotation[1], ""))

    return SECRET_PLACEHOLDER.sub(value, text)


def resolve_parameters(
    parameters: Mapping[str, str], pvc: Mapping[str, Any], node: Mapping[str, Any] | None, pv_name: str
) -> dict[str, str]:
    """All parameters of a StorageClass for one claim."""
    return {
        key: resolve_secret(text, pvc, pv_name) if key.startswith(SECRET_PREFIX) else resolve(text, pvc, node)
        for key, text in parameters.items()
    }
