"""What the read-only questions know of a cluster: its driver, nodes, volumes and claims, and what each node goes by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from jfsnb.checks.codes import Unreadable
from jfsnb.cluster.client import Cluster
from jfsnb.driver import names
from jfsnb.driver.config.merging import DriverConfig, ImageDecision, MergedPatch, effective_image, merge
from jfsnb.driver.mountpods.mount_pods import MountPod
from jfsnb.driver.settings.next_mount import NextMount, next_hash
from jfsnb.driver.settings.prediction import Prediction, predict
from jfsnb.errors import ConfigInvalid, JfsnbError
from jfsnb.queries import driver_facts
from jfsnb.queries.driver_facts import Driver
from jfsnb.queries.loaded import Loaded, loaded

Obj = dict[str, Any]


@dataclass(frozen=True)
class Inventory:
    """Read once for a question.

    Args:
        nodes, pvs: by name; of the PVs the driver's only. claims: by (namespace, name), JuiceFS's only.
        users: UID → namespace/name of app Pods that use JuiceFS; Unreadable when they may not be listed.
        config: of the ConfigMap; None when it cannot be loaded.
        loaded: node → what its CSI node Pod has loaded.
    """

    cluster: Cluster
    driver: Driver
    nodes: Mapping[str, Obj]
    pvs: Mapping[str, Obj]
    claims: Mapping[tuple[str, str], Obj]
    users: Mapping[str, str] | Unreadable
    config: DriverConfig | None
    loaded: Mapping[str, Loaded]
    _decided: dict[tuple[str, str, bool, bool], ImageDecision | Unreadable] = field(default_factory=dict)

    @classmethod
    def of(cls, cluster: Cluster, driver_namespace: str = "", *, ask_nodes: bool = True) -> Inventory:
        """Lists in parallel.

        Args:
            ask_nodes: also look into the CSI node Pods.

        Raises:
            NotInCluster: no driver. PermissionMissing: a list that nothing can do without.
        """
        driver = driver_facts.find_driver(cluster, driver_namespace)
        with ThreadPoolExecutor(4) as pool:
            nodes_listed = pool.submit(cluster.list, "nodes")
            pvs_listed = pool.submit(_volumes, cluster)
            claims_listed = pool.submit(_claims, cluster)
            users_listed = pool.submit(_users, cluster)
            nodes = {n["metadata"]["name"]: n for n in nodes_listed.result()}
            has = loaded(cluster, driver, nodes) if ask_nodes else {}
            pvs, claims = pvs_listed.result(), claims_listed.result()
            return cls(cluster, driver, nodes, pvs, claims, users_listed.result(), _config(driver), has)

    def mount_pods(self, labels: str = "") -> Iterator[tuple[Obj, MountPod]]:
        """Objects and facts, page by page, so that a big cluster's objects are not all held in memory."""
        selector = names.MOUNT_POD_SELECTOR + (f",{labels}" if labels else "")
        for page in self.cluster.pages("pods", self.driver.namespace, labels=selector):
            for pod in page:
                yield pod, MountPod.from_object(pod)

    def claim_of(self, pv_name: str) -> Obj | None:
        """The PVC that a PV is bound to."""
        ref = (self.pvs.get(pv_name) or {}).get("spec", {}).get("claimRef") or {}
        return self.claims.get((ref.get("namespace", ""), ref.get("name", "")))

    def claim_name(self, pv_name: str) -> str:
        """``namespace/name`` of that PVC; empty when there is none."""
        ref = (self.pvs.get(pv_name) or {}).get("spec", {}).get("claimRef") or {}
        return f"{ref['namespace']}/{ref['name']}" if ref else ""

    def app_pod(self, uid: str) -> str:
        """``namespace/name``, or that it is gone, or that it is not known."""
        if isinstance(self.users, Unreadable):
            return f"(not known: {uid[:8]})"
        return self.users.get(uid, f"(gone: {uid[:8]})")

    def config_on(self, node: str) -> DriverConfig | None:
        """What a node goes by: what it has loaded, as far as that is known, else the ConfigMap."""
        one = self.loaded.get(node)
        return one.config if one is not None and one.config is not None else self.config

    def merged(self, pv_name: str, node: str) -> MergedPatch:
        """What config.yaml, as the node has it, comes to for a volume there."""
        return merge(self.config_on(node) or DriverConfig(), self.claim_of(pv_name), self.nodes.get(node))

    def desired(self, pv_name: str, node: str, is_ce: bool, *, as_loaded: bool = False) -> ImageDecision | Unreadable:
        """The image of the next Mount Pod of a volume on a node.

        Args:
            as_loaded: by what the node has loaded, instead of what the ConfigMap says now.
        """
        key = (pv_name, node, is_ce, as_loaded)
        if key not in self._decided:
            self._decided[key] = self._decide(pv_name, node, is_ce, as_loaded)
        return self._decided[key]

    def _decide(self, pv_name: str, node: str, is_ce: bool, as_loaded: bool) -> ImageDecision | Unreadable:
        config = self.config_on(node) if as_loaded else self.config
        if config is None:
            return Unreadable("config.yaml cannot be loaded")
        pv = self.pvs.get(pv_name)
        if pv is None:
            return Unreadable(f"PV {pv_name} is not there")
        env = self.driver.deployment.env
        return effective_image(config, self.claim_of(pv_name), self.nodes.get(node), pv=pv, env=env, is_ce=is_ce)

    def next_mount(
        self, pv_name: str, node: str, candidates: list[Obj], is_ce: bool, *, exactly: bool = False
    ) -> Prediction | Unreadable:
        """Whether the next mount of a volume on a node would use one of these Mount Pods.

        Args:
            exactly: also compute the driver's hash, where its Secret may be read.
        """
        decision = self.desired(pv_name, node, is_ce, as_loaded=True)
        if isinstance(decision, Unreadable):
            return decision
        merged = self.merged(pv_name, node)
        asker = self._asker(pv_name, node, merged, decision) if exactly else lambda _: None
        return predict(candidates, merged, decision, asker)

    def _asker(
        self, pv_name: str, node: str, merged: MergedPatch, decision: ImageDecision
    ) -> Callable[[MountPod], str | None]:
        csi_pod = self.driver.node_pod(node)

        def ask(pod: MountPod) -> str | None:
            if csi_pod is None or not pod.settings_hash:
                return None
            mount = NextMount(
                pv=self.pvs[pv_name],
                pvc=self.claim_of(pv_name),
                csi_pod=csi_pod,
                namespace=self.driver.namespace,
                merged=merged,
                decision=decision,
                env=self.driver.deployment.env,
                read_only="ro" in pod.command.options,
                fs_uuid=pod.annotations.get(names.FS_UUID, ""),
            )
            secret = names.secret_name(pod.unique_id)
            try:
                return self.cluster.from_secret(
                    self.driver.namespace, secret, "jfsSettings", lambda kept: next_hash(kept, mount)
                )
            except JfsnbError:
                return None  # not readable: what can be seen decides, and the answer says so

        return ask


def _config(driver: Driver) -> DriverConfig | None:
    try:
        return driver.config()
    except ConfigInvalid:
        return None


def _volumes(cluster: Cluster) -> dict[str, Obj]:
    pages = cluster.pages("persistentvolumes")
    return {v["metadata"]["name"]: v for page in pages for v in page if _is_juicefs(v)}


def _is_juicefs(pv: Obj) -> bool:
    return (pv["spec"].get("csi") or {}).get("driver") == names.DRIVER


def _claims(cluster: Cluster) -> dict[tuple[str, str], Obj]:
    pages = cluster.pages("persistentvolumeclaims")
    return {(c["metadata"]["namespace"], c["metadata"]["name"]): c for page in pages for c in page}


def _users(cluster: Cluster) -> dict[str, str] | Unreadable:
    """The driver labels app Pods before it mounts."""
    try:
        pages = cluster.pages("pods", labels=names.UNIQUE_ID, metadata_only=True)
        metas = (item["metadata"] for page in pages for item in page)
        return {m["uid"]: f"{m['namespace']}/{m['name']}" for m in metas}
    except JfsnbError as error:
        return Unreadable(error.what)
