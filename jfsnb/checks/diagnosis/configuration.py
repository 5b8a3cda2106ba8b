"""Diagnosis: does the configuration say what it should, and has each CSI node got it? (D2-D4, D13, D14, D27)"""

from __future__ import annotations

from collections.abc import Iterator

from jfsnb.checks.codes import result
from jfsnb.checks.configured import REJECTED, node_config
from jfsnb.checks.diagnosis.snapshot import Snapshot, rule
from jfsnb.checks.model import CheckResult, Evidence, Verdict
from jfsnb.checks.refused import refused_classes, refused_volumes
from jfsnb.driver import names
from jfsnb.driver.config.effects import drift
from jfsnb.driver.config.merging import load
from jfsnb.driver.config.traps import config_warnings
from jfsnb.driver.deployment import managed_by
from jfsnb.errors import ConfigInvalid


@rule(
    "JFS-CFG-101",
    "config.yaml can be loaded",
    "It is not YAML or has a value of a wrong type; running CSI nodes keep the old one, restarted ones crash.",
    "Correct config.yaml.",
    needs=["config_map"],
)
def invalid(snapshot: Snapshot) -> Iterator[CheckResult]:
    if snapshot.config_text is None:
        return
    try:
        load(snapshot.config_text)
    except ConfigInvalid as error:
        evidence = [Evidence(f"configmap/{_name(snapshot)}", names.CONFIG_KEY, error.what)]
        yield result("JFS-CFG-101", Verdict.FAIL, error.what, evidence)


@rule(
    "JFS-CFG-102",
    "Every CSI node has the configuration of the ConfigMap",
    "The kubelet has not synced it yet, the driver rejected it, or reads another ConfigMap.",
    "Wait a minute; annotate the CSI node Pod to hurry the kubelet; correct config.yaml if it was rejected.",
    needs=["config_map", "csi_files"],
)
def not_in_force(snapshot: Snapshot) -> Iterator[CheckResult]:
    if snapshot.config_text is None:
        return
    for pod, file in snapshot.csi_files.items():
        log = snapshot.csi_logs.get(pod, ())
        found = node_config(_node_of(snapshot, pod), pod, snapshot.config_text, file, log)
        evidence = [Evidence(f"pod/{pod}", names.CONFIG_PATH, found.detail)]
        if found.state == REJECTED:
            yield result("JFS-CFG-102", Verdict.FAIL, f"{found.node}: the driver rejected it: {found.detail}", evidence)
        elif file != snapshot.config_text:
            yield result("JFS-CFG-102", Verdict.NOT_READY, f"{found.node} has another config.yaml", evidence)


@rule(
    "JFS-CFG-103",
    "Nothing in config.yaml is ignored in silence",
    "Misspelt keys, labels beside matchStorageClassName, volumeMounts without their volume are dropped without a word.",
    "Correct the named place.",
    needs=["config_map"],
)
def traps(snapshot: Snapshot) -> Iterator[CheckResult]:
    for warning in config_warnings(snapshot.config) if snapshot.config else ():
        evidence = [Evidence(f"configmap/{_name(snapshot)}", names.CONFIG_KEY, warning)]
        yield result("JFS-CFG-103", Verdict.WARN, warning, evidence)


@rule(
    "JFS-CFG-104",
    "Re-created Mount Pods get the current configuration",
    "The driver swallowed an error while applying config.yaml and made the Mount Pod with its old spec.",
    "Correct the entry that the log names; upgrade drivers before 0.25.2.",
    needs=["csi_logs"],
)
def patch_swallowed(snapshot: Snapshot) -> Iterator[CheckResult]:
    for pod, lines in snapshot.csi_logs.items():
        found = [line for line in lines if "apply config patch error, will ignore" in line]
        if found:
            evidence = [Evidence(f"pod/{pod}", "log", found[-1])]
            yield result("JFS-CFG-104", Verdict.FAIL, f"{_node_of(snapshot, pod)}: {found[-1]}", evidence)


@rule(
    "JFS-CFG-105",
    "Edits of the ConfigMap will last",
    "Helm, a GitOps tool or the next kubectl apply writes the ConfigMap again.",
    "Put the change where the owner takes it from (Helm values, Git).",
    needs=["config_map"],
)
def owned(snapshot: Snapshot) -> Iterator[CheckResult]:
    owner = managed_by(snapshot.config_map or {})
    if owner:
        yield result("JFS-CFG-105", Verdict.WARN, f"{owner} manages it", [Evidence(_name(snapshot), "metadata", owner)])
    drifted = drift(snapshot.config_map or {})
    if drifted:
        evidence = [Evidence(_name(snapshot), "annotation last-applied-configuration", drifted)]
        yield result("JFS-CFG-105", Verdict.WARN, drifted, evidence)


@rule(
    "JFS-CFG-106",
    "Mount options of a StorageClass reach its volumes",
    "A PV keeps a copy from the time it was made; later changes of the class do not reach it.",
    "Edit the PV's mountOptions, or make a new volume.",
    needs=["storage_classes", "pvs"],
)
def class_changed(snapshot: Snapshot) -> Iterator[CheckResult]:
    classes = {
        c["metadata"]["name"]: c for c in snapshot.storage_classes if c.get("provisioner") == snapshot.driver_name
    }
    for pv in snapshot.pvs:
        owner = classes.get(pv.get("spec", {}).get("storageClassName") or "")
        if owner is None or (pv["spec"].get("csi") or {}).get("driver") != snapshot.driver_name:
            continue
        wanted, actual = owner.get("mountOptions") or [], pv["spec"].get("mountOptions") or []
        if wanted != actual and "${" not in str(wanted):
            name = pv["metadata"]["name"]
            evidence = [Evidence(f"pv/{name}", "spec.mountOptions", ",".join(actual))]
            evidence.append(Evidence(f"storageclass/{owner['metadata']['name']}", "mountOptions", ",".join(wanted)))
            yield result("JFS-CFG-106", Verdict.WARN, f"pv/{name} has other mount options than its class", evidence)


@rule(
    "JFS-CFG-107",
    "What volumes ask for can be mounted",
    "volumeAttributes, mountOptions, PVC annotations or config.yaml hold a value that is refused before a client runs.",
    "Correct the named value in the PV (and in its StorageClass, for volumes to come), the PVC or config.yaml.",
    needs=["config_map", "pvs", "pvcs", "storage_classes"],
)
def refused(snapshot: Snapshot) -> Iterator[CheckResult]:
    for pv, why in refused_volumes(snapshot):
        name = pv["metadata"]["name"]
        evidence = [Evidence(f"pv/{name}", "spec", why)]
        yield result("JFS-CFG-107", Verdict.FAIL, f"mounts of pv/{name} would fail: {why}", evidence)
    for storage_class, why in refused_classes(snapshot):
        name = storage_class["metadata"]["name"]
        evidence = [Evidence(f"storageclass/{name}", "parameters", why)]
        yield result("JFS-CFG-107", Verdict.WARN, f"mounts of volumes of {name} would fail: {why}", evidence)


def _name(snapshot: Snapshot) -> str:
    return str((snapshot.config_map or {}).get("metadata", {}).get("name", names.CONFIG_MAP))


def _node_of(snapshot: Snapshot, csi_pod: str) -> str:
    found = (n for n, p in snapshot.csi_pod_by_node.items() if p["metadata"]["name"] == csi_pod)
    return next(found, csi_pod)
