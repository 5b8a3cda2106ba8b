"""Diagnosis: the driver's own Pods: CSI nodes, controllers and Jobs (D29, D30, D39)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jfsnb.checks.codes import result
from jfsnb.checks.diagnosis.findings import Case, Cause, cause_of, describe, finding, or_node
from jfsnb.checks.diagnosis.pod_state import START, Stage, Trouble, is_ready, trouble_of
from jfsnb.checks.diagnosis.said import Said, newest_first, said_in
from jfsnb.checks.diagnosis.snapshot import Snapshot, rule
from jfsnb.checks.diagnosis.symptoms.kubelet import ADMIT, CREATE, PULL, SCHEDULE, VOLUMES
from jfsnb.checks.diagnosis.symptoms.storage import BACKEND
from jfsnb.checks.diagnosis.symptoms.table import Symptom, table, telling_lines
from jfsnb.checks.model import CheckResult, Evidence, Verdict
from jfsnb.driver.mountpods.mount_pods import Obj, parse_time
from jfsnb.driver.placing import why_no_pod

_OWN = table(
    (
        r"fail to load config|load config",
        "config.yaml cannot be loaded, and a driver that starts with it ends at once",
        "Correct config.yaml.",
    ),
    (
        r"can't get kubelet|unexpected status code 401|Unauthorized",
        "the kubelet refuses the driver",
        "Enable podInfoOnMount in the CSIDriver, or authorise the driver at the kubelet.",
    ),
    (
        r"is forbidden: User|cannot (get|list|watch|create) resource",
        "the driver lacks a permission",
        "Apply the RBAC objects of the driver's own version.",
    ),
    (
        r"Liveness probe failed|healthz",
        "its liveness probe fails: the plugin does not answer in time",
        "Look at the log of container juicefs-plugin, the previous one's too.",
    ),
    (
        r"registration socket|plugins_registry|RegisterPlugin|kubelet-dir|kubelet rootdir",
        "the driver cannot register with the kubelet: its directory is another one here",
        "Correct the DaemonSet's kubelet directory.",
    ),
    (r"OOMKilled", "it ran out of memory", "Raise its memory limit."),
    (
        r"exit code 137",
        "it was killed from outside, and not for its memory limit: by its probe, with its node, or by somebody",
        "Compare with others on its node: when they ended at the same time, the node was restarted.",
    ),
)
_ROWS: dict[Stage, tuple[Symptom, ...]] = {
    Stage.SCHEDULE: SCHEDULE,
    Stage.PULL: PULL,
    Stage.FAILED: ADMIT,
    Stage.CREATE: (*VOLUMES, *CREATE),
}


@rule(
    "JFS-MNT-118",
    "A ready CSI node serves every node that needs one",
    "The CSI node Pod is missing (taints, drain), not ready, or not registered with the kubelet.",
    "Look at the DaemonSet's tolerations and the CSI node Pod.",
    needs=["csi_pods", "csi_nodes"],
    wants=["mount_pods", "app_pods", "events", "nodes", "daemon_set", "csi_logs"],
)
def csi_nodes(snapshot: Snapshot) -> Iterator[CheckResult]:
    needed = {p.node for p in snapshot.parsed if p.node} | {
        (p.get("spec") or {}).get("nodeName", "") for p in snapshot.app_pods if not is_ready(p)
    }
    on_node: set[str] = set()
    for pod in snapshot.csi_pods:
        node = (pod.get("spec") or {}).get("nodeName", "")
        on_node.add(node)
        trouble = trouble_of(pod, snapshot.about(pod, "Pod"), snapshot.now)
        if trouble is not None:
            yield _pod_finding(snapshot, "JFS-MNT-118", f"CSI node {pod['metadata']['name']} on {node}", pod, trouble)
        elif is_ready(pod) and node not in snapshot.registered_nodes:
            if _starting(snapshot, pod):
                continue
            evidence = [Evidence(f"node/{node}", "CSINode", f"{snapshot.driver_name} is not listed")]
            reason = f"{node} does not list the driver in its CSINode, although {pod['metadata']['name']} is ready"
            yield result("JFS-MNT-118", Verdict.FAIL, reason, evidence)
    for node in sorted(needed - on_node - {""}):
        yield _no_csi_node(snapshot, node)
    yield from _daemon_set(snapshot)


def _starting(snapshot: Snapshot, pod: Obj) -> bool:
    created = parse_time(pod["metadata"].get("creationTimestamp"))
    return created is not None and snapshot.now - created < START


def _no_csi_node(snapshot: Snapshot, node: str) -> CheckResult:
    why = why_no_pod(snapshot.daemon_set, snapshot.node_by_name.get(node))
    evidence = [Evidence(f"node/{node}", "CSI node", "has no CSI node Pod")]
    evidence += [Evidence(f"node/{node}", "why", why)] if why else []
    return result("JFS-MNT-118", Verdict.FAIL, f"{node} has no CSI node Pod" + (f": {why}" if why else ""), evidence)


def _daemon_set(snapshot: Snapshot) -> Iterator[CheckResult]:
    """The DaemonSet as a whole: nothing scheduled, or Pods that it may not make."""
    found = snapshot.daemon_set
    if not found or found.get("kind", "DaemonSet") != "DaemonSet" or "status" not in found:
        return
    status, name = found.get("status") or {}, found["metadata"]["name"]
    wanted, there = int(status.get("desiredNumberScheduled") or 0), int(status.get("currentNumberScheduled") or 0)
    events = _warnings(snapshot, found, "DaemonSet")
    obj = f"daemonset/{name}"
    if not wanted and not snapshot.csi_pods:
        nowhere = [f"{n}: {why}" for n, o in snapshot.node_by_name.items() if (why := why_no_pod(found, o))]
        evidence = [Evidence(obj, "status.desiredNumberScheduled", "0"), *(Evidence(obj, "node", w) for w in nowhere)]
        why = f": {nowhere[0]}" if nowhere else ""
        yield result("JFS-MNT-118", Verdict.FAIL, f"DaemonSet {name} is there, but no node gets its Pod{why}", evidence)
    elif there < wanted or events:
        state = f"{there} of {wanted} Pods are there"
        look = describe("daemonset", found["metadata"].get("namespace", ""), name)
        case = Case("JFS-MNT-118", obj, f"DaemonSet {name}", state, look, events=events)
        verdict = Verdict.FAIL if there < wanted else Verdict.WARN
        yield finding(case, cause_of((), events, (*_OWN, *SCHEDULE, *ADMIT)), verdict, snapshot.now)


@rule(
    "JFS-CSI-101",
    "The CSI controller works",
    "Its Pods are missing or not ready: volumes are not made, enlarged or deleted meanwhile; mounts go on.",
    "Look at its Pods: kubectl describe, and the log of the container that the reason names.",
    needs=["controller_pods", "controllers"],
    wants=["events", "nodes", "csi_logs", "storage_classes", "daemon_set", "csi_pods"],
)
def controllers(snapshot: Snapshot) -> Iterator[CheckResult]:
    pods = snapshot.controller_pods
    ready = [p for p in pods if is_ready(p)]
    for pod in pods:
        trouble = trouble_of(pod, snapshot.about(pod, "Pod"), snapshot.now)
        if trouble is not None:
            others = f" ({len(ready)} others are ready)" if ready and not is_ready(pod) else ""
            name = f"CSI controller {pod['metadata']['name']}{others}"
            yield _pod_finding(snapshot, "JFS-CSI-101", name, pod, trouble, mild=bool(ready))
    for workload in snapshot.controllers:
        yield from _controller(snapshot, workload, len(pods))
    if not snapshot.controllers and not pods and _has_class(snapshot):
        evidence = [Evidence("CSI controller", "Pods", "none")]
        reason = "there is no CSI controller, so no volume of a StorageClass is made, enlarged or deleted"
        yield result("JFS-CSI-101", Verdict.FAIL, reason, evidence)


def _has_class(snapshot: Snapshot) -> bool:
    return any(c.get("provisioner") == snapshot.driver_name for c in snapshot.storage_classes)


def _controller(snapshot: Snapshot, workload: Obj, there: int) -> Iterator[CheckResult]:
    """The StatefulSet or Deployment as a whole."""
    meta, kind = workload["metadata"], str(workload.get("kind") or "StatefulSet")
    replicas = (workload.get("spec") or {}).get("replicas")
    wanted = 1 if replicas is None else int(replicas)
    events = _warnings(snapshot, workload, kind)
    obj = f"{kind.lower()}/{meta['name']}"
    if wanted and not events and (there >= wanted or there):  # a StatefulSet makes one Pod after the other
        return
    state = f"{there} of {wanted} Pods are there"
    cause = Cause("it is scaled to 0", "Scale it up again.") if not wanted else cause_of((), events, (*_OWN, *ADMIT))
    look = describe(kind.lower(), meta.get("namespace", ""), meta["name"])
    case = Case("JFS-CSI-101", obj, f"{kind} {meta['name']}", state, look, events=events)
    yield finding(case, cause, Verdict.WARN if there and there >= wanted else Verdict.FAIL, snapshot.now)


@rule(
    "JFS-CSI-102",
    "Jobs of the driver end well",
    "A canary, delete, clean-cache, abort or upgrade Job of the driver failed, or its Pod does not come up.",
    "Look at the Job's Pod and its log; the driver makes a Job again when it needs one.",
    needs=["jobs"],
    wants=["job_pods", "events", "nodes", "csi_logs"],
)
def jobs(snapshot: Snapshot) -> Iterator[CheckResult]:
    pods = {p["metadata"]["name"]: p for p in snapshot.job_pods}
    for job in snapshot.jobs:
        meta = job["metadata"]
        mine = [p for p in pods.values() if _job_of(p) == meta["name"]]
        troubles = ((p, trouble_of(p, snapshot.about(p, "Pod"), snapshot.now)) for p in mine)
        in_trouble = next(((p, t) for p, t in troubles if t is not None and t.stage is not Stage.ENDED), None)
        failed = next((c for c in _conditions(job) if c.get("type") == "Failed" and c.get("status") == "True"), None)
        events = _warnings(snapshot, job, "Job")
        if _succeeded(job) or not (failed or in_trouble or events):
            continue
        name = f"Job {meta['name']} ({job_kind(meta['name'])})"
        if in_trouble is not None:
            yield _pod_finding(snapshot, "JFS-CSI-102", name, *in_trouble, obj=f"job/{meta['name']}")
            continue
        state = f"failed: {failed.get('reason')}: {failed.get('message')}" if failed else "not complete"
        at = parse_time((failed or {}).get("lastTransitionTime"))
        status = (Said("condition Failed", str(failed.get("message") or failed.get("reason")), at),) if failed else ()
        look = describe("job", meta.get("namespace", ""), meta["name"])
        case = Case("JFS-CSI-102", f"job/{meta['name']}", name, state, look, status, events)
        yield finding(case, cause_of(status, events, (*_OWN, *BACKEND, *ADMIT)), Verdict.FAIL, snapshot.now)


def job_kind(name: str) -> str:
    """What a Job of the driver is for, by its name (reference §1.11, §3.8, §4)."""
    kinds = {
        "-canary": "pulls or copies the client for an upgrade",
        "-delvol": "deletes a volume's data",
        "-cleancache-": "empties a cache",
        "-abort-fuse": "aborts a hung mount",
        "juicefs-snapshot-": "makes a snapshot",
        "juicefs-restore-": "restores a snapshot",
        "juicefs-delete-": "deletes a snapshot",
        "upgrade": "upgrades Mount Pods",
    }
    return next((what for part, what in kinds.items() if part in name), "of the driver")


def _job_of(pod: Obj) -> str:
    labels = pod["metadata"].get("labels") or {}
    owners = [o.get("name", "") for o in pod["metadata"].get("ownerReferences") or () if o.get("kind") == "Job"]
    return str(next(iter(owners), labels.get("batch.kubernetes.io/job-name") or labels.get("job-name") or ""))


def _conditions(job: Obj) -> Sequence[Obj]:
    return (job.get("status") or {}).get("conditions") or ()


def _succeeded(job: Obj) -> bool:
    return any(c.get("type") == "Complete" and c.get("status") == "True" for c in _conditions(job))


def _pod_finding(
    snapshot: Snapshot, code: str, name: str, pod: Obj, trouble: Trouble, mild: bool = False, obj: str = ""
) -> CheckResult:
    meta = pod["metadata"]
    node = (pod.get("spec") or {}).get("nodeName", "")
    lines = telling_lines(snapshot.csi_logs.get(meta["name"], ()))
    rows = (*_OWN, *_ROWS.get(trouble.stage, (*BACKEND, *CREATE)))
    said = [Said("log", line) for line in reversed(lines)] if trouble.stage in (Stage.RUN, Stage.READY) else []
    cause = cause_of((*trouble.status, *said), trouble.events, rows)
    if not trouble.works:
        cause = or_node(snapshot, node, cause, trouble.events)
    case = Case(
        code=code,
        obj=obj or f"pod/{meta['name']}",
        name=name,
        state=trouble.state,
        look=describe("pod", meta.get("namespace", ""), meta["name"]),
        status=trouble.status,
        events=trouble.events,
        more=[Evidence(f"pod/{meta['name']}", "log", line) for line in lines] if not trouble.works else [],
    )
    return finding(case, cause, Verdict.WARN if trouble.works or mild else Verdict.FAIL, snapshot.now)


def _warnings(snapshot: Snapshot, obj: Obj, kind: str) -> tuple[Said, ...]:
    return newest_first(said_in(e) for e in snapshot.about(obj, kind) if e.get("type") == "Warning")
