"""A cluster as it was read at one moment. Every question and every diagnosis rule is a pure function of it.

Each part is a value or an Unreadable. Reading a part that is Unreadable raises NotRead, so that nobody takes an error
for an empty list; ``part`` hands it out for those who go on without.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from jfsnb.checks.client import CONFIG_FILE, EXECUTABLE, LOG, SESSIONS
from jfsnb.checks.codes import Unreadable
from jfsnb.checks.configured import FILE_ONLY as ONLY_FILE
from jfsnb.checks.configured import FORCE, OLD, NodeConfig, loaded_now
from jfsnb.checks.parts import AskedPart, Each, EachPart, Part
from jfsnb.checks.preflight import is_ready
from jfsnb.driver import names
from jfsnb.driver.config.merging import DriverConfig, ImageDecision, MergedPatch, effective_image, load, merge
from jfsnb.driver.deployment import Deployment
from jfsnb.driver.mountpods.mount_pods import MountPod, container_status, parse_time
from jfsnb.errors import ConfigInvalid

Obj = dict[str, Any]
#: State of a CSI node Pod that no kubelet answers for.
NOT_ASKED = "not asked"


class LogLine(str):
    """A line of a log; ``at``: when it was written, where that is known."""

    at: datetime | None = None

    @classmethod
    def stamped(cls, text: str) -> LogLine:
        """From a line that begins with the API server's time stamp."""
        when, _, rest = text.partition(" ")
        at = parse_time(when)
        line = cls(text if at is None else rest)
        line.at = at
        return line


@dataclass(frozen=True)
class Loaded:
    """What a node goes by.

    Args:
        state: see NodeConfig. config: what it has loaded; None when that is not known.
    """

    state: NodeConfig
    config: DriverConfig | None


