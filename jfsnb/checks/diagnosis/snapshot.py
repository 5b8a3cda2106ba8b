"""A cluster at one moment, as far as it could be read, and the diagnosis rules that look at it.

A rule is a pure function that yields a result for each thing it finds wrong and stays silent otherwise. What could not
be read is listed in ``unread``; the rules that need it answer ERROR. What could be read of some objects only is listed
in ``partly``: the rules look at these, and answer ERROR for the others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from jfsnb.checks.codes import Unreadable, register, unreadable
from jfsnb.checks.model import CheckResult
from jfsnb.driver import names
from jfsnb.driver.config.merging import DriverConfig, ImageDecision, effective_image, load, merge
from jfsnb.driver.deployment import Deployment
from jfsnb.driver.mountpods.mount_pods import MountPod
from jfsnb.errors import ConfigInvalid, JfsnbError

Obj = Mapping[str, Any]


@dataclass(frozen=True)
class Snapshot:
    """Plain API objects, log lines and what was read in Pods.

    Args:
        now: when it was taken, UTC.
        mount_pods: Pod objects of the driver's namespace with the Mount Pods' label.
        app_pods: Pods that use JuiceFS; metadata alone will do for most rules.
        pvs, pvcs, storage_classes, nodes, csi_nodes, events: API objects.
        csi_pods: Pods of the CSI node DaemonSet, which is daemon_set.
        config_map: that holds config.yaml; None when there is none.
        csi_logs, mount_logs: Pod name → lines. csi_files: CSI node Pod → its config.yaml.
        versions: Mount Pod → version of the client that runs in it.
        unread: field → why it could not be read.
        partly: field → why it could not be read everywhere.
    """

    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    mount_pods: Sequence[Obj] = ()
    app_pods: Sequence[Obj] = ()
    pvs: Sequence[Obj] = ()
    pvcs: Sequence[Obj] = ()
    storage_classes: Sequence[Obj] = ()
    nodes: Sequence[Obj] = ()
    csi_nodes: Sequence[Obj] = ()
    csi_pods: Sequence[Obj] = ()
    daemon_set: Obj | None = None
    config_map: Obj | None = None
    events: Sequence[Obj] = ()
    csi_logs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    mount_logs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    csi_files: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)
    partly: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def parsed(self) -> tuple[MountPod, ...]:
        return tuple(MountPod.from_object(p) for p in self.mount_pods)

    @cached_property
    def deployment(self) -> Deployment:
        return Deployment.from_object(self.daemon_set or {})

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
        ref = (self.pv_by_name.get(pv_name) or {}).get("spec", {}).get("claimRef") or {}
        return self.pvc_by_key.get((ref.get("namespace", ""), ref.get("name", "")))

    def wanted_image(self, mount_pod: MountPod) -> ImageDecision | None:
        """The image that a new Mount Pod in the place of this one would get; None when the volume is not known."""
        if self.config is None or not mount_pod.references:
            return None
        pv_name = mount_pod.references[0].pv_name
        return effective_image(
            self.config,
            self.claim_of(pv_name),
            self.node_by_name.get(mount_pod.node),
            pv=self.pv_by_name.get(pv_name),
            env=self.deployment.env,
            is_ce=mount_pod.command.is_ce,
        )

    def wanted_fields(self, mount_pod: MountPod) -> Mapping[str, Any]:
        """The merged fields of config.yaml for this Mount Pod's first volume."""
        if self.config is None or not mount_pod.references:
            return {}
        claim = self.claim_of(mount_pod.references[0].pv_name)
        return merge(self.config, claim, self.node_by_name.get(mount_pod.node)).fields


Rule = Callable[[Snapshot], Iterable[CheckResult]]


@dataclass(frozen=True)
class RegisteredRule:
    """A diagnosis rule, its code, and the fields of the snapshot without which it cannot look."""

    code: str
    needs: tuple[str, ...]
    look: Rule


RULES: list[RegisteredRule] = []


def rule(code: str, title: str, cause: str, fix: str, needs: Sequence[str] = ()) -> Callable[[Rule], Rule]:
    """Register a diagnosis rule; ``needs`` names fields of the snapshot."""
    register(code, title, cause, fix)

    def add(look: Rule) -> Rule:
        RULES.append(RegisteredRule(code, tuple(needs), look))
        return look

    return add


def diagnose(snapshot: Snapshot) -> tuple[CheckResult, ...]:
    """Everything that the rules find, worst area first by code; empty in a healthy world that could be read.

    A rule that could not look, or that met an object it does not understand, is an ERROR.
    """
    return tuple(r for entry in sorted(RULES, key=lambda e: e.code) for r in _apply(entry, snapshot))


def _apply(entry: RegisteredRule, snapshot: Snapshot) -> Iterator[CheckResult]:
    missing = [f"{name}: {snapshot.unread[name]}" for name in entry.needs if name in snapshot.unread]
    if missing:
        yield unreadable(entry.code, Unreadable("; ".join(missing)))
        return
    blind = [f"{name}: {snapshot.partly[name]}" for name in entry.needs if name in snapshot.partly]
    if blind:
        yield unreadable(entry.code, Unreadable("; ".join(blind)))
    try:
        yield from entry.look(snapshot)
    except (KeyError, TypeError, AttributeError, ValueError, JfsnbError) as error:
        yield unreadable(entry.code, Unreadable(f"an object looks strange ({type(error).__name__}: {error})"))
