"""Of the objects of which a cluster has very many: which matter, and what of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import orjson

from jfsnb.checks.preflight import is_ready
from jfsnb.checks.snapshot import claim_key
from jfsnb.driver import names
from jfsnb.driver.mountpods.mount_pods import claims_of, is_mount_pod

Obj = dict[str, Any]


def is_juicefs(pv: Mapping[str, Any], driver: str = names.DRIVER) -> bool:
    """Whether a PV is the driver's, by the driver's name."""
    return ((pv.get("spec") or {}).get("csi") or {}).get("driver") == driver


def foreign(pvs: Iterable[Mapping[str, Any]], driver: str = names.DRIVER) -> list[Obj]:
    """Volumes that are not the driver's: their names, and whose they are."""
    others = (v for v in pvs if not is_juicefs(v, driver))
    return [{"metadata": {"name": v["metadata"]["name"]}, "spec": {"csi": {"driver": _driver_of(v)}}} for v in others]


def _driver_of(pv: Mapping[str, Any]) -> str:
    spec = pv.get("spec") or {}
    kinds = ("nfs", "hostPath", "local", "iscsi", "cephfs", "rbd", "fc")
    return str((spec.get("csi") or {}).get("driver") or next((k for k in kinds if k in spec), "another kind"))


def juicefs_claims(
    pvs: Iterable[Obj], pvcs: Iterable[Obj], classes: Iterable[Obj], driver: str = names.DRIVER
) -> set[tuple[str, str]]:
    """(namespace, name) of claims that are bound to a volume of the driver, or that ask for one.

    Args:
        pvs: the driver's. driver: its name.
    """
    volumes = list(pvs)
    named = {v["metadata"]["name"] for v in volumes}
    there = {c["metadata"]["name"]: c.get("provisioner") for c in classes}
    ours = {name for name, provisioner in there.items() if provisioner == driver}
    specs = ((c["metadata"], c.get("spec") or {}) for c in pvcs)
    claims = {
        (meta.get("namespace", ""), meta["name"])
        for meta, spec in specs
        if spec.get("volumeName") in named or spec.get("storageClassName") in ours or _means_ours(spec, there)
    }
    return claims | {claim_key(v) for v in volumes}


def _means_ours(claim: Mapping[str, Any], classes: Mapping[str, Any]) -> bool:
    """A claim whose class does not exist, by what it is called: whoever wrote it meant the driver."""
    wanted = str(claim.get("storageClassName") or "")
    return bool(wanted) and wanted not in classes and any(word in wanted.lower() for word in ("juicefs", "jfs"))


def uses_juicefs(pod: Mapping[str, Any], claims: Collection[tuple[str, str]]) -> bool:
    """Whether a Pod is served by a client, or would be.

    Args:
        claims: see ``juicefs_claims``.
    """
    labels = pod["metadata"].get("labels") or {}
    space = pod["metadata"].get("namespace", "")
    labelled = names.UNIQUE_ID in labels or labels.get(names.SIDECAR_DONE) == "true"
    return not is_mount_pod(pod) and (labelled or any((space, claim) in claims for _, claim in claims_of(pod)))


#: Shared by all that tell no more.
_READY = [{"type": "Ready", "status": "True"}]


def slim(pod: Obj) -> Obj:
    """What the questions look at of an app Pod: of these there are very many."""
    meta, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    kept = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "finalizers")
    labels = {key: value for key, value in (meta.get("labels") or {}).items() if "juicefs" in key}
    notes = {key: value for key, value in (meta.get("annotations") or {}).items() if key == names.RECORDED}
    found: Obj = {
        "metadata": {**{k: meta[k] for k in kept if k in meta}, "labels": labels, "annotations": notes},
        "spec": {"nodeName": spec.get("nodeName", ""), "volumes": list(map(_slim_volume, spec.get("volumes") or ()))},
        "status": {"phase": status.get("phase", ""), "conditions": _ready(status)} if is_ready(pod) else dict(status),
    }
    for kind in ("containers", "initContainers"):  # sidecars
        clients_inside = [c for c in spec.get(kind) or () if str(c.get("name", "")).startswith(names.MOUNT_CONTAINER)]
        if clients_inside:
            found["spec"][kind] = [{k: c[k] for k in ("name", "image") if k in c} for c in clients_inside]
    if mounted := list(_where_claims_are_mounted(spec)):
        found["spec"].setdefault("containers", []).extend(mounted)
    if (meta.get("labels") or {}).get(names.SIDECAR_DONE) == "true":
        found["status"] |= {k: status[k] for k in ("containerStatuses", "initContainerStatuses") if k in status}
    return found


