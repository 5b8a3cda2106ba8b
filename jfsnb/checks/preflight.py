"""Can this run work here? Asked before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jfsnb.checks.codes import Unreadable, register, result, unreadable
from jfsnb.checks.model import CheckResult, Evidence, Verdict
from jfsnb.driver import names
from jfsnb.driver.config import merging as config
from jfsnb.driver.deployment import Deployment
from jfsnb.driver.images import same_image
from jfsnb.driver.placing import taint_words, tolerated
from jfsnb.errors import ConfigInvalid

DRIVER = register(
    "JFS-PRE-001",
    "The JuiceFS CSI driver is installed",
    "There is no CSIDriver object or no DaemonSet of CSI nodes.",
    "Install the JuiceFS CSI driver, or give driver_namespace.",
)
MODE = register(
    "JFS-PRE-002",
    "The driver runs clients in Mount Pods",
    "In process mode the client runs in the CSI node Pod, and ceMountImage does nothing.",
    "Use another cluster; Mount Pod mode is the default of the driver.",
)
VERSION = register(
    "JFS-PRE-003",
    "The driver reads mountPodPatch",
    "Drivers before 0.24.0 have no global configuration.",
    "Upgrade the CSI driver.",
)
CONFIG = register(
    "JFS-PRE-004",
    "The driver can load its config.yaml",
    "It is not YAML, or a value has a type that the driver refuses; the driver keeps its old configuration.",
    "Correct config.yaml.",
)
CSI_NODE = register(
    "JFS-PRE-005",
    "A ready CSI node serves the nodes where the smoke Pods are put",
    "On every node something is in the way: taints, no CSI node Pod, one that is not ready or not registered.",
    "Look at the DaemonSet's tolerations and the CSI node Pod's log.",
)
PERMISSIONS = register(
    "JFS-PRE-006",
    "All permissions that the run needs are there",
    "The credentials in use lack permissions.",
    "Apply the RBAC manifest for this scope, or use other credentials.",
)

_FIRST_WITH_CONFIG, _FIRST_WITH_MATCH_NAME = (0, 24, 0), (0, 24, 3)
Obj = Mapping[str, Any]


def driver_installed(csi_driver: Obj | Unreadable | None, daemon_set: Obj | Unreadable | None) -> CheckResult:
    """CSIDriver object and DaemonSet are there. None stands for one that is not."""
    for facts in (csi_driver, daemon_set):
        if isinstance(facts, Unreadable):
            return unreadable(DRIVER, facts)
    if csi_driver is None:
        name = Deployment.from_object(daemon_set).driver_name if isinstance(daemon_set, Mapping) else names.DRIVER
        return result(DRIVER, Verdict.FAIL, f"there is no CSIDriver {name}")
    if daemon_set is None or isinstance(daemon_set, Unreadable):
        return result(DRIVER, Verdict.FAIL, "there is no DaemonSet of CSI nodes")
    found = Deployment.from_object(daemon_set)
    evidence = [Evidence(f"daemonset/{daemon_set['metadata']['name']}", "image", found.image)]
    return result(DRIVER, Verdict.PASS, f"{found.image} in namespace {found.namespace}", evidence)


def mount_pod_mode(driver: Deployment | Unreadable) -> CheckResult:
    """Mount Pod mode, not process mode."""
    if isinstance(driver, Unreadable):
        return unreadable(MODE, driver)
    if driver.process_mode:
        return result(MODE, Verdict.FAIL, "the driver runs with --by-process")
    evidence = [Evidence("CSI driver", f"arguments of {names.PLUGIN_CONTAINER}", "no --by-process")]
    return result(MODE, Verdict.PASS, "Mount Pod mode", evidence)


def config_known(driver: Deployment | Unreadable, scope: str = "canary") -> CheckResult:
    """The driver is new enough for mountPodPatch, and for matchName when the scope is canary."""
    if isinstance(driver, Unreadable):
        return unreadable(VERSION, driver)
    evidence = [Evidence("CSI driver", "image", driver.image), Evidence("CSI driver", "ConfigMap", driver.config_map)]
    if not driver.config_map:
        return result(VERSION, Verdict.FAIL, f"{driver.image} mounts no ConfigMap as its configuration", evidence)
    if driver.version is None:
        return result(VERSION, Verdict.PASS, f"it mounts ConfigMap {driver.config_map}", evidence)
    shown = ".".join(map(str, driver.version))
    needed = _FIRST_WITH_MATCH_NAME if scope == "canary" else _FIRST_WITH_CONFIG
    if driver.version < needed:
        wanted = ".".join(map(str, needed))
        return result(VERSION, Verdict.FAIL, f"driver {shown}; scope {scope} needs {wanted}", evidence)
    return result(VERSION, Verdict.PASS, f"driver {shown}, ConfigMap {driver.config_map}", evidence)


def config_loads(text: str | Unreadable | None) -> CheckResult:
    """config.yaml loads as the driver loads it. None: the ConfigMap or its key is not there."""
    if isinstance(text, Unreadable):
        return unreadable(CONFIG, text)
    if text is None:
        return result(CONFIG, Verdict.FAIL, f"there is no {names.CONFIG_KEY}")
    try:
        loaded = config.load(text)
    except ConfigInvalid as error:
        return result(CONFIG, Verdict.FAIL, error.what, next_action=error.next_step)
    odd = [f"{u.path} (line {u.line})" + (f", did you mean {u.hint}?" if u.hint else "") for u in loaded.unknown]
    odd += [f"{path} stands there twice, the last one counts" for path in loaded.repeated]
    evidence = [Evidence("config.yaml", "ignored", item) for item in odd]
    if odd:
        return result(CONFIG, Verdict.WARN, f"the driver ignores {odd[0]}", evidence, "Correct or remove the keys.")
    evidence = [Evidence("config.yaml", "mountPodPatch", f"{len(loaded.entries)} entries, no unknown key")]
    return result(CONFIG, Verdict.PASS, f"{len(loaded.entries)} entries of mountPodPatch", evidence)


@dataclass(frozen=True)
class Landing:
    """A node where a smoke Pod may be put.

    Args:
        problem: why its volume could not be mounted there, or why the Pod cannot be put there; empty when nothing is
            known to be in the way.
        image: whether the node has the image already, in words; empty when it does not tell.
    """

    node: str
    problem: str = ""
    image: str = ""


def landing(
    node: Obj, smoke_pod: Obj, csi_pod: Obj | None, registered: bool, why_no_csi_pod: str = "", image: str = ""
) -> Landing:
    """What is known of one node.

    Args:
        node: the Node. smoke_pod: that is to be put somewhere.
        csi_pod: the CSI node Pod there; None when there is none, for the reason ``why_no_csi_pod``.
        registered: whether the node's CSINode lists the driver.
        image: the smoke Pod's.
    """
    name, spec = node["metadata"]["name"], smoke_pod.get("spec") or {}
    labels = node["metadata"].get("labels") or {}
    missing = [f"{k}={v}" for k, v in (spec.get("nodeSelector") or {}).items() if labels.get(k) != v]
    taints = [t for t in (node.get("spec") or {}).get("taints") or () if t.get("effect") in ("NoSchedule", "NoExecute")]
    taint = next((t for t in taints if not tolerated(t, spec)), None)
    problem = ""
    if not is_ready(node):
        problem = "the node is not Ready"
    elif missing:
        problem = f"the smoke Pod's nodeSelector wants {', '.join(missing)}"
    elif taint is not None:
        problem = f"the smoke Pod does not tolerate taint {taint_words(taint)}"
    elif csi_pod is None:
        problem = "no CSI node Pod" + (f": {why_no_csi_pod}" if why_no_csi_pod else "")
    elif not is_ready(csi_pod) or csi_pod["metadata"].get("deletionTimestamp"):
        problem = f"{csi_pod['metadata']['name']} is not ready"
    elif not registered:
        problem = "the driver is not registered with the kubelet"
    return Landing(name, problem, _has_image(node, image))


def _has_image(node: Obj, image: str) -> str:
    """Nodes list their largest images only."""
    listed = [name for one in (node.get("status") or {}).get("images") or () for name in one.get("names") or ()]
    if not listed or not image:
        return ""
    return "the image is there" if any(same_image(image, name) for name in listed) else "the image must be pulled"


def csi_nodes_ready(nodes: Sequence[Landing] | Unreadable) -> CheckResult:
    """Where the smoke Pods may be put their volume can be mounted; each node that is left out is named, and why.

    Args:
        nodes: all of the cluster.
    """
    if isinstance(nodes, Unreadable):
        return unreadable(CSI_NODE, nodes)
    good, bad = [n for n in nodes if not n.problem], [n for n in nodes if n.problem]
    evidence = [
        Evidence(f"node/{n.node}", "CSI node", f"ready, registered{', ' * bool(n.image)}{n.image}") for n in good
    ]
    evidence += [Evidence(f"node/{n.node}", "left out", n.problem) for n in bad]
    if good:
        out = f"; {len(bad)} are left out: {bad[0].node}: {bad[0].problem}" if bad else ""
        return result(
            CSI_NODE, Verdict.PASS, f"ready and registered on {len(good)} of {len(nodes)} nodes{out}", evidence
        )
    if not bad:
        return result(CSI_NODE, Verdict.FAIL, "the cluster has no node", [Evidence("nodes", "list", "empty")])
    reason = "; ".join(f"{n.node}: {n.problem}" for n in bad[:4]) + (
        f"; and {len(bad) - 4} more" if len(bad) > 4 else ""
    )
    return result(CSI_NODE, Verdict.FAIL, reason, evidence)


def permissions(allowed: Mapping[str, bool | None]) -> CheckResult:
    """Every permission is granted.

    Args:
        allowed: permission in words (``patch configmaps in kube-system``) → granted; None where the cluster did not
            say.
    """
    missing = [what for what, granted in allowed.items() if granted is False]
    unknown = [what for what, granted in allowed.items() if granted is None]
    evidence = [Evidence("permission", what, "missing") for what in missing]
    evidence += [Evidence("permission", what, "not known") for what in unknown]
    if missing:
        return result(PERMISSIONS, Verdict.FAIL, f"missing: {', '.join(missing)}", evidence)
    if unknown:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        reason = f"could not look: the cluster does not say whether these credentials may {unknown[0]}{more}"
        return result(PERMISSIONS, Verdict.ERROR, reason, evidence, "Ask whether SelfSubjectAccessReviews are allowed.")
    granted = [Evidence("permission", what, "granted") for what in allowed]
    return result(PERMISSIONS, Verdict.PASS, f"all {len(allowed)} are granted", granted)


def is_ready(pod: Obj) -> bool:
    """Condition Ready is True."""
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)
