"""The driver's Jobs: remove a volume's directory, clean a cache, fetch a client (reference §1.11, §3.8, §4.5). Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from jfsnb.driver import names
from jfsnb.driver.mountpods.building import Identity, build
from jfsnb.driver.mountpods.command import escape, quote_line
from jfsnb.driver.settings.host import Host
from jfsnb.driver.settings.mount_options import option_key
from jfsnb.driver.settings.publication import Json

JOB_LABEL = {names.APP_NAME: "juicefs-job"}
CANARY_LABEL = "juicefs-canary-job"
TTL_SECONDS = 5
CANARY_TTL_SECONDS = 1800
MOUNT_POINT = "/mnt/jfs"
#: A Job mounts for itself: of a Mount Pod's volumes it has those with Secrets, and the host paths of the volume, where
#: the sandbox keeps metadata and objects. Its client goes into the background, so that the command can go on.
KEPT_VOLUMES = ("rsa-key", "init-config", "config-", "hostpath-")


def delete_volume(settings: Mapping[str, Any], patch: Mapping[str, Any], host: Host) -> Json:
    """Job ``juicefs-<8 hex>-delvol``: mount the file system and ``juicefs rmr`` the volume's directory.

    Args:
        settings: of the volume, its directory as ``SubPath``. patch: merged fields of the ConfigMap.
        host: the CSI Pod that starts the Job; its constraints are the Job's.
    """
    name = f"{names.job_stem(settings['VolumeId'])}-delvol"
    client = names.CE_CLIENT if settings["IsCe"] else names.EE_CLIENT
    path = f"{MOUNT_POINT}/{escape(settings['SubPath'])}"
    remove = f"{_mount_command(settings)} && if [ -d {path} ]; then {client} rmr {path}; fi;"
    lines = [quote_line(settings["FormatCmd"]), remove]
    pod = build(settings, patch, Identity(name, f"/tmp/{settings['VolumeId']}", "", ""), host)
    spec = {k: v for k, v in pod["spec"].items() if k not in ("nodeName", "priorityClassName", "preemptionPolicy")}
    csi_spec = host.pod.get("spec") or {}
    spec |= {k: csi_spec[k] for k in ("nodeSelector", "affinity", "tolerations") if csi_spec.get(k)}
    container = pod["spec"]["containers"][0]
    container = {
        **{k: v for k, v in container.items() if k not in ("livenessProbe", "readinessProbe", "volumeDevices")},
        "command": ["sh", "-c", "\n".join(filter(None, lines))],
        "env": [e for e in container["env"] if e["name"] not in ("JFS_FOREGROUND", "JFS_SUPER_COMM")],
        "lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", "umount /mnt/jfs -l && rmdir /mnt/jfs"]}}},
        "volumeMounts": [m for m in container["volumeMounts"] if m["name"].startswith(KEPT_VOLUMES)],
    }
    spec["volumes"] = [v for v in spec["volumes"] if v["name"].startswith(KEPT_VOLUMES)]
    spec |= {"containers": [container], "restartPolicy": "OnFailure"}
    spec.pop("initContainers", None)
    return _job(name, pod["metadata"]["namespace"], spec, TTL_SECONDS, labels=JOB_LABEL)


def _mount_command(settings: Mapping[str, Any]) -> str:
    options = [o for o in settings["Options"] if o not in ("ro", "read-only")]
    if settings["IsCe"]:
        words = [names.CE_MOUNT, "${metaurl}", MOUNT_POINT]
    else:
        rsa = ["rsa-key=/root/.rsa/rsa-key.pem"] if settings.get("encrypt_rsa_key") else []
        options += [*rsa, "background"]
        words = [names.EE_MOUNT, escape(settings["source"]), MOUNT_POINT]
    return quote_line(" ".join([*words, *(["-o", escape(",".join(options))] if options else [])]))


def volume_directory(settings: Mapping[str, Any]) -> str:
    """The volume's directory in its file system, where a quota is set: option ``subdir``, then ``SubPath``."""
    subdir = [o.partition("=")[2] for o in settings["Options"] if option_key(o) == "subdir"]
    return posixpath.join("/", *subdir[-1:], settings["SubPath"])