@dataclass(frozen=True, eq=False, repr=False)
class Snapshot:
    """Plain API objects, log lines, and what was read in Pods.

    Args:
        now: when it was taken, UTC.
        source: the kubeconfig's context. tier: of a sandbox; empty for a real cluster. version: of Kubernetes.
        account: who read it. clock_offset: seconds that the cluster's clock was ahead of the reader's.
        node_clocks: node → the same of its own clock, where it was asked.
        file: that it was read from; empty for a live cluster.
        mount_pods: Pod objects of the driver's namespace with the Mount Pods' label.
        app_pods: Pods that use JuiceFS, slim: some questions need no more than their metadata.
        foreign_pvs: those that are not the driver's, with their driver and no more.
        pvs: the driver's. pvcs: all, as they are few. storage_classes, nodes, csi_nodes, events: API objects.
        csi_pods: Pods of the CSI node DaemonSet, which is daemon_set (None: there is none).
        controller_pods: Pods of the CSI controller. controllers: its StatefulSet or Deployment.
        run_pods: Pods that runs of jfsnb have made, as metadata.
        jobs: of the driver (canary, delete, clean-cache …). job_pods: the Pods of Jobs in its namespace.
        csi_driver: the CSIDriver object; None when there is none.
        config_map: that holds config.yaml; None when there is none.
        secret_keys: namespace/name of a Secret → its keys, never its values; None where there is no such Secret.
        csi_logs, mount_logs: Pod name → lines. csi_files: CSI node Pod → its config.yaml.
        csi_file_times: CSI node Pod → when the kubelet wrote that file; None when that is not known.
        clients: Mount Pod → versions of its client by source (jfsnb.queries.clients).
        next_hashes: Mount Pod → PV → the hash that the next mount asks for.
        inside: uid of an app Pod → path of each JuiceFS mount → what is wrong with it from inside, or empty.
    """

    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    source: str = ""
    tier: str = ""
    version: str = ""
    account: str = ""
    clock_offset: float | None = None
    node_clocks: Mapping[str, float] = field(default_factory=dict)
    file: str = ""
    mount_pods: Part[Sequence[Obj]] = Part()
    app_pods: Part[Sequence[Obj]] = Part()
    pvs: Part[Sequence[Obj]] = Part()
    foreign_pvs: Part[Sequence[Obj]] = Part()
    pvcs: Part[Sequence[Obj]] = Part()
    storage_classes: Part[Sequence[Obj]] = Part()
    nodes: Part[Sequence[Obj]] = Part()
    csi_nodes: Part[Sequence[Obj]] = Part()
    events: Part[Sequence[Obj]] = Part()
    csi_pods: Part[Sequence[Obj]] = Part()
    daemon_set: Part[Obj | None] = Part()
    controller_pods: Part[Sequence[Obj]] = Part()
    controllers: Part[Sequence[Obj]] = Part()
    jobs: Part[Sequence[Obj]] = Part()
    job_pods: Part[Sequence[Obj]] = Part()
    run_pods: Part[Sequence[Obj]] = Part()
    csi_driver: Part[Obj | None] = Part()
    config_map: Part[Obj | None] = Part()
    secret_keys: EachPart[Sequence[str] | None] = EachPart()
    csi_logs: EachPart[Sequence[str]] = EachPart()
    csi_files: EachPart[str] = EachPart()
    csi_file_times: EachPart[datetime | None] = EachPart()
    mount_logs: EachPart[Sequence[str]] = EachPart()
    clients: EachPart[Mapping[str, str | Unreadable]] = EachPart()
    next_hashes: EachPart[Mapping[str, str]] = EachPart()
    inside: AskedPart[Mapping[str, str]] = AskedPart()

    @property
    def context(self) -> str:
        """How to name it as a place that was asked."""
        return f"file:{self.file}" if self.file else self.source

    def part(self, name: str) -> Any:
        """A part by its name: the value, or the Unreadable itself."""
        return self.__dict__[name]

    def but(self, **parts: Any) -> Snapshot:
        """The same with other parts (dataclasses.replace would read all of them)."""
        return Snapshot(**{name: parts.get(name, self.__dict__[name]) for name in self.__dataclass_fields__})

    def __repr__(self) -> str:
        return f"Snapshot of {self.source or 'a cluster'} at {self.now:%Y-%m-%d %H:%M:%S}"

    @cached_property
    def parsed(self) -> tuple[MountPod, ...]:
        return tuple(MountPod.from_object(p) for p in self.mount_pods)

    @cached_property
    def memo(self) -> dict[Hashable, Any]:
        """What was worked out for one volume and holds for others that are alike: clusters have thousands of those."""
        return {}

    @cached_property
    def _places(self) -> dict[tuple[str, str], list[int]]:
        """(node, unique id) and (node, PV that it serves) → Mount Pods, by their places in the list."""
        found: dict[tuple[str, str], list[int]] = {}
        for at, pod in enumerate(self.parsed):
            for name in dict.fromkeys((f"id {pod.unique_id}", *(f"pv {r.pv_name}" for r in pod.references))):
                found.setdefault((pod.node, name), []).append(at)
        return found

    def mount_pods_of(self, pv_name: str, node: str) -> list[int]:
        """Places in the list of the Mount Pods of a volume on a node: by its id, or by whom they serve."""
        pv = self.pv_by_name.get(pv_name) or {}
        handle = ((pv.get("spec") or {}).get("csi") or {}).get("volumeHandle", "")
        serving = self._places.get((node, f"pv {pv_name}"), [])
        ids = dict.fromkeys((handle, *(self.parsed[at].unique_id for at in serving)))
        return sorted({at for one in ids for at in self._places.get((node, f"id {one}"), [])} | set(serving))

    @cached_property
    def versions(self) -> Each[str]:
        """Mount Pod → what its client says that it is, from the best source."""
        return self.clients.map(lambda told: best(told)[1])

    @cached_property
    def deployment(self) -> Deployment:
        """As the DaemonSet says or, where that cannot be read, one of its Pods."""
        told = self.part("daemon_set")
        if not told or isinstance(told, Unreadable):
            told = next(iter(self.csi_pods), {})
        return replace(Deployment.from_object(told), namespace=told.get("metadata", {}).get("namespace", ""))

    @property
    def config_text(self) -> str | None:
        """config.yaml of the ConfigMap; None when there is none."""
        text = ((self.config_map or {}).get("data") or {}).get(names.CONFIG_KEY)
        return None if text is None else str(text)

    @cached_property
    def config(self) -> DriverConfig | None:
        """The loaded config.yaml; None when there is none or it cannot be loaded."""
        try:
            return load(self.config_text) if self.config_text is not None else None
        except ConfigInvalid:
            return None

    @cached_property
    def pv_by_name(self) -> dict[str, Obj]:
        return {p["metadata"]["name"]: p for p in self.pvs}

    @cached_property
    def foreign_drivers(self) -> dict[str, str]:
        """PV → driver, of volumes that are not the driver's; empty where they could not be read."""
        found = self.part("foreign_pvs")
        return (
            {} if isinstance(found, Unreadable) else {v["metadata"]["name"]: v["spec"]["csi"]["driver"] for v in found}
        )

    @cached_property
    def pvs_by_claim(self) -> dict[tuple[str, str], list[Obj]]:
        """(namespace, name) of a claim → the volumes that name it."""
        found: dict[tuple[str, str], list[Obj]] = defaultdict(list)
        for pv in self.pvs:
            found[claim_key(pv)].append(pv)
        return found

    @cached_property
    def pvc_by_key(self) -> dict[tuple[str, str], Obj]:
        return {(c["metadata"].get("namespace", ""), c["metadata"]["name"]): c for c in self.pvcs}

    @cached_property
    def node_by_name(self) -> dict[str, Obj]:
        return {n["metadata"]["name"]: n for n in self.nodes}

    @cached_property
    def csi_pod_by_node(self) -> dict[str, Obj]:
        return {p.get("spec", {}).get("nodeName", ""): p for p in self.csi_pods}

    @cached_property
    def app_pod_by_uid(self) -> dict[str, Obj]:
        return {p["metadata"].get("uid", ""): p for p in self.app_pods}

    @property
    def driver_name(self) -> str:
        """As the driver itself is told to be called."""
        return self.deployment.driver_name

    @cached_property
    def registered_nodes(self) -> frozenset[str]:
        """Nodes whose kubelet knows the driver, by their CSINode."""
        return frozenset(
            n["metadata"]["name"]
            for n in self.csi_nodes
            if any(d.get("name") == self.driver_name for d in (n.get("spec") or {}).get("drivers") or ())
        )

    def node_down(self, name: str) -> Obj | None:
        """Condition Ready of a node that is not; None for one that is ready, or that is not listed."""
        conditions = ((self.node_by_name.get(name) or {}).get("status") or {}).get("conditions") or ()
        return next((c for c in conditions if c.get("type") == "Ready" and c.get("status") != "True"), None)

    def about(self, obj: Mapping[str, Any], kind: str) -> list[Obj]:
        """Events about this very object: not about an earlier one of its name."""
        meta = obj["metadata"]

        def is_it(event: Obj) -> bool:
            about = event.get("involvedObject") or event.get("regarding") or {}
            uid = about.get("uid")
            return about.get("kind") in (None, "", kind) and (not uid or not meta.get("uid") or uid == meta["uid"])

        return [e for e in self.events_of(meta.get("namespace", ""), meta["name"]) if is_it(e)]

    @cached_property
    def _events(self) -> dict[tuple[str, str], list[Obj]]:
        found: dict[tuple[str, str], list[Obj]] = defaultdict(list)
        for event in self.events:
            about = event.get("involvedObject") or event.get("regarding") or {}
            found[(about.get("namespace", ""), about.get("name", ""))].append(event)
        return found

    def events_of(self, namespace: str, name: str) -> list[Obj]:
        return self._events.get((namespace, name), [])

    def claim_of(self, pv_name: str) -> Obj | None:
        """The PVC that a PV is bound to."""
        return self.pvc_by_key.get(claim_key(self.pv_by_name.get(pv_name) or {}))

    def claim_name(self, pv_name: str) -> str:
        """``namespace/name`` of that PVC; empty when there is none."""
        return "/".join(filter(None, claim_key(self.pv_by_name.get(pv_name) or {})))

    def is_ce(self, pv: Mapping[str, Any]) -> bool:
        """Community edition, by the driver's own test: its Secret has a metaurl. Where that is not known: yes."""
        ref = (pv["spec"].get("csi") or {}).get("nodePublishSecretRef") or {}
        known = self.part("secret_keys")
        if not ref or isinstance(known, Unreadable):
            return True
        keys = known.of(f"{ref.get('namespace', '')}/{ref.get('name', '')}")
        return keys is None or isinstance(keys, Unreadable) or "metaurl" in keys

    @cached_property
    def loaded(self) -> dict[str, Loaded]:
        """Node → what its CSI node Pod has loaded."""
        found = (self._loaded(pod) for pod in self.csi_pods)
        return {one.state.node: one for one in found}

    def _loaded(self, pod: Obj) -> Loaded:
        node, name = pod["spec"].get("nodeName", ""), pod["metadata"]["name"]
        if not can_be_asked(pod, self.node_by_name):
            return Loaded(NodeConfig(node, name, NOT_ASKED, "the node is not Ready"), None)
        file, log = self.csi_files.of(name), self.csi_logs.of(name)
        lines = log if isinstance(log, Unreadable) else [(at, ln) for ln in log if (at := getattr(ln, "at", None))]
        since, started = self.csi_file_times.get(name), _started(pod)
        state = loaded_now(node, name, self.config_text or "", file, lines, since, started, self.now)
        known = isinstance(file, str) and state.state in (FORCE, OLD, ONLY_FILE)
        return Loaded(state, _parsed(str(file)) if known else None)

    def config_on(self, node: str) -> DriverConfig | None:
        """What a node goes by: what it has loaded, as far as that is known, else the ConfigMap."""
        one = self.loaded.get(node)
        return one.config if one is not None and one.config is not None else self.config

    def merged(self, pv_name: str, node: str) -> MergedPatch:
        """What config.yaml, as the node has it, comes to for a volume there."""
        return merge(self.config_on(node) or DriverConfig(), self.claim_of(pv_name), self.node_by_name.get(node))

    @cached_property
    def _decided(self) -> dict[tuple[str, str, bool, bool], ImageDecision | Unreadable]:
        return {}

    def desired(self, pv_name: str, node: str, is_ce: bool, *, as_loaded: bool = False) -> ImageDecision | Unreadable:
        """The image of the next Mount Pod of a volume on a node.

        Args:
            as_loaded: by what the node has loaded, instead of what the ConfigMap says now.
        """
        as_loaded = as_loaded and self.config_on(node) is not self.config
        key = (pv_name, node, is_ce, as_loaded)
        if key not in self._decided:
            self._decided[key] = self._decide(pv_name, node, is_ce, as_loaded)
        return self._decided[key]

    def _decide(self, pv_name: str, node: str, is_ce: bool, as_loaded: bool) -> ImageDecision | Unreadable:
        config = self.config_on(node) if as_loaded else self.config
        if config is None:
            return Unreadable("config.yaml cannot be loaded")
        pv = self.pv_by_name.get(pv_name)
        if pv is None:
            return Unreadable(f"PV {pv_name} is not there")
        env = self.deployment.env
        return effective_image(config, self.claim_of(pv_name), self.node_by_name.get(node), pv=pv, env=env, is_ce=is_ce)

    def wanted_image(self, mount_pod: MountPod) -> ImageDecision | None:
        """The image that a new Mount Pod in the place of this one would get; None when the volume is not known."""
        if not mount_pod.references:
            return None
        found = self.desired(mount_pod.references[0].pv_name, mount_pod.node, mount_pod.command.is_ce)
        return None if isinstance(found, Unreadable) else found

    def wanted_fields(self, mount_pod: MountPod) -> Mapping[str, Any]:
        """The merged fields of config.yaml for this Mount Pod's first volume."""
        if self.config is None or not mount_pod.references:
            return {}
        claim = self.claim_of(mount_pod.references[0].pv_name)
        return merge(self.config, claim, self.node_by_name.get(mount_pod.node)).fields


