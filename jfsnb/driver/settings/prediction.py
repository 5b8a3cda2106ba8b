"""What the next mount of a volume would do: use the Mount Pod that runs, or make a new one, and what would change.

The driver compares hashes of settings that hold credentials (§3.1). Without reading those, the differing fields can be
found by comparing what the configuration asks for with what the running Mount Pod's spec says (§9).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jfsnb.driver import names
from jfsnb.driver.config.merging import ImageDecision, MergedPatch
from jfsnb.driver.golang.duration import parse_duration
from jfsnb.driver.images import same_image
from jfsnb.driver.mountpods.mount_pods import MountPod, mount_container

Obj = Mapping[str, Any]
WOULD_FAIL = "the mount would fail"


@dataclass(frozen=True)
class Difference:
    """A field in which the running Mount Pod is not what a new one would be."""

    field: str
    running: str
    wanted: str
    provenance: str


@dataclass(frozen=True)
class Prediction:
    """What the next mount would do.

    Args:
        reuse: the Mount Pod that it would use; None: a new one.
        differences: why a new one, field by field, against the most similar candidate.
        reason: in one sentence.
        exact: the driver's own hash was compared, not only what can be seen.
    """

    reuse: MountPod | None
    differences: tuple[Difference, ...]
    reason: str
    exact: bool = False


def predict(
    candidates: Iterable[Obj],
    merged: MergedPatch,
    decision: ImageDecision,
    hash_for: Callable[[MountPod], str | None] = lambda _: None,
    refused: str = "",
) -> Prediction:
    """Whether the next mount of a volume on a node uses one of its Mount Pods there (§3.2).

    Without hashes only fields that config.yaml sets, and the image, are compared; credentials, volumeAttributes and
    what is inherited from the CSI node Pod are taken to be unchanged.

    Args:
        candidates: Pod objects of the volume's Mount Pods on that node.
        merged: config.yaml's entries for the PVC and node. decision: the image for it.
        hash_for: the hash that the next mount would ask for (driver.settings.next_mount); None: not known.
        refused: why the mount would fail (driver.settings.refusals).
    """
    if refused:
        return Prediction(None, (), f"{WOULD_FAIL}: {refused}", True)
    best: tuple[Difference, ...] | None = None
    reuse: MountPod | None = None
    exact = False
    for pod in candidates:
        mount_pod = MountPod.from_object(pod)
        if mount_pod.deleting or mount_pod.completed:
            continue
        found = differences(pod, merged, decision, mount_pod)
        wanted = hash_for(mount_pod)
        exact = exact or wanted is not None
        if (not found) if wanted is None else wanted == mount_pod.settings_hash:
            reuse = mount_pod
        if best is None or len(found) < len(best):
            best = found
    if reuse is not None:
        same = "settings have the same hash" if exact else "settings are the same, as far as can be seen"
        return Prediction(reuse, (), f"it would use {reuse.name}, whose {same}", exact)
    if best is None:
        return Prediction(None, (), "it would make a new Mount Pod: there is none for this volume on this node", True)
    fields = ", ".join(d.field for d in best)
    what = f"{fields} would differ" if fields else "something that cannot be seen would differ (the hashes do)"
    return Prediction(None, best, f"it would make a new Mount Pod beside the running one: {what}", exact)


def differences(
    pod: Obj, merged: MergedPatch, decision: ImageDecision, facts: MountPod | None = None
) -> tuple[Difference, ...]:
    """In what a Mount Pod differs from what config.yaml asks for now; ``facts``: its own, when known already."""
    container = mount_container(pod) or {}
    meta, spec = pod.get("metadata", {}), pod.get("spec", {})
    found = []
    image = container.get("image", "")
    if decision.certain and not (image and same_image(image, decision.image)):
        found.append(Difference("image", image, decision.image, decision.provenance))
    actual: dict[str, Any] = {
        "hostNetwork": bool(spec.get("hostNetwork")),
        "hostPID": bool(spec.get("hostPID")),
        "imagePullPolicy": container.get("imagePullPolicy"),
        "dnsPolicy": spec.get("dnsPolicy"),
        "terminationGracePeriodSeconds": spec.get("terminationGracePeriodSeconds"),
        "resources": container.get("resources") or {},
    }
    for name, value in actual.items():
        if name in merged.fields and merged.fields[name] != value:
            found.append(Difference(name, str(value), str(merged.fields[name]), merged.provenance(name)))
    for name in ("labels", "annotations"):
        missing = _missing(merged.fields.get(name, {}), meta.get(name) or {})
        found += [Difference(f"{name} {k}", have, want, merged.provenance(name)) for k, have, want in missing]
    found += _env(container, merged) + _options(facts or MountPod.from_object(pod), merged)
    return tuple(found)


def _missing(wanted: Mapping[str, str], actual: Mapping[str, str]) -> list[tuple[str, str, str]]:
    found = []
    for key, value in wanted.items():
        if key == names.DELETE_DELAY and parse_duration(value) is None:
            continue
        theirs = names.CLEAN_CACHE if key == "juicefs/clean-cache" else key
        if "${" not in value and actual.get(theirs) != value:
            found.append((key, actual.get(theirs, ""), value))
    return found


def _env(container: Obj, merged: MergedPatch) -> list[Difference]:
    actual = {e.get("name"): e for e in container.get("env") or ()}
    found = []
    for item in merged.fields.get("env", ()):
        have = actual.get(item.get("name"), {})
        same_value = have.get("value", "") == item.get("value", "") or "${" in item.get("value", "")
        if not have or not same_value:
            found.append(Difference(f"env {item.get('name')}", "another value", "set", merged.provenance("env")))
    return found


def _options(facts: MountPod, merged: MergedPatch) -> list[Difference]:
    """Mount options that the configuration asks for and the command line lacks (buffer-size may have been lowered)."""
    actual = facts.command.options
    skipped = ("cache-dir", "buffer-size")
    wanted = [o for o in merged.fields.get("mountOptions", ()) if o and "${" not in o]
    missing = [o for o in wanted if o not in actual and o.split("=")[0] not in skipped]
    by_key = {o.split("=")[0]: o for o in actual}
    return [
        Difference(
            f"mountOptions {o.split('=')[0]}", by_key.get(o.split("=")[0], ""), o, merged.provenance("mountOptions")
        )
        for o in missing
    ]
