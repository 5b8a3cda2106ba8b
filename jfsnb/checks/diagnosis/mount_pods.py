"""Diagnosis: Mount Pods that are not ready, restarted, ended or warned of: each is one finding (D21-D28)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from jfsnb.checks.codes import REGISTER, register, result
from jfsnb.checks.diagnosis.findings import Case, Cause, cause_of, describe, finding, or_node
from jfsnb.checks.diagnosis.pod_state import RECENT, Stage, Trouble, last_end, trouble_of
from jfsnb.checks.diagnosis.said import Said
from jfsnb.checks.diagnosis.snapshot import Snapshot, rule
from jfsnb.checks.diagnosis.symptoms.kubelet import ADMIT, CREATE, NOT_SCHEDULED, NOT_STARTED, PULL
from jfsnb.checks.diagnosis.symptoms.storage import BACKEND
from jfsnb.checks.diagnosis.symptoms.table import Symptom, telling_lines
from jfsnb.checks.model import CheckResult, Evidence, Verdict
from jfsnb.driver import names
from jfsnb.driver.mountpods.mount_pods import MountPod, Obj, container_status, mount_container

_REFUSED = re.compile(r'Pod \\?"juicefs-[^"]+" is invalid: (?:\\"|[^"])*')
_TRIED = re.compile(r'Create pod err|Pod \\?"juicefs-\S+ is invalid|Mount pod is running')

PLACED = register(
    "JFS-MNT-111",
    "Mount Pods get a place on their node",
    "The node has not enough left (a Mount Pod asks for 1 cpu and 1Gi), is cordoned or tainted, or evicted it.",
    "Do what the reason says; resources in config.yaml can ask for less.",
)
VOLUMES = register(
    "JFS-MNT-112",
    "Mount Pods get their own volumes",
    "A cache claim, Secret, ConfigMap or path that the Mount Pod itself mounts is not there or cannot be mounted.",
    "Do what the reason says.",
)
PULLED = register(
    "JFS-MNT-113",
    "The client image can be pulled",
    "Name or tag are wrong, the registry refuses, or the node cannot reach it.",
    "Correct ceMountImage or give the CSI node DaemonSet pull secrets; the next try makes a new Mount Pod.",
)
ENDED = register(
    "JFS-MNT-115",
    "Clients stay in the foreground",
    "The client ended with exit code 0 at once, as with bad mount options; the driver makes a new Mount Pod each time.",
    "Correct mountOptions: no blanks, one option per item.",
)
MEMORY = register(
    "JFS-MNT-116",
    "Clients have enough memory",
    "The client was killed for memory; it keeps read and write buffers and caches metadata.",
    "Raise the memory limit, or lower buffer-size, in config.yaml.",
)
FAILED = register(
    "JFS-END-102",
    "No Mount Pod has failed for good",
    "It was evicted, or its client ended with an error; while it has references nobody makes another.",
    "Re-create the app Pods that it served, then delete it.",
)
#: Stage → code of the check, and what is known of it.
_BY_STAGE: dict[Stage, tuple[str, tuple[Symptom, ...]]] = {
    Stage.SCHEDULE: (PLACED, NOT_SCHEDULED),
    Stage.FAILED: (FAILED, ADMIT),
    Stage.PULL: (PULLED, PULL),
}


@rule(
    "JFS-MNT-114",
    "Clients come up and stay up",
    "A container of the Mount Pod cannot be started or does not keep running: image, metadata engine, options …",
    "Look at the Mount Pod's events and log, the previous container's too.",
    needs=["mount_pods"],
    wants=["events", "mount_logs", "nodes"],
)
def mount_pods(snapshot: Snapshot) -> Iterator[CheckResult]:
    for pod, raw in zip(snapshot.parsed, snapshot.mount_pods, strict=True):
        trouble = trouble_of(raw, snapshot.about(raw, "Pod"), snapshot.now)
        if trouble is None or trouble.stage is Stage.TERMINATING or _was_replaced(pod, trouble):
            continue
        yield _finding(snapshot, pod, raw, trouble)


def _was_replaced(pod: MountPod, trouble: Trouble) -> bool:
    """A smooth upgrade lets the old Mount Pod end."""
    return trouble.stage is Stage.ENDED and names.UPGRADE_PROCESS in pod.annotations


def _finding(snapshot: Snapshot, pod: MountPod, raw: Obj, trouble: Trouble) -> CheckResult:
    lines = telling_lines(snapshot.mount_logs.get(pod.name, ())) if not trouble.works else ()
    more = [Evidence(f"pod/{pod.name}", "image", _image(raw, trouble))] if trouble.stage is Stage.PULL else []
    more += [Evidence(f"pod/{pod.name}", "log", line) for line in lines]
    code, cause = _judged(pod, raw, trouble, lines)
    if not trouble.works:
        cause = or_node(snapshot, pod.node, cause, trouble.events)
    case = Case(
        code=cause.code if cause and cause.code else code,
        obj=f"pod/{pod.name}",
        name=f"Mount Pod {pod.name}",
        state=f"{trouble.state}, {len(pod.references)} references" if trouble.stage is Stage.FAILED else trouble.state,
        look=describe("pod", pod.namespace, pod.name),
        status=trouble.status,
        events=trouble.events,
        more=more,
    )
    mild = trouble.works and not (code == MEMORY and _lately(snapshot, trouble))
    return finding(case, cause, Verdict.WARN if mild else Verdict.FAIL, snapshot.now)


def _lately(snapshot: Snapshot, trouble: Trouble) -> bool:
    return trouble.since is None or snapshot.now - trouble.since < RECENT


def _image(raw: Obj, trouble: Trouble) -> str:
    """Of the container that is in the way."""
    spec = raw.get("spec") or {}
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    return next((str(c.get("image")) for c in containers if c.get("name") == trouble.container), "")


def _judged(pod: MountPod, raw: Obj, trouble: Trouble, lines: tuple[str, ...]) -> tuple[str, Cause | None]:
    """Code of the check and cause, as far as known."""
    state = container_status(raw, (mount_container(raw) or {}).get("name", "")) or {}
    if last_end(state).get("reason") == "OOMKilled" and trouble.stage is not Stage.PULL:
        return MEMORY, Cause("its client ran out of memory", REGISTER[MEMORY].fix)
    if trouble.stage is Stage.ENDED:
        options = ",".join(pod.command.options)
        text = f"its client has ended without an error (Completed); options: {options}"
        return ENDED, Cause(text, REGISTER[ENDED].fix)
    code, rows = _BY_STAGE.get(trouble.stage, ("JFS-MNT-114", (*NOT_STARTED, *BACKEND)))
    if trouble.stage in (Stage.RUN, Stage.READY, Stage.RESTARTED) or (trouble.stage is Stage.FAILED and lines):
        said = tuple(Said("log", line) for line in reversed(lines))
        return code, cause_of((*said, *trouble.status), trouble.events, (*BACKEND, *rows, *CREATE))
    found = cause_of(trouble.status, trouble.events, rows)
    if found is not None and trouble.stage is Stage.PULL:
        return code, Cause(f"{_image(raw, trouble)}: {found.text}", found.fix, found.said)
    return code, found


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
