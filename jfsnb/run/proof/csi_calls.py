"""The CSI calls that brought the baseline's volume to its Pod, read back from the driver's logs."""

from __future__ import annotations

from dataclasses import asdict

from jfsnb.driver import names
from jfsnb.driver.trace.csi_sequence import Moment, calls_about, sequence
from jfsnb.driver.trace.csi_trace import CsiCall
from jfsnb.errors import NotInCluster
from jfsnb.queries import driver_facts
from jfsnb.queries.model import Row
from jfsnb.redact import redact_text
from jfsnb.run.results import Baseline, CsiCalls
from jfsnb.run.state import Run, part

LINES = 4000


@part(CsiCalls)
def csi_calls(run: Run) -> CsiCalls:
    """Read what the CSI Pods have logged about the baseline's volume."""
    known = run.recall(Baseline.PART)
    if not known or not known["mount_pod"]:
        raise NotInCluster("this run has no baseline Pod that is served", "run the cell that deploys it first")
    driver = driver_facts.find_driver(run.cluster, run.settings.driver_namespace)
    plugin = driver.node_pod(known["node"])
    if plugin is None:
        raise NotInCluster(f"there is no CSI node Pod on {known['node']} any more", "look at the DaemonSet")
    name = plugin["metadata"]["name"]
    lines = run.cluster.log(driver.namespace, name, names.PLUGIN_CONTAINER, tail=LINES)
    target = _target(known["mount_object"], known["uid"], known["volume"])
    handle = driver_facts.find_volume(run.cluster, known["namespace"], known["claim"]).handle
    moments = sequence(lines, handle, target, known["mount_pod"])
    calls = calls_about(lines, handle, target)
    return run.finish(
        CsiCalls(
            pod=name,
            target=target,
            moments=tuple(map(_moment_row, moments)),
            calls=tuple(map(_call_row, calls)),
            traced=any(c.complete for c in calls),
        )
    )


def _target(mount_pod: Row, uid: str, volume: str) -> str:
    """Where the kubelet wants the volume, as the reference says it."""
    references = names.references((mount_pod.get("metadata") or {}).get("annotations"))
    return next((r.target for r in references if r.pod_uid == uid), names.target_path(uid, volume))


def _moment_row(moment: Moment) -> Row:
    return {**asdict(moment), "what": redact_text(moment.what)}


def _call_row(call: CsiCall) -> Row:
    """A call for a table: its messages as short lines, without what the kubelet says about the Pod in each."""
    asked = {k: v for k, v in call.request.items() if k not in ("volume_context", "volume_capability", "secrets")}
    context = call.request.get("volume_context") or {}
    asked |= {k: v for k, v in context.items() if not k.startswith("csi.storage.k8s.io/")}
    return {
        "at": call.time.rpartition("T")[2][:12],
        "caller": call.caller or "not logged",
        "method": call.name or "not logged",
        "asked": redact_text(", ".join(f"{k}={v}" for k, v in asked.items())),
        "answer": redact_text(f"{call.error_code}: {call.error}") if call.error_code else "OK",
        "seconds": call.seconds,
    }
