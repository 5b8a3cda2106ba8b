"""What the API server fills in when a client leaves it out, kind by kind; pure functions, in place."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from jfsnb.driver.settings.quantity import value_of
from jfsnb.sandbox.apiserver.schema.resources import Resource

Obj = dict[str, Any]


def apply_defaults(resource: Resource, obj: Obj) -> None:
    """Complete an object of that kind."""
    fill = DEFAULTS.get(f"{resource.group}/{resource.kind}")
    if fill is not None:
        fill(obj)


def pod_spec(spec: Obj) -> None:
    """A Pod's spec, also inside a template."""
    _fill(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
        dnsPolicy="ClusterFirst",
        securityContext={},
        schedulerName="default-scheduler",
    )
    if spec["terminationGracePeriodSeconds"] < 0:
        spec["terminationGracePeriodSeconds"] = 1
    _service_account(spec)
    for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
        _container(container, bool(spec.get("hostNetwork")))
    for volume in spec.get("volumes") or ():
        _volume(volume)


def _fill(target: Obj, **values: Any) -> None:
    for key, value in values.items():
        if target.get(key) is None:
            target[key] = value


def _service_account(spec: Obj) -> None:
    """``serviceAccount`` is the deprecated alias of ``serviceAccountName``; both are always written alike."""
    name = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if name:
        spec["serviceAccountName"] = spec["serviceAccount"] = name


def _container(container: Obj, host_network: bool) -> None:
    image = container.get("image") or ""
    latest = "@" not in image and (":" not in image.rpartition("/")[2] or image.endswith(":latest"))
    _fill(
        container,
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
        imagePullPolicy="Always" if latest else "IfNotPresent",
        resources={},
    )
    resources = container["resources"]
    for name, limit in (resources.get("limits") or {}).items():
        resources.setdefault("requests", {}).setdefault(name, limit)
    for port in container.get("ports") or ():
        _fill(port, protocol="TCP")
        if host_network:
            _fill(port, hostPort=port.get("containerPort"))
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(name) is not None:
            _probe(container[name])
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict):
            _handler(hook)
    for variable in container.get("env") or ():
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if reference is not None:
            _fill(reference, apiVersion="v1")


def _probe(probe: Obj) -> None:
    for key, value in (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)):
        probe[key] = probe.get(key) or value
    _handler(probe)


def _handler(handler: Obj) -> None:
    if handler.get("httpGet") is not None:
        get = handler["httpGet"]
        get["path"] = get.get("path") or "/"
        get["scheme"] = get.get("scheme") or "HTTP"
    if handler.get("grpc") is not None:
        _fill(handler["grpc"], service="")


def _volume(volume: Obj) -> None:
    if set(volume) <= {"name"}:
        volume["emptyDir"] = {}
    for kind in ("configMap", "secret", "downwardAPI", "projected"):
        if volume.get(kind) is not None:
            _fill(volume[kind], defaultMode=420)
    if volume.get("hostPath") is not None:
        _fill(volume["hostPath"], type="")
    for source in (volume.get("projected") or {}).get("sources") or ():
        if source.get("serviceAccountToken") is not None:
            _fill(source["serviceAccountToken"], expirationSeconds=3600)
        _field_refs(source.get("downwardAPI"))
    _field_refs(volume.get("downwardAPI"))


def _field_refs(source: Obj | None) -> None:
    for item in (source or {}).get("items") or ():
        if item.get("fieldRef") is not None:
            _fill(item["fieldRef"], apiVersion="v1")


def quality_of_service(spec: Obj) -> str:
    """Guaranteed, Burstable or BestEffort, from the CPU and memory of all containers."""
    found, guaranteed = False, True
    for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
        resources = container.get("resources") or {}
        requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
        for name in ("cpu", "memory"):
            request, limit = value_of(requests.get(name, "0")), value_of(limits.get(name, "0"))
            found = found or bool(request) or bool(limit)
            guaranteed = guaranteed and bool(limit) and request == limit
    return "BestEffort" if not found else "Guaranteed" if guaranteed else "Burstable"


