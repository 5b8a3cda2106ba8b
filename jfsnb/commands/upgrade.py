"""`jfsnb upgrade TARGET`: which Mount Pods a Pod, a claim, a Mount Pod or a node means, and a run for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jfsnb.commands.run import IN_AN_UPGRADE, connected, run
from jfsnb.driver.mountpods.mount_pods import MountPod
from jfsnb.errors import NotInCluster, UsageError
from jfsnb.queries import driver_facts
from jfsnb.settings import Settings

Obj = dict[str, Any]
#: The worst exit code of several runs counts: wrong first, then not judged.
_BADNESS = (0, 3, 1, 2, 143, 130)


def upgrade(target: str, values: Mapping[str, Any], strict: bool = False, baseline: str = "") -> int:
    """Upgrade what is meant, one Mount Pod after the other; the exit code of the worst run.

    Args:
        target: ``pod/x``, ``pvc/x``, ``node/x``, ``mountpod/x``, or a bare name; empty: the claim of the settings.

    Raises:
        NotInCluster: nothing of that name, or nobody is served there.
    """
    if not target:
        return run(values, strict, baseline=baseline, notebooks=IN_AN_UPGRADE)
    settings = Settings.from_mapping({k: v for k, v in values.items() if v is not None})
    worst = 0
    for place in targets(connected(settings), settings, target):
        code = run({**values, **place}, strict, baseline=baseline, notebooks=IN_AN_UPGRADE)
        worst = max(worst, code, key=_BADNESS.index)
        if code:
            break  # the first that does not pass ends it: the others stay as they are
    return worst


def targets(cluster: Any, settings: Settings, target: str) -> list[dict[str, str]]:
    """Settings ``target``, ``pvc`` and ``namespace`` for each Mount Pod that is meant.

    Raises:
        NotInCluster, UsageError: see ``upgrade``.
    """
    driver = driver_facts.find_driver(cluster, settings.driver_namespace)
    pods = driver_facts.facts_of(driver_facts.mount_pods(cluster, driver))
    kind, _, name = target.rpartition("/")
    meant = _meant(cluster, settings, kind, name, pods)
    if not meant:
        raise NotInCluster(f"{target}: no Mount Pod serves it", "see who serves whom: jfsnb mounts")
    volumes = {v["metadata"]["name"]: v for v in cluster.list("persistentvolumes")}
    return [_place(pod, volumes) for pod in sorted(meant, key=lambda p: p.name)]


def _meant(cluster: Any, settings: Settings, kind: str, name: str, pods: tuple[MountPod, ...]) -> list[MountPod]:
    live = [p for p in pods if p.references and not p.deleting]
    if kind in ("mountpod", "") and any(p.name == name for p in pods):
        return [p for p in live if p.name == name]
    if kind == "node":
        return [p for p in live if p.node == name]
    if kind in ("pod", "") and (app := cluster.find("pods", settings.namespace, name)) is not None:
        return [p for p in live if any(r.pod_uid == app["metadata"]["uid"] for r in p.references)]
    if kind in ("pvc", ""):
        claim = cluster.find("persistentvolumeclaims", settings.namespace, name)
        volume = ((claim or {}).get("spec") or {}).get("volumeName", "")
        return [p for p in live if volume and any(r.pv_name == volume for r in p.references)]
    if kind not in ("pod", "mountpod"):
        raise UsageError(f"{kind}/{name} cannot be upgraded", "name pod/x, pvc/x, mountpod/x or node/x")
    return []


def _place(pod: MountPod, volumes: Mapping[str, Obj]) -> dict[str, str]:
    claims = [((volumes.get(r.pv_name) or {}).get("spec") or {}).get("claimRef") for r in pod.references]
    claim = next((c for c in claims if c), None)
    if claim is None:
        what = f"the claim of Mount Pod {pod.name} is not there, so no app of ours could be served by it"
        raise NotInCluster(what, "see who serves whom: jfsnb mounts")
    return {"target": pod.name, "pvc": claim["name"], "namespace": claim["namespace"]}
