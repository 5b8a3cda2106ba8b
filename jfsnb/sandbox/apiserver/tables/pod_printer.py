"""The row of a Pod: READY, STATUS, RESTARTS and the rest, computed as ``kubectl get pods`` users know them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jfsnb.sandbox.apiserver.tables.ages import NONE, ago, since

Obj = dict[str, Any]


@dataclass
class _Row:
    """What the containers add up to."""

    reason: str
    ready: int = 0
    restarts: int = 0
    last_restart: str = ""
    initializing: bool = False

    def restart(self, status: Obj) -> None:
        self.restarts += status.get("restartCount", 0)
        ended = ((status.get("lastState") or {}).get("terminated") or {}).get("finishedAt") or ""
        self.last_restart = max(self.last_restart, ended)


def pod_cells(pod: Obj) -> list[Any]:
    """Name, ready, status, restarts, age, IP, node, nominated node, readiness gates."""
    meta, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    sidecars = {c["name"] for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"}
    row = _Row(status.get("reason") or status.get("phase") or "Unknown")
    conditions = {c["type"]: c for c in status.get("conditions") or ()}
    if conditions.get("PodScheduled", {}).get("reason") == "SchedulingGated":
        row.reason = "SchedulingGated"
    _init_containers(row, spec, status, sidecars)
    if not row.initializing or _is_true(conditions, "Initialized"):
        _containers(row, status, sidecars, _is_true(conditions, "Ready"))
    if meta.get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            row.reason = "Unknown"
        elif status.get("phase") not in ("Succeeded", "Failed"):
            row.reason = "Terminating"
    total = len(spec.get("containers") or ()) + len(sidecars)
    restarts = str(row.restarts)
    if row.restarts and row.last_restart:
        restarts += f" ({ago(row.last_restart)} ago)"
    return [
        meta["name"],
        f"{row.ready}/{total}",
        row.reason,
        restarts,
        since(meta.get("creationTimestamp")),
        next((ip["ip"] for ip in status.get("podIPs") or ()), status.get("podIP") or NONE),
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        _gates(spec, conditions),
    ]


def _is_true(conditions: dict[str, Obj], kind: str) -> bool:
    return bool(conditions.get(kind, {}).get("status") == "True")


def _init_containers(row: _Row, spec: Obj, status: Obj, sidecars: set[str]) -> None:
    total = len(spec.get("initContainers") or ())
    for number, container in enumerate(status.get("initContainerStatuses") or ()):
        row.restart(container)
        state = container.get("state") or {}
        ended, waiting = state.get("terminated"), state.get("waiting") or {}
        if ended is not None and ended.get("exitCode", 0) == 0:
            continue
        if container["name"] in sidecars and container.get("started"):
            row.ready += bool(container.get("ready"))
            continue
        if ended is not None:
            row.reason = "Init:" + (ended.get("reason") or _ending(ended))
        elif waiting.get("reason") not in (None, "", "PodInitializing"):
            row.reason = "Init:" + waiting["reason"]
        else:
            row.reason = f"Init:{number}/{total}"
        row.initializing = True
        return


def _ending(ended: Obj) -> str:
    return f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode', 0)}"


def _containers(row: _Row, status: Obj, sidecars: set[str], is_ready: bool) -> None:
    row.restarts, row.last_restart = 0, ""
    for container in status.get("initContainerStatuses") or ():
        if container["name"] in sidecars:
            row.restart(container)
    running = False
    for container in reversed(status.get("containerStatuses") or []):
        row.restart(container)
        state = container.get("state") or {}
        ended, waiting = state.get("terminated"), state.get("waiting")
        if waiting and waiting.get("reason"):
            row.reason = waiting["reason"]
        elif ended is not None:
            row.reason = ended.get("reason") or _ending(ended)
        elif container.get("ready") and state.get("running") is not None:
            running = True
            row.ready += 1
    if row.reason == "Completed" and running:
        row.reason = "Running" if is_ready else "NotReady"


def _gates(spec: Obj, conditions: dict[str, Obj]) -> str:
    gates = spec.get("readinessGates") or ()
    if not gates:
        return NONE
    return f"{sum(_is_true(conditions, g['conditionType']) for g in gates)}/{len(gates)}"