def _where_claims_are_mounted(spec: Obj) -> Iterator[Obj]:
    """Containers that mount a claim, with these mounts only: so that they can be asked how they see it."""
    claims = {v["name"] for v in spec.get("volumes") or () if "persistentVolumeClaim" in v or "ephemeral" in v}
    for container in spec.get("containers") or ():
        if str(container.get("name", "")).startswith(names.MOUNT_CONTAINER):
            continue
        mounts = [m for m in container.get("volumeMounts") or () if m.get("name") in claims]
        if mounts:
            kept = [{key: m[key] for key in ("name", "mountPath") if key in m} for m in mounts]
            yield {"name": container["name"], "volumeMounts": kept}


def _slim_volume(volume: Obj) -> Obj:
    """Of other volumes than claims the name will do: events name them."""
    told = "persistentVolumeClaim" in volume or "ephemeral" in volume
    return volume if told else {"name": volume.get("name", "")}


def _ready(status: Obj) -> list[Obj]:
    """That it is ready, and since when."""
    since = next((c.get("lastTransitionTime") for c in status["conditions"] if c.get("type") == "Ready"), None)
    return [{**_READY[0], "lastTransitionTime": since}] if since else _READY


#: What no question looks at in a Mount Pod, and takes most of its room.
_NOT_LOOKED_AT = {
    "metadata": ("managedFields", "ownerReferences", "resourceVersion", "generateName", "selfLink"),
    "spec": (
        *("tolerations", "volumes", "serviceAccount", "schedulerName", "securityContext", "preemptionPolicy"),
        *("enableServiceLinks", "restartPolicy", "affinity", "topologySpreadConstraints"),
    ),
    "status": ("hostIP", "hostIPs", "podIP", "podIPs", "qosClass", "startTime"),
}
_OF_CONTAINERS = (
    *("livenessProbe", "readinessProbe", "startupProbe", "volumeMounts", "volumeDevices", "securityContext", "ports"),
    *("terminationMessagePath", "terminationMessagePolicy"),
)


def slim_mount_pod(pod: Obj, shared: dict[bytes, Any]) -> Obj:
    """A Mount Pod without what no question looks at.

    Args:
        shared: what many containers have alike (environment, resources) is kept there once.
    """
    found = {key: _without(value, _NOT_LOOKED_AT.get(key, ())) for key, value in pod.items()}
    spec = found.get("spec") or {}
    for kind in ("containers", "initContainers"):
        if kind in spec:
            spec[kind] = [
                {k: shared.setdefault(orjson.dumps(v), v) for k, v in c.items() if k not in _OF_CONTAINERS}
                for c in spec[kind]
            ]
    return found


def _without(value: Any, left_out: Collection[str]) -> Any:
    return {k: v for k, v in value.items() if k not in left_out} if isinstance(value, dict) and left_out else value


def of_driver(job: Obj) -> bool:
    """Jobs of the driver: by its label or, where it sets none, by the names that it gives."""
    meta = job["metadata"]
    named = str(meta["name"]).startswith(("juicefs-", "jfs-"))
    return named or (meta.get("labels") or {}).get(names.APP_NAME) == names.JOB_APP


def runs_controller(workload: Obj) -> bool:
    """Whether a StatefulSet or Deployment is that of the CSI controller."""
    selected = ((workload.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    key, _, value = names.CSI_CONTROLLER_SELECTOR.partition("=")
    return bool(selected.get(key) == value)
