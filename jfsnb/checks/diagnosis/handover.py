"""Diagnosis: handing a FUSE session from one client to the next (fuse-handover §8, §9, §11, §12)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from jfsnb.checks.codes import result
from jfsnb.checks.diagnosis.snapshot import Snapshot, rule
from jfsnb.checks.model import CheckResult, Evidence, Verdict
from jfsnb.driver.images import same_image
from jfsnb.driver.mountpods.mount_pods import MountPod, Obj, container_status, parse_time
from jfsnb.driver.mountpods.pod_state import why_not_upgradable
from jfsnb.driver.names import PLUGIN_CONTAINER

#: Not with status 1: so ends a client that was told to restart (it hands its open files on), or that never served.
_ENDED = re.compile(r"mount process \d+: (?P<how>(?!exit status 1,).+), will restart in 1 second")
_NOT_ASKED = re.compile(r"dial \S*fuse_fd_csi_comm\.sock: .*\[getFuseFd@")
_NOT_LEFT = re.compile(r"send fd to \S*fuse_fd_csi_comm\.sock: ")
#: A CSI node that starts asks the clients itself; what one of them could not leave in that moment is no loss.
_STARTING = timedelta(seconds=10)


@rule(
    "JFS-IMG-109",
    "Outdated Mount Pods can be upgraded while their apps run",
    "The driver refuses: by its tag the image is, or looks, older than 1.2.1; or the Mount Pod unmounts in preStop.",
    "Re-create the app Pod. For your own images use tags that do not begin with ce- or ee-; no umount in preStop.",
    needs=["mount_pods", "config_map", "pvs", "pvcs"],
)
def cannot_be_upgraded(snapshot: Snapshot) -> Iterator[CheckResult]:
    for pod, raw in zip(snapshot.parsed, snapshot.mount_pods, strict=True):
        wanted, why = snapshot.wanted_image(pod), refusal(pod, raw)
        if wanted is None or not wanted.certain or same_image(pod.image, wanted.image) or not why:
            continue
        evidence = [
            _at(pod, "image", pod.image),
            Evidence("configuration", wanted.provenance, wanted.image),
            _at(pod, "the driver would say", f"can not upgrade: {why}"),
        ]
        reason = f"{pod.name} runs {pod.image}, configured: {wanted.image}, and can not be upgraded: {why}"
        yield result("JFS-IMG-109", Verdict.WARN, reason, evidence)


def refusal(pod: MountPod, raw: Obj) -> str:
    """Why the driver would not upgrade a Mount Pod; empty when it would, or when something else is the matter."""
    asked = pod.ready and pod.settings_hash and not pod.deleting
    return why_not_upgradable(raw, recreate=True) if asked else ""


@rule(
    "JFS-MNT-121",
    "Files that apps hold open outlive their client",
    "The client was killed, or its Mount Pod deleted, and the next one knows nothing of the files that were open.",
    "Re-create app Pods that hold files open: writing to these fails (EBADF). Look for what ended the client.",
    needs=["mount_pods", "mount_logs", "app_pods"],
)
def open_files_lost(snapshot: Snapshot) -> Iterator[CheckResult]:
    for pod in snapshot.parsed:
        lines = snapshot.mount_logs.get(pod.name, ())
        users = [snapshot.app_pod_by_uid[r.pod_uid] for r in pod.references if r.pod_uid in snapshot.app_pod_by_uid]
        cut = _cut_off(pod, lines)
        if cut is None:
            continue
        how, line, moment = cut
        names = sorted(f"{u['metadata'].get('namespace')}/{u['metadata']['name']}" for u in users if _before(u, moment))
        if names:
            evidence = [_at(pod, "log", line), *(Evidence(f"pod/{name}", "is older", str(moment)) for name in names)]
            reason = f"{pod.name} followed a Mount Pod that was deleted; what {', '.join(names)} had open is lost"
            if how:
                reason = f"{pod.name}: its client ended ({how}); what {', '.join(names)} had open is lost"
            yield result("JFS-MNT-121", Verdict.WARN, reason, evidence)


def _cut_off(pod: MountPod, lines: Sequence[str]) -> tuple[str, str, datetime | None] | None:
    """A client that ended without handing on its open files: how (empty: it was deleted), the log's line, when."""
    for line in reversed(lines):
        ended = _ENDED.search(line)
        if ended:
            return ended["how"], line, getattr(line, "at", None)
    opened = [line for line in lines if "Create session " in line]
    is_successor = pod.command.mount_path.rpartition("-")[2] != pod.name.rpartition("-")[2]
    if opened and is_successor:
        return "", opened[-1], pod.created
    return None


def _before(user: object, moment: datetime | None) -> bool:
    meta = user["metadata"] if isinstance(user, dict) else {}
    created = parse_time(meta.get("creationTimestamp"))
    return moment is None or created is None or created < moment


@rule(
    "JFS-MNT-122",
    "CSI nodes keep a copy of each FUSE session",
    "A client could not reach its CSI node, which was down or had lost its socket; no other can take its mount over.",
    "Restart the CSI node: it asks the clients. Re-create app Pods whose mount is dead.",
    needs=["mount_pods", "mount_logs", "csi_pods", "events"],
)
def session_not_kept(snapshot: Snapshot) -> Iterator[CheckResult]:
    for pod in snapshot.parsed:
        lines = snapshot.mount_logs.get(pod.name, ())
        since = _csi_node_runs_since(snapshot, pod.node)
        alone = next((line for line in lines if _NOT_ASKED.search(line)), None)
        unkept = next((line for line in reversed(lines) if _NOT_LEFT.search(line) and _is_after(line, since)), None)
        if alone is not None:
            reason = f"{pod.name} mounted anew: the CSI node could not be asked for the session of the client before"
            lost = any(_lost_its_mount(snapshot, reference.pod_uid) for reference in pod.references)
            yield result("JFS-MNT-122", Verdict.FAIL if lost else Verdict.WARN, reason, [_at(pod, "log", alone)])
        elif unkept is not None:
            reason = f"the CSI node has no copy of {pod.name}'s session: if the client ends, its apps lose the mount"
            yield result("JFS-MNT-122", Verdict.WARN, reason, [_at(pod, "log", unkept)])


def _lost_its_mount(snapshot: Snapshot, uid: str) -> bool:
    about = (e for e in snapshot.events if uid and (e.get("involvedObject") or {}).get("uid") == uid)
    return any("transport endpoint is not connected" in str(e.get("message", "")).lower() for e in about)


def _csi_node_runs_since(snapshot: Snapshot, node: str) -> datetime | None:
    status = container_status(snapshot.csi_pod_by_node.get(node, {}), PLUGIN_CONTAINER) or {}
    return parse_time(((status.get("state") or {}).get("running") or {}).get("startedAt"))


def _is_after(line: str, started: datetime | None) -> bool:
    at = getattr(line, "at", None)
    return started is None or at is None or at > started + _STARTING


def _at(pod: MountPod, name: str, value: str) -> Evidence:
    return Evidence(f"pod/{pod.name}", name, value)
