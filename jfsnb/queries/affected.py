"""Whom an edit of the configuration affects: every JuiceFS claim on every node, and the Pods that use it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jfsnb.checks.codes import Unreadable
from jfsnb.checks.parts import NotRead
from jfsnb.checks.snapshot import Snapshot, claim_key
from jfsnb.driver.config.edit import Edit
from jfsnb.driver.config.effects import Affected, Mount, alike, preview
from jfsnb.driver.mountpods.mount_pods import MountPod
from jfsnb.queries.model import Row, Table
from jfsnb.queries.mounts import app_pod_name

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
        unread: why whom it affects is not known.
    """

    everyone: tuple[Affected, ...] = ()
    claims: Table = ()
    pods: Table = ()
    unread: Unreadable | None = None


def reach(known: Snapshot, edit: Edit) -> Reach:
    """What the next Mount Pod of every JuiceFS claim would get on every node, before and after.

    What cannot be read makes it empty, and is named.
    """
    try:
        return _reach(known, edit)
    except NotRead as error:
        return Reach(unread=error.unreadable)


def _reach(known: Snapshot, edit: Edit) -> Reach:
    volumes, claims = known.pv_by_name, known.pvc_by_key
    groups = alike(edit.before, edit.after, _with_driver(known))
    bound = {claim_key(v): name for name, v in volumes.items() if claim_key(v) in claims}
    mounts = [Mount(claims[key], volumes[name], group[0]) for key, name in bound.items() for group in groups]
    is_ce = edit.image_key == "ceMountImage"
    everyone = preview(edit.before, edit.after, mounts, env=known.deployment.env, is_ce=is_ce)
    members = {g[0]["metadata"]["name"]: [str(n["metadata"]["name"]) for n in g] for g in groups}
    changing = {(a.namespace, a.claim, node): a for a in everyone if a.changes for node in members[a.node]}
    rows = _claim_rows(everyone, members, bound, known.parsed)
    return Reach(everyone, rows, _pod_rows(known, changing, {name: key for key, name in bound.items()}))


def _with_driver(known: Snapshot) -> list[Obj]:
    """Nodes that can mount: where a CSI node Pod is; all when none is known."""
    return [n for n in known.nodes if n["metadata"]["name"] in known.csi_pod_by_node] or list(known.nodes)


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
    known: Snapshot, changing: Mapping[tuple[str, str, str], Affected], claim_of: Mapping[str, tuple[str, str]]
) -> Table:
    rows: list[Row] = []
    for pod in known.parsed:
        for reference in pod.references:
            key = claim_of.get(reference.pv_name)
            affected = changing.get((*key, pod.node)) if key else None
            if affected is not None:
                rows.append(
                    {
                        "pod": app_pod_name(known, reference.pod_uid),
                        "node": pod.node,
                        "claim": f"{affected.namespace}/{affected.claim}",
                        "mount_pod": pod.name,
                        "image_now": pod.image,
                        "image_then": affected.image_then,
                    }
                )
    return tuple(sorted(rows, key=lambda r: (r["claim"], r["node"], r["pod"])))
