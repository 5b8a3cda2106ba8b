"""Would the next mount of a volume use this Mount Pod? One answer, for mounts, verify and explain."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

from jfsnb.checks.codes import Unreadable
from jfsnb.checks.refused import OWN_ATTRIBUTES, why_refused
from jfsnb.checks.snapshot import Snapshot
from jfsnb.driver import names
from jfsnb.driver.config.merging import ImageDecision
from jfsnb.driver.mountpods.mount_pods import MountPod
from jfsnb.driver.names import RECORDED
from jfsnb.driver.settings.next_mount import NextMount, visible
from jfsnb.driver.settings.prediction import Prediction, predict

T = TypeVar("T")


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
    hashes: Mapping[str, Mapping[str, str]] = {} if recorded or isinstance(told, Unreadable) else told
    mine = [
        known.mount_pods[at] for at in known.mount_pods_of(pv_name, node) if _is_recorded(known.parsed[at]) is recorded
    ]
    return predict(
        mine,
        known.merged(pv_name, node),
        decision,
        lambda pod: hashes.get(pod.name, {}).get(pv_name),
        lambda pod: {} if recorded else _visible(known, pv_name, pod, decision),
        _refused(known, pv_name, node, is_ce, decision),
    )


def _refused(known: Snapshot, pv_name: str, node: str, is_ce: bool, decision: ImageDecision) -> str:
    return _once(known, ("refused", _kind_of(known, pv_name, node, decision), is_ce), why_refused, pv_name, node, is_ce)


def _visible(known: Snapshot, pv_name: str, pod: MountPod, decision: ImageDecision) -> Mapping[str, Any]:
    """The settings of the next mount, as far as they show."""
    mount, is_ce = facts_of(known, pv_name, pod, decision), pod.command.is_ce
    if mount is None:
        return {}
    key = ("visible", _kind_of(known, pv_name, pod.node, decision), is_ce, pod.command.options.count("ro"))
    return _once(known, key, lambda *_: visible(mount, is_ce))


def _once(known: Snapshot, key: Hashable, make: Callable[..., T], *args: Any) -> T:
    """What ``make`` makes of the snapshot; once for all volumes that are alike in what it looks at."""
    if key not in known.memo:
        known.memo[key] = make(known, *args)
    found: T = known.memo[key]
    return found


def _kind_of(known: Snapshot, pv_name: str, node: str, decision: ImageDecision) -> Hashable:
    """What two volumes on a node have in common when the driver makes the same of both but for their directories."""
    spec = (known.pv_by_name.get(pv_name) or {}).get("spec") or {}
    attributes = (spec.get("csi") or {}).get("volumeAttributes") or {}
    notes = ((known.claim_of(pv_name) or {}).get("metadata") or {}).get("annotations") or {}
    matched = tuple(entry.number for entry, match in known.merged(pv_name, node).considered if match.matched)
    return (
        node,
        matched,
        decision.image,
        tuple(sorted(item for item in attributes.items() if item[0] not in OWN_ATTRIBUTES)),
        tuple(spec.get("mountOptions") or ()),
        tuple(sorted(item for item in notes.items() if item[0].startswith("juicefs"))),
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