#: Names of everything in a snapshot that can be Unreadable.
PARTS = tuple(f.name for f in fields(Snapshot) if isinstance(Snapshot.__dict__.get(f.name), Part))


#: What stands for each of them where somebody goes on without.
NOTHING: dict[str, Any] = {name: Each() if isinstance(vars(Snapshot)[name], EachPart) else () for name in PARTS}


def best(versions: Mapping[str, str | Unreadable]) -> tuple[str, str | Unreadable]:
    """(source, version) of the best evidence for what runs in a Mount Pod."""
    for source in (CONFIG_FILE, SESSIONS, EXECUTABLE, LOG):
        if isinstance(versions.get(source), str):
            return source, versions[source]
    return EXECUTABLE, versions.get(EXECUTABLE, Unreadable("nothing was read"))


def claim_key(pv: Mapping[str, Any]) -> tuple[str, str]:
    """(namespace, name) of the claim that a PV is bound to."""
    ref = (pv.get("spec") or {}).get("claimRef") or {}
    return ref.get("namespace", ""), ref.get("name", "")


def can_be_asked(pod: Mapping[str, Any], nodes: Mapping[str, Obj]) -> bool:
    """Whether a kubelet answers for this Pod: exec and logs would work.

    Args:
        nodes: Node objects by name.
    """
    recorded = (pod["metadata"].get("annotations") or {}).get(names.RECORDED) == "true"
    return not recorded and is_ready(nodes.get(pod["spec"].get("nodeName", ""), {}))


def _parsed(text: str) -> DriverConfig | None:
    try:
        return load(text)
    except ConfigInvalid:
        return None


def _started(pod: Obj) -> datetime | None:
    state = ((container_status(pod, names.PLUGIN_CONTAINER) or {}).get("state") or {}).get("running") or {}
    return parse_time(state.get("startedAt"))
