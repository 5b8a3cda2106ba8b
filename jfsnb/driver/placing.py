"""Where a Pod may be put, as far as nodes, taints and tolerations tell (Kubernetes' own rules)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Obj = Mapping[str, Any]
#: The DaemonSet controller tolerates these for its Pods by itself.
_FOR_DAEMONS = "node.kubernetes.io/"


def tolerated(taint: Obj, pod_spec: Obj, daemon: bool = False) -> bool:
    """Whether a Pod's tolerations cover a taint.

    Args:
        daemon: it is a DaemonSet's Pod.
    """
    key, effect, value = taint.get("key", ""), taint.get("effect", ""), taint.get("value", "")
    if daemon and key.startswith(_FOR_DAEMONS):
        return True
    for one in pod_spec.get("tolerations") or ():
        if one.get("effect") not in (None, "", effect):
            continue
        if one.get("operator") == "Exists" and one.get("key") in (None, "", key):
            return True
        if one.get("operator", "Equal") == "Equal" and one.get("key") == key and one.get("value", "") == value:
            return True
    return False


def taint_words(taint: Obj) -> str:
    """As kubectl writes it: ``key=value:NoSchedule``."""
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint['key']}{value}:{taint['effect']}"


def why_no_pod(daemon_set: Obj | None, node: Obj | None) -> str:
    """Why a DaemonSet has no Pod on a node; empty when its template does not tell."""
    template = (((daemon_set or {}).get("spec") or {}).get("template") or {}).get("spec") or {}
    if node is None or not template:
        return ""
    labels = node["metadata"].get("labels") or {}
    missing = [f"{k}={v}" for k, v in (template.get("nodeSelector") or {}).items() if labels.get(k) != v]
    if missing:
        return f"its nodeSelector wants {', '.join(missing)}"
    for taint in (node.get("spec") or {}).get("taints") or ():
        if taint.get("effect") in ("NoSchedule", "NoExecute") and not tolerated(taint, template, daemon=True):
            return f"taint {taint_words(taint)} is not tolerated"
    return ""