def _pod(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    _fill(spec, enableServiceLinks=True)
    pod_spec(spec)


def _template(spec: Obj) -> None:
    template = spec.setdefault("template", {})
    pod_spec(template.setdefault("spec", {}))


def _daemon_set(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    _template(spec)
    _fill(spec, updateStrategy={}, revisionHistoryLimit=10)
    strategy = spec["updateStrategy"]
    strategy["type"] = strategy.get("type") or "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        _fill(strategy, rollingUpdate={})
        _fill(strategy["rollingUpdate"], maxUnavailable=1, maxSurge=0)


def _deployment(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    _template(spec)
    _fill(spec, replicas=1, strategy={}, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = spec["strategy"]
    strategy["type"] = strategy.get("type") or "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        _fill(strategy, rollingUpdate={})
        _fill(strategy["rollingUpdate"], maxUnavailable="25%", maxSurge="25%")


def _stateful_set(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    _template(spec)
    _fill(spec, replicas=1, updateStrategy={}, revisionHistoryLimit=10)
    spec["podManagementPolicy"] = spec.get("podManagementPolicy") or "OrderedReady"
    _fill(spec, persistentVolumeClaimRetentionPolicy={"whenDeleted": "Retain", "whenScaled": "Retain"})
    strategy = spec["updateStrategy"]
    strategy["type"] = strategy.get("type") or "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        _fill(strategy, rollingUpdate={})
        _fill(strategy["rollingUpdate"], partition=0)
    for claim in spec.get("volumeClaimTemplates") or ():
        claim.update({"apiVersion": "v1", "kind": "PersistentVolumeClaim"})
        _claim(claim)


def _replica_set(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    _template(spec)
    _fill(spec, replicas=1)


def _replication_controller(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    _fill(spec, replicas=1)
    if labels:
        _fill(spec, selector=dict(labels))
    if spec.get("template"):
        _template(spec)


def job_spec(spec: Obj) -> None:
    _template(spec)
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    _fill(
        spec,
        parallelism=1,
        backoffLimit=6,
        completionMode="NonIndexed",
        suspend=False,
        manualSelector=False,
        podReplacementPolicy="TerminatingOrFailed",
    )


def _job(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    job_spec(spec)
    if not spec["manualSelector"]:
        del spec["manualSelector"]


def _cron_job(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    template = spec.setdefault("jobTemplate", {}).setdefault("spec", {})
    _template(template)
    _fill(spec, concurrencyPolicy="Allow", suspend=False, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1)


def _claim(obj: Obj) -> None:
    _fill(obj.setdefault("spec", {}), volumeMode="Filesystem")


def _volume_object(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    _fill(spec, persistentVolumeReclaimPolicy="Retain", volumeMode="Filesystem")
    if spec.get("hostPath") is not None:
        _fill(spec["hostPath"], type="")


def _storage_class(obj: Obj) -> None:
    _fill(obj, reclaimPolicy="Delete", volumeBindingMode="Immediate")


def _csi_driver(obj: Obj) -> None:
    _fill(
        obj.setdefault("spec", {}),
        attachRequired=True,
        podInfoOnMount=False,
        volumeLifecycleModes=["Persistent"],
        storageCapacity=False,
        fsGroupPolicy="ReadWriteOnceWithFSType",
        requiresRepublish=False,
        seLinuxMount=False,
    )


def _secret(obj: Obj) -> None:
    """``stringData`` is a way to write only: it becomes ``data``."""
    obj["type"] = obj.get("type") or "Opaque"
    for key, text in (obj.pop("stringData", None) or {}).items():
        obj.setdefault("data", {})[key] = base64.b64encode(text.encode()).decode()


def _service(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    spec["type"] = spec.get("type") or "ClusterIP"
    spec["sessionAffinity"] = spec.get("sessionAffinity") or "None"
    if spec["type"] != "ExternalName":
        _fill(spec, internalTrafficPolicy="Cluster", ipFamilyPolicy="SingleStack", ipFamilies=["IPv4"])
    for port in spec.get("ports") or ():
        _fill(port, protocol="TCP", targetPort=port.get("port"))


def _namespace(obj: Obj) -> None:
    meta = obj["metadata"]
    if meta.get("name"):
        meta.setdefault("labels", {})["kubernetes.io/metadata.name"] = meta["name"]


def _priority_class(obj: Obj) -> None:
    _fill(obj, preemptionPolicy="PreemptLowerPriority")


def _binding(obj: Obj) -> None:
    if "roleRef" in obj:
        obj["roleRef"]["apiGroup"] = obj["roleRef"].get("apiGroup") or "rbac.authorization.k8s.io"
    for subject in obj.get("subjects") or ():
        if subject.get("kind") in ("User", "Group"):
            subject["apiGroup"] = subject.get("apiGroup") or "rbac.authorization.k8s.io"


def _disruption_budget(obj: Obj) -> None:
    obj.setdefault("spec", {})


def _node(obj: Obj) -> None:
    status = obj.get("status") or {}
    if status.get("capacity"):
        _fill(status, allocatable=dict(status["capacity"]))


DEFAULTS: dict[str, Callable[[Obj], None]] = {
    "/Pod": _pod,
    "/PodTemplate": _template,
    "/ReplicationController": _replication_controller,
    "/PersistentVolumeClaim": _claim,
    "/PersistentVolume": _volume_object,
    "/Secret": _secret,
    "/Service": _service,
    "/Namespace": _namespace,
    "/Node": _node,
    "apps/DaemonSet": _daemon_set,
    "apps/Deployment": _deployment,
    "apps/StatefulSet": _stateful_set,
    "apps/ReplicaSet": _replica_set,
    "batch/Job": _job,
    "batch/CronJob": _cron_job,
    "storage.k8s.io/StorageClass": _storage_class,
    "storage.k8s.io/CSIDriver": _csi_driver,
    "scheduling.k8s.io/PriorityClass": _priority_class,
    "rbac.authorization.k8s.io/RoleBinding": _binding,
    "rbac.authorization.k8s.io/ClusterRoleBinding": _binding,
    "policy/PodDisruptionBudget": _disruption_budget,
}
