"""Diagnosis: stuck ends, lost data, dead mounts (D32, D33, D36-D39)."""

from __future__ import annotations

from collections.abc import Iterator

from jfsnb.checks.codes import REGISTER, result
from jfsnb.checks.diagnosis.findings import Case, Cause, describe, finding, or_node
from jfsnb.checks.diagnosis.pod_state import Stage, is_ready, trouble_of
from jfsnb.checks.diagnosis.snapshot import Snapshot, rule
from jfsnb.checks.model import CheckResult, Evidence, Verdict
from jfsnb.driver import names
from jfsnb.driver.golang.duration import parse_duration
from jfsnb.driver.mountpods.mount_pods import MountPod


@rule(
    "JFS-END-101",
    "Mount Pods that are deleted go away",
    "References remain, no CSI node on its node removes the finalizer, or the unmount hangs.",
    "Look at what the reason names; never remove the finalizer by hand while references exist.",
    needs=["mount_pods", "csi_pods"],
    wants=["events", "nodes"],
)
def stuck(snapshot: Snapshot) -> Iterator[CheckResult]:
    for pod, raw in zip(snapshot.parsed, snapshot.mount_pods, strict=True):
        trouble = trouble_of(raw, snapshot.about(raw, "Pod"), snapshot.now)
        if trouble is None or trouble.stage is not Stage.TERMINATING:
            continue
        cause = or_node(snapshot, pod.node, _why_stuck(snapshot, pod))
        case = Case(
            code="JFS-END-101",
            obj=f"pod/{pod.name}",
            name=f"Mount Pod {pod.name}",
            state=trouble.state,
            look=describe("pod", pod.namespace, pod.name),
            status=trouble.status,
            events=trouble.events,
        )
        yield finding(case, cause, Verdict.FAIL, snapshot.now)


def _why_stuck(snapshot: Snapshot, pod: MountPod) -> Cause:
    fix = REGISTER["JFS-END-101"].fix
    if pod.references:
        return Cause(f"{len(pod.references)} references remain, so it does not go away", fix)
    csi_node = snapshot.csi_pod_by_node.get(pod.node)
    if csi_node is None:
        return Cause(f"there is no CSI node Pod on {pod.node} to remove its finalizer", fix)
    if not is_ready(csi_node):
        name = csi_node["metadata"]["name"]
        return Cause(f"the CSI node Pod there, {name}, is not ready", f"Look at the finding about {name}.")
    return Cause("it does not go away; its unmount seems to hang", fix)


@rule(
    "JFS-END-104",
    "Clients flush before they end",
    "The client was stopped before it had uploaded what was written (writeback, short grace period).",
    "Give Mount Pods a longer terminationGracePeriodSeconds; do not drain CSI nodes first; check the data.",
    needs=["mount_logs"],
)
def lost_data(snapshot: Snapshot) -> Iterator[CheckResult]:
    signs = ("flush buffered data failed", "flush all:", "umount does not finish in", "force exit")
    for pod, lines in snapshot.mount_logs.items():
        found = [line for line in lines if any(sign in line for sign in signs)]
        if found:
            evidence = [Evidence(f"pod/{pod}", "log", line) for line in found[-3:]]
            yield result("JFS-END-104", Verdict.FAIL, f"{pod}: {found[-1].strip()}", evidence)


@rule(
    "JFS-END-105",
    "Delete delays that are configured are on the Mount Pods",
    "The Mount Pod is older than the setting, or a smooth upgrade dropped the annotation.",
    "Re-create the app Pod.",
    needs=["mount_pods", "config_map", "pvs", "pvcs"],
)
def delay_lost(snapshot: Snapshot) -> Iterator[CheckResult]:
    for pod in snapshot.parsed:
        wanted = (snapshot.wanted_fields(pod).get("annotations") or {}).get(names.DELETE_DELAY)
        if not wanted or pod.deleting or parse_duration(wanted) is None:
            continue
        actual = pod.annotations.get(names.DELETE_DELAY, "")
        if actual != wanted:
            evidence = [_at(pod, f"annotation {names.DELETE_DELAY}", actual or "none")]
            reason = f"{pod.name} has delete delay {actual or 'none'}, configured: {wanted}"
            yield result("JFS-END-105", Verdict.WARN, reason, evidence)


def _at(pod: MountPod, name: str, value: str) -> Evidence:
    return Evidence(f"pod/{pod.name}", name, value)
