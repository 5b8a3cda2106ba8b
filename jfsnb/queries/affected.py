"""Whom an edit of the configuration affects: every JuiceFS claim on every node, and the Pods that use it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jfsnb.cluster.client import Cluster
from jfsnb.driver import names
from jfsnb.driver.config.edit import Edit
from jfsnb.driver.config.effects import Affected, Mount, alike, preview
from jfsnb.driver.mountpods.mount_pods import MountPod
from jfsnb.errors import JfsnbError, PermissionMissing
from jfsnb.queries import driver_facts
from jfsnb.queries.driver_facts import Driver
from jfsnb.queries.model import Row, Table

Obj = dict[str, Any]
ALL = "all"


@dataclass(frozen=True)
class Reach:
    """How far an edit reaches.

    Args:
        everyone: each claim on one node of each group of nodes for which the configuration decides alike.
        claims: those that change: claim, namespace, nodes, image_now, image_then, running_mount_pods.
        pods: who uses them now, and keeps its client until it is made anew: pod, node, claim, mount_pod, image_now,
            image_then.
    """

    everyone: tuple[Affected, ...] = ()
    claims: Table = ()
    pods: Table = ()


def reach(cluster: Cluster, driver: Driver, edit: Edit) -> Reach:
    """What the next Mount Pod of every JuiceFS claim would get on every node, before and after.

    Without the permission to read all claims it is empty, and the preflight has said so.
    """
    try:
        volumes = {v["metadata"]["name"]: v for v in cluster.list("persistentvolumes") if _is_juicefs(v)}
        claims = {
            (c["metadata"]["namespace"], c["metadata"]["name"]): c for c in cluster.list("persistentvolumeclaims")
        }
        nodes = cluster.list("nodes")
    except PermissionMissing:
        return Reach()
    groups = alike(edit.before, edit.after, _with_driver(driver, nodes))
    bound = {_claim_of(v): name for name, v in volumes.items() if _claim_of(v) in claims}
    mounts = [Mount(claims[key], volumes[name], group[0]) for key, name in bound.items() for group in groups]
    is_ce = edit.image_key == "ceMountImage"
    everyone = preview(edit.before, edit.after, mounts, env=driver.deployment.env, is_ce=is_ce)
    members = {g[0]["metadata"]["name"]: [str(n["metadata"]["name"]) for n in g] for g in groups}
    changing = {(a.namespace, a.claim, node): a for a in everyone if a.changes for node in members[a.node]}
    pods = driver_facts.facts_of(driver_facts.mount_pods(cluster, driver))
    rows = _claim_rows(everyone, members, bound, pods)
    return Reach(everyone, rows, _pod_rows(cluster, changing, {name: key for key, name in bound.items()}, pods))


def _with_driver(driver: Driver, nodes: list[Obj]) -> list[Obj]:
    """Nodes that can mount: where a CSI node Pod is; all when none is known."""
    having = {p["spec"].get("nodeName") for p in driver.node_pods}
    return [n for n in nodes if n["metadata"]["name"] in having] or nodes


def _claim_rows(
    everyone: tuple[Affected, ...],
    members: Mapping[str, list[str]],
    bound: Mapping[tuple[str, str], str],
    pods: tuple[MountPod, ...],
) -> Table:
    running: dict[str, list[MountPod]] = defaultdict(list)
    for pod in pods:
        for pv_name in {r.pv_name for r in pod.references}:
            running[pv_name].append(pod)
    total = sum(map(len, members.values()))
    found: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    for one in everyone:
        if one.changes:
            found[one.namespace, one.claim, one.image_now, one.image_then] += members[one.node]
    return tuple(
        {
            "claim": claim,
            "namespace": namespace,
            "nodes": ALL if len(nodes) == total else ", ".join(sorted(nodes)),
            "image_now": now,
            "image_then": then,
            "running_mount_pods": sum(p.node in nodes for p in running[bound[namespace, claim]]),
        }
        for (namespace, claim, now, then), nodes in sorted(found.items())
    )


def _pod_rows(
    cluster: Cluster,
    changing: Mapping[tuple[str, str, str], Affected],
    claim_of: Mapping[str, tuple[str, str]],
    pods: tuple[MountPod, ...],
) -> Table:
    users = _users(cluster)
    rows: list[Row] = []
    for pod in pods:
        for reference in pod.references:
            key = claim_of.get(reference.pv_name)
            affected = changing.get((*key, pod.node)) if key else None
            if affected is not None:
                rows.append(
                    {
                        "pod": users.get(reference.pod_uid, f"(not known: {reference.pod_uid[:8]})"),
                        "node": pod.node,
                        "claim": f"{affected.namespace}/{affected.claim}",
                        "mount_pod": pod.name,
                        "image_now": pod.image,
                        "image_then": affected.image_then,
                    }
                )
    return tuple(sorted(rows, key=lambda r: (r["claim"], r["node"], r["pod"])))


def _users(cluster: Cluster) -> dict[str, str]:
    try:
        pages = cluster.pages("pods", labels=names.UNIQUE_ID, metadata_only=True)
        metas = (item["metadata"] for page in pages for item in page)
        return {m["uid"]: f"{m['namespace']}/{m['name']}" for m in metas}
    except JfsnbError:
        return {}


def _claim_of(pv: Obj) -> tuple[str, str]:
    ref = pv["spec"].get("claimRef") or {}
    return ref.get("namespace", ""), ref.get("name", "")


def _is_juicefs(pv: Obj) -> bool:
    return (pv["spec"].get("csi") or {}).get("driver") == names.DRIVER
