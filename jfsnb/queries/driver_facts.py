"""The JuiceFS CSI driver of a cluster and a claim's volume: read once per step, handed to the rules in jfsnb.driver."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from jfsnb.checks.codes import Unreadable
from jfsnb.cluster.client import Cluster
from jfsnb.driver import names
from jfsnb.driver.config.merging import DriverConfig, ImageDecision, effective_image, load
from jfsnb.driver.deployment import Deployment
from jfsnb.driver.mountpods.mount_pods import MountPod
from jfsnb.errors import ConfigInvalid, JfsnbError, NotInCluster, PermissionMissing, UnexpectedAnswer

Obj = dict[str, Any]


@dataclass(frozen=True)
class Driver:
    """The driver as its own objects describe it.

    Args:
        deployment: what its DaemonSet says.
        daemon_set: of the CSI nodes; None where there is none.
        config_map: the ConfigMap with config.yaml.
        node_pods: the CSI node Pods.
    """

    deployment: Deployment
    daemon_set: Obj | Unreadable | None
    config_map: Obj
    node_pods: tuple[Obj, ...]

    @property
    def namespace(self) -> str:
        return self.deployment.namespace

    @property
    def config_name(self) -> str:
        return str(self.config_map["metadata"]["name"])

    @property
    def config_text(self) -> str:
        return str((self.config_map.get("data") or {})[names.CONFIG_KEY])

    def config(self) -> DriverConfig:
        """Raises ConfigInvalid when config.yaml cannot be loaded."""
        return load(self.config_text)

    def node_pod(self, node: str) -> Obj | None:
        """The CSI node Pod of a node."""
        return next((p for p in self.node_pods if p["spec"].get("nodeName") == node), None)


@dataclass(frozen=True)
class Volume:
    """A claim, its volume, and whether that is of the community edition."""

    claim: Obj
    pv: Obj
    is_ce: bool = True

    @property
    def name(self) -> str:
        return str(self.pv["metadata"]["name"])

    @property
    def claim_name(self) -> str:
        return str(self.claim["metadata"]["name"])

    @property
    def handle(self) -> str:
        return str(self.pv["spec"]["csi"].get("volumeHandle", ""))


def find_driver(cluster: Cluster, namespace: str = "") -> Driver:
    """Find the driver by its CSI node Pods or, where no node has one, by their DaemonSet.

    Args:
        namespace: look only there; empty: everywhere.

    Raises:
        NotInCluster: neither is there, or their ConfigMap is not.
        UsageError: nothing tells which of several namespaces is meant.
    """
    try:
        pods = cluster.list("pods", namespace, labels=names.CSI_NODE_SELECTOR)
    except PermissionMissing as error:
        raise PermissionMissing(error.what, "ask for this permission, or give driver_namespace") from error
    alone = None if pods else _daemon_set_alone(cluster, namespace)
    spaces = sorted({o["metadata"]["namespace"] for o in (*pods, *([alone] if alone else ()))})
    if len(spaces) > 1:
        raise NotInCluster(
            f"JuiceFS CSI drivers in several namespaces: {', '.join(spaces)}", "set driver_namespace to one of them"
        )
    daemon_set: Obj | Unreadable | None = alone or _daemon_set_of(cluster, pods[0])
    told = daemon_set if isinstance(daemon_set, dict) else pods[0]
    deployment = replace(Deployment.from_object(told), namespace=spaces[0])
    name = deployment.config_map or names.CONFIG_MAP
    config_map = cluster.find("configmaps", spaces[0], name)
    if config_map is None:
        raise NotInCluster(
            f"the driver's ConfigMap {spaces[0]}/{name} is not there",
            "drivers before 0.24 have none: upgrade the driver",
        )
    if names.CONFIG_KEY not in (config_map.get("data") or {}):
        raise ConfigInvalid(
            f"ConfigMap {spaces[0]}/{name} has no key {names.CONFIG_KEY}", "add it; {} is a valid content"
        )
    return Driver(deployment, daemon_set, config_map, tuple(pods))


def _daemon_set_of(cluster: Cluster, pod: Obj) -> Obj | Unreadable | None:
    """The DaemonSet of a CSI node Pod; where it may not be read, its Pods say nearly as much."""
    meta = pod["metadata"]
    owner = next((o["name"] for o in meta.get("ownerReferences") or () if o["kind"] == "DaemonSet"), "")
    try:
        return cluster.find("daemonsets", meta["namespace"], owner or names.CSI_NODE_DAEMON_SET)
    except PermissionMissing as error:
        return Unreadable(error.what)


def _daemon_set_alone(cluster: Cluster, namespace: str) -> Obj:
    """The DaemonSet of CSI nodes that no node has a Pod of.

    Raises:
        NotInCluster: there is none. UnexpectedAnswer: it has Pods, and the list of Pods does not have them.
    """
    where = f"in namespace {namespace}" if namespace else "in this cluster"
    what = f"no JuiceFS CSI node Pods ({names.CSI_NODE_SELECTOR}) {where}"
    try:
        found = [d for d in cluster.list("daemonsets", namespace) if _is_csi_node(d)]
    except PermissionMissing as error:
        found = _by_usual_name(cluster, [namespace] if namespace else _USUAL_NAMESPACES)
        if not found:
            raise NotInCluster(
                f"{what}; whether their DaemonSet is there could not be seen: {error.what}",
                "set driver_namespace, or ask for the permission to list DaemonSets",
            ) from error
    if not found:
        raise NotInCluster(
            f"{what}, and no DaemonSet of them", "install the JuiceFS CSI driver, or set driver_namespace"
        )
    scheduled = (found[0].get("status") or {}).get("currentNumberScheduled") or 0
    if scheduled:
        raise UnexpectedAnswer(
            f"{what}, but their DaemonSet has {scheduled} on nodes: one of the two answers is not the truth",
            "try again; what stands between here and the API server?",
        )
    return {"kind": "DaemonSet", **found[0]}


#: Where the driver's manifests, and most people, put it.
_USUAL_NAMESPACES = ("kube-system", "juicefs-system")


def _by_usual_name(cluster: Cluster, namespaces: Iterable[str]) -> list[Obj]:
    found = []
    for namespace in namespaces:
        with contextlib.suppress(PermissionMissing):
            found.append(cluster.find("daemonsets", namespace, names.CSI_NODE_DAEMON_SET))
    return [d for d in found if d is not None]


def _is_csi_node(daemon_set: Obj) -> bool:
    key, _, value = names.CSI_NODE_SELECTOR.partition("=")
    selected = ((daemon_set.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    return selected.get(key) == value


def find_volume(cluster: Cluster, namespace: str, claim: str) -> Volume:
    """A claim and the JuiceFS volume that it is bound to.

    Raises:
        NotInCluster: no such claim, not bound, or not a volume of this driver.
    """
    pvc = bound(cluster.find("persistentvolumeclaims", namespace, claim), namespace, claim)
    pv = cluster.get("persistentvolumes", name=pvc["spec"]["volumeName"])
    csi = pv["spec"].get("csi") or {}
    if csi.get("driver") != names.DRIVER:
        ours = find_driver(cluster).deployment.driver_name  # which may have another name
        if csi.get("driver") != ours:
            raise not_ours(pv["metadata"]["name"], csi.get("driver") or "no CSI driver", ours)
    return Volume(pvc, pv, _is_ce(cluster, csi))


def bound(pvc: Obj | None, namespace: str, claim: str) -> Obj:
    """The claim, when it is there and bound. Raises NotInCluster otherwise."""
    if pvc is None:
        raise NotInCluster(
            f"there is no PersistentVolumeClaim {namespace}/{claim}", "set pvc to an existing one, or storage_class"
        )
    phase = (pvc.get("status") or {}).get("phase", "unknown")
    if not (pvc.get("spec") or {}).get("volumeName", "") or phase != "Bound":
        raise NotInCluster(
            f"PersistentVolumeClaim {namespace}/{claim} is not bound (phase {phase})",
            f"look at its events: kubectl -n {namespace} describe pvc {claim}",
        )
    return pvc


def not_ours(pv: str, driver: str = "another driver", ours: str = names.DRIVER) -> NotInCluster:
    """The error for a volume that no JuiceFS client serves."""
    return NotInCluster(
        f"PersistentVolume {pv} belongs to {driver}, not to {ours}", "set pvc to a claim on a JuiceFS volume"
    )


def _is_ce(cluster: Cluster, csi: Mapping[str, Any]) -> bool:
    """Community edition, by the driver's own test: its Secret has a metaurl. Where that cannot be read: yes."""
    ref = csi.get("nodePublishSecretRef") or {}
    if not ref:
        return True
    try:
        secret = cluster.find("secrets", ref.get("namespace", ""), ref.get("name", ""))
    except PermissionMissing:
        return True
    return secret is None or "metaurl" in (secret.get("data") or {})


