"""What error texts mean: image pulls, client logs, mount failures (reference §6; peers D23-D31). First match wins."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Symptom:
    """A pattern in a text, what is behind it, and what to do."""

    pattern: re.Pattern[str]
    cause: str
    fix: str


def _table(*rows: tuple[str, str, str]) -> tuple[Symptom, ...]:
    return tuple(Symptom(re.compile(p, re.IGNORECASE), cause, fix) for p, cause, fix in rows)


PULL = _table(
    (
        r"unauthorized|authentication required|denied|no basic auth|403",
        "the registry refuses the node's credentials",
        "Give the CSI node DaemonSet imagePullSecrets: Mount Pods inherit them.",
    ),
    (
        r"no match for platform|no matching manifest|exec format",
        "there is no image for this node's architecture",
        "Push a multi-architecture image.",
    ),
    (
        r"x509|certificate|tls:",
        "the node does not trust the registry's certificate",
        "Install the registry's CA on the node.",
    ),
    (
        r"timeout|i/o timeout|deadline exceeded|connection refused|no route|no such host|dial tcp",
        "the node cannot reach the registry",
        "Check DNS, proxy and firewall of the node.",
    ),
    (
        r"invalid reference|couldn't parse image|InvalidImageName",
        "the image reference is malformed",
        "Correct ceMountImage.",
    ),
    (
        r"not found|manifest unknown|does not exist|NotFound",
        "there is no such image or tag",
        "Correct ceMountImage, or push the image.",
    ),
)
CLIENT = _table(
    (r"exec format error", "the image is of another architecture than the node", "Build the image for this node."),
    (
        r"(mount\.juicefs|juicefs): (not found|No such file)|command not found",
        "the image lacks the client, or has the other edition's",
        "Use an image with /usr/local/bin/juicefs and /bin/mount.juicefs.",
    ),
    (
        r"NOAUTH|WRONGPASS|invalid password|Access denied for user|password authentication failed",
        "the metadata engine refuses the password",
        "Correct metaurl in the volume's Secret.",
    ),
    (
        r"database is not formatted|not formatted",
        "the file system was never formatted",
        "Look at the format line at the beginning of the Mount Pod's log.",
    ),
    (
        r"dial tcp|connection refused|no such host|i/o timeout|unable to open database",
        "the client cannot reach the metadata engine or the object storage",
        "Check the addresses in the volume's Secret from the node.",
    ),
    (
        r"AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|403 Forbidden",
        "the object storage refuses the credentials",
        "Correct the keys in the volume's Secret.",
    ),
    (
        r"flag provided but not defined|unknown option|invalid mount option|No help topic",
        "the client does not know a mount option",
        "Correct mountOptions; old clients know fewer.",
    ),
    (r"/dev/fuse", "the container cannot use FUSE", "Check that the node has the fuse module."),
)
MOUNT = _table(
    (
        r"driver name \S+ not found in the list of registered CSI drivers",
        "no CSI node is registered on this node",
        "Look at the CSI node Pod there: taints, kubelet directory, registrar.",
    ),
    (r"csi\.sock: connect", "the CSI node on this node does not answer", "Look at the CSI node Pod there."),
    (
        r"secrets? \"?\S+\"? not found|fetching NodePublishSecretRef",
        "the volume's Secret is not there",
        "Make the Secret that the PV or StorageClass names.",
    ),
    (r"Empty name", "the volume's Secret has no key name", "Add name to the Secret."),
    (
        r"juicefs status 16s timed out",
        "the CSI node cannot reach the metadata engine",
        "Check metaurl from the node.",
    ),
    (
        r"Invalid meta driver",
        "the client was built without this kind of metadata engine",
        "Use a client that has it, or another engine.",
    ),
    (
        r"Could not mount juicefs:[\s\S]*(Meta is not available|connection refused|no such host|unable to open)",
        "the CSI node cannot reach the metadata engine",
        "Check metaurl in the volume's Secret from the node.",
    ),
    (
        r"mount pod is not running in \d+s, reason: \S*Image\S*|ErrImage",
        "the Mount Pod's image cannot be pulled",
        "Correct ceMountImage; the next try makes a new Mount Pod.",
    ),
    (
        r"mount pod is not running in \d+s",
        "the Mount Pod does not start",
        "Look at the events of the Mount Pod that the message names.",
    ),
    (
        r"mount point is not ready in \d+s",
        "the client in the Mount Pod does not come up",
        "Look at the log of the Mount Pod that the message names.",
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
    (r"genAndValidOptions error", "a mount option is malformed", "Correct mountOptions."),
    (
        r'Pod "\S+" is invalid',
        "the API refuses the Mount Pod: a label, env name, volume or hostname in it is not valid",
        "Correct config.yaml or the PV's volumeHandle.",
    ),
    (
        r"operation is already in progress",
        "an earlier try is still under way",
        "Wait; look at the earlier error.",
    ),
)
_NOISE = re.compile(r"<(INFO|DEBUG)>|\b(INFO|DEBUG)\b|^I\d{4} ")


def explain(text: str, table: Iterable[Symptom]) -> Symptom | None:
    """The first row of a table whose pattern is in the text."""
    return next((s for s in table if s.pattern.search(text)), None)


def telling_lines(log: Sequence[str], count: int = 5) -> tuple[str, ...]:
    """The last lines that are more than information."""
    return tuple([line for line in log if line.strip() and not _NOISE.search(line)][-count:])
