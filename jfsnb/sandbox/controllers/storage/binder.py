"""The persistent volume controller: binds claims to volumes, and keeps the phases of both.

Statically only: a claim whose class has an external provisioner is handed over to it.
"""

from __future__ import annotations

from jfsnb.sandbox.apimachinery.client import ApiError
from jfsnb.sandbox.controllers.cluster import Cluster, path_of
from jfsnb.sandbox.controllers.controller import Controller
from jfsnb.sandbox.controllers.objects import (
    Key,
    Obj,
    annotations_of,
    claims_of,
    key_of,
    spec_of,
    status_of,
    terminated,
)
from jfsnb.sandbox.controllers.storage import volumes

EXTERNAL = (
    "Waiting for a volume to be created either by the external provisioner '{}' or manually by the system "
    "administrator. If volume creation is delayed, please verify that the provisioner is running and correctly "
    "registered."
)
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


class VolumeBinder(Controller):
    component = "persistentvolume-controller"
    workers = 1  # two claims must not choose one volume

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.watch("persistentvolumeclaims", self._of_claim)
        self.watch("persistentvolumes", self._of_volume)
        self.watch("storageclasses", self._of_class)
        self.watch("pods", self._of_pod)

    @staticmethod
    def _of_claim(claim: Obj) -> list[Key]:
        """The claim, and its volume, which is released when the claim goes."""
        name = spec_of(claim).get("volumeName")
        return [key_of(claim), *([("", name)] if name else [])]

    def _of_volume(self, volume: Obj) -> list[Key]:
        """The volume itself, its claim, and the unbound claims of its class."""
        keys = [("", volume["metadata"]["name"])]
        ref = spec_of(volume).get("claimRef")
        if ref:
            return [*keys, (ref.get("namespace", ""), ref.get("name", ""))]
        name = volume["metadata"]["name"]
        for claim in self.cluster.all("persistentvolumeclaims"):
            if not volumes.bound(claim) or spec_of(claim).get("volumeName") == name:
                keys.append(key_of(claim))
        return keys

    def _of_class(self, storage_class: Obj) -> list[Key]:
        name = storage_class["metadata"]["name"]
        claims = self.cluster.all("persistentvolumeclaims")
        return [key_of(c) for c in claims if not volumes.bound(c) and volumes.class_of(c) in ("", name)]

    def _of_pod(self, pod: Obj) -> list[Key]:
        """The event of a claim that waits for a consumer names the Pod."""
        if spec_of(pod).get("nodeName") or terminated(pod):
            return []
        return [(pod["metadata"]["namespace"], name) for name in claims_of(pod)]

    async def sync(self, key: Key) -> None:
        if not key[0]:
            volume = self.cluster.get("persistentvolumes", key)
            if volume is not None:
                await self._sync_volume(volume)
            return
        claim = self.cluster.get("persistentvolumeclaims", key)
        if claim is None:
            return
        if volumes.BIND_COMPLETED in annotations_of(claim):
            await self._sync_bound(claim)
        else:
            await self._sync_unbound(claim)

    async def _sync_unbound(self, claim: Obj) -> None:
        name = spec_of(claim).get("volumeName")
        if not name:
            return await self._choose(claim)
        volume = self.cluster.get("persistentvolumes", ("", name))
        if volume is None:
            return await self._pending(claim)
        if not spec_of(volume).get("claimRef"):
            why = volumes.mismatch(volume, claim)
            if why:
                self.events.event(
                    claim, "Warning", "VolumeMismatch", f'Cannot bind to requested volume "{name}": {why}'
                )
                return await self._pending(claim)
        elif not volumes.refers_to(volume, claim):
            self.events.event(claim, "Warning", "FailedBinding", f'volume "{name}" already bound to a different claim.')
            return await self._pending(claim)
        await self._bind(volume, claim)

    async def _choose(self, claim: Obj) -> None:
        wanted = volumes.class_of(claim)
        storage_class = self.cluster.get("storageclasses", ("", wanted))
        waits = volumes.waits_for_consumer(claim, storage_class)
        volume = volumes.find_volume(claim, self.cluster.all("persistentvolumes"), reserved_only=waits)
        if volume is not None:
            return await self._bind(volume, claim)
        if waits:
            self.events.event(claim, "Normal", *self._why_it_waits(claim))
        elif wanted:
            await self._provision(claim, wanted, storage_class)
        elif "storageClassName" not in spec_of(claim) and await self._default_class(claim):
            return
        else:
            why = "no persistent volumes available for this claim and no storage class is set"
            self.events.event(claim, "Normal", "FailedBinding", why)
        await self._pending(claim)

    def _why_it_waits(self, claim: Obj) -> tuple[str, str]:
        namespace, name = key_of(claim)
        for pod in self.cluster.all("pods", namespace):
            if name in claims_of(pod) and not spec_of(pod).get("nodeName") and not terminated(pod):
                return "WaitForPodScheduled", f"waiting for pod {pod['metadata']['name']} to be scheduled"
        return "WaitForFirstConsumer", "waiting for first consumer to be created before binding"

    async def _default_class(self, claim: Obj) -> bool:
        """A claim without class gets the default class as soon as there is one."""
        marked = [c for c in self.cluster.all("storageclasses") if annotations_of(c).get(DEFAULT_CLASS) == "true"]
        if not marked:
            return False
        newest = max(marked, key=lambda c: (c["metadata"]["creationTimestamp"], c["metadata"]["name"]))
        spec = {"spec": {"storageClassName": newest["metadata"]["name"]}}
        await self.cluster.patch("persistentvolumeclaims", key_of(claim), spec)
        return True

    async def _provision(self, claim: Obj, wanted: str, storage_class: Obj | None) -> None:
        if storage_class is None:
            why = f'storageclass.storage.k8s.io "{wanted}" not found'
            return self.events.event(claim, "Warning", "ProvisioningFailed", why)
        provisioner = storage_class["provisioner"]
        if provisioner == volumes.NO_PROVISIONER:
            why = f"no volume plugin matched name: {provisioner}"
            return self.events.event(claim, "Warning", "ProvisioningFailed", why)
        notes = dict.fromkeys(volumes.PROVISIONER, provisioner)
        if any(annotations_of(claim).get(k) != v for k, v in notes.items()):
            await self.cluster.patch("persistentvolumeclaims", key_of(claim), {"metadata": {"annotations": notes}})
        self.events.event(claim, "Normal", "ExternalProvisioning", EXTERNAL.format(provisioner))

    async def _sync_bound(self, claim: Obj) -> None:
        name = spec_of(claim).get("volumeName")
        volume = self.cluster.get("persistentvolumes", ("", name or ""))
        if not name or volume is None:
            what = "its PersistentVolume" if name else "reference to PersistentVolume"
            return await self._lost(claim, "ClaimLost", f"Bound claim has lost {what}. Data on the volume is lost!")
        if spec_of(volume).get("claimRef") and not volumes.refers_to(volume, claim):
            why = "Two claims are bound to the same volume, this one is bound incorrectly"
            return await self._lost(claim, "ClaimMisbound", why)
        await self._bind(volume, claim)

    async def _lost(self, claim: Obj, reason: str, message: str) -> None:
        if status_of(claim).get("phase") == "Lost":
            return
        status = {"phase": "Lost", "accessModes": None, "capacity": None}
        await self.cluster.patch("persistentvolumeclaims", key_of(claim), {"status": status}, subresource="status")
        self.events.event(claim, "Warning", reason, message)

    async def _pending(self, claim: Obj) -> None:
        if status_of(claim).get("phase") != "Pending":
            body = {"status": {"phase": "Pending", "accessModes": None, "capacity": None}}
            await self.cluster.patch("persistentvolumeclaims", key_of(claim), body, subresource="status")

    async def _bind(self, volume: Obj, claim: Obj) -> None:
        """Volume to claim, then claim to volume; each step is skipped where it is done already."""
        ref = spec_of(volume).get("claimRef")
        if not ref or ref.get("uid") != claim["metadata"]["uid"]:
            guard = {"resourceVersion": volume["metadata"]["resourceVersion"]}
            patch: Obj = {"metadata": guard, "spec": {"claimRef": volumes.claim_reference(claim)}}
            if not ref:
                patch["metadata"]["annotations"] = {volumes.BOUND_BY_CONTROLLER: "yes"}
            volume = await self.cluster.patch("persistentvolumes", key_of(volume), patch)
        await self._volume_phase(volume, "Bound")
        notes = {volumes.BIND_COMPLETED: "yes"}
        if not spec_of(claim).get("volumeName"):
            notes[volumes.BOUND_BY_CONTROLLER] = "yes"
        name = volume["metadata"]["name"]
        if not volumes.bound(claim) or spec_of(claim)["volumeName"] != name:
            change = {"metadata": {"annotations": notes}, "spec": {"volumeName": name}}
            claim = await self.cluster.patch("persistentvolumeclaims", key_of(claim), change)
        await self._claim_bound(claim, volume)

    async def _claim_bound(self, claim: Obj, volume: Obj) -> None:
        old, spec = status_of(claim), spec_of(volume)
        status = {"phase": "Bound", "accessModes": spec.get("accessModes")}
        if old.get("phase") != "Bound":  # afterwards the capacity is the resizer's business
            status["capacity"] = {"storage": (spec.get("capacity") or {}).get("storage")}
        if any(old.get(k) != v for k, v in status.items()):
            await self.cluster.patch("persistentvolumeclaims", key_of(claim), {"status": status}, subresource="status")

    async def _sync_volume(self, volume: Obj) -> None:
        ref = spec_of(volume).get("claimRef")
        if not ref or not ref.get("uid"):
            return await self._volume_phase(volume, "Available")
        claim = self.cluster.get("persistentvolumeclaims", (ref["namespace"], ref["name"]))
        if claim is None or claim["metadata"]["uid"] != ref["uid"]:
            claim = await self._live_claim(ref)  # a provisioner's volume can be seen here before its claim
        if claim is None:
            return await self._released(volume)
        name = spec_of(claim).get("volumeName")
        if not name:
            return self.queue.add(key_of(claim))
        if name == volume["metadata"]["name"]:
            return await self._volume_phase(volume, "Bound")
        if annotations_of(volume).get(volumes.BOUND_BY_CONTROLLER):  # it lost the race for this claim
            change = {"metadata": {"annotations": {volumes.BOUND_BY_CONTROLLER: None}}, "spec": {"claimRef": None}}
            await self.cluster.patch("persistentvolumes", key_of(volume), change)

    async def _live_claim(self, ref: Obj) -> Obj | None:
        try:
            claim = await self.cluster.api.get(path_of("persistentvolumeclaims", (ref["namespace"], ref["name"])))
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return claim if claim["metadata"]["uid"] == ref["uid"] else None

    async def _released(self, volume: Obj) -> None:
        if status_of(volume).get("phase") not in ("Released", "Failed"):
            await self._volume_phase(volume, "Released")
        by_hand = volumes.PROVISIONED_BY not in annotations_of(volume)
        policy = spec_of(volume).get("persistentVolumeReclaimPolicy")
        if policy == "Delete" and by_hand and status_of(volume).get("phase") != "Failed":
            name = volume["metadata"]["name"]
            why = f'error getting deleter volume plugin for volume "{name}": no deletable volume plugin matched'
            self.events.event(volume, "Warning", "VolumeFailedDelete", why)
            await self._volume_phase(volume, "Failed", why)

    async def _volume_phase(self, volume: Obj, phase: str, message: str | None = None) -> None:
        if status_of(volume).get("phase") != phase:
            status = {"phase": phase, "message": message}
            await self.cluster.patch("persistentvolumes", key_of(volume), {"status": status}, subresource="status")
