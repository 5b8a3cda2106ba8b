"""The Mount Pod of a volume: settings in, Pod object out (reference §1.2 to §1.7). Pure."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jfsnb.driver import client_support, names
from jfsnb.driver.config.merging import expand_templates
from jfsnb.driver.mountpods.command import escape, quote_line
from jfsnb.driver.settings.options import apply_patch
from jfsnb.sandbox.csi.rules.mount_pod_volumes import volumes_of
from jfsnb.sandbox.csi.rules.settings import Json, secret_data

SECRET_ENV = ("metaurl", "secretkey", "secretkey2", "token", "passphrase", "session-token")
DEFAULT_METRICS_PORT = 9567
DEFAULT_GRACE_SECONDS = 10
FUSE_FD_SOCKET = "/tmp/fuse_fd_csi_comm.sock"


@dataclass(frozen=True)
class Identity:
    """What tells one Mount Pod from the others.

    Args:
        name: of the Pod. node: that it runs on.
        mount_path: inside the Pod, ``/jfs/<unique id>-xxxxxx``; outlives the Pod's name (§1.3).
        settings_hash: label ``juicefs-hash``. upgrade_uuid: label ``juicefs-upgrade-uuid``.
        references: target paths of its users.
        share_mode: annotation ``juicefs/mount-share-mode``; empty when not sharing.
    """

    name: str
    node: str
    mount_path: str
    settings_hash: str
    upgrade_uuid: str
    references: tuple[str, ...] = ()
    share_mode: str = ""


def build(settings: Mapping[str, Any], patch: Mapping[str, Any], who: Identity, env: Mapping[str, str]) -> Json:
    """The Mount Pod.

    Args:
        settings: with the patch applied, as hashed.
        patch: merged fields of the ConfigMap, laid over the settings once more with its templates expanded (§2.4).
        env: environment of the driver, for JUICEFS_IMMUTABLE and DISABLE_GRACE_UPGRADE.
    """
    built = _expanded(settings, patch, who)
    attr = built["Attr"]
    hostname_key = str(patch.get("hostnameKey") or "")
    grace = attr.get("terminationGracePeriodSeconds")
    volumes, mounts = volumes_of(built, who.node, who.upgrade_uuid, env)
    spec: Json = {
        "nodeName": who.node,
        "hostname": "" if hostname_key.lower() == "podname" else built["VolumeId"],
        "restartPolicy": "OnFailure",
        "terminationGracePeriodSeconds": DEFAULT_GRACE_SECONDS if grace is None else grace,
        "priorityClassName": attr["JFSMountPriorityName"],
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
        "containers": [_container(built, who, env, mounts)],
        "volumes": volumes,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _metadata(built, who),
        "spec": {key: value for key, value in spec.items() if value not in (None, "", [], False)},
    }


def _expanded(settings: Mapping[str, Any], patch: Mapping[str, Any], who: Identity) -> Json:
    """Settings with templates replaced where the driver replaces them: patch, options, two kinds of host paths."""

    def expand(value: Mapping[str, Any]) -> Json:
        return expand_templates(
            value,
            mount_point=who.mount_path,
            volume_id=settings["VolumeId"],
            volume_name=settings["name"],
            sub_path=settings["SubPath"],
        )

    built = apply_patch(settings, expand(patch))
    own = {"options": ordered(settings["Options"], patch.get("mountOptions") or ())}
    paths = {"dirs": settings["CacheDirs"], "hosts": settings["host_path"]}
    expanded = expand({**own, **paths})
    return {
        **built,
        "Options": expanded["options"],
        "CacheDirs": expanded["dirs"],
        "host_path": expanded["hosts"],
    }


def ordered(options: Sequence[str], configured: Sequence[str]) -> list[str]:
    """Options of the ConfigMap in its order, then the others by the alphabet (§1.6)."""
    keys = [o.partition("=")[0].strip() for o in configured]
    first = sorted((o for o in options if option_key(o) in keys), key=lambda o: keys.index(option_key(o)))
    return first + sorted(o for o in options if option_key(o) not in keys)


def option_key(option: str) -> str:
    """``subdir`` of ``subdir=/a``."""
    return option.partition("=")[0]


def _metadata(settings: Json, who: Identity) -> Json:
    """Labels and annotations, internal keys winning over the user's (§1.4)."""
    attr = settings["Attr"]
    labels = {
        **(attr.get("labels") or {}),
        names.HASH: who.settings_hash,
        names.UPGRADE_UUID: who.upgrade_uuid,
        names.APP_NAME: names.MOUNT_POD_APP,
        names.VOLUME_ID: settings["UniqueId"],
    }
    annotations: dict[str, str] = {}
    if settings["deleted_delay"]:
        annotations[names.DELETE_DELAY] = settings["deleted_delay"]
    if settings["clean_cache"]:
        annotations[names.CLEAN_CACHE] = "true"
    annotations |= {k: v for k, v in (attr.get("annotations") or {}).items() if k != names.UPGRADE_PROCESS}
    if who.share_mode:
        annotations[names.SHARE_MODE] = who.share_mode
    annotations |= {names.FS_UUID: settings["UUID"], names.UNIQUE_ID: settings["UniqueId"]}
    annotations |= {names.reference_key(target): target for target in who.references}
    return {
        "name": who.name,
        "namespace": attr["Namespace"],
        "labels": labels,
        "annotations": annotations,
        "finalizers": [names.FINALIZER],
    }


# ---------------------------------------------------------------- container


