"""The CSI calls that were made for a run's smoke Pods, read back from the logs of the CSI node Pod that got them."""

from __future__ import annotations

from typing import Any

from jfsnb.driver import names
from jfsnb.driver.trace.csi_trace import CsiCall, parse_trace
from jfsnb.errors import JfsnbError
from jfsnb.queries import driver_facts
from jfsnb.run.state import Run

LINES = 2000
#: what a reader wants to see of a request, in this order
_TOLD = ("target_path", "volume_id", "name", "required_bytes", "volume_path")


def calls(run: Run) -> list[dict[str, Any]]:
    """Rows with columns at (UTC), caller, service, method, about, answer, milliseconds, pod; oldest first.

    Only calls for the smoke Pods of this run; empty where the driver's log does not tell.
    """
    smoked = [known for name in ("baseline", "smoke") if (known := run.recall(name)) and known["uid"]]
    nodes = {known["node"] for known in smoked}
    driver = driver_facts.find_driver(run.cluster, run.settings.driver_namespace)
    rows: list[dict[str, Any]] = []
    for pod in (driver.node_pod(node) for node in sorted(nodes)):
        if pod is not None:
            name = pod["metadata"]["name"]
            found = (_row(call, smoked, name) for call in _read(run, pod["metadata"]["namespace"], name))
            rows += [row for row in found if row is not None]
    return sorted(rows, key=lambda row: str(row["at"]))


def _read(run: Run, namespace: str, pod: str) -> tuple[CsiCall, ...]:
    try:
        return parse_trace(run.cluster.log(namespace, pod, names.PLUGIN_CONTAINER, tail=LINES))
    except JfsnbError:
        return ()


def _row(call: CsiCall, smoked: list[dict[str, Any]], pod: str) -> dict[str, Any] | None:
    target = str(call.request.get("target_path") or call.request.get("volume_path") or "")
    mine = next((known for known in smoked if known["uid"] in target), None)
    if mine is None:
        return None
    about = ", ".join(f"{name} {_short(str(call.request[name]), mine)}" for name in _TOLD if call.request.get(name))
    return {
        "at": call.time.partition("T")[2].rstrip("Z")[:12] or call.time[:12],
        "caller": call.caller or "kubelet",
        "service": call.service,
        "method": call.name,
        "about": about,
        "answer": f"{call.error_code}: {call.error}" if call.error_code else "OK",
        "milliseconds": None if call.seconds is None else round(call.seconds * 1000, 1),
        "pod": mine["pod"],
        "plugin": pod,
    }


def _short(value: str, smoked: dict[str, Any]) -> str:
    """A target path without its constant beginning."""
    return value.replace("/var/lib/kubelet/", "…/").replace(smoked["uid"], smoked["uid"][:8] + "…")
