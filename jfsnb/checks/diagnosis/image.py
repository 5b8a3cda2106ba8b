"""Diagnosis: is the client the one that was configured? (D1, D5, D6, D8, D10-D12; O15)"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from jfsnb.checks.client import SUPERVISOR
from jfsnb.checks.codes import result
from jfsnb.checks.diagnosis.handover import refusal
from jfsnb.checks.diagnosis.said import said_in
from jfsnb.checks.diagnosis.snapshot import Snapshot, rule
from jfsnb.checks.model import CheckResult, Evidence, Verdict
from jfsnb.driver import names
from jfsnb.driver.images import ClientVersion, same_image, tag_contradicts
from jfsnb.driver.mountpods.mount_pods import MountPod, container_status, parse_time

_BUSY = "FUSE session is busy, don't restart"
_UPGRADE_RUNS = timedelta(minutes=5)


@rule(
    "JFS-IMG-101",
    "Mount Pods run the image that is configured now",
    "Running Mount Pods never change: these were made under an earlier configuration (stale by design).",
    "Re-create the app Pod, use the driver's smooth upgrade, or leave it until it goes by itself.",
    needs=["mount_pods", "config_map", "pvs", "pvcs"],
)
def stale(snapshot: Snapshot) -> Iterator[CheckResult]:
    for pod, raw in zip(snapshot.parsed, snapshot.mount_pods, strict=True):
        wanted = snapshot.wanted_image(pod)
        if wanted is None or not wanted.certain or pod.deleting or same_image(pod.image, wanted.image):
            continue
        if refusal(pod, raw):  # JFS-IMG-109
            continue
        evidence = [
            _field(pod, "spec.containers[jfs-mount].image", pod.image),
            _field(pod, "creationTimestamp", pod.created.isoformat() if pod.created else ""),
            Evidence("configuration", wanted.provenance, wanted.image),
        ]
        yield result("JFS-IMG-101", Verdict.WARN, f"{pod.name} runs {pod.image}, configured: {wanted.image}", evidence)


@rule(
    "JFS-IMG-102",
    "One image reference is one image",
    "The tag was pushed again: nodes that had it keep the old image, others pull the new one.",
    "Use a digest or a tag of its own; imagePullPolicy: Always needs driver 0.32 or later.",
    needs=["mount_pods"],
)
def tag_moved(snapshot: Snapshot) -> Iterator[CheckResult]:
    by_image: dict[tuple[str, str], dict[str, MountPod]] = defaultdict(dict)
    for pod in snapshot.parsed:
        if pod.digest:  # runtimes give ids of different forms (of manifest or configuration): compare like with like
            form = pod.image_id.replace(pod.digest, "")
            by_image[pod.image, form].setdefault(pod.digest, pod)
    for (image, _), pods in by_image.items():
        if len(pods) > 1:
            evidence = [_field(pod, "imageID", pod.image_id) for pod in pods.values()]
            yield result("JFS-IMG-102", Verdict.WARN, f"{image} is {len(pods)} different images", evidence)


@rule(
    "JFS-IMG-103",
    "Clients are the version that their tag claims",
    "The image was tagged with a version that its client does not have.",
    "Tag images with the version that their client reports.",
    needs=["clients"],
    wants=["events"],
)
def false_tag(snapshot: Snapshot) -> Iterator[CheckResult]:
    for pod in snapshot.parsed:
        version = ClientVersion.parse(snapshot.versions.get(pod.name, ""))
        if version is None or not tag_contradicts(pod.image, version) or _exchanged(snapshot, pod):
            continue
        evidence = [_field(pod, "image", pod.image), _field(pod, "running client", str(version))]
        yield result("JFS-IMG-103", Verdict.FAIL, f"{pod.name} runs {version} from {pod.image}", evidence)


def _exchanged(snapshot: Snapshot, pod: MountPod) -> list[Evidence]:
    """What tells that the client was exchanged inside its container: its supervisor, or the driver's event."""
    told = snapshot.clients.get(pod.name) or {}
    before, now = told.get(SUPERVISOR), snapshot.versions.get(pod.name, "")
    if isinstance(before, str):
        return [_field(pod, "supervisor", before), _field(pod, "running client", now)]
    events = snapshot.events_of(pod.namespace, pod.name)
    upgrades = (e for e in events if e.get("reason") == "Upgrade" and "Upgrade binary" in e.get("message", ""))
    return [_field(pod, "event Upgrade", said_in(e).quoted(snapshot.now)) for e in upgrades]