def _container(settings: Json, who: Identity, env: Mapping[str, str], mounts: list[Json]) -> Json:
    attr = settings["Attr"]
    passes_fuse = _passes_fuse(attr, env)
    result: Json = {
        "name": names.MOUNT_CONTAINER,
        "image": attr["Image"],
        "imagePullPolicy": attr.get("imagePullPolicy"),
        "command": ["sh", "-c", command(settings, who.mount_path, bool(who.share_mode))],
        "securityContext": {"privileged": True, "runAsUser": 0},
        "env": _environment(settings, passes_fuse),
        "ports": _ports(settings),
        "resources": attr["Resources"],
        "livenessProbe": attr.get("livenessProbe"),
        "readinessProbe": attr.get("readinessProbe"),
        "lifecycle": attr.get("lifecycle") or (None if passes_fuse else _unmount_before_stop(who.mount_path)),
        "volumeMounts": mounts,
        "volumeDevices": attr.get("volumeDevices"),
    }
    return {key: value for key, value in result.items() if value not in (None, "", [])}


def command(settings: Mapping[str, Any], mount_path: str, sharing: bool = False) -> str:
    """The init line (format or auth) and the mount line, joined by a newline and nothing else (§1.6)."""
    client, source = (
        (names.CE_MOUNT, "${metaurl}") if settings["IsCe"] else (names.EE_MOUNT, escape(settings["source"]))
    )
    options = ",".join(_command_options(settings, sharing))
    mount = f"exec {client} {source} {escape(mount_path)} -o {escape(options)}"
    return "\n".join(quote_line(line) for line in (_init_line(settings), mount) if line)


def _init_line(settings: Mapping[str, Any]) -> str:
    if settings["initconfig"] and not settings["IsCe"]:
        return f"cp /etc/juicefs/{settings['name']}.conf /root/.juicefs"
    return str(settings["FormatCmd"])


def _command_options(settings: Mapping[str, Any], sharing: bool) -> list[str]:
    options = list(settings["Options"])
    if settings["SubPath"] and not sharing:
        own = [o.partition("=")[2] for o in options if option_key(o) == "subdir"]
        options = [o for o in options if option_key(o) != "subdir"]
        options.append(f"subdir={posixpath.join(*own[-1:], settings['SubPath'])}")
    if not settings["IsCe"]:
        rsa = ["rsa-key=/root/.rsa/rsa-key.pem"] if settings["encrypt_rsa_key"] else []
        return ["foreground", "no-update", *rsa, *options]
    if not any(option_key(o) == "metrics" for o in options):
        options.append(f"metrics=0.0.0.0:{0 if settings['Attr']['HostNetwork'] else DEFAULT_METRICS_PORT}")
    return options


def _environment(settings: Json, passes_fuse: bool) -> list[Json]:
    present = secret_data(settings, settings.get("session-token", ""))
    keys = [key for key in SECRET_ENV if key in present] + list(settings["envs_map"])
    reference = settings["SecretName"]
    result: list[Json] = [{"name": "JFS_INSIDE_CONTAINER", "value": "1"}]
    result += [{"name": k, "valueFrom": {"secretKeyRef": {"name": reference, "key": k}}} for k in keys]
    result += settings["Attr"].get("env") or []
    result.append({"name": "JFS_FOREGROUND", "value": "1"})
    if passes_fuse:
        result.append({"name": "JFS_SUPER_COMM", "value": FUSE_FD_SOCKET})
    return result


def _ports(settings: Json) -> list[Json]:
    if not settings["IsCe"] or settings["Attr"]["HostNetwork"]:
        return []
    given = [o.rpartition(":")[2] for o in settings["Options"] if option_key(o) == "metrics"]
    port = int(given[-1]) if given and given[-1].isdigit() else DEFAULT_METRICS_PORT
    return [{"name": "metrics", "containerPort": port}]


def _passes_fuse(attr: Mapping[str, Any], env: Mapping[str, str]) -> bool:
    pre_stop = json.dumps((attr.get("lifecycle") or {}).get("preStop") or {})
    return client_support.supports_fuse_passing(attr["Image"], pre_stop, env.get("DISABLE_GRACE_UPGRADE") == "true")


def _unmount_before_stop(mount_path: str) -> Json:
    """For clients that cannot hand on their FUSE descriptor."""
    return {"preStop": {"exec": {"command": ["sh", "-c", "+e", f"umount {mount_path} -l; rmdir {mount_path}; exit 0"]}}}


# ---------------------------------------------------------------- variants


def placed_by_selector(pod: Json, app_pod: Mapping[str, Any] | None) -> Json:
    """The Pod for the scheduler (``enableNodeSelector``): by hostname, with the app Pod's constraints (§1.5)."""
    kept = {k: v for k, v in pod["spec"].items() if k not in ("nodeName", "affinity", "schedulerName", "tolerations")}
    app = (app_pod or {}).get("spec") or {}
    copied = {key: app[key] for key in ("affinity", "schedulerName", "tolerations") if app.get(key)}
    selector = {"kubernetes.io/hostname": pod["spec"]["nodeName"]}
    return {**pod, "spec": {**kept, **copied, "nodeSelector": selector}}


def without_requests(pod: Json) -> Json:
    """The Pod as it is redeployed after the node rejected it: requests 0, limits kept (§3.3)."""
    none = {"cpu": "0", "memory": "0"}
    containers = [
        {**c, "resources": {**(c.get("resources") or {}), "requests": none}} for c in pod["spec"]["containers"]
    ]
    return {**pod, "spec": {**pod["spec"], "containers": containers}}
