"""The Mount Pod of a volume: settings in, Pod object out (reference §1.2 to §1.7). Pure. Vectors: family settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jfsnb.driver import client_support, names
from jfsnb.driver.config.merging import expand_templates
from jfsnb.driver.golang.types import shape
from jfsnb.driver.mountpods import volumes
from jfsnb.driver.mountpods.command import metrics_port, pod_command
from jfsnb.driver.mountpods.pod_state import passes_fuse
from jfsnb.driver.settings import attr as attributes
from jfsnb.driver.settings.driver_secret import environment_keys
from jfsnb.driver.settings.host import Host

Json = dict[str, Any]
DEFAULT_GRACE_SECONDS = 10
FUSE_FD_SOCKET = "/tmp/fuse_fd_csi_comm.sock"
FUSE_FD_VARIABLE = "JFS_SUPER_COMM"


@dataclass(frozen=True)
class Identity:
    """What tells one Mount Pod from the others.

    Args:
        name: of the Pod.
        mount_path: inside the Pod, ``/jfs/<unique id>-xxxxxx``; outlives the Pod's name (§1.3).
        settings_hash: label ``juicefs-hash``. upgrade_uuid: label ``juicefs-upgrade-uuid``.
        references: target paths of its users.
        share_mode: annotation ``juicefs/mount-share-mode``; empty when not sharing.
    """

    name: str
    mount_path: str
    settings_hash: str
    upgrade_uuid: str
    references: tuple[str, ...] = ()
    share_mode: str = ""


def build(settings: Mapping[str, Any], patch: Mapping[str, Any], who: Identity, host: Host) -> Json:
    """The Mount Pod, without defaults.

    Args:
        settings: with the patch applied, as hashed.
        patch: merged fields of config.yaml, laid over the settings once more with templates expanded (§2.4).
        host: the driver that makes it.
    """
    built = _once_more(settings, patch, who, host)
    attr = built["Attr"]
    grace = attr.get("terminationGracePeriodSeconds")
    pod_name_is_hostname = str(attr.get("hostnameKey") or "").lower() == "podname"
    of_pod, mounts = volumes.volumes_of(built, who.upgrade_uuid, host, _expander(settings, who))
    spec: Json = {
        "nodeName": host.node,
        "hostname": "" if pod_name_is_hostname else built.get("VolumeId", ""),
        "restartPolicy": "OnFailure",
        "terminationGracePeriodSeconds": DEFAULT_GRACE_SECONDS if grace is None else grace,
        "priorityClassName": host.priority_class,
        "serviceAccountName": attr["ServiceAccountName"],
        "hostNetwork": attr["HostNetwork"],
        "hostPID": attr["HostPID"],
        "hostIPC": attr["HostIPC"],
        "hostAliases": attr["HostAliases"],
        "dnsConfig": attr["DNSConfig"],
        "dnsPolicy": attr["DNSPolicy"],
        "imagePullSecrets": attr["ImagePullSecrets"],
        "preemptionPolicy": attr["PreemptionPolicy"],
        "tolerations": attr["Tolerations"],
        "initContainers": attr.get("initContainers"),
        "containers": [_container(built, who, host, mounts)],
        "volumes": of_pod,
    }
    labels, annotations = metadata_of(built, who)
    meta = {"name": who.name, "namespace": attr["Namespace"], "labels": labels, "annotations": annotations}
    meta["finalizers"] = [names.FINALIZER]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": shape(spec, "PodSpec")}


def _once_more(settings: Mapping[str, Any], patch: Mapping[str, Any], who: Identity, host: Host) -> Json:
    """The patch with its templates expanded over the settings: its options are raw again, and come first."""
    shaped = shape(dict(patch), "MountPodPatch")
    built = attributes.with_patch(settings, expand_templates(shaped, **_places(settings, who)))
    if host.preemption_policy:
        built["Attr"]["PreemptionPolicy"] = host.preemption_policy
    if not built["IsCe"] and is_encrypted(built.get("initconfig") or ""):
        understood = client_support.supports_config_encryption(built["Attr"]["Image"])
        built["initconfig"] = built["initconfig"] if understood else ""
    return built


def _places(settings: Mapping[str, Any], who: Identity) -> dict[str, str]:
    return {
        "mount_point": who.mount_path,
        "volume_id": settings.get("VolumeId", ""),
        "volume_name": settings.get("name", ""),
        "sub_path": settings.get("SubPath", ""),
    }


def _expander(settings: Mapping[str, Any], who: Identity) -> Any:
    places = {f"${{{name.upper()}}}": value for name, value in _places(settings, who).items()}

    def expand(text: str) -> str:
        for name, value in places.items():
            text = text.replace(name, value)
        return text

    return expand


def is_encrypted(init_config: str) -> bool:
    """Whether an Enterprise Edition's configuration says that it holds encrypted keys."""
    try:
        return json.loads(init_config).get("encryptkeys") is True
    except (ValueError, AttributeError):
        return False


