"""What each CSI node Pod has loaded now, asked without having changed or watched anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jfsnb.checks import configured
from jfsnb.checks.codes import Unreadable
from jfsnb.checks.configured import NodeConfig
from jfsnb.cluster.client import Cluster
from jfsnb.driver import names
from jfsnb.driver.config import merging as config
from jfsnb.driver.config.merging import DriverConfig
from jfsnb.driver.mountpods.mount_pods import container_status, parse_time
from jfsnb.errors import ConfigInvalid, JfsnbError
from jfsnb.queries import driver_facts
from jfsnb.queries.driver_facts import Driver
from jfsnb.queries.model import Table

Obj = dict[str, Any]
THREADS = 16
LOG_LINES = 400
NOT_ASKED = "not asked"
#: The kubelet swaps this link when it brings a change, so that its own time is the change's.
ASK = 'stat -c %Y "$(dirname "$0")/..data" 2>/dev/null || echo 0; cat "$0"'


@dataclass(frozen=True)
class Loaded:
    """What a node goes by.

    Args:
        state: see ``NodeConfig``. config: what it has loaded; None when that is not known.
    """

    state: NodeConfig
    config: DriverConfig | None


def loaded(cluster: Cluster, driver: Driver, nodes: Mapping[str, Obj]) -> dict[str, Loaded]:
    """Node → what its CSI node Pod has loaded; nodes that are not Ready are not asked.

    Args:
        nodes: Node objects by name.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        found = pool.map(lambda pod: _loaded(cluster, driver, nodes, pod), driver.node_pods)
        return {one.state.node: one for one in found}


def _loaded(cluster: Cluster, driver: Driver, nodes: Mapping[str, Obj], pod: Obj) -> Loaded:
    node, name = pod["spec"].get("nodeName", ""), pod["metadata"]["name"]
    if not driver_facts.can_be_asked(pod, driver_facts.ready_nodes(nodes.values())):
        return Loaded(NodeConfig(node, name, NOT_ASKED, "the node is not Ready"), None)
    file, since = _file(cluster, pod)
    state = configured.loaded_now(
        node, name, driver.config_text, file, _log(cluster, pod), since, _started(pod), datetime.now(UTC)
    )
    known = isinstance(file, str) and state.state in (configured.FORCE, configured.OLD, configured.FILE_ONLY)
    return Loaded(state, _parsed(str(file)) if known else None)


def _parsed(text: str) -> DriverConfig | None:
    try:
        return config.load(text)
    except ConfigInvalid:
        return None


def _file(cluster: Cluster, pod: Obj) -> tuple[str | Unreadable, datetime | None]:
    meta = pod["metadata"]
    command = ["sh", "-c", ASK, names.CONFIG_PATH]
    try:
        answer = cluster.execute(meta["namespace"], meta["name"], command, names.PLUGIN_CONTAINER)
    except JfsnbError as error:
        return Unreadable(error.what), None
    when, _, text = answer.stdout.partition("\n")
    if not answer.ok or not when.isdigit():
        return Unreadable(answer.stderr.strip() or f"exit code {answer.code}"), None
    return text, datetime.fromtimestamp(int(when), UTC) if int(when) else None


def _log(cluster: Cluster, pod: Obj) -> list[tuple[datetime, str]] | Unreadable:
    meta = pod["metadata"]
    try:
        lines = cluster.log(meta["namespace"], meta["name"], names.PLUGIN_CONTAINER, tail=LOG_LINES, timestamps=True)
    except JfsnbError as error:
        return Unreadable(error.what)
    pairs = ((parse_time(when), line) for when, _, line in (text.partition(" ") for text in lines))
    return [(at, line) for at, line in pairs if at is not None]


def _started(pod: Obj) -> datetime | None:
    state = ((container_status(pod, names.PLUGIN_CONTAINER) or {}).get("state") or {}).get("running") or {}
    return parse_time(state.get("startedAt"))


def rows_of(found: Iterable[Loaded]) -> Table:
    """Columns node, pod, state, why."""
    states = sorted((one.state for one in found), key=lambda s: (s.state == NOT_ASKED, s.node))
    return tuple({"node": s.node, "pod": s.pod, "state": s.state, "why": s.detail} for s in states)
