"""The scheduler: gives each waiting Pod a node through the binding subresource, or says why it cannot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jfsnb.sandbox.controllers.cluster import Cluster, path_of
from jfsnb.sandbox.controllers.controller import Controller
from jfsnb.sandbox.controllers.objects import (
    Key,
    Obj,
    annotations_of,
    claims_of,
    condition,
    deleting,
    key_of,
    labels_of,
    spec_of,
    stamp,
    status_of,
    terminated,
)
from jfsnb.sandbox.controllers.scheduling.placement import (
    NodeState,
    Refusal,
    failure_message,
    refuse,
    refuse_neighbours,
    rejected_before_nodes,
    schedulable,
    score,
)
from jfsnb.sandbox.controllers.storage import volumes

NAME = "default-scheduler"


@dataclass(frozen=True)
class Claim:
    """A claim of a Pod that waits for its first consumer."""

    claim: Obj
    storage_class: Obj


class Scheduler(Controller):
    component = NAME
    workers = 1  # one decision after another; bindings run beside the next decision

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._waiting: set[Key] = set()
        self._assumed: set[str] = set()  # uids of Pods that are bound, until the cache shows it
        self._states: dict[str, NodeState] = {}
        self.read("pods", "nodes", "persistentvolumes", "persistentvolumeclaims", "storageclasses")
        cluster.on("pods", self._see_pod)
        cluster.on("nodes", self._see_node)
        cluster.on("nodes", self._matters(_node_facts))
        cluster.on("persistentvolumes", self._matters(lambda o: (spec_of(o), status_of(o).get("phase"))))
        cluster.on("persistentvolumeclaims", self._matters(lambda o: (spec_of(o), status_of(o), annotations_of(o))))
        cluster.on("storageclasses", self._matters(lambda o: o["metadata"]["uid"]))

    def _see_pod(self, kind: str, pod: Obj, old: Obj | None) -> None:
        uid, name = pod["metadata"]["uid"], spec_of(pod).get("nodeName")
        if name:
            self._assumed.discard(uid)
            state = self._state(name)
            if kind != "DELETED" and not terminated(pod):
                state.put(pod)
            elif state.drop(uid):
                self._try_again()
        elif kind == "DELETED" and uid in self._assumed:
            self._forget(uid)
        if kind != "DELETED" and schedulable(pod, NAME):
            if old is None or not _same_wish(pod, old):
                self.queue.add(key_of(pod))
        else:
            self._waiting.discard(key_of(pod))

    def _matters(self, facts: Callable[[Obj], object]) -> Callable[[str, Obj, Obj | None], None]:
        def see(kind: str, obj: Obj, old: Obj | None) -> None:
            if kind == "DELETED" or old is None or facts(obj) != facts(old):
                self._try_again()

        return see

    def _try_again(self) -> None:
        for key in self._waiting:
            self.queue.add(key)

    async def sync(self, key: Key) -> None:
        pod = self.cluster.get("pods", key)
        if pod is None or not schedulable(pod, NAME) or pod["metadata"]["uid"] in self._assumed:
            return
        states = [s for s in self._states.values() if "uid" in s.node["metadata"]]
        problem, late = self._claims(pod)
        if problem:
            return await self._fail(pod, rejected_before_nodes(len(states), problem))
        refusals = {s.name: r for s in states if (r := self._refuse(pod, s, states, late)) is not None}
        fitting = [s for s in states if s.name not in refusals]
        if not fitting:
            return await self._fail(pod, failure_message(refusals, len(states)))
        chosen = max(fitting, key=lambda s: (score(pod, s), s.name))
        self._waiting.add(key)
        if late and not await self._prepare_volumes(late, chosen.node):
            return
        await self._bind(pod, chosen.name)

    def _state(self, name: str) -> NodeState:
        """What is known of a node, which may not have been seen yet (or no more) itself."""
        return self._states.setdefault(name, NodeState({"metadata": {"name": name}}))

    def _forget(self, uid: str) -> None:
        """A Pod that was taken for bound is not."""
        self._assumed.discard(uid)
        for state in self._states.values():
            state.drop(uid)

    def _see_node(self, kind: str, node: Obj, _old: Obj | None) -> None:
        state = self._state(node["metadata"]["name"])
        state.node = node if kind != "DELETED" else {"metadata": {"name": state.name}}

    def _claims(self, pod: Obj) -> tuple[str, list[Claim]]:
        """What is wrong with the Pod's claims (empty for nothing), and those that wait for their first consumer."""
        late = []
        for name in claims_of(pod):
            claim = self.cluster.get("persistentvolumeclaims", (pod["metadata"]["namespace"], name))
            if claim is None:
                return f'persistentvolumeclaim "{name}" not found', []
            if status_of(claim).get("phase") == "Lost":
                gone = spec_of(claim).get("volumeName", "")
                return f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{gone}"', []
            if deleting(claim):
                return f'persistentvolumeclaim "{name}" is being deleted', []
            if volumes.bound(claim):
                continue
            found = self.cluster.get("storageclasses", ("", volumes.class_of(claim)))
            if spec_of(claim).get("volumeName") or (found or {}).get("volumeBindingMode") != "WaitForFirstConsumer":
                return "pod has unbound immediate PersistentVolumeClaims", []
            assert found is not None
            late.append(Claim(claim, found))
        return "", late

    def _refuse(self, pod: Obj, state: NodeState, states: list[NodeState], late: list[Claim]) -> Refusal | None:
        return (
            refuse(pod, state) or self._refuse_volumes(pod, state.node, late) or refuse_neighbours(pod, state, states)
        )

    def _refuse_volumes(self, pod: Obj, node: Obj, late: list[Claim]) -> Refusal | None:
        late_names = {item.claim["metadata"]["name"] for item in late}
        for name in set(claims_of(pod)) - late_names:
            claim = self.cluster.get("persistentvolumeclaims", (pod["metadata"]["namespace"], name))
            volume = self.cluster.get("persistentvolumes", ("", spec_of(claim or {}).get("volumeName", "")))
            if volume is None:
                return Refusal(("node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)",))
            if not volumes.reaches(volume, node):
                return Refusal(("node(s) didn't match PersistentVolume's node affinity",))
        taken: list[str] = []
        for item in late:
            selected = annotations_of(item.claim).get(volumes.SELECTED_NODE)
            if selected is not None:
                if selected != node["metadata"]["name"]:
                    return Refusal(("node(s) didn't match PersistentVolume's node affinity",))
                continue
            found = volumes.find_volume(item.claim, self.cluster.all("persistentvolumes"), node, taken=taken)
            if found is not None:
                taken.append(found["metadata"]["name"])
            elif item.storage_class.get("provisioner") == volumes.NO_PROVISIONER:
                return Refusal(("node(s) didn't find available persistent volumes to bind",))
        return None

    async def _prepare_volumes(self, late: list[Claim], node: Obj) -> bool:
        """Reserve volumes for the claims, or ask for provisioning; the Pod waits until the binder has finished."""
        taken: list[str] = []
        for item in late:
            if volumes.SELECTED_NODE in annotations_of(item.claim):
                continue
            found = volumes.find_volume(item.claim, self.cluster.all("persistentvolumes"), node, taken=taken)
            if found is None:
                note = {"metadata": {"annotations": {volumes.SELECTED_NODE: node["metadata"]["name"]}}}
                await self.cluster.patch("persistentvolumeclaims", key_of(item.claim), note)
                continue
            taken.append(found["metadata"]["name"])
            if not volumes.refers_to(found, item.claim) or not spec_of(found)["claimRef"].get("uid"):
                reservation = {"spec": {"claimRef": volumes.claim_reference(item.claim)}, "metadata": _guard(found)}
                reservation["metadata"]["annotations"] = {volumes.BOUND_BY_CONTROLLER: "yes"}
                await self.cluster.patch("persistentvolumes", key_of(found), reservation)
        return False

    async def _bind(self, pod: Obj, node: str) -> None:
        meta = pod["metadata"]
        uid, namespace, name = meta["uid"], meta["namespace"], meta["name"]
        self._assumed.add(uid)
        self._state(node).put({**pod, "spec": {**spec_of(pod), "nodeName": node}})
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": namespace, "uid": uid},
            "target": {"kind": "Node", "name": node},
        }
        try:
            await self.cluster.api.create(path_of("pods", key_of(pod), "binding"), binding)
        except BaseException:
            self._forget(uid)
            raise
        self._waiting.discard(key_of(pod))
        self.events.event(
            pod, "Normal", "Scheduled", f"Successfully assigned {namespace}/{name} to {node}", reporting=True
        )

    async def _fail(self, pod: Obj, message: str) -> None:
        self._waiting.add(key_of(pod))
        self.events.event(pod, "Warning", "FailedScheduling", message, reporting=True, action="Scheduling")
        old = condition(pod, "PodScheduled")
        if old is not None and (old.get("reason"), old.get("message")) == ("Unschedulable", message):
            return
        fresh = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": message,
            "lastProbeTime": None,
            "lastTransitionTime": old["lastTransitionTime"] if old and old["status"] == "False" else stamp(),
            "observedGeneration": pod["metadata"].get("generation", 1),
        }
        body = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": {"conditions": [fresh]}}
        await self.cluster.patch("pods", key_of(pod), body, kind="strategic", subresource="status")


def _guard(obj: Obj) -> Obj:
    """Metadata that makes a patch fail when the object has changed since."""
    return {"uid": obj["metadata"]["uid"], "resourceVersion": obj["metadata"]["resourceVersion"]}


def _node_facts(node: Obj) -> object:
    return spec_of(node), labels_of(node), annotations_of(node), status_of(node).get("allocatable")


def _same_wish(pod: Obj, old: Obj) -> bool:
    """Whether nothing has changed that the scheduler looks at (its own condition is such a nothing)."""
    return (spec_of(pod), labels_of(pod)) == (spec_of(old), labels_of(old)) and pod["metadata"]["uid"] == old[
        "metadata"
    ]["uid"]
