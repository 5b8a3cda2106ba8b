"""Names that the JuiceFS CSI driver gives to things: labels, annotations, paths (reference/csi-driver.md §0 and §1)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from jfsnb.driver.golang.paths import join

DRIVER = "csi.juicefs.com"
CONFIG_MAP = "juicefs-csi-driver-config"
CONFIG_KEY = "config.yaml"
CONFIG_VOLUME = "juicefs-config"
CONFIG_PATH = "/etc/config/config.yaml"
PLUGIN_CONTAINER = "juicefs-plugin"
CSI_NODE_DAEMON_SET = "juicefs-csi-node"
CSI_NODE_SELECTOR = "app=juicefs-csi-node"
CSI_CONTROLLER_SELECTOR = "app=juicefs-csi-controller"

APP_NAME = "app.kubernetes.io/name"
MOUNT_POD_APP = "juicefs-mount"
JOB_APP = "juicefs-job"
#: Kubernetes' own label on the Pods of a Job.
JOB_NAME = "job-name"
MOUNT_POD_SELECTOR = f"{APP_NAME}={MOUNT_POD_APP}"
MOUNT_CONTAINER = "jfs-mount"
VOLUME_ID = "volume-id"
HASH = "juicefs-hash"
UPGRADE_UUID = "juicefs-upgrade-uuid"
FINALIZER = "juicefs.com/finalizer"

UNIQUE_ID = "juicefs-uniqueid"
FS_UUID = "juicefs-uuid"
CLEAN_CACHE = "juicefs-clean-cache"
DELETE_DELAY = "juicefs-delete-delay"
DELETE_AT = "juicefs-delete-at"
UPGRADE_PROCESS = "juicefs-upgrade-process"
IMMEDIATE_RECONCILE = "juicefs-immediate-reconciler"
SHARE_MODE = "juicefs/mount-share-mode"
SHARE_BY_STORAGE_CLASS = "storageClassShareMount"
SHARE_BY_FILE_SYSTEM = "fsShareMount"
SIDECAR_DONE = "done.sidecar.juicefs.com/inject"

#: A sandbox's objects that are only shown: nobody runs them, so nobody can be asked.
RECORDED = "sandbox.jfsnb.io/recorded"

MOUNT_IMAGE = "juicefs/mount-image"
HOST_MOUNT_ROOT = "/var/lib/juicefs/volume"
MOUNT_ROOT = "/jfs"
CACHE_DIR = "/var/jfsCache"
UNSAFE_PVC_ANNOTATIONS = "JUICEFS_ALLOW_UNSAFE_PVC_MOUNT_POD_ANNOTATIONS"
CE_CLIENT = "/usr/local/bin/juicefs"
CE_MOUNT = "/bin/mount.juicefs"
EE_CLIENT = "/usr/bin/juicefs"
EE_MOUNT = "/sbin/mount.juicefs"

_KEY_LENGTH = 63
_TARGET = re.compile(r"^(?P<root>/.*)?/pods/(?P<uid>[^/]+)/volumes/kubernetes\.io~csi/(?P<pv>[^/]+)/mount$")
_CSI_VOLUMES = "volumes/kubernetes.io~csi"
_PROVISIONED = re.compile(r"pvc-\w{8}(-\w{4}){3}-\w{12}", re.ASCII)


@dataclass(frozen=True)
class Reference:
    """One user of a Mount Pod, as its reference annotation tells it.

    Args:
        pod_uid: UID of the app Pod.
        pv_name: name of the PV (not its volumeHandle), from the target's directory.
        target: the kubelet's target path, verbatim.
    """

    pod_uid: str
    pv_name: str
    target: str


def reference_key(target: str) -> str:
    """Key of the annotation that says: this target path uses this Mount Pod (§1.10)."""
    return ("juicefs-" + hashlib.sha256(target.encode()).hexdigest())[:_KEY_LENGTH]


def target_path(pod_uid: str, pv_name: str, kubelet_root: str = "/var/lib/kubelet") -> str:
    """Where the kubelet wants a CSI volume of a Pod mounted (§1.10)."""
    return f"{kubelet_root.rstrip('/')}/pods/{pod_uid}/volumes/kubernetes.io~csi/{pv_name}/mount"


def parse_target(target: str) -> tuple[str, str] | None:
    """(Pod UID, PV name) of a target path under any kubelet root; None when it is no target path.

    Stricter than the driver (``target_pod_uid``, ``target_pv_name``): what a kubelet would not make proves nothing.
    """
    match = _TARGET.match(target)
    return (match["uid"], match["pv"]) if match else None


def target_pod_uid(target: str) -> str:
    """UID of the Pod in a target path, as the driver reads it (§1.10); empty when it reads none."""
    before, *after = target.split(_CSI_VOLUMES)
    if len(after) != 1:
        return ""
    directory, separator, uid = before.removesuffix("/").rpartition("/")
    return uid if directory and separator else ""


def target_pv_name(target: str) -> str:
    """Name of the PV in a target path, as the driver reads it (§1.10); empty when it reads none."""
    parts = target.split(_CSI_VOLUMES)
    if len(parts) != 2:
        return ""
    name, separator, _ = parts[1].removeprefix("/").partition("/")
    return name if separator else ""


def target_metrics_pod_uid(target: str) -> str:
    """UID of the Pod as the driver's metrics name it: what follows the first ``pods``, else the whole path."""
    parts = target.split("/")
    at = parts.index("pods") + 1 if "pods" in parts else len(parts)
    return parts[at] if at < len(parts) else target


