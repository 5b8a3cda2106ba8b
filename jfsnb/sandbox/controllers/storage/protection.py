"""Claims in use and bound volumes are kept until nobody needs them, through finalizers."""

from __future__ import annotations

from jfsnb.sandbox.controllers.cluster import Cluster, Index
from jfsnb.sandbox.controllers.controller import Controller
from jfsnb.sandbox.controllers.objects import Key, Obj, claims_of, deleting, key_of, spec_of, status_of, terminated

CLAIM, VOLUME = "kubernetes.io/pvc-protection", "kubernetes.io/pv-protection"


class Protection(Controller):
    component = "volume-protection-controller"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.watch("persistentvolumeclaims")
        self.watch("persistentvolumes")
        self._users = Index(cluster.informer("pods"), _claim_keys)
        self.watch("pods", lambda pod: [(pod["metadata"]["namespace"], name) for name in claims_of(pod)])

    async def sync(self, key: Key) -> None:
        plural, finalizer = ("persistentvolumeclaims", CLAIM) if key[0] else ("persistentvolumes", VOLUME)
        obj = self.cluster.get(plural, key)
        if obj is None:
            return
        finalizers = obj["metadata"].get("finalizers") or []
        if not deleting(obj):
            if finalizer not in finalizers:
                await self._write(plural, obj, [*finalizers, finalizer])
        elif finalizer in finalizers and not self._needed(key, obj):
            await self._write(plural, obj, [f for f in finalizers if f != finalizer])

    def _needed(self, key: Key, obj: Obj) -> bool:
        """A claim: by a Pod that is on a node and not at its end. A volume: while it is bound."""
        if not key[0]:
            return status_of(obj).get("phase") == "Bound"
        users = self._users.get("/".join(key))
        return any(spec_of(p).get("nodeName") and not terminated(p) for p in users)

    async def _write(self, plural: str, obj: Obj, finalizers: list[str]) -> None:
        meta = {"resourceVersion": obj["metadata"]["resourceVersion"], "finalizers": finalizers or None}
        await self.cluster.patch(plural, key_of(obj), {"metadata": meta})


def _claim_keys(pod: Obj) -> list[str]:
    return [f"{pod['metadata']['namespace']}/{name}" for name in claims_of(pod)]
