"""Placeholders in StorageClass parameters (reference §4.5). Vectors: decisions/template.

``${.pvc.name}``, ``${.pvc.annotations.x}``, ``${.node.labels.x}`` in parameters, pathPattern and mountOptions;
``${pvc.name}``, ``${pvc.namespace}``, ``${pv.name}``, ``${pvc.annotations['x']}`` in ``csi.storage.k8s.io/*``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Obj = Mapping[str, Any]
SECRET_PREFIX = "csi.storage.k8s.io/"
_PLACEHOLDER = re.compile(r"\$\{\.(PVC|pvc|node)\.((labels|annotations)\.(.*?)|.*?)\}")
#: A variable as a shell has it. ``${`` without its end and ``${}`` are eaten, a dollar before anything else stays.
_VARIABLE = re.compile(r"\$(?:\{(?P<braced>[^}]+)\}|\{\}|\{|(?P<special>[*#$@!?0-9-])|(?P<name>[A-Za-z0-9_]+))")


def resolve(text: str, pvc: Obj, node: Obj | None) -> str:
    """Replace placeholders of PVC and node, one after the other; what is not there becomes empty."""
    for match in _PLACEHOLDER.finditer(text):
        source = node or {} if match[1] == "node" else pvc
        meta = source.get("metadata") or {}
        if match[3]:
            value = (meta.get(match[3]) or {}).get(match[4], "")
        else:
            value = _plain(meta, source, match[1] == "node").get(match[2], "")
        text = text.replace(match[0], str(value))
    return text


def _plain(meta: Obj, source: Obj, is_node: bool) -> dict[str, Any]:
    other = "podCIDR" if is_node else "namespace"
    return {
        "name": meta.get("name", ""),
        other: (source.get("spec") or {}).get(other, "") if is_node else meta.get(other, ""),
    }


def resolve_secret(text: str, pvc: Obj, pv_name: str) -> str:
    """Replace variables in the name or namespace of a Secret; one that the driver does not know becomes empty."""
    meta = pvc["metadata"]
    known = {"pv.name": pv_name, "pvc.name": meta.get("name", ""), "pvc.namespace": meta.get("namespace", "")}
    notes = {f"pvc.annotations['{key}']": value for key, value in (meta.get("annotations") or {}).items()}

    def value(match: re.Match[str]) -> str:
        return str({**notes, **known}.get(match["braced"] or match["special"] or match["name"] or "", ""))

    return _VARIABLE.sub(value, text)


def resolve_parameters(parameters: Mapping[str, str], pvc: Obj, node: Obj | None, pv_name: str) -> dict[str, str]:
    """All parameters of a StorageClass for one claim."""
    return {
        key: resolve_secret(text, pvc, pv_name) if key.startswith(SECRET_PREFIX) else resolve(text, pvc, node)
        for key, text in parameters.items()
    }
