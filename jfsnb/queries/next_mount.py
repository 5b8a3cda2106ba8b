"""Would the next mount of a volume use this Mount Pod? One answer, for mounts, verify and explain."""

from __future__ import annotations

from collections.abc import Mapping

from jfsnb.checks.codes import Unreadable
from jfsnb.checks.refused import why_refused
from jfsnb.checks.snapshot import Snapshot
from jfsnb.driver import names
from jfsnb.driver.config.merging import ImageDecision
from jfsnb.driver.mountpods.mount_pods import MountPod
from jfsnb.driver.names import RECORDED
from jfsnb.driver.settings.next_mount import NextMount
from jfsnb.driver.settings.prediction import Prediction, predict


def next_mount(
    known: Snapshot, pv_name: str, node: str, is_ce: bool, *, recorded: bool = False
) -> Prediction | Unreadable:
    """What the next mount of a volume on a node would do: by the driver's hash where that was read, else by what shows.

    Args:
        recorded: among the Mount Pods that a sandbox only shows, of which little is there to compare; else among those
            that somebody runs.
    """
    decision = known.desired(pv_name, node, is_ce, as_loaded=True)
    if isinstance(decision, Unreadable):
        return decision
    told = known.part("next_hashes")
    hashes: Mapping[str, Mapping[str, str]] = {} if isinstance(told, Unreadable) else told
    mine = [
        known.mount_pods[at] for at in known.mount_pods_of(pv_name, node) if _is_recorded(known.parsed[at]) is recorded
    ]
    return predict(
        mine,
        known.merged(pv_name, node),
        decision,
        lambda pod: hashes.get(pod.name, {}).get(pv_name),
        lambda pod: None if recorded else facts_of(known, pv_name, pod, decision),
        why_refused(known, pv_name, node, is_ce),
    )


def _is_recorded(pod: MountPod) -> bool:
    return pod.annotations.get(RECORDED) == "true"


def facts_of(known: Snapshot, pv_name: str, pod: MountPod, decision: ImageDecision) -> NextMount | None:
    """What the next mount of a volume on a Mount Pod's node starts from; None when too little is known."""
    csi_pod, pv = known.csi_pod_by_node.get(pod.node), known.pv_by_name.get(pv_name)
    if csi_pod is None or pv is None:
        return None
    return NextMount(
        pv=pv,
        pvc=known.claim_of(pv_name),
        csi_pod=csi_pod,
        namespace=known.deployment.namespace,
        merged=known.merged(pv_name, pod.node),
        decision=decision,
        env=known.deployment.env,
        running_options=pod.command.options,
        fs_uuid=pod.annotations.get(names.FS_UUID, ""),
    )
