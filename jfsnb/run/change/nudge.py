"""A change: an annotation on a CSI node Pod, so that its kubelet brings the ConfigMap at once (reference §2.7).

The dashboard's own annotation would do as well, but is everybody's: of ours, the key holds the run's id.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from jfsnb.cluster.client import Cluster
from jfsnb.errors import NotInCluster
from jfsnb.run.change.model import Change, Outcome, State

Obj = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Nudge(Change):
    """A kubelet that is hurried on."""

    KIND: ClassVar[str] = "kubelet nudged"

    @property
    def key(self) -> str:
        return f"nudge.jfsnb.io/{self.run_id}"

    def describe(self) -> str:
        return f"annotate {self.object}, so that its kubelet brings the configuration at once"

    def do(self, cluster: Cluster) -> Obj:
        return self._set(cluster, datetime.now(UTC).isoformat(timespec="milliseconds"))

    def undo(self, cluster: Cluster) -> Outcome:
        """Also where it was never made: what counts is that the kubelet looks, and brings what was restored."""
        try:
            if not self._is_set(cluster):
                self.do(cluster)
            self._set(cluster, None)
        except NotInCluster:
            return Outcome(State.GONE, "already gone")
        return Outcome(State.UNDONE, "undone")

    def is_undone(self, cluster: Cluster, seconds: float) -> Outcome:
        try:
            left = self._is_set(cluster)
        except NotInCluster:
            return Outcome(State.GONE, "already gone")
        return Outcome(State.LEFT, f"annotation {self.key} is there") if left else Outcome(State.UNDONE, "undone")

    def _is_set(self, cluster: Cluster) -> bool:
        meta = cluster.get(self.plural, self.namespace, self.name)["metadata"]
        return self.key in (meta.get("annotations") or {})

    def _set(self, cluster: Cluster, value: str | None) -> Obj:
        body = {"metadata": {"annotations": {self.key: value}}}
        return cluster.patch(self.plural, self.namespace, self.name, body)