def target_problem(target: str, kubelet_root: str = "/var/lib/kubelet") -> str:
    """Why a publication refuses a target path, in the driver's words; empty when it does not.

    Args:
        kubelet_root: host path of the CSI node Pod's volume ``kubelet-dir``.
    """
    if ".." in target or "./" in target or "/." in target:
        return f"Path {target} has illegal access."
    root = target.split("/pods/")[0]
    if root != kubelet_root:
        return f"target kubelet rootdir {root} is not equal csi mounted kubelet root-dir {kubelet_root}"
    return ""


def is_reference(key: str, value: str) -> bool:
    """Whether the driver counts this annotation as a reference: its key is the key of its value (§1.10)."""
    return len(key) == _KEY_LENGTH and key == reference_key(value)


def parse_reference(key: str, value: str) -> Reference | None:
    """The reference that an annotation is, or None.

    A value whose key matches but that is no target path still counts for the driver; it comes back with
    empty ``pod_uid`` and ``pv_name``, so that nobody can be paired with it by accident.
    """
    if not is_reference(key, value):
        return None
    uid, pv = parse_target(value) or ("", "")
    return Reference(uid, pv, value)


def references(annotations: Mapping[str, str] | None) -> tuple[Reference, ...]:
    """All references among a Mount Pod's annotations, by target path."""
    found = (parse_reference(k, v) for k, v in (annotations or {}).items())
    return tuple(sorted((r for r in found if r), key=lambda r: r.target))


def mount_pod_name(node: str, unique: str, suffix: str) -> str:
    """Name of a new Mount Pod; ``suffix`` is six random lower case letters (§1.2). Never parse it back."""
    return f"juicefs-{node}-{unique}-{suffix}"


def first_mount_path(unique: str, pod_name: str) -> str:
    """Mount path inside a newly created Mount Pod: its suffix is the Pod's, later ones differ (§1.3)."""
    return join(MOUNT_ROOT, unique) + pod_name[-7:]


def host_path_of(mount_path: str) -> str:
    """The node's path of a Mount Pod's mount path (§1.3)."""
    return HOST_MOUNT_ROOT + mount_path.removeprefix(MOUNT_ROOT)


def secret_name(unique: str) -> str:
    """The Secret that the driver makes for a unique id; one for the whole cluster (§1.8)."""
    return f"juicefs-{unique}-secret"


def job_stem(text: str) -> str:
    """Beginning of the names of the driver's Jobs for a volume or Pod (§4.5)."""
    return ("juicefs-" + hashlib.sha256(text.encode()).hexdigest())[:16]


def canary_job_name(unique: str, node: str) -> str:
    """The Job that proves that a Mount Pod's new image can be had on its node (§3.8)."""
    return job_stem(f"{unique}-{node}") + "-canary"


def is_provisioned(volume_id: str) -> bool:
    """Whether DeleteVolume takes an id for that of a provisioned volume, by its form (§4.5)."""
    return bool(_PROVISIONED.search(volume_id))


def selector_text(labels: Mapping[str, str]) -> str:
    """Labels as a label selector for the API."""
    return ",".join(f"{k}={v}" for k, v in labels.items())


def mount_pod_selector(unique: str = "") -> str:
    """Label selector for Mount Pods, of one unique id or all (§9)."""
    return selector_text({APP_NAME: MOUNT_POD_APP, **({VOLUME_ID: unique} if unique else {})})
