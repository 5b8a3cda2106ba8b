"""What provisioner, resizer and controller say about claims and volumes."""

from __future__ import annotations

from jfsnb.checks.diagnosis.symptoms.storage import BACKEND
from jfsnb.checks.diagnosis.symptoms.table import table

PROVISION = table(
    (
        r"storageclass(\.storage\.k8s\.io)? \"?[^\"]+\"? not found",
        "its StorageClass does not exist",
        "Make the class, or name one that is there.",
    ),
    (
        r"secrets? \"?\S+\"? not found|failed to get secret|error getting secret",
        "the Secret that its StorageClass names does not exist",
        "Make the Secret; correct provisioner-secret-name and -namespace of the class.",
    ),
    (
        r"claim Selector is not supported",
        "a claim with a selector cannot be provisioned",
        "Take the selector away, or make a PV by hand.",
    ),
    (
        r"no persistent volumes available",
        "no volume fits, and no class makes one",
        "Make a PV with the same class, size and access mode, or name a StorageClass.",
    ),
    (
        r"exceeded quota",
        "a ResourceQuota of the namespace refuses it",
        "Raise the quota, or ask for less.",
    ),
    (
        r"VolumeMismatch|incompatible (accessMode|volumeMode)|Cannot bind to requested volume",
        "the volume that it names does not fit: size, access mode, class or volumeMode differ",
        "Make claim and volume agree.",
    ),
    (
        r"already bound to a different claim",
        "the volume that it names belongs to another claim",
        "Name another volume; a released one must first lose its claimRef.",
    ),
    (
        r"waiting for a volume to be created|Waiting for .* provisioner|external provisioner",
        "the CSI controller has not made its volume",
        "Look at the CSI controller: whether it runs, and its provisioner's log.",
    ),
    (r"pathPattern", "pathPattern of the class cannot be worked out for this claim", "Correct pathPattern."),
    (
        r"is forbidden: User|cannot (get|list|create|update|patch) resource",
        "the CSI controller lacks a permission",
        "Apply the RBAC objects of the driver's own version.",
    ),
    (
        r"VolumeFailedDelete|Could not delVol|delvol|delete volume",
        "the driver could not delete its data",
        "Look at the Job juicefs-…-delvol in the driver's namespace and its log; it is tried again.",
    ),
    (
        r"allowVolumeExpansion|only dynamically provisioned pvc can be resized|does not support volume expansion",
        "its class does not allow to enlarge it",
        "Set allowVolumeExpansion: true in the StorageClass.",
    ),
    (
        r"VolumeResizeFailed|ControllerExpandVolume|set quota|quota set|expand",
        "the driver could not enlarge it",
        "Look at the CSI controller's log (csi-resizer, juicefs-plugin); the class needs a controller-expand Secret.",
    ),
    (r"DeadlineExceeded|deadline exceeded", "the driver did not answer in time", "Look at the CSI controller's log."),
    (
        r"operation .* already exists|code = Aborted",
        "an earlier try is still under way",
        "Wait; look at the earlier error.",
    ),
)
CLAIM = (*PROVISION[:3], *BACKEND, *PROVISION[3:])
