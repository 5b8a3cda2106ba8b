"""What a claim's next Mount Pod gets on a node, field by field, who decided it, and what each node has loaded."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from jfsnb.checks import configured
from jfsnb.checks.codes import Unreadable
from jfsnb.checks.configured import NodeConfig
from jfsnb.checks.model import CheckResult
from jfsnb.checks.preflight import is_ready
from jfsnb.checks.snapshot import NOT_ASKED, Snapshot
from jfsnb.driver.config.merging import DriverConfig, effective_image, load, merge
from jfsnb.driver.names import RECORDED
from jfsnb.driver.settings.explain import explain as explain_fields
from jfsnb.errors import ConfigInvalid, NotInCluster
from jfsnb.queries import driver_facts
from jfsnb.queries.driver_facts import Volume
from jfsnb.queries.finding import Finding
from jfsnb.queries.model import Row, Table
from jfsnb.queries.mounts import config_rows
from jfsnb.queries.next_mount import next_mount
from jfsnb.redact import redact_text

Obj = dict[str, Any]


def explain(known: Snapshot, namespace: str, claim: str, node: str = "") -> Finding:
    """The effective settings of a claim, field by field.

    Args:
        node: on this node; empty: on every node that can mount it, grouped where they are the same.

    Rows: nodes, field, value, decided_by, instead_of. Tables: "entries" (entry, matches, why, nodes), "next mount"
    (node, running, answer, exact), "configuration in force" (node, pod, state, why).

    Raises:
        NotInCluster: no such claim or node; the claim is not bound.
        ConfigInvalid: config.yaml cannot be loaded.
    """
    load(known.config_text or "")
    volume = volume_of(known, namespace, claim)
    if node and node not in known.node_by_name:
        raise NotInCluster(f"there is no node {node}", f"one of: {', '.join(sorted(known.node_by_name))}")
    nodes = [node] if node else _able(known)
    groups: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    for name in nodes:
        config = known.config_on(name)
        if config is None:
            raise ConfigInvalid(f"what {name} has loaded cannot be loaded here", "look at its config.yaml")
        groups[_settings(known, config, volume.claim, volume.pv, known.node_by_name[name], volume.is_ce)].append(name)
    rows, entries = [], []
    for (fields, considered), names in groups.items():
        where = "all" if len(groups) == 1 and not node else ", ".join(names)
        rows += [
            {"nodes": where, **dict(zip(("field", "value", "decided_by", "instead_of"), f, strict=True))}
            for f in fields
        ]
        entries += [{"nodes": where, **dict(zip(("entry", "matches", "why"), e, strict=True))} for e in considered]
    tables = {
        "entries": tuple(entries),
        "next mount": _coming(known, volume.name, nodes, volume.is_ce),
        "configuration in force": config_rows(one for name, one in known.loaded.items() if name in nodes),
    }
    return Finding(tuple(rows), _checks(known, nodes), tables)


def volume_of(known: Snapshot, namespace: str, claim: str) -> Volume:
    """A claim and the JuiceFS volume that it is bound to. Raises NotInCluster as ``driver_facts.find_volume``."""
    pvc = driver_facts.bound(known.pvc_by_key.get((namespace, claim)), namespace, claim)
    pv = known.pv_by_name.get(pvc["spec"]["volumeName"])
    if pv is None:
        raise driver_facts.not_ours(pvc["spec"]["volumeName"], ours=known.driver_name)
    return Volume(pvc, pv, known.is_ce(pv))


def _able(known: Snapshot) -> list[str]:
    """Ready nodes with a CSI node Pod; without any, all that have one."""
    having = [str(p["spec"].get("nodeName", "")) for p in known.csi_pods]
    having = sorted(n for n in having if n in known.node_by_name)
    return [n for n in having if is_ready(known.node_by_name[n])] or having


def _settings(
    known: Snapshot, config: DriverConfig, pvc: Obj, pv: Obj, node: Obj, is_ce: bool
) -> tuple[tuple[tuple[str, ...], ...], tuple[tuple[str, ...], ...]]:
    merged = merge(config, pvc, node)
    decision = effective_image(config, pvc, node, pv=pv, env=known.deployment.env, is_ce=is_ce)
    fields = tuple(
        (e.field, redact_text(e.value), e.provenance, redact_text("; ".join(e.overruled)))
        for e in explain_fields(config, merged, decision)
    )
    considered = tuple(
        (f"{entry.number} (line {entry.line})", "yes" if match.matched else "no", match.why)
        for entry, match in merged.considered
    )
    return fields, considered


def _coming(known: Snapshot, pv_name: str, nodes: list[str], is_ce: bool) -> Table:
    """What the next mount would do on each node where the volume is mounted, or on the one that was asked for."""
    rows: list[Row] = []
    for node in nodes:
        here = [known.parsed[at] for at in known.mount_pods_of(pv_name, node)]
        running = [pod.name for pod in here if pod.annotations.get(RECORDED) != "true"]
        if running or len(nodes) == 1:
            found = next_mount(known, pv_name, node, is_ce)
            answer, exact, unseen = (
                (f"not known: {found.why}", False, ())
                if isinstance(found, Unreadable)
                else (found.reason, found.exact, found.unseen)
            )
            row = {"node": node, "running": ", ".join(running) or "none", "answer": answer, "exact": exact}
            rows.append({**row, "not_seen": "; ".join(unseen)})
    return tuple(rows)


def _checks(known: Snapshot, nodes: list[str]) -> tuple[CheckResult, ...]:
    states: list[NodeConfig] = [one.state for name, one in known.loaded.items() if name in nodes]
    asked = [s for s in states if s.state != NOT_ASKED]
    return (configured.in_force(asked, [s.node for s in asked]),) if asked else ()
