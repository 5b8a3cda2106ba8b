"""A change: an object that a run makes, labelled with the run's id."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from jfsnb.cluster.client import Cluster
from jfsnb.cluster.resources import PLURALS
from jfsnb.errors import ConflictError, WaitTimeout
from jfsnb.run.change.model import Change, Outcome, State
from jfsnb.run.smoke.manifest import RUN_LABEL

Obj = dict[str, Any]
#: Pods of a run that is given up need no graceful end; their data are test data.
GRACE_SECONDS = 2
#: What the external provisioner writes on each volume that it makes.
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"


@dataclass(frozen=True, kw_only=True)
class ObjectMade(Change):
    """An object of the run's own.

    Args:
        manifest: what is made; only whoever makes it has it.
    """

    KIND: ClassVar[str] = "object made"

    manifest: Obj | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, run_id: str, obj: Obj) -> Self:
        """Of a manifest, or of an object as the cluster has it."""
        meta = obj["metadata"]
        plural, namespace = PLURALS[obj["kind"]], meta.get("namespace", "")
        uid = meta.get("uid", "")
        return cls(run_id=run_id, plural=plural, namespace=namespace, name=meta["name"], uid=uid, manifest=obj)

    def describe(self) -> str:
        return f"create {self.object}"

    def do(self, cluster: Cluster) -> Obj:
        assert self.manifest is not None
        try:
            return cluster.create(self.manifest)
        except ConflictError as error:
            found = cluster.find(self.plural, self.namespace, self.name)
            if found is not None and self._is_ours(found):
                return found  # it was made, and the answer that said so was lost
            raise ConflictError(
                f"{self.object} is there already: {error.what}", "delete it, or use another run_id"
            ) from error

    def _is_ours(self, found: Obj) -> bool:
        meta = found["metadata"]
        return (meta.get("labels") or {}).get(RUN_LABEL) == self.run_id and self.uid in ("", meta["uid"])

    def undo(self, cluster: Cluster) -> Outcome:
        found = cluster.find(self.plural, self.namespace, self.name)
        if found is None:
            return Outcome(State.GONE, "already gone")
        meta = found["metadata"]
        if not self._is_ours(found):
            return Outcome(State.GONE, "already gone (somebody else has made one of that name)")
        if self.plural == "persistentvolumeclaims":
            _let_volume_go(cluster, found)
        grace = GRACE_SECONDS if self.plural == "pods" else None
        cluster.delete(self.plural, self.namespace, self.name, uid=meta["uid"], grace=grace)
        return Outcome(State.ASKED, "its deletion was asked for")

    def is_undone(self, cluster: Cluster, seconds: float) -> Outcome:
        until = time.monotonic() + seconds
        labels, fields = f"{RUN_LABEL}={self.run_id}", f"metadata.name={self.name}"
        try:
            for obj in cluster.list(self.plural, self.namespace, labels=labels, fields=fields):
                cluster.wait_gone(self.plural, self.namespace, self.name, seconds, obj["metadata"]["uid"])
            if self.plural == "persistentvolumeclaims":
                return self._volumes_gone(cluster, until)
        except WaitTimeout as error:
            return Outcome(State.LEFT, error.what)
        return Outcome(State.UNDONE, "deleted")

    def _volumes_gone(self, cluster: Cluster, until: float) -> Outcome:
        """What was provisioned for the claim goes with it; a volume that was there before it stays."""
        bound = [v for v in cluster.list("persistentvolumes") if self._is_bound_to(v)]
        ours = [v for v in bound if _is_made_for(v)]
        for volume in ours:
            cluster.wait_gone("persistentvolumes", "", volume["metadata"]["name"], max(1.0, until - time.monotonic()))
        kept = [v["metadata"]["name"] for v in bound if v not in ours]
        if kept:
            return Outcome(State.STAYS, f"the claim was deleted; PersistentVolume {kept[0]} was not made for it")
        gone = ", ".join(v["metadata"]["name"] for v in ours)
        return Outcome(State.UNDONE, f"deleted, its volume {gone} and the data in it, too" if gone else "deleted")

    def _is_bound_to(self, volume: Obj) -> bool:
        ref = (volume.get("spec") or {}).get("claimRef") or {}
        named = (ref.get("namespace"), ref.get("name")) == (self.namespace, self.name)
        return named and self.uid in ("", ref.get("uid"))


def _is_made_for(volume: Obj) -> bool:
    """Provisioned for the very claim that it is bound to: the provisioner puts the claim's uid into its name."""
    meta, ref = volume["metadata"], (volume.get("spec") or {}).get("claimRef") or {}
    return PROVISIONED_BY in (meta.get("annotations") or {}) and str(meta["name"]).endswith(str(ref.get("uid")))


def _let_volume_go(cluster: Cluster, claim: Obj) -> None:
    """A volume that was provisioned for a claim of ours goes with it, whatever its class wants kept."""
    name = str((claim.get("spec") or {}).get("volumeName") or "")
    volume = cluster.find("persistentvolumes", name=name) if name else None
    if volume is None or not _is_made_for(volume):
        return
    spec, meta = volume["spec"], volume["metadata"]
    is_ours = (spec.get("claimRef") or {}).get("uid") == claim["metadata"]["uid"]
    if is_ours and spec.get("persistentVolumeReclaimPolicy") == "Retain":
        body = {
            "metadata": {"resourceVersion": meta["resourceVersion"]},
            "spec": {"persistentVolumeReclaimPolicy": "Delete"},
        }
        cluster.patch("persistentvolumes", "", name, body)
