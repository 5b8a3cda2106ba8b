"""Diagnosis: stuck ends, lost data, dead mounts (D32, D33, D36-D39)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from jfsnb.checks.codes import result
from jfsnb.checks.diagnosis.snapshot import Snapshot, rule
from jfsnb.checks.model import CheckResult, Evidence, Verdict
from jfsnb.driver import names
from jfsnb.driver.mountpods.mount_pods import MountPod, parse_time
from jfsnb.driver.settings.options import parse_duration

#: The driver itself starts to abort a stuck FUSE connection after twice the grace period, at least a minute.
_PATIENCE = timedelta(minutes=2)


@rule(
    "JFS-END-101",
    "Mount Pods that are deleted go away",
    "References remain, no CSI node on its node removes the finalizer, or the unmount hangs.",
    "Look at what the reason names; never remove the finalizer by hand while references exist.",
    needs=["mount_pods", "csi_pods"],
)
def stuck(snapshot: Snapshot) -> Iterator[CheckResult]:
    for pod, raw in zip(snapshot.parsed, snapshot.mount_pods, strict=True):
        since = parse_time(raw["metadata"].get("deletionTimestamp"))
        if since is None or snapshot.now - since < _PATIENCE:
            continue
        why = "its unmount seems to hang"
        if pod.references:
            why = f"{len(pod.references)} references remain"
        elif pod.node not in snapshot.csi_pod_by_node:
            why = f"there is no CSI node Pod on {pod.node} to remove its finalizer"
        minutes = int((snapshot.now - since).total_seconds() // 60)
        evidence = [_at(pod, "deletionTimestamp", since.isoformat()), _at(pod, "finalizers", ", ".join(pod.finalizers))]
        reason = f"{pod.name} has been terminating for {minutes} minutes: {why}"
        yield result("JFS-END-101", Verdict.FAIL, reason, evidence)


@rule(
    "JFS-END-102",
    "No Mount Pod has failed for good",
    "It was evicted, or its client ended with an error; while it has references nobody makes another.",
    "Re-create the app Pods that it served, then delete it.",
    needs=["mount_pods"],
)
def failed(snapshot: Snapshot) -> Iterator[CheckResult]:
    for pod, raw in zip(snapshot.parsed, snapshot.mount_pods, strict=True):
        if pod.phase == "Failed" and not pod.deleting:
            why = raw.get("status", {}).get("reason") or pod.reason
            users = f"{len(pod.references)} references"
            evidence = [_at(pod, "status.reason", str(why)), _at(pod, "references", users)]
            yield result("JFS-END-102", Verdict.FAIL, f"{pod.name} has failed ({why}), {users}", evidence)


@rule(
    "JFS-END-103",
    "Mounts of app Pods are alive",
    "The Mount Pod was restarted and the app's mount still points to the old client.",
    "Re-create the app Pod; mountPropagation: HostToContainer lets the driver repair it.",
    needs=["events", "app_pods"],
)
def dead_mount(snapshot: Snapshot) -> Iterator[CheckResult]:
    sign = "Transport endpoint is not connected"
    for event in snapshot.events:
        about = event.get("involvedObject") or {}
        lives = about.get("uid") in snapshot.app_pod_by_uid
        if lives and sign.lower() in str(event.get("message", "")).lower() and _recent(event, snapshot.now):
            evidence = [Evidence(f"pod/{about.get('name')}", f"event {event.get('reason')}", str(event.get("message")))]
            yield result("JFS-END-103", Verdict.FAIL, f"{about.get('namespace')}/{about.get('name')}: {sign}", evidence)


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


def _recent(event: object, now: datetime) -> bool:
    fields = event if isinstance(event, dict) else {}
    last = parse_time(fields.get("lastTimestamp") or fields.get("eventTime"))
    return last is None or now - last < timedelta(hours=1)


def _at(pod: MountPod, name: str, value: str) -> Evidence:
    return Evidence(f"pod/{pod.name}", name, value)
