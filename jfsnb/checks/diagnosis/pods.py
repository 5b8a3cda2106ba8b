"""Diagnosis: why a Mount Pod is not there, not scheduled, not started or not ready (D21-D31)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from jfsnb.checks.codes import result
from jfsnb.checks.diagnosis.snapshot import Snapshot, rule
from jfsnb.checks.diagnosis.symptoms import CLIENT, MOUNT, PULL, Symptom, explain, telling_lines
from jfsnb.checks.model import CheckResult, Evidence, Verdict
from jfsnb.checks.preflight import is_ready
from jfsnb.driver import names
from jfsnb.driver.mountpods.mount_pods import MountPod, Obj

_RESOURCES = re.compile(r"Insufficient (cpu|memory)|OutOf(cpu|memory|pods)|to reclaim resources", re.IGNORECASE)
_VOLUMES = re.compile(r"persistentvolumeclaim .* not found|unbound|FailedMount|FailedAttachVolume", re.IGNORECASE)
_REFUSED = re.compile(r'Pod \\?"juicefs-[^"]+" is invalid: (?:\\"|[^"])*')
_TRIED = re.compile(r'Create pod err|Pod \\?"juicefs-\S+ is invalid|Mount pod is running')
_PULLING = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable")


@rule(
    "JFS-MNT-111",
    "Mount Pods find room on their node",
    "The node has not enough cpu or memory left; a Mount Pod asks for 1 cpu and 1Gi by default.",
    "Ask for less in config.yaml (resources), or set enableNodeSelector: true so that it is scheduled and may preempt.",
    needs=["mount_pods", "events"],
)
def no_room(snapshot: Snapshot) -> Iterator[CheckResult]:
    for pod, raw in _unready(snapshot):
        text = _status_text(raw) + " " + _event_text(snapshot, pod)
        found = _RESOURCES.search(text)
        if found:
            yield result(
                "JFS-MNT-111", Verdict.FAIL, f"{pod.name}: {found[0]}", [_at(pod, "status and events", found[0])]
            )


@rule(
    "JFS-MNT-112",
    "Mount Pods get their own volumes",
    "A cache PVC or another volume of the Mount Pod does not exist or is not bound.",
    "Correct cacheDirs or volumes in config.yaml, or make the PVC in the driver's namespace.",
    needs=["mount_pods", "events"],
)
def no_volume(snapshot: Snapshot) -> Iterator[CheckResult]:
    for pod, raw in _unready(snapshot):
        for event in snapshot.events_of(pod.namespace, pod.name):
            text = f"{event.get('reason', '')} {event.get('message', '')}"
            if event.get("type") == "Warning" and _VOLUMES.search(text) and not _RESOURCES.search(_status_text(raw)):
                yield result("JFS-MNT-112", Verdict.FAIL, f"{pod.name}: {text}", [_at(pod, "event", text)])
                break


@rule(
    "JFS-MNT-113",
    "The client image can be pulled",
    "Name or tag are wrong, the registry refuses, or the node cannot reach it.",
    "Correct ceMountImage or give the CSI node DaemonSet pull secrets; the next try makes a new Mount Pod.",
    needs=["mount_pods"],
)
def image_pull(snapshot: Snapshot) -> Iterator[CheckResult]:
    for pod, raw in _unready(snapshot):
        if pod.reason not in _PULLING:
            continue
        message = _waiting_message(raw) + " " + _event_text(snapshot, pod)
        symptom = explain(f"{pod.reason} {message}", PULL)
        cause = symptom.cause if symptom else f"{pod.reason}: {message.strip() or 'no message'}"
        evidence = [_at(pod, "image", pod.image), _at(pod, pod.reason, message.strip())]
        fix = symptom.fix if symptom else None
        yield result("JFS-MNT-113", Verdict.FAIL, f"{pod.name}: {pod.image}: {cause}", evidence, fix)


@rule(
    "JFS-MNT-114",
    "Clients come up",
    "The client crashes or waits: wrong image, metadata or object storage not reachable, wrong credentials or options.",
    "Look at the Mount Pod's log, the previous container's too.",
    needs=["mount_pods", "mount_logs"],
)
def client_fails(snapshot: Snapshot) -> Iterator[CheckResult]:
    for pod, raw in _unready(snapshot):
        crashed = pod.reason in ("CrashLoopBackOff", "Error", "StartError", "ContainerCannotRun", "RunContainerError")
        log = snapshot.mount_logs.get(pod.name, ())
        lines = telling_lines(log)
        symptom = explain("\n".join((*lines, _waiting_message(raw), _last_message(raw))), CLIENT)
        if not (crashed or (pod.phase == "Running" and symptom)):
            continue
        evidence = [_at(pod, "state", f"{pod.reason}, {pod.restarts} restarts"), *(_at(pod, "log", n) for n in lines)]
        reason = symptom.cause if symptom else lines[-1] if lines else "its log says nothing"
        fix = symptom.fix if symptom else None
        yield result("JFS-MNT-114", Verdict.FAIL, f"{pod.name} ({pod.reason}): {reason}", evidence, fix)


@rule(
    "JFS-MNT-115",
    "Clients stay in the foreground",
    "The client ended with exit code 0 at once, as with bad mount options; the driver makes a new Mount Pod each time.",
    "Correct mountOptions: no blanks, one option per item.",
    needs=["mount_pods"],
)
def completed(snapshot: Snapshot) -> Iterator[CheckResult]:
    for pod in snapshot.parsed:
        if pod.completed and not pod.deleting and names.UPGRADE_PROCESS not in pod.annotations:
            evidence = [_at(pod, "state", pod.reason), _at(pod, "mount options", ",".join(pod.command.options))]
            yield result("JFS-MNT-115", Verdict.FAIL, f"{pod.name} has ended (Completed)", evidence)


@rule(
    "JFS-MNT-116",
    "Clients have enough memory",
    "The client was killed for memory; it keeps read and write buffers and caches metadata.",
    "Raise the memory limit, or lower buffer-size, in config.yaml.",
    needs=["mount_pods"],
)
def out_of_memory(snapshot: Snapshot) -> Iterator[CheckResult]:
    for pod, raw in zip(snapshot.parsed, snapshot.mount_pods, strict=True):
        state = _state(raw)
        ends = [(state.get(k) or {}).get("terminated") or {} for k in ("lastState", "state")]
        if any(e.get("reason") == "OOMKilled" for e in ends):
            evidence = [_at(pod, "terminated.reason", "OOMKilled"), _at(pod, "restarts", str(pod.restarts))]
            yield result("JFS-MNT-116", Verdict.FAIL, f"{pod.name} ran out of memory", evidence)


@rule(
    "JFS-MNT-117",
    "The driver can create Mount Pods",
    "The API refuses the Mount Pod: config.yaml is never checked for valid labels, env names or volumes.",
    "Correct the field that the message names.",
    needs=["csi_logs", "pvs"],
)
def create_refused(snapshot: Snapshot) -> Iterator[CheckResult]:
    for pod, lines in snapshot.csi_logs.items():
        for unique in sorted(_unique_ids(snapshot)):
            about = [line for line in lines if f"-{unique}-" in line and _TRIED.search(line)]
            if about and "Mount pod is running" not in about[-1]:  # else a later try went well
                found = _REFUSED.search(about[-1])
                text = found[0].replace('\\"', '"') if found else about[-1]
                yield result("JFS-MNT-117", Verdict.FAIL, text, [Evidence(f"pod/{pod}", "log", text)])


def _unique_ids(snapshot: Snapshot) -> set[str]:
    """What Mount Pods of the cluster's volumes are named after: volumeHandle, or class where mounts are shared."""
    handles = {(v["spec"].get("csi") or {}).get("volumeHandle", "") for v in snapshot.pvs}
    return (handles | {v["spec"].get("storageClassName") or "" for v in snapshot.pvs}) - {""}


