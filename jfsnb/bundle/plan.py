"""What a collection reads, said before; and what it could not read, said after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jfsnb.queries.ask_pods import CSI_LOG_LINES, MOUNT_LOG_LINES
from jfsnb.queries.clients import ASKED_FOR_CLIENTS
from jfsnb.queries.model import Row, Table
from jfsnb.queries.more import MORE_LINES

#: What nobody tried, and what answers do without: no trouble that it is not there.
_CHOSEN = ("not asked", "this question does not need it")
_WELCOME = ("secret_keys", "next_hashes")


def rows(everyone: bool) -> Table:
    """Columns what, how, why."""
    some = "all" if everyone else f"the newest {ASKED_FOR_CLIENTS}"
    told = [
        ("nodes, PVs, PVCs, StorageClasses, CSINodes", "lists", "which configuration matches, which volume is whose"),
        ("CSIDriver, DaemonSet, ConfigMap, CSI Pods, Jobs", "of the driver", "its version, switches and configuration"),
        ("Mount Pods", "list, without what no question looks at", "who serves whom, with which image"),
        ("Pods that use JuiceFS", "a list of all Pods; kept: names, claims, node, state", "who is served"),
        ("events", "warnings of all; Upgrade of the driver", "why something is not there"),
        ("config.yaml in CSI nodes", "exec: cat, stat", "what each node has loaded"),
        ("logs of CSI nodes", f"the last {CSI_LOG_LINES} lines", "whether it was loaded or rejected"),
        ("logs of Mount Pods in trouble", f"the last {MOUNT_LOG_LINES} lines", "why a client does not come up"),
        ("clients in Mount Pods", f"exec in {some}: versions", "which client really runs"),
        ("mounts of app Pods", f"exec in {some}: stat, ls", "whether one is dead as its app sees it"),
        ("Secrets of volumes", "names of keys; values are not kept", "community or enterprise edition"),
        ("Secrets of Mount Pods", f"of {some}: one comparison of hashes", "whether the next mount would use it"),
        ("clients' own .config and .stats", f"exec in {some}: head", "for people"),
        ("more logs", f"the controller's, previous and other Mount Pods': {MORE_LINES} lines", "for people"),
    ]
    return tuple(dict(zip(("what", "how", "why"), row, strict=True)) for row in told)


def unread_rows(manifest: Mapping[str, Any]) -> Table:
    """Columns what, why; of many Pods with the same reason the first, and how many."""
    found: list[Row] = []
    for part, why in manifest["unreadable"].items():
        if isinstance(why, str):
            found.append({"what": part, "why": why})
            continue
        by_reason: dict[str, list[str]] = {}
        for name, reason in why.items():
            by_reason.setdefault(reason, []).append(name)
        for reason, names in by_reason.items():
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            found.append({"what": f"{part}: {names[0]}{more}", "why": reason})
    return tuple(found)


def blind(manifest: Mapping[str, Any]) -> bool:
    """Whether something is missing that was tried."""
    rows = [row for row in unread_rows(manifest) if not str(row["what"]).startswith(_WELCOME)]
    return any(not str(row["why"]).startswith(_CHOSEN) for row in rows)
