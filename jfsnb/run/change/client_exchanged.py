"""A change: the client of a running Mount Pod exchanged by the driver's smooth upgrade (reference §3.8).

Undone by another upgrade, once the CSI node has the restored configuration: so it is written down before the patch that
it follows, and undone after it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from jfsnb.checks.codes import Unreadable
from jfsnb.checks.snapshot import best
from jfsnb.cluster.client import Cluster
from jfsnb.cluster.feeds import Feeds
from jfsnb.driver import names
from jfsnb.driver.images import same_version
from jfsnb.driver.mountpods.mount_pods import MountPod
from jfsnb.errors import JfsnbError, NotInCluster
from jfsnb.queries import clients
from jfsnb.run.change.model import Change, Outcome, State

Obj = dict[str, Any]
RECREATE, BINARY = "recreate", "binary"
#: The driver's own limits are 5 minutes for the canary Job and 60 s for the successor.
UPGRADE_SECONDS = 400.0
#: A kubelet brings a ConfigMap within about a minute, unless it was hurried on.
RESTORED_SECONDS = 90.0
SETTLED_SECONDS = 15.0


@dataclass(frozen=True, kw_only=True)
class ClientExchanged(Change):
    """The client of a Mount Pod, which is known by its upgrade UUID: its name may change.

    Args:
        node, upgrade_uuid: where it is, and what stays the same over re-creations.
        how: ``recreate`` or ``binary``. csi_pod: the CSI node Pod of its node.
        image_before, client_before: what it ran.
        lines: what the driver's tool said; only whoever makes the change has them.
    """

    KIND: ClassVar[str] = "client exchanged"

    node: str
    upgrade_uuid: str
    how: str
    csi_pod: str
    image_before: str
    client_before: str
    lines: list[str] = field(default_factory=list, repr=False, compare=False)

    def describe(self) -> str:
        return f"exchange the client of {self.object} ({self.how}): juicefs-csi-driver upgrade in {self.csi_pod}"

    def do(self, cluster: Cluster) -> Obj:
        """Raises JfsnbError when the tool could not be asked; what it said is in ``lines``, also when it failed."""
        self.lines[:] = self._upgrade(cluster, self.name)
        return cluster.find("pods", self.namespace, self.name) or {"metadata": {"uid": self.uid}}

    def undo(self, cluster: Cluster) -> Outcome:
        """Upgrade back; nothing to do where it was never made, or its Mount Pod is gone."""
        pod = self.now(cluster)
        if pod is None:
            return Outcome(State.GONE, "its Mount Pod is gone")
        runs = running(cluster, pod)
        if self._as_before(runs):
            return Outcome(State.GONE, f"{pod.name} runs {self.client_before}, as before")
        if not self._is_restored(cluster):
            words = f"{pod.name} runs {_told(runs)}: the CSI node has not got the restored configuration yet; try again"
            return Outcome(State.FAILED, words)
        last = next((line for line in reversed(self._upgrade(cluster, pod.name)) if "POD-" in line), "no last word")
        back = self.now(cluster)
        if back is None:
            return Outcome(State.GONE, "its Mount Pod is gone")
        now = self._settled(cluster, back)
        if self._as_before(now):
            return Outcome(State.UNDONE, f"upgraded back: {back.name} runs {now}")
        return Outcome(State.LEFT, f"{back.name} runs {_told(now)}, not {self.client_before}: {last}")

    def _settled(self, cluster: Cluster, pod: MountPod) -> str | Unreadable:
        """The client that runs once the Mount Pod says that it is ready: success may be told before."""
        with Feeds(cluster, SETTLED_SECONDS) as feeds:
            feeds.logs("log", pod.namespace, pod.name, names.MOUNT_CONTAINER)
            runs = running(cluster, pod)
            if self._as_before(runs):
                return runs
            for item in feeds:
                if item.line is None:
                    break
                if "ready" in item.line and self._as_before(runs := running(cluster, pod)):
                    return runs
        return running(cluster, pod)

    def is_undone(self, cluster: Cluster, seconds: float) -> Outcome:
        pod = self.now(cluster)
        runs = running(cluster, pod) if pod else None
        if pod is None or (isinstance(runs, Unreadable) and self.now(cluster) is None):
            return Outcome(State.GONE, "its Mount Pod has gone with its last user")
        if runs is not None and self._as_before(runs):
            return Outcome(State.UNDONE, f"{pod.name} runs {runs}")
        return Outcome(State.LEFT, f"{pod.name} runs {_told(runs or '')}")

    def now(self, cluster: Cluster) -> MountPod | None:
        """The Mount Pod of its upgrade UUID as it is now; the newest one, where an old one is going."""
        label = f"{names.UPGRADE_UUID}={self.upgrade_uuid}"
        found = [MountPod.from_object(o) for o in cluster.list("pods", self.namespace, labels=label)]
        live = [p for p in found if not p.deleting and p.phase not in ("Succeeded", "Failed")]
        return max(live, key=lambda p: str(p.created), default=None)

    def _as_before(self, version: str | Unreadable) -> bool:
        return isinstance(version, str) and same_version(version, self.client_before)

    def _upgrade(self, cluster: Cluster, name: str) -> list[str]:
        words = ["juicefs-csi-driver", "upgrade", name, *(["--recreate"] if self.how == RECREATE else [])]
        answer = cluster.execute(self.namespace, self.csi_pod, words, names.PLUGIN_CONTAINER, seconds=UPGRADE_SECONDS)
        return [line for line in (answer.stdout + answer.stderr).splitlines() if line.strip()]

    def _is_restored(self, cluster: Cluster) -> bool:
        """Whether the CSI node's file no longer holds what the run put there; waits for the driver's reload."""
        with Feeds(cluster, RESTORED_SECONDS) as feeds:
            feeds.logs("csi", self.namespace, self.csi_pod, names.PLUGIN_CONTAINER)
            if self._file_is_restored(cluster):
                return True
            for item in feeds:
                if item.line is None:
                    return False
                if "reload config" in item.line and self._file_is_restored(cluster):
                    return True
        return False

    def _file_is_restored(self, cluster: Cluster) -> bool:
        config_maps = {m["name"]: m for m in self._volumes(cluster)}
        config_map = cluster.get("configmaps", self.namespace, next(iter(config_maps)))
        answer = cluster.execute(self.namespace, self.csi_pod, ["cat", names.CONFIG_PATH], names.PLUGIN_CONTAINER)
        return answer.ok and answer.stdout == str((config_map.get("data") or {}).get(names.CONFIG_KEY, ""))

    def _volumes(self, cluster: Cluster) -> list[Obj]:
        pod = cluster.get("pods", self.namespace, self.csi_pod)
        found = [v["configMap"] for v in pod["spec"].get("volumes") or () if v.get("name") == names.CONFIG_VOLUME]
        if not found:
            raise NotInCluster(f"{self.csi_pod} mounts no ConfigMap of the driver", "is it the CSI node Pod?")
        return found


def running(cluster: Cluster, pod: MountPod) -> str | Unreadable:
    """The version of the client that serves in a Mount Pod."""
    try:
        return best(clients.in_mount_pod(cluster, pod))[1]
    except JfsnbError as error:
        return Unreadable(error.what)


def _told(version: str | Unreadable) -> str:
    return version if isinstance(version, str) else f"a client that could not be asked ({version.why})"