@rule(
    "JFS-MNT-118",
    "A ready CSI node serves every node with Mount Pods",
    "The CSI node Pod is missing (taints, drain), not ready, or not registered with the kubelet.",
    "Look at the DaemonSet's tolerations and the CSI node Pod.",
    needs=["mount_pods", "csi_pods", "csi_nodes"],
)
def csi_node_missing(snapshot: Snapshot) -> Iterator[CheckResult]:
    registered = {
        n["metadata"]["name"]
        for n in snapshot.csi_nodes
        if any(d.get("name") == names.DRIVER for d in n.get("spec", {}).get("drivers") or ())
    }
    for node in sorted({p.node for p in snapshot.parsed if p.node}):
        pod = snapshot.csi_pod_by_node.get(node)
        problem = ""
        if pod is None:
            problem = "has no CSI node Pod"
        elif not is_ready(pod):
            problem = f"has a CSI node Pod that is not ready ({pod['metadata']['name']})"
        elif node not in registered:
            problem = "does not list the driver in its CSINode"
        if problem:
            yield result(
                "JFS-MNT-118", Verdict.FAIL, f"{node} {problem}", [Evidence(f"node/{node}", "CSI node", problem)]
            )


@rule(
    "JFS-MNT-119",
    "Volumes of app Pods are mounted",
    "The kubelet or the driver could not mount the volume; the event says why.",
    "Follow the event's message.",
    needs=["app_pods", "events"],
)
def mount_fails(snapshot: Snapshot) -> Iterator[CheckResult]:
    for pod in snapshot.app_pods:
        meta = pod["metadata"]
        if is_ready(pod):
            continue
        for event in reversed(snapshot.events_of(meta.get("namespace", ""), meta["name"])):
            message = event.get("message", "")
            symptom: Symptom | None = explain(message, MOUNT) if event.get("reason") == "FailedMount" else None
            if symptom:
                evidence = [Evidence(f"pod/{meta['name']}", "event FailedMount", message)]
                reason = f"{meta.get('namespace')}/{meta['name']}: {symptom.cause}"
                yield result("JFS-MNT-119", Verdict.FAIL, reason, evidence, symptom.fix)
                break


def _unready(snapshot: Snapshot) -> Iterator[tuple[MountPod, Obj]]:
    for pod, raw in zip(snapshot.parsed, snapshot.mount_pods, strict=True):
        if not pod.ready and not pod.deleting:
            yield pod, raw


def _state(raw: Obj) -> Obj:
    states = raw.get("status", {}).get("containerStatuses") or [{}]
    found: Obj = states[0]
    return found


def _waiting_message(raw: Obj) -> str:
    return str(((_state(raw).get("state") or {}).get("waiting") or {}).get("message", ""))


def _last_message(raw: Obj) -> str:
    state = _state(raw)
    ends = [(state.get(k) or {}).get("terminated") or {} for k in ("state", "lastState")]
    return " ".join(f"{e.get('reason', '')} {e.get('message', '')}" for e in ends)


def _status_text(raw: Obj) -> str:
    status = raw.get("status", {})
    conditions = " ".join(
        str(c.get("message", "")) for c in status.get("conditions") or () if c.get("status") != "True"
    )
    return f"{status.get('reason', '')} {status.get('message', '')} {conditions}"


def _event_text(snapshot: Snapshot, pod: MountPod) -> str:
    events = snapshot.events_of(pod.namespace, pod.name)
    return " ".join(str(e.get("message", "")) for e in events if e.get("type") == "Warning")


def _at(pod: MountPod, name: str, value: str) -> Evidence:
    return Evidence(f"pod/{pod.name}", name, value)
