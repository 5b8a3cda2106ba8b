"""What the kubelet's FailedMount of an app Pod means: the kubelet's own words, the API's and the driver's."""

from __future__ import annotations

from jfsnb.checks.diagnosis.symptoms.kubelet import CREATE, SCHEDULE, VOLUMES
from jfsnb.checks.diagnosis.symptoms.storage import BACKEND
from jfsnb.checks.diagnosis.symptoms.table import table

UNREGISTERED = r"driver name \S+ not found in the list of registered CSI drivers"
_KUBELET = table(
    (
        UNREGISTERED,
        "no CSI node is registered on this node",
        "Look at the CSI node Pod there: taints, kubelet directory, registrar.",
    ),
    (
        r"csi\.sock|error reading server preface|transport is closing|code = Unavailable",
        "the CSI node on this node does not answer",
        "Look at the CSI node Pod there: it was restarted or does not run.",
    ),
    (
        r"secrets? \"?\S+\"? not found|fetching NodePublishSecretRef",
        "the volume's Secret is not there",
        "Make the Secret that the PV or StorageClass names.",
    ),
    (
        r"waiting for external-attacher|AttachVolume\.Attach failed|VolumeAttachment",
        "the cluster waits for an attacher, which this driver has none of: its CSIDriver is missing or asks for one",
        "Make the CSIDriver with attachRequired: false, as the driver's manifests do.",
    ),
    (
        r"applyFSGroup|fsGroup",
        "the kubelet could not change the owner of the volume's files (fsGroup)",
        "Set fsGroupPolicy: None in the CSIDriver, or fsGroupChangePolicy: OnRootMismatch in the Pod.",
    ),
    (
        r"volumeMode|MapVolume|block volume",
        "the claim asks for a raw block device, and JuiceFS is a file system",
        "Make the claim with volumeMode: Filesystem.",
    ),
)
_API = table(
    (
        r"is forbidden: exceeded quota",
        "a ResourceQuota of the driver's namespace refuses the Mount Pod",
        "Raise the quota, or ask for less in config.yaml (resources).",
    ),
    (
        r"violates PodSecurity",
        "Pod Security refuses the Mount Pod, which must be privileged",
        "Label the driver's namespace pod-security.kubernetes.io/enforce: privileged.",
    ),
    (
        r"PreemptionPolicy|priority admission|no PriorityClass",
        "the Mount Pod's priority does not fit the PriorityClass",
        "Make JUICEFS_MOUNT_PRIORITY_NAME and JUICEFS_MOUNT_PREEMPTION_POLICY on the driver those of the class.",
    ),
    (
        r"admission webhook",
        "an admission webhook of the cluster refuses the Mount Pod",
        "Exempt the driver's namespace, or make the Mount Pod fit by config.yaml (labels, resources).",
    ),
    (
        r"error looking up service account|serviceaccount .* not found",
        "the Mount Pod's ServiceAccount does not exist",
        "Make it in the driver's namespace, or correct mount-service-account.",
    ),
    (
        r"User \"?system:serviceaccount:\S+ cannot|is forbidden: User",
        "the driver lacks a permission",
        "Apply the RBAC objects of the driver's own version.",
    ),
    (
        r"is forbidden: (minimum|maximum)|LimitRange",
        "a LimitRange of the driver's namespace refuses the Mount Pod",
        "Make its resources fit, or change the LimitRange.",
    ),
    (
        r"namespaces? \"?\S+\"? not found|being terminated",
        "the namespace does not exist or is being deleted",
        "Look at the namespace.",
    ),
    (
        r'Pod "\S+" is invalid|must be unique|metadata\.labels: Invalid value|must be no more than 63',
        "the API refuses the Mount Pod: a field of it is not valid",
        "Correct what the message names, in config.yaml or in the PV (volumeHandle, volumeAttributes).",
    ),
    (
        r"etcdserver|the server was unable|Timeout: request did not complete|object has been modified",
        "the API server did not answer in time, or somebody was faster",
        "Wait for the next try; look at the API server when it stays.",
    ),
)
_DRIVER = table(
    (r"Empty name", "the volume's Secret has no key name", "Add name to the Secret."),
    (
        r"can't parse delay time",
        "the delete delay is no duration that Go knows (days are none)",
        "Write it as 24h or 30m.",
    ),
    (
        r"quantities must match|unable to parse quantity",
        "a number for cpu, memory or storage is no quantity",
        "Correct juicefs/mount-cpu-*, juicefs/mount-memory-* or resources.",
    ),
    (
        r"is greater than pod memory limit",
        "buffer-size is more than the Mount Pod's memory limit",
        "Lower buffer-size, or raise the limit.",
    ),
    (r"genCacheDirs error|cacheDirs", "an entry of cacheDirs is not valid", "Correct cacheDirs in config.yaml."),
    (
        r"genAndValidOptions error|invalid mount option|parse .*options?",
        "a mount option is malformed",
        "Correct mountOptions: one option per item, no blanks.",
    ),
    (
        r"mount pod is not running in \d+s, reason: \S*(Image\S*|RegistryUnavailable)|ErrImage",
        "the Mount Pod's image cannot be pulled",
        "Correct ceMountImage; the next try makes a new Mount Pod.",
    ),
    (
        r"kubelet rootdir .* is not equal",
        "the driver was deployed for another kubelet directory",
        "Correct the DaemonSet's kubelet-dir.",
    ),
    (
        r"turn .?podInfoOnMount.? on|unexpected status code 401|Unauthorized",
        "the kubelet refuses the driver",
        "Enable podInfoOnMount in the CSIDriver, or authorise the driver at the kubelet.",
    ),
)
#: After what the client says, because these texts carry its log.
_LATER = table(
    (
        r"mount pod is not running in \d+s",
        "the Mount Pod does not start",
        "Look at the events of the Mount Pod that the message names.",
    ),
    (
        r"mount point is not ready in \d+s|is not ready",
        "the client in the Mount Pod does not come up",
        "Look at the log of the Mount Pod that the message names.",
    ),
    (
        r"could not make directory|mkdir ",
        "the directory of the volume cannot be made: the mount below it is gone or read-only",
        "Look at the Mount Pod: it may have been restarted or deleted meanwhile; the kubelet tries again.",
    ),
    (
        r"Could not bind",
        "the mount could not be bound to the Pod's directory",
        "Look at the mounts on the node, in the CSI node Pod's log too.",
    ),
    (
        r"DeadlineExceeded|context deadline exceeded",
        "the CSI node did not finish within the kubelet's time",
        "Look at the CSI node's log on this node: it says what it waited for.",
    ),
    (
        r"operation is already in progress|code = Aborted",
        "an earlier try is still under way",
        "Wait; look at the earlier error.",
    ),
)
MOUNT = (*_KUBELET, *_API, *_DRIVER, *BACKEND, *VOLUMES, *_LATER)
#: An app Pod's own troubles besides its mounts.
APP = (*MOUNT, *SCHEDULE, *CREATE)
