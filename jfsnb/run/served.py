"""Mount Pods that exist for a run alone: the driver deletes them after their last user, and that is waited for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from jfsnb.cluster.client import Cluster
from jfsnb.driver.mountpods.deletion import NEXT_LOOK, delete_at, reason_to_stay
from jfsnb.driver.mountpods.mount_pods import MountPod, claims_of
from jfsnb.driver.names import MOUNT_POD_SELECTOR
from jfsnb.errors import JfsnbError, NotInCluster, WaitTimeout
from jfsnb.queries import driver_facts as driver
from jfsnb.run.change.model import Change, Outcome, State


@dataclass(frozen=True)
class Served:
    """The app Pods of the run by UID, their volumes' ids, and the Mount Pods that serve nobody else, by UID."""

    uids: frozenset[str]
    volume_ids: frozenset[str]
    mount_pods: frozenset[str]

    @classmethod
    def of(cls, cluster: Cluster, changes: Iterable[Change]) -> Served:
        """Of the Pods among these changes, before they are deleted. Raises JfsnbError when it cannot look."""
        pods = [c for c in changes if c.plural == "pods" and c.KIND == "object made"]
        handles: set[str] = set()
        for pod in pods:
            live = cluster.find("pods", pod.namespace, pod.name)
            for _, claim in claims_of(live) if live else ():
                try:
                    handles.add(driver.find_volume(cluster, pod.namespace, claim).handle)
                except NotInCluster:  # not a volume of the driver, or none yet
                    continue
        found = cls(frozenset(p.uid for p in pods if p.uid), frozenset(handles), frozenset())
        return replace(found, mount_pods=frozenset(p.uid for p in found.only_ours(cluster)))

    def only_ours(self, cluster: Cluster) -> list[MountPod]:
        """Mount Pods that exist for this run alone, now: those that serve its Pods, and those that served them."""
        if not self.uids:
            return []
        pods = driver.facts_of({p["metadata"]["uid"]: p for p in cluster.list("pods", labels=MOUNT_POD_SELECTOR)})
        return [p for p in pods if p.uid in self.mount_pods or self._is_ours(p)]

    def _is_ours(self, pod: MountPod) -> bool:
        users = {r.pod_uid for r in pod.references}
        # without a reference: the driver was called off in the middle of a mount, and is about to delete it
        return users <= self.uids if users else pod.unique_id in self.volume_ids

    def gone(self, cluster: Cluster, seconds: float) -> Iterator[tuple[str, Outcome]]:
        """(Mount Pod, what became of it), each waited for."""
        for pod in self.only_ours(cluster):
            try:
                yield pod.name, self._gone(cluster, pod, seconds)
            except JfsnbError as error:
                yield pod.name, Outcome(State.FAILED, error.what)

    def _gone(self, cluster: Cluster, pod: MountPod, seconds: float) -> Outcome:
        """What has a delete delay is waited for only where that is over in time."""
        now = datetime.now(UTC)
        due = None if pod.references else delete_at(pod.annotations, now)
        if due is not None and not pod.deleting:
            left = (due + NEXT_LOOK - now).total_seconds()
            if left > seconds:
                return Outcome(State.STAYS, reason_to_stay(pod, now))
            seconds = max(seconds, left + NEXT_LOOK.total_seconds())
        try:
            cluster.wait_gone("pods", pod.namespace, pod.name, seconds, pod.uid)
        except WaitTimeout as error:
            return self._why(cluster, pod, error.what)
        return Outcome(State.UNDONE, "gone with its last user")

    def _why(self, cluster: Cluster, pod: MountPod, what: str) -> Outcome:
        found = cluster.find("pods", pod.namespace, pod.name)
        if found is None:
            return Outcome(State.UNDONE, "gone with its last user")
        now = MountPod.from_object(found)
        if stays := reason_to_stay(now, datetime.now(UTC), self.uids):
            return Outcome(State.STAYS, stays)
        dead = len(now.references)
        only = f" ({now.reason}); it carries {dead} references of this run's Pods, which are gone" if dead else ""
        return Outcome(State.LEFT, what + only)
