"""What all controllers that own Pods share: adopting, creating and deleting them, and the revisions of a template."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any

from jfsnb.sandbox.apimachinery.client import ApiError
from jfsnb.sandbox.controllers.cluster import Cluster, Index
from jfsnb.sandbox.controllers.controller import Controller
from jfsnb.sandbox.controllers.objects import (
    Key,
    Obj,
    controlled_by,
    controller_of,
    deleting,
    key_of,
    labels_of,
    moment,
    owner_reference,
    ready,
    recorded,
    selects,
    spec_of,
    stamp,
    template_hash,
)

HASH = "controller-revision-hash"
AT_A_TIME = 8


def available(pod: Obj, minimum: float, now: Any) -> bool:
    """Ready since at least ``minimum`` seconds."""
    if not ready(pod):
        return False
    since = next(c.get("lastTransitionTime") for c in pod["status"]["conditions"] if c["type"] == "Ready")
    began = moment(since)
    return minimum <= 0 or (began is not None and (now - began).total_seconds() >= minimum)


def share(value: int | str | None, total: int, default: int | str, up: bool) -> int:
    """An int-or-percentage field, such as ``25%`` of the replicas, rounded up or down."""
    value = default if value is None else value
    if isinstance(value, str) and value.endswith("%"):
        exact = int(value[:-1]) * total
        return -(-exact // 100) if up else exact // 100
    return int(value)


class PodOwner(Controller):
    """A controller whose objects (of kind ``kind``) own Pods or other objects."""

    kind = ""
    plural = ""
    dependents = "pods"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.watch(self.plural)
        self._owned = Index(cluster.informer(self.dependents), lambda o: [r["uid"]] if (r := controller_of(o)) else ())
        self.watch(self.dependents, self._owners)

    def _owners(self, obj: Obj) -> Key | list[Key] | None:
        """The controller of a dependent; for an orphan those that could adopt it."""
        ref, namespace = controller_of(obj), obj["metadata"].get("namespace", "")
        if ref is not None:
            return (namespace, ref["name"]) if ref["kind"] == self.kind else None
        if deleting(obj) or recorded(obj) or not labels_of(obj):
            return None
        owners = self.cluster.all(self.plural, namespace)
        return [key_of(o) for o in owners if selects(spec_of(o).get("selector"), labels_of(obj))]

    async def claimed(self, owner: Obj) -> list[Obj]:
        """The dependents of an owner: adopts matching orphans, lets go of those that match no longer."""
        selector = spec_of(owner).get("selector")
        mine = []
        for obj in self._owned.get(owner["metadata"]["uid"]):
            if selects(selector, labels_of(obj)) or deleting(obj):
                mine.append(obj)
            elif not deleting(owner):
                await self._release(obj, owner)
        if deleting(owner):
            return mine
        for obj in self.cluster.all(self.dependents, owner["metadata"]["namespace"]):
            orphan = controller_of(obj) is None and not deleting(obj) and not recorded(obj)
            if orphan and selects(selector, labels_of(obj)):
                mine.append(await self._adopt(obj, owner))
        return mine

    async def _adopt(self, obj: Obj, owner: Obj) -> Obj:
        references = [*(obj["metadata"].get("ownerReferences") or ()), owner_reference(owner)]
        patch = {"metadata": {"uid": obj["metadata"]["uid"], "ownerReferences": references}}
        return await self.cluster.patch(self.dependents, key_of(obj), patch)

    async def _release(self, obj: Obj, owner: Obj) -> None:
        kept = [r for r in obj["metadata"]["ownerReferences"] if r["uid"] != owner["metadata"]["uid"]]
        patch = {"metadata": {"uid": obj["metadata"]["uid"], "ownerReferences": kept or None}}
        await self.cluster.patch(self.dependents, key_of(obj), patch)

    async def create_pods(self, owner: Obj, pods: Iterable[Obj]) -> None:
        """Create Pods side by side; what the API server refuses is an event of the owner, and tried again."""
        await _side_by_side(self._create_pod(owner, pod) for pod in pods)

    async def _create_pod(self, owner: Obj, pod: Obj) -> None:
        try:
            made = await self.cluster.create("pods", pod)
        except ApiError as error:
            if error.status != 409 and "NamespaceTerminating" not in str(error.body):
                self.events.event(owner, "Warning", "FailedCreate", f"Error creating: {error.message}")
            raise
        self.events.event(owner, "Normal", "SuccessfulCreate", f"Created pod: {made['metadata']['name']}")

    async def delete_pods(self, owner: Obj, pods: Iterable[Obj]) -> None:
        await _side_by_side(self._delete_pod(owner, pod) for pod in pods)

    async def _delete_pod(self, owner: Obj, pod: Obj) -> None:
        await self.cluster.delete("pods", pod)
        self.events.event(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}")

    async def write_status(self, owner: Obj, status: Obj) -> None:
        """Replace the status where it differs; keys that are None are left out."""
        fresh = {k: v for k, v in status.items() if v is not None}
        if fresh != (owner.get("status") or {}):
            await self.cluster.update(self.plural, {**owner, "status": fresh}, subresource="status")


async def _side_by_side(calls: Iterable[Awaitable[None]]) -> None:
    """Some requests at a time (each at once would be a connection of its own); then raise what went wrong first."""
    few = asyncio.Semaphore(AT_A_TIME)

    async def one(call: Awaitable[None]) -> None:
        async with few:
            await call

    results = await asyncio.gather(*(one(call) for call in calls), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


async def current_revision(cluster: Cluster, owner: Obj) -> tuple[Obj, list[Obj]]:
    """The ControllerRevision of the owner's template (made if missing), and the older ones, oldest first.

    ``kubectl rollout history`` and ``undo`` of DaemonSets and StatefulSets read these.
    """
    data = {"spec": {"template": {**owner["spec"]["template"], "$patch": "replace"}}}
    namespace, name = key_of(owner)
    known = [r for r in cluster.all("controllerrevisions", namespace) if controlled_by(r, owner)]
    known.sort(key=lambda r: r["revision"])
    newest = known[-1]["revision"] if known else 0
    same = next((r for r in known if r["data"] == data), None)
    if same is None:
        hashed = template_hash(data)
        meta = {
            "name": f"{name}-{hashed}",
            "namespace": namespace,
            "labels": {**(owner["spec"]["template"].get("metadata", {}).get("labels") or {}), HASH: hashed},
            "ownerReferences": [owner_reference(owner)],
        }
        change_cause = (owner["metadata"].get("annotations") or {}).get("kubernetes.io/change-cause")
        if change_cause:
            meta["annotations"] = {"kubernetes.io/change-cause": change_cause}
        body = {"metadata": meta, "data": data, "revision": newest + 1}
        same = await cluster.create("controllerrevisions", body)
    elif same["revision"] != newest:
        same = await cluster.patch("controllerrevisions", key_of(same), {"revision": newest + 1})
    return same, [r for r in known if r["metadata"]["name"] != same["metadata"]["name"]]


async def forget_revisions(cluster: Cluster, owner: Obj, old: list[Obj], used: set[str]) -> None:
    """Keep ``revisionHistoryLimit`` of the revisions that no Pod has any more."""
    limit = spec_of(owner).get("revisionHistoryLimit", 10)
    unused = [r for r in old if labels_of(r).get(HASH) not in used]
    for revision in unused[: max(len(unused) - limit, 0)]:
        await cluster.delete("controllerrevisions", revision)


def transition(old: Obj | None, status: str) -> str:
    """The lastTransitionTime of a condition that now has this status."""
    return old["lastTransitionTime"] if old and old["status"] == status and old.get("lastTransitionTime") else stamp()
