"""Other people's Mount Pods, and the baseline, were left alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from jfsnb.checks.codes import Unreadable, register, result, unreadable
from jfsnb.checks.model import CheckResult, Evidence, Verdict
from jfsnb.driver.mountpods.mount_pods import MountPod

BASELINE = register(
    "JFS-BAS-001",
    "The baseline Pod kept the Mount Pod that it had",
    "The baseline's Mount Pod was re-created, restarted or exchanged while the test ran.",
    "Look at the events of the baseline's Mount Pod.",
)
OTHERS = register(
    "JFS-BAS-002",
    "Other people's Mount Pods are as they were",
    "One was re-created while the patch was in force and got its image, or was restarted or deleted by somebody.",
    "Look at their events, and ask their owners; scope canary keeps them out of reach.",
)

Key = tuple[str, str]


@dataclass(frozen=True)
class Seen:
    """What is remembered of a Mount Pod, to see later whether it changed; plain data for a results file."""

    namespace: str
    name: str
    uid: str
    upgrade_uuid: str
    image: str
    digest: str
    restarts: int
    deleting: bool

    @classmethod
    def of(cls, pod: MountPod) -> Seen:
        return cls(
            pod.namespace, pod.name, pod.uid, pod.upgrade_uuid, pod.image, pod.digest, pod.restarts, pod.deleting
        )

    @property
    def key(self) -> Key:
        return self.namespace, self.name


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
    changes = _changes(Seen.of(before), Seen.of(after))
    evidence = [Evidence(f"pod/{after.name}", "image", after.image), Evidence(f"pod/{after.name}", "uid", after.uid)]
    if not after.serves(pod_uid, pv_name):
        changes.append("it no longer carries the baseline's reference")
    if changes:
        return result(BASELINE, Verdict.FAIL, f"{before.name}: {'; '.join(changes)}", evidence)
    return result(BASELINE, Verdict.PASS, f"{after.name} serves it as before, with {after.image}", evidence)


def others_unchanged(
    before: Iterable[Seen] | Unreadable, after: Iterable[MountPod] | Unreadable, ours: Collection[Key]
) -> CheckResult:
    """Every Mount Pod that this run does not use is the same object with the same image.

    Some go away with their last user, as Mount Pods do; that is mentioned. One that was re-created is known by its
    upgrade UUID, which the driver keeps (§3.3).

    Args:
        before: as remembered before the patch. after: all Mount Pods now. ours: (namespace, name) of the run's own.
    """
    for facts in (before, after):
        if isinstance(facts, Unreadable):
            return unreadable(OTHERS, facts)
    assert not isinstance(before, Unreadable) and not isinstance(after, Unreadable)
    watched = [pod for pod in before if pod.key not in ours]
    now = [Seen.of(pod) for pod in after]
    by_key, by_uuid = {p.key: p for p in now}, {p.upgrade_uuid: p for p in now if p.upgrade_uuid}
    harmed: list[str] = []
    restless: list[str] = []
    gone: list[str] = []
    for pod in watched:
        later = by_key.get(pod.key)
        heir = by_uuid.get(pod.upgrade_uuid)
        if later is not None:
            changes = _changes(pod, later)
            same = later.uid == pod.uid and later.image == pod.image
            (restless if same else harmed).extend(f"{pod.name}: {change}" for change in changes)
        elif heir is not None and heir.image != pod.image:
            harmed.append(f"{pod.name} was re-created as {heir.name} with image {heir.image}")
        elif heir is not None:
            restless.append(f"{pod.name} was re-created as {heir.name}")
        else:
            gone.append(pod.name)
    evidence = [Evidence("Mount Pods of others", "changed", text) for text in (*harmed, *restless)]
    evidence += [Evidence(f"pod/{name}", "", "gone") for name in gone]
    evidence.append(Evidence("Mount Pods of others", "watched", str(len(watched))))
    if harmed:
        return result(OTHERS, Verdict.FAIL, harmed[0], evidence)
    if restless:
        return result(OTHERS, Verdict.WARN, restless[0], evidence)
    mention = f"; {len(gone)} went away with their users" if gone else ""
    return result(OTHERS, Verdict.PASS, f"{len(watched) - len(gone)} are as they were{mention}", evidence)


def _changes(before: Seen, after: Seen) -> list[str]:
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
