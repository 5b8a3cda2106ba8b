"""Generic ephemeral volumes: a claim for each, owned by the Pod, made from the template in the Pod."""

from __future__ import annotations

import copy

from jfsnb.sandbox.controllers.cluster import Cluster
from jfsnb.sandbox.controllers.controller import Controller
from jfsnb.sandbox.controllers.objects import (
    Key,
    Obj,
    controlled_by,
    deleting,
    key_of,
    owner_reference,
    spec_of,
    terminated,
)


def claim_for(pod: Obj, volume: Obj) -> Obj:
    """The claim behind one ephemeral volume of a Pod."""
    template = volume["ephemeral"]["volumeClaimTemplate"]
    own = template.get("metadata") or {}
    meta: Obj = {
        "name": f"{pod['metadata']['name']}-{volume['name']}",
        "namespace": pod["metadata"]["namespace"],
        "ownerReferences": [owner_reference(pod)],
    }
    meta |= {k: dict(own[k]) for k in ("labels", "annotations") if own.get(k)}
    return {"metadata": meta, "spec": copy.deepcopy(template["spec"])}


class EphemeralVolumes(Controller):
    component = "ephemeral_volume"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.watch("pods", lambda p: key_of(p) if any(v.get("ephemeral") for v in _volumes(p)) else None)
        self.read("persistentvolumeclaims")

    async def sync(self, key: Key) -> None:
        pod = self.cluster.get("pods", key)
        if pod is None or deleting(pod) or terminated(pod):
            return
        for volume in _volumes(pod):
            if volume.get("ephemeral"):
                await self._provide({"apiVersion": "v1", "kind": "Pod", **pod}, claim_for(pod, volume))

    async def _provide(self, pod: Obj, claim: Obj) -> None:
        found = self.cluster.get("persistentvolumeclaims", key_of(claim))
        if found is None:
            await self.cluster.create("persistentvolumeclaims", claim)
        elif not controlled_by(found, pod):
            name, owner = claim["metadata"]["name"], pod["metadata"]["name"]
            words = f"PVC {name} was not created for pod {owner} (pod is not owner)"
            self.events.event(pod, "Warning", "FailedBinding", f"ephemeral volume: {words}")


def _volumes(pod: Obj) -> list[Obj]:
    return spec_of(pod).get("volumes") or []
