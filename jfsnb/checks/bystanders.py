"""Other people's Mount Pods, and the baseline, were left alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from jfsnb.checks.codes import Unreadable, register, result, unreadable
from jfsnb.checks.model import CheckResult, Evidence, Verdict
from jfsnb.driver.mountpods import MountPod

BASELINE = register(
    "JFS-BAS-001",
    "The baseline Pod kept the Mount Pod that it had",
    "The baseline's Mount Pod was re-created, restarted or exchanged while the test ran.",
    "Look at the events of the baseline's Mount Pod.",
)
OTHERS = register(
    "JFS-BAS-002",
    "Other people's Mount Pods are as they were",
    "Something changed or deleted them while the test ran; jfsnb itself never does.",
    "Look at their events, and ask their owners.",
)

Key = tuple[str, str]


def baseline_kept(
    before: MountPod | Unreadable, after: MountPod | Unreadable | None, pod_uid: str, pv_name: str
) -> CheckResult:
    """The baseline is served by the same Mount Pod, which was not restarted.

    Args:
        before, after: the baseline's Mount Pod, at first and now; None when it is gone.
        pod_uid, pv_name: the baseline Pod and its volume.
    """
    for facts in (before, after):
        if isinstance(facts, Unreadable):
            return unreadable(BASELINE, facts)
    assert isinstance(before, MountPod)
    if not isinstance(after, MountPod):
        return result(BASELINE, Verdict.FAIL, f"{before.name} is gone", [Evidence(f"pod/{before.name}", "", "gone")])
    changes = _changes(before, after)
    evidence = [Evidence(f"pod/{after.name}", "image", after.image), Evidence(f"pod/{after.name}", "uid", after.uid)]
    if not after.serves(pod_uid, pv_name):
        changes.append("it no longer carries the baseline's reference")
    if changes:
        return result(BASELINE, Verdict.FAIL, f"{before.name}: {'; '.join(changes)}", evidence)
    return result(BASELINE, Verdict.PASS, f"{after.name} serves it as before, with {after.image}", evidence)


def others_unchanged(
    before: Mapping[Key, MountPod] | Unreadable, after: Mapping[Key, MountPod] | Unreadable, ours: Collection[Key]
) -> CheckResult:
    """Every Mount Pod that this run does not use is the same object with the same image and no new restart.

    One that is gone after its last user went is no change by us, but is mentioned.

    Args:
        before, after: Mount Pods by (namespace, name). ours: keys of the run's own.
    """
    for facts in (before, after):
        if isinstance(facts, Unreadable):
            return unreadable(OTHERS, facts)
    assert not isinstance(before, Unreadable) and not isinstance(after, Unreadable)
    gone, changed, evidence = [], [], []
    for key, pod in before.items():
        if key in ours:
            continue
        now = after.get(key)
        found = _changes(pod, now) if now is not None else []
        if now is None:
            gone.append(pod.name)
        elif found:
            changed.append(f"{pod.name}: {'; '.join(found)}")
            evidence.append(Evidence(f"pod/{pod.name}", "changed", "; ".join(found)))
    watched = sum(key not in ours for key in before)
    if changed:
        return result(OTHERS, Verdict.FAIL, changed[0], evidence)
    if gone:
        evidence = [Evidence(f"pod/{name}", "", "gone") for name in gone]
        return result(OTHERS, Verdict.WARN, f"{', '.join(gone)} went away while the test ran", evidence)
    evidence = [Evidence("Mount Pods of others", "count", str(watched))]
    return result(OTHERS, Verdict.PASS, f"all {watched} are as they were", evidence)


def _changes(before: MountPod, after: MountPod) -> list[str]:
    found = []
    if before.uid != after.uid:
        found.append("it is another object of the same name")
    if before.image != after.image:
        found.append(f"its image is now {after.image}")
    if before.digest and after.digest and before.digest != after.digest:
        found.append(f"its image id is now {after.digest}")
    if after.restarts > before.restarts:
        found.append(f"it was restarted {after.restarts - before.restarts} times")
    if after.deleting and not before.deleting:
        found.append("it is being deleted")
    return found