def mount_pods(cluster: Cluster, driver: Driver, unique_id: str = "") -> dict[str, Obj]:
    """Mount Pods by name, of one unique id or all."""
    items = cluster.list("pods", driver.namespace, labels=names.mount_pod_selector(unique_id))
    return {p["metadata"]["name"]: p for p in items}


def facts_of(pods: Mapping[str, Obj]) -> tuple[MountPod, ...]:
    return tuple(MountPod.from_object(p) for p in pods.values())


def decide_image(
    cluster: Cluster, driver: Driver, config: DriverConfig, volume: Volume, node: Obj | None
) -> ImageDecision:
    """Which image the next Mount Pod of a volume on a node would get, and why.

    The driver's default may be baked into its image; only then a CSI node Pod is asked.
    """
    found = effective_image(config, volume.claim, node, pv=volume.pv, env=driver.deployment.env, is_ce=volume.is_ce)
    if found.certain:
        return found
    name = node["metadata"]["name"] if node else ""
    asked = driver.node_pod(name) or next(iter(driver.node_pods), None)
    if asked is None:
        return found
    try:
        answer = cluster.execute(
            asked["metadata"]["namespace"],
            asked["metadata"]["name"],
            ["sh", "-c", "env | grep -E '^JUICEFS_(CE_|EE_)?MOUNT_IMAGE='"],
            names.PLUGIN_CONTAINER,
            seconds=5,
        )
    except JfsnbError:
        return found
    env = dict(line.split("=", 1) for line in answer.stdout.splitlines() if "=" in line)
    merged = {**env, **driver.deployment.env}
    return effective_image(config, volume.claim, node, pv=volume.pv, env=merged, is_ce=volume.is_ce)
