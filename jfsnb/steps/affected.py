"""Whom an edit of the configuration affects: every JuiceFS claim, with its image now and then."""

from __future__ import annotations

from collections import Counter
from typing import Any

from jfsnb.driver import names
from jfsnb.driver.config_edit import Edit
from jfsnb.driver.edit_effects import Affected, Mount, preview
from jfsnb.errors import PermissionMissing
from jfsnb.kube.cluster import Cluster
from jfsnb.steps import driver as driver_facts
from jfsnb.steps.driver import Driver
from jfsnb.steps.model import Table

Obj = dict[str, Any]


def affected(cluster: Cluster, driver: Driver, edit: Edit) -> tuple[Affected, ...]:
    """What the next Mount Pod of every JuiceFS claim would get, before and after.

    Nodes are left out of account: an entry with a nodeSelector may decide otherwise on some of them. Without the
    permission to read all claims it is empty, and the preflight has said so.
    """
    try:
        volumes = [v for v in cluster.list("persistentvolumes") if _is_juicefs(v)]
        claims = {(c["metadata"]["namespace"], c["metadata"]["name"]): c for c in _claims(cluster)}
    except PermissionMissing:
        return ()
    mounts = []
    for pv in volumes:
        ref = pv["spec"].get("claimRef") or {}
        claim = claims.get((ref.get("namespace", ""), ref.get("name", "")))
        if claim is not None:
            mounts.append(Mount(claim, pv))
    is_ce = edit.image_key == "ceMountImage"
    return preview(edit.before, edit.after, mounts, env=driver.deployment.env, is_ce=is_ce)


def _claims(cluster: Cluster) -> list[Obj]:
    return cluster.list("persistentvolumeclaims")


def rows_of(cluster: Cluster, driver: Driver, found: tuple[Affected, ...]) -> Table:
    """Those that change: claim, namespace, image_now, image_then, running_mount_pods."""
    running: Counter[str] = Counter()
    for pod in driver_facts.facts_of(driver_facts.mount_pods(cluster, driver)):
        running.update({r.pv_name for r in pod.references})
    by_claim = {
        ((v["spec"].get("claimRef") or {}).get("namespace"), (v["spec"].get("claimRef") or {}).get("name")): v
        for v in cluster.list("persistentvolumes")
    }
    return tuple(
        {
            "claim": a.claim,
            "namespace": a.namespace,
            "image_now": a.image_now,
            "image_then": a.image_then,
            "running_mount_pods": running[by_claim[a.namespace, a.claim]["metadata"]["name"]],
        }
        for a in sorted(found, key=lambda a: (a.namespace, a.claim))
        if a.changes
    )


def _is_juicefs(pv: Obj) -> bool:
    return (pv["spec"].get("csi") or {}).get("driver") == names.DRIVER