def clean_cache(mount_pod: Mapping[str, Any], suffix: str) -> Json | None:
    """Job ``juicefs-<8 hex>-cleancache-<suffix>`` for a Mount Pod that is gone; None without anything to clean.

    Only host path caches are cleaned, and only when the Mount Pod carries ``juicefs-clean-cache: "true"``.
    """
    meta, spec = mount_pod["metadata"], mount_pod["spec"]
    notes = meta.get("annotations") or {}
    uuid, unique_id = notes.get(names.FS_UUID, ""), notes.get(names.UNIQUE_ID, "")
    if notes.get(names.CLEAN_CACHE) != "true" or not (uuid or unique_id):
        return None
    found = [v["hostPath"]["path"] for v in spec["volumes"] if v["name"].startswith("cachedir-") and v.get("hostPath")]
    caches = {f"cachedir-{number}": path for number, path in enumerate(found)}
    raw = {
        name: {"path": posixpath.join(path, uuid, "raw"), "type": "DirectoryOrCreate"} for name, path in caches.items()
    }
    job_spec = {
        "nodeName": spec["nodeName"],
        "restartPolicy": "Never",
        "containers": [
            {
                "name": "jfs-cache-clean",
                "image": spec["containers"][0]["image"],
                "command": ["sh", "-c", "rm -rf /var/jfsCache/*/chunks"],
                "volumeMounts": [{"name": name, "mountPath": f"{names.CACHE_DIR}/{name}"} for name in caches],
            }
        ],
        "volumes": [{"name": name, "hostPath": path} for name, path in raw.items()],
    }
    name = f"{names.job_stem(unique_id)}-cleancache-{suffix}"
    return _job(name, meta["namespace"], job_spec, TTL_SECONDS, labels=JOB_LABEL)


def canary(mount_pod: Mapping[str, Any], image: str, recreate: bool) -> Json:
    """Job ``juicefs-<8 hex>-canary``: proves that an image can be had on the Mount Pod's node.

    Args:
        image: that the Mount Pod shall have. recreate: else the Job also copies its client into the shared /tmp.
    """
    meta, spec = mount_pod["metadata"], mount_pod["spec"]
    name = canary_name(mount_pod)
    volumes = [v for v in spec["volumes"] if v["name"] == "jfs-fuse-fd"]
    mounts = [m for m in spec["containers"][0]["volumeMounts"] if m["name"] == "jfs-fuse-fd"]
    is_ce = any("metaurl" in word for word in spec["containers"][0]["command"])
    copy = (
        f"cp {names.CE_CLIENT} /tmp/juicefs"
        if is_ce
        else f"cp {names.EE_CLIENT} /tmp/juicefs && cp /usr/local/juicefs/mount/jfsmount /tmp/jfsmount"
    )
    job_spec = {
        "nodeName": spec["nodeName"],
        "restartPolicy": "Never",
        "containers": [
            {
                "name": "canary",
                "image": image,
                "command": ["sh", "-c", "" if recreate else copy],
                "volumeMounts": mounts,
            }
        ],
        "volumes": volumes,
    }
    job = _job(name, meta["namespace"], job_spec, CANARY_TTL_SECONDS, pod_labels={CANARY_LABEL: name})
    job["spec"] |= {"parallelism": 1, "completions": 1, "backoffLimit": 0}
    return job


def canary_name(mount_pod: Mapping[str, Any]) -> str:
    unique_id, node = mount_pod["metadata"]["labels"][names.VOLUME_ID], mount_pod["spec"]["nodeName"]
    return names.job_stem(f"{unique_id}-{node}") + "-canary"


def _job(
    name: str,
    namespace: str,
    spec: Json,
    ttl: int,
    labels: Mapping[str, str] | None = None,
    pod_labels: Mapping[str, str] | None = None,
) -> Json:
    meta = {"name": name, "namespace": namespace}
    template = {"metadata": {**meta, **({"labels": dict(pod_labels)} if pod_labels else {})}, "spec": spec}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {**meta, **({"labels": dict(labels)} if labels else {})},
        "spec": {"template": template, "ttlSecondsAfterFinished": ttl},
    }
