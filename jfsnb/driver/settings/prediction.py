"""What the next mount of a volume would do: use the Mount Pod that runs, or make a new one, and what would change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jfsnb.driver.config.merging import ImageDecision, MergedPatch
from jfsnb.driver.mountpods.mount_pods import MountPod, mount_container
from jfsnb.driver.settings.visible import Difference, differences, has_no_requests

Obj = Mapping[str, Any]
WOULD_FAIL = "the mount would fail"
SECRET, DEFAULT_IMAGE = "what the volume's Secret says", "the driver's default image"
_REMARK = " (the driver set its requests to 0 after the node had rejected it)"


@dataclass(frozen=True)
class Prediction:
    """What the next mount would do.

    Args:
        reuse: the Mount Pod that it would use; None: a new one.
        differences: why a new one, field by field, against the most similar candidate.
        reason: in one sentence.
        exact: the driver's own hash was compared, with all that goes into it; else the answer is likely.
        unseen: what was taken to be unchanged, because it could not be seen; empty for an exact answer.
    """

    reuse: MountPod | None
    differences: tuple[Difference, ...]
    reason: str
    exact: bool = False
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Candidate:
    """A live Mount Pod of the volume; ``hash_is_known``: the driver's hash decides, not what can be seen."""

    facts: MountPod
    found: tuple[Difference, ...]
    fits: bool
    hash_is_known: bool
    has_no_requests: bool


def predict(
    candidates: Iterable[Obj],
    merged: MergedPatch,
    decision: ImageDecision,
    hash_for: Callable[[MountPod], str | None] = lambda _: None,
    expects: Callable[[MountPod], Obj] = lambda _: {},
    refused: str = "",
) -> Prediction:
    """Whether the next mount of a volume on a node uses one of its Mount Pods there (§3.2).

    Args:
        candidates: Pod objects of the volume's Mount Pods on that node.
        merged: config.yaml's entries for the PVC and node. decision: the image for it.
        hash_for: the hash that the next mount would ask for (settings.next_mount); None: not known.
        expects: settings of the next mount as far as they show (settings.next_mount.expected); empty: only what
            config.yaml sets is compared.
        refused: why the mount would fail (settings.refusals).
    """
    if refused:
        return Prediction(None, (), f"{WOULD_FAIL}: {refused}", True)
    live = []
    for pod in candidates:
        facts = MountPod.from_object(pod)
        if not facts.deleting and not facts.completed:
            live.append(_judged(pod, facts, merged, decision, hash_for(facts), expects(facts)))
    if not live:
        return Prediction(None, (), "it would make a new Mount Pod: there is none for this volume on this node", True)
    by_hash = all(candidate.hash_is_known for candidate in live)
    unseen = (*(() if by_hash else (SECRET,)), *(() if decision.certain else (DEFAULT_IMAGE,)))
    chosen = _chosen(live)
    if chosen is not None:
        same = "settings have the same hash" if chosen.hash_is_known else "settings are the same, as far as can be seen"
        reason = f"it would use {chosen.facts.name}, whose {same}" + (_REMARK if chosen.has_no_requests else "")
        return Prediction(chosen.facts, (), reason, not unseen, unseen)
    best = min((candidate.found for candidate in live), key=len)
    fields = ", ".join(d.field for d in best)
    what = f"{fields} would differ" if fields else "something that cannot be seen would differ (the hashes do)"
    return Prediction(None, best, f"it would make a new Mount Pod beside the running one: {what}", not unseen, unseen)


def _judged(
    pod: Obj,
    facts: MountPod,
    merged: MergedPatch,
    decision: ImageDecision,
    wanted: str | None,
    settings: Obj,
) -> _Candidate:
    found = differences(pod, merged, decision, facts, settings)
    fits = not found if wanted is None else wanted == facts.settings_hash
    resources = (mount_container(pod) or {}).get("resources") or {}
    return _Candidate(facts, found, fits, wanted is not None, has_no_requests(resources))


def _chosen(live: list[_Candidate]) -> _Candidate | None:
    """The driver takes the last in its list, but those have one hash; of several that only look alike it is the newest
    one that has the settings of the last mount."""
    fitting = [candidate for candidate in live if candidate.fits]
    certain = [candidate for candidate in fitting if candidate.hash_is_known]
    if certain:
        return certain[-1]
    return max(reversed(fitting), key=lambda c: c.facts.created.timestamp() if c.facts.created else 0.0, default=None)