def metadata_of(settings: Mapping[str, Any], who: Identity) -> tuple[dict[str, str], dict[str, str]]:
    """Labels and annotations, internal keys winning over the user's (§1.4)."""
    attr, unique_id = settings["Attr"], settings.get("UniqueId", "")
    labels = {
        **(attr.get("labels") or {}),
        names.HASH: who.settings_hash,
        names.UPGRADE_UUID: who.upgrade_uuid,
        names.APP_NAME: names.MOUNT_POD_APP,
        names.VOLUME_ID: unique_id,
    }
    annotations: dict[str, str] = {}
    if settings.get("deleted_delay"):
        annotations[names.DELETE_DELAY] = settings["deleted_delay"]
    if settings.get("clean_cache"):
        annotations[names.CLEAN_CACHE] = "true"
    annotations |= {k: v for k, v in (attr.get("annotations") or {}).items() if k != names.UPGRADE_PROCESS}
    if who.share_mode:
        annotations[names.SHARE_MODE] = who.share_mode
    annotations |= {names.FS_UUID: settings.get("UUID", ""), names.UNIQUE_ID: unique_id}
    return labels, annotations | {names.reference_key(target): target for target in who.references}


# ---------------------------------------------------------------- container


def _container(settings: Json, who: Identity, host: Host, mounts: list[Json]) -> Json:
    attr = settings["Attr"]
    lifecycle = attr.get("lifecycle")
    if lifecycle is None and not _hands_on_fuse(attr["Image"], None, host):
        lifecycle = _unmount_before_stop(who.mount_path)
    has_metrics = settings["IsCe"] and not attr["HostNetwork"]
    ports = [{"name": "metrics", "containerPort": metrics_port(settings["Options"])}] if has_metrics else []
    return {
        "name": names.MOUNT_CONTAINER,
        "image": attr["Image"],
        "imagePullPolicy": attr.get("imagePullPolicy") or "",
        "command": ["sh", "-c", pod_command(settings, who.mount_path, bool(who.share_mode))],
        "securityContext": {"privileged": True, "runAsUser": 0},
        "env": _environment(settings, _hands_on_fuse(attr["Image"], lifecycle, host)),
        "ports": ports,
        "resources": attr["Resources"],
        "livenessProbe": attr.get("livenessProbe"),
        "readinessProbe": attr.get("readinessProbe"),
        "startupProbe": attr.get("startupProbe"),
        "lifecycle": lifecycle,
        "volumeMounts": mounts,
        "volumeDevices": attr.get("volumeDevices"),
    }


def _environment(settings: Json, hands_on_fuse: bool) -> list[Json]:
    reference = settings.get("SecretName", "")
    result: list[Json] = [{"name": "JFS_INSIDE_CONTAINER", "value": "1"}]
    for key in environment_keys(settings):
        result.append({"name": key, "valueFrom": {"secretKeyRef": {"name": reference, "key": key}}})
    result += settings["Attr"].get("env") or []
    result.append({"name": "JFS_FOREGROUND", "value": "1"})
    if hands_on_fuse:
        result.append({"name": FUSE_FD_VARIABLE, "value": FUSE_FD_SOCKET})
    return result


def _hands_on_fuse(image: str, lifecycle: Mapping[str, Any] | None, host: Host) -> bool:
    return passes_fuse({"spec": {"containers": [{"image": image, "lifecycle": lifecycle}]}}, host.no_grace_upgrade)


def _unmount_before_stop(mount_path: str) -> Json:
    """For clients that cannot hand on their FUSE descriptor."""
    return {"preStop": {"exec": {"command": ["sh", "-c", "+e", f"umount {mount_path} -l; rmdir {mount_path}; exit 0"]}}}


# ---------------------------------------------------------------- variants


def placed_by_selector(pod: Json, app_pod: Mapping[str, Any] | None) -> Json:
    """The Pod for the scheduler (``enableNodeSelector``): by hostname, with the app Pod's constraints (§1.5).

    Args:
        app_pod: None when it is not known; then the CSI node Pod's tolerations stay.
    """
    spec = {k: v for k, v in pod["spec"].items() if k != "nodeName"}
    spec["nodeSelector"] = {"kubernetes.io/hostname": pod["spec"]["nodeName"]}
    if app_pod is not None:
        app = app_pod.get("spec") or {}
        copied = ("affinity", "schedulerName", "tolerations")
        spec = {k: v for k, v in spec.items() if k not in copied} | {k: app[k] for k in copied if app.get(k)}
    return {**pod, "spec": spec}


def without_requests(pod: Json) -> Json:
    """The Pod as it is redeployed after the node rejected it: requests 0, limits kept (§3.3)."""
    none = {"cpu": "0", "memory": "0"}
    containers = [
        {**c, "resources": {**(c.get("resources") or {}), "requests": none}} for c in pod["spec"]["containers"]
    ]
    return {**pod, "spec": {**pod["spec"], "containers": containers}}
