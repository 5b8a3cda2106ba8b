"""Which volume a claim gets: the binder's decisions as pure functions (contract NOTES 35-38)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from jfsnb.sandbox.controllers.objects import (
    Obj,
    annotations_of,
    deleting,
    labels_of,
    quantity,
    selects,
    spec_of,
    status_of,
)
from jfsnb.sandbox.controllers.scheduling.placement import node_matches

BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
PROVISIONER = ("volume.beta.kubernetes.io/storage-provisioner", "volume.kubernetes.io/storage-provisioner")
NO_PROVISIONER = "kubernetes.io/no-provisioner"


def class_of(obj: Mapping[str, Obj]) -> str:
    """The storage class name of a claim or a volume; empty for none."""
    old = annotations_of(obj).get("volume.beta.kubernetes.io/storage-class")
    return old if old is not None else spec_of(obj).get("storageClassName") or ""


def capacity(volume: Obj) -> Decimal:
    return quantity((spec_of(volume).get("capacity") or {}).get("storage", 0))


def requested(claim: Obj) -> Decimal:
    return quantity(((spec_of(claim).get("resources") or {}).get("requests") or {}).get("storage", 0))


def refers_to(volume: Obj, claim: Obj) -> bool:
    """Whether a volume's claimRef means this claim; a reference without uid is a reservation by name."""
    ref = spec_of(volume).get("claimRef")
    meta = claim["metadata"]
    return bool(
        ref
        and (ref.get("namespace"), ref.get("name")) == (meta["namespace"], meta["name"])
        and ref.get("uid", "") in ("", meta["uid"])
    )


def mismatch(volume: Obj, claim: Obj) -> str:
    """Why a volume that a claim names cannot serve it; empty when it can."""
    if capacity(volume) < requested(claim):
        return "requested PV is too small"
    if class_of(volume) != class_of(claim):
        return "storageClassName does not match"
    if not _same_mode(volume, claim):
        return "incompatible volumeMode"
    if not _grants_access(volume, claim):
        return "incompatible accessMode"
    return ""


def _same_mode(volume: Obj, claim: Obj) -> bool:
    return bool(spec_of(volume).get("volumeMode", "Filesystem") == spec_of(claim).get("volumeMode", "Filesystem"))


def _grants_access(volume: Obj, claim: Obj) -> bool:
    return set(spec_of(claim).get("accessModes") or ()) <= set(spec_of(volume).get("accessModes") or ())


def reaches(volume: Obj, node: Obj) -> bool:
    """Whether a volume's node affinity admits the node."""
    required = (spec_of(volume).get("nodeAffinity") or {}).get("required")
    return required is None or node_matches(required, node)


def find_volume(
    claim: Obj, volumes: Iterable[Obj], node: Obj | None = None, reserved_only: bool = False, taken: Iterable[str] = ()
) -> Obj | None:
    """The volume for an unbound claim: the one reserved for it, else the smallest Available one that fits.

    Args:
        claim: the claim, without a volumeName.
        volumes: all volumes.
        node: only volumes that this node reaches.
        reserved_only: only a volume whose claimRef names the claim (the claim waits for its first consumer).
        taken: names of volumes that are as good as bound.
    """
    selector, wanted, taken = spec_of(claim).get("selector"), requested(claim), set(taken)
    best: Obj | None = None
    for volume in volumes:
        if deleting(volume) or capacity(volume) < wanted or not _same_mode(volume, claim):
            continue
        if refers_to(volume, claim):
            return volume if node is None or reaches(volume, node) else None
        if reserved_only or spec_of(volume).get("claimRef") or volume["metadata"]["name"] in taken:
            continue
        if status_of(volume).get("phase") != "Available" or class_of(volume) != class_of(claim):
            continue
        if selector is not None and not selects(selector, labels_of(volume)):
            continue
        if not _grants_access(volume, claim) or (node is not None and not reaches(volume, node)):
            continue
        if best is None or capacity(volume) < capacity(best):
            best = volume
    return best


def waits_for_consumer(claim: Obj, storage_class: Obj | None) -> bool:
    """Whether binding waits until a Pod that uses the claim is being scheduled."""
    mode = (storage_class or {}).get("volumeBindingMode")
    return mode == "WaitForFirstConsumer" and SELECTED_NODE not in annotations_of(claim)


def bound(claim: Obj) -> bool:
    return BIND_COMPLETED in annotations_of(claim) and bool(spec_of(claim).get("volumeName"))


def claim_reference(claim: Obj) -> Obj:
    """A volume's claimRef for this claim."""
    meta = claim["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": meta["namespace"],
        "name": meta["name"],
        "uid": meta["uid"],
        "resourceVersion": meta["resourceVersion"],
    }