@rule(
    "JFS-IMG-104",
    "Spec and client of a Mount Pod agree after an upgrade",
    "A binary upgrade exchanged the client inside the container; a restart goes back to the old one.",
    "Re-create the app Pod, or upgrade with --recreate.",
    needs=["mount_pods"],
    wants=["events", "clients", "mount_logs"],
)
def binary_upgrade(snapshot: Snapshot) -> Iterator[CheckResult]:
    for pod in snapshot.parsed:
        stayed = any(_BUSY in line for line in snapshot.mount_logs.get(pod.name, ()))  # JFS-IMG-105
        evidence = _exchanged(snapshot, pod)
        if evidence and not stayed:
            evidence.append(_field(pod, "image", pod.image))
            reason = f"{pod.name}: its client was exchanged inside the container"
            yield result("JFS-IMG-104", Verdict.WARN, reason, evidence)


@rule(
    "JFS-IMG-105",
    "Upgrades took effect",
    "An app kept FUSE busy, so the old client process stayed; or the driver does not support the upgrade.",
    "Try again when the app is quiet, or re-create the app Pod.",
    needs=["mount_logs", "csi_logs"],
)
def upgrade_failed(snapshot: Snapshot) -> Iterator[CheckResult]:
    signs = (_BUSY, "POD-FAIL [", "do not support recreate smooth upgrade")
    for pod, lines in (*snapshot.mount_logs.items(), *snapshot.csi_logs.items()):
        found = [line for line in lines if any(sign in line for sign in signs)]
        if found:
            yield result("JFS-IMG-105", Verdict.FAIL, found[-1].strip(), [Evidence(f"pod/{pod}", "log", found[-1])])


@rule(
    "JFS-IMG-106",
    "No upgrade is under way or stuck",
    "A smooth upgrade was started and has not ended.",
    "Wait five minutes; then look at the canary Job and the CSI node's log.",
    needs=["mount_pods"],
)
def upgrade_under_way(snapshot: Snapshot) -> Iterator[CheckResult]:
    for pod in snapshot.parsed:
        stamp = pod.annotations.get(names.UPGRADE_PROCESS)
        started = _local_time(stamp or "")
        if not stamp:
            continue
        evidence = [_field(pod, f"annotation {names.UPGRADE_PROCESS}", stamp)]
        if started is not None and snapshot.now - started < _UPGRADE_RUNS:
            yield result("JFS-IMG-106", Verdict.NOT_READY, f"{pod.name} is being upgraded", evidence)
        else:
            yield result("JFS-IMG-106", Verdict.WARN, f"an upgrade of {pod.name} began and never ended", evidence)


@rule(
    "JFS-IMG-107",
    "Mount Pods can be told apart by their settings",
    "Made by a driver before 0.16, which set no juicefs-hash; never ask the driver to upgrade such a Pod, it crashes.",
    "Re-create the app Pod.",
    needs=["mount_pods"],
)
def no_hash(snapshot: Snapshot) -> Iterator[CheckResult]:
    for pod in snapshot.parsed:
        if not pod.settings_hash:
            evidence = [_field(pod, f"label {names.HASH}", "none")]
            yield result("JFS-IMG-107", Verdict.WARN, f"{pod.name} has no {names.HASH}", evidence)


@rule(
    "JFS-IMG-108",
    "App Pods are served by Mount Pods",
    "Sidecar mode: the client runs in the app Pod, Mount Pods and their image have nothing to do with it.",
    "Re-create the app Pod to give it another client.",
    needs=["app_pods"],
)
def sidecars(snapshot: Snapshot) -> Iterator[CheckResult]:
    for pod in snapshot.app_pods:
        meta = pod["metadata"]
        if (meta.get("labels") or {}).get(names.SIDECAR_DONE) == "true":
            image = (container_status(pod, names.MOUNT_CONTAINER) or {}).get("image", "not known")
            evidence = [Evidence(f"pod/{meta['name']}", f"container {names.MOUNT_CONTAINER}", image)]
            reason = f"{meta.get('namespace')}/{meta['name']} has its client as a sidecar ({image})"
            yield result("JFS-IMG-108", Verdict.NA, reason, evidence)


def _field(pod: MountPod, name: str, value: str) -> Evidence:
    return Evidence(f"pod/{pod.name}", name, value)


def _local_time(stamp: str) -> datetime | None:
    """The driver writes its local time without a zone; its containers are in UTC."""
    moment = parse_time(stamp.replace(" ", "T"))
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)
