"""The cells of workloads: what controllers make Pods from, and their budgets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jfsnb.sandbox.apiserver.tables.ages import NONE, between, since

Obj = dict[str, Any]


def _age(obj: Obj) -> str:
    return since(obj["metadata"].get("creationTimestamp"))


def labels(found: Obj | None) -> str:
    """Labels on one line."""
    return ",".join(f"{k}={v}" for k, v in sorted((found or {}).items())) or NONE


def selector(found: Obj | None) -> str:
    """A label selector on one line, expressions included."""
    if not found:
        return NONE
    parts = [f"{k}={v}" for k, v in sorted((found.get("matchLabels") or {}).items())]
    for rule in found.get("matchExpressions") or ():
        operator, values = rule["operator"], ",".join(sorted(rule.get("values") or ()))
        if operator in ("In", "NotIn"):
            parts.append(f"{rule['key']} {operator.lower()} ({values})")
        else:
            parts.append(("!" if operator == "DoesNotExist" else "") + rule["key"])
    return ",".join(parts) or NONE


def _template(spec: Obj) -> list[str]:
    """Names and images of a template's containers."""
    containers = ((spec.get("template") or {}).get("spec") or {}).get("containers") or ()
    return [",".join(c.get("name", "") for c in containers), ",".join(c.get("image", "") for c in containers)]


def _daemon_set(obj: Obj) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    counts = ("desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled")
    node_selector = ((spec.get("template") or {}).get("spec") or {}).get("nodeSelector")
    return [
        obj["metadata"]["name"],
        *(status.get(c, 0) for c in counts),
        status.get("numberAvailable", 0),
        labels(node_selector),
        _age(obj),
        *_template(spec),
        selector(spec.get("selector")),
    ]


def _deployment(obj: Obj) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    return [
        obj["metadata"]["name"],
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        _age(obj),
        *_template(spec),
        selector(spec.get("selector")),
    ]


def _replica_set(obj: Obj) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    counts = [spec.get("replicas", 0), status.get("replicas", 0), status.get("readyReplicas", 0)]
    return [obj["metadata"]["name"], *counts, _age(obj), *_template(spec), selector(spec.get("selector"))]


def _replication_controller(obj: Obj) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    counts = [spec.get("replicas", 0), status.get("replicas", 0), status.get("readyReplicas", 0)]
    return [obj["metadata"]["name"], *counts, _age(obj), *_template(spec), labels(spec.get("selector"))]


def _stateful_set(obj: Obj) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    ready = f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}"
    return [obj["metadata"]["name"], ready, _age(obj), *_template(spec)]


def _job(obj: Obj) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    done = status.get("succeeded", 0)
    if spec.get("completions") is not None:
        completions = f"{done}/{spec['completions']}"
    elif spec.get("parallelism", 0) > 1:
        completions = f"{done}/1 of {spec['parallelism']}"
    else:
        completions = f"{done}/1"
    started = status.get("startTime")
    ended = status.get("completionTime") or next(
        (c.get("lastTransitionTime") for c in status.get("conditions") or () if c["type"] == "Failed"), None
    )
    length = "" if not started else between(started, ended) if ended else since(started)
    return [
        obj["metadata"]["name"],
        _job_state(obj),
        completions,
        length,
        _age(obj),
        *_template(spec),
        selector(spec.get("selector")),
    ]


def _job_state(obj: Obj) -> str:
    conditions = {c["type"] for c in (obj.get("status") or {}).get("conditions") or () if c.get("status") == "True"}
    for condition, shown in (("Complete", "Complete"), ("Failed", "Failed")):
        if condition in conditions:
            return shown
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    for condition, shown in (
        ("Suspended", "Suspended"),
        ("FailureTarget", "FailureTarget"),
        ("SuccessCriteriaMet", "SuccessCriteriaMet"),
    ):
        if condition in conditions:
            return shown
    return "Running"


def _cron_job(obj: Obj) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    last = status.get("lastScheduleTime")
    return [
        obj["metadata"]["name"],
        spec.get("schedule", ""),
        spec.get("timeZone") or NONE,
        bool(spec.get("suspend")),
        len(status.get("active") or ()),
        since(last) if last else NONE,
        _age(obj),
        *_template((spec.get("jobTemplate") or {}).get("spec") or {}),
        NONE,
    ]


def _revision(obj: Obj) -> list[Any]:
    owner = next((o for o in obj["metadata"].get("ownerReferences") or () if o.get("controller")), None)
    shown = NONE
    if owner:
        group = owner["apiVersion"].rpartition("/")[0]
        shown = owner["kind"].lower() + (f".{group}" if group else "") + f"/{owner['name']}"
    return [obj["metadata"]["name"], shown, obj.get("revision", 0), _age(obj)]


def _pod_template(obj: Obj) -> list[Any]:
    template_labels = ((obj.get("template") or {}).get("metadata") or {}).get("labels")
    return [obj["metadata"]["name"], *_template(obj), labels(template_labels)]


def _disruption_budget(obj: Obj) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    bounds = [str(spec.get(k, "N/A")) for k in ("minAvailable", "maxUnavailable")]
    return [obj["metadata"]["name"], *bounds, status.get("disruptionsAllowed", 0), _age(obj)]


PRINTERS: dict[str, Callable[[Obj], list[Any]]] = {
    "apps/daemonsets": _daemon_set,
    "apps/deployments": _deployment,
    "apps/replicasets": _replica_set,
    "apps/statefulsets": _stateful_set,
    "apps/controllerrevisions": _revision,
    "batch/jobs": _job,
    "batch/cronjobs": _cron_job,
    "policy/poddisruptionbudgets": _disruption_budget,
    "/replicationcontrollers": _replication_controller,
    "/podtemplates": _pod_template,
}
