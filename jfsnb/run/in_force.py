"""When does each CSI node have the patched configuration? Seen in the file it mounts and in its own log."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from jfsnb.checks import configured as checks
from jfsnb.checks.codes import Unreadable
from jfsnb.checks.configured import NodeConfig
from jfsnb.cluster.client import Cluster
from jfsnb.cluster.feeds import Feeds
from jfsnb.cluster.resources import title_of
from jfsnb.driver import names
from jfsnb.errors import JfsnbError
from jfsnb.queries import driver_facts
from jfsnb.queries.driver_facts import Driver
from jfsnb.queries.model import Row, Timeline
from jfsnb.run.preflight import nodes_with_driver
from jfsnb.run.results import InForce, Patched
from jfsnb.run.state import Run, part

Obj = dict[str, Any]
#: After a reload line, a rejection follows at once if at all: success has no line of its own.
REJECTION_SECONDS = 0.15


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def nodes_that_matter(run: Run, driver: Driver) -> dict[str, Obj]:
    """Node → its CSI node Pod: for a canary where the smoke Pods run, for a global patch every node that can mount."""
    ready, _ = nodes_with_driver(run.cluster, driver)
    if run.settings.scope == "canary" and run.node in ready:
        return {run.node: ready[run.node]}
    return ready


def marks(cluster: Cluster, pods: dict[str, Obj]) -> dict[str, str]:
    """Node → time stamp of the last line in its CSI node's log, to read on from there."""
    metas = {node: pod["metadata"] for node, pod in pods.items()}
    return {n: cluster.log_mark(m["namespace"], m["name"], names.PLUGIN_CONTAINER) for n, m in metas.items()}


@dataclass
class _Looked:
    """What has been seen of one CSI node Pod since the patch."""

    node: str
    pod: Obj
    lines: list[str] = field(default_factory=list)
    file: str | Unreadable = ""
    file_at: float | None = None
    reload_at: float | None = None

    def judge(self, wanted: str) -> NodeConfig:
        return checks.node_config(self.node, self.pod["metadata"]["name"], wanted, self.file, self.lines)


@part(InForce)
def wait_in_force(run: Run) -> InForce:
    """Wait until every CSI node that matters has loaded the patched configuration.

    Raises:
        CheckFailed: a driver rejected it. WaitTimeout: it is not in force in time.
    """
    timeline = Timeline()
    patched = run.recall(Patched.PART) or {}
    driver = driver_facts.find_driver(run.cluster, run.settings.driver_namespace)
    pods = nodes_that_matter(run, driver)
    wanted = driver.config_text
    looked = {node: _Looked(node, pod) for node, pod in pods.items()}
    since = _seconds_since(patched.get("patched_at"))
    run.tell("wait", f"the patched configuration in force on {', '.join(pods) or 'no node'}")
    with timeline.waiting("configuration in force on every node that matters"):
        if patched.get("changed"):
            _watch(run.cluster, run.tell, looked, wanted, patched.get("marks") or {}, run.settings.timeout, since)
        else:
            for one in looked.values():
                _read_file(run.cluster, one, since)
    states = [_unpatched(one, wanted) if not patched.get("changed") else one.judge(wanted) for one in looked.values()]
    rows = tuple(_row(looked[s.node], s) for s in states) + _bystanders(run, driver, looked)
    for one in looked.values():
        if one.lines:
            run.keep_log(one.pod["metadata"]["name"], one.lines)
    result = InForce(nodes=rows, checks=(checks.in_force(states, list(pods)),), timeline=tuple(timeline.entries))
    return run.require(result)


def _unpatched(one: _Looked, wanted: str) -> NodeConfig:
    """Nothing was patched, so there is no reload to wait for: the file is all there is to see."""
    state = checks.FORCE if one.file == wanted else checks.OLD
    return NodeConfig(one.node, one.pod["metadata"]["name"], state, "nothing was patched; its file says the same")


def _watch(
    cluster: Cluster,
    tell: Callable[[Any, str, str], None],
    looked: dict[str, _Looked],
    wanted: str,
    marks: dict[str, str],
    seconds: float,
    since: float,
) -> None:
    """Until each node has loaded it or rejected it, for at most so many seconds; ``since``: age of the patch."""
    started = time.monotonic() - since
    with Feeds(cluster, seconds) as feeds:
        for node, one in looked.items():
            meta = one.pod["metadata"]
            feeds.logs(node, meta["namespace"], meta["name"], names.PLUGIN_CONTAINER, after=marks.get(node, ""))
        waiting = set(looked)
        for item in feeds:
            one = looked[item.source]
            if item.line is None:
                waiting.discard(item.source)
            else:
                one.lines.append(item.line)
                if "reload config" not in item.line:
                    continue
                tell("log", item.line, f"pod/{one.pod['metadata']['name']}")
                one.reload_at = round(time.monotonic() - started, 2)
                _read_file(cluster, one, time.monotonic() - started)
                if one.file == wanted:
                    _see_rejection(tell, feeds, looked)
                    waiting -= {
                        n for n, o in looked.items() if o.judge(wanted).state in (checks.FORCE, checks.REJECTED)
                    }
            if not waiting:
                break
    for one in looked.values():
        if one.file != wanted:
            _read_file(cluster, one, time.monotonic() - started)


def _see_rejection(tell: Callable[[Any, str, str], None], feeds: Feeds, looked: dict[str, _Looked]) -> None:
    for item in feeds.within(REJECTION_SECONDS):
        if item.line is not None:
            looked[item.source].lines.append(item.line)
            tell("log", item.line, f"pod/{looked[item.source].pod['metadata']['name']}")


def _read_file(cluster: Cluster, one: _Looked, seconds: float) -> None:
    meta = one.pod["metadata"]
    try:
        answer = cluster.execute(meta["namespace"], meta["name"], ["cat", names.CONFIG_PATH], names.PLUGIN_CONTAINER)
    except JfsnbError as error:
        one.file = Unreadable(error.what)
        return
    one.file = answer.stdout if answer.ok else Unreadable(answer.stderr.strip() or f"exit code {answer.code}")
    one.file_at = round(seconds, 2)


def _row(one: _Looked, state: NodeConfig) -> Row:
    return {
        "node": one.node,
        "pod": state.pod,
        "file_seconds": one.file_at if state.state in (checks.FORCE, checks.FILE_ONLY, checks.REJECTED) else None,
        "reload_seconds": one.reload_at,
        "state": state.state,
        "log_line": state.detail,
    }


def _bystanders(run: Run, driver: Driver, looked: dict[str, _Looked]) -> tuple[Row, ...]:
    """Nodes with a CSI node Pod that were not waited for, with a word why."""
    ready, others = nodes_with_driver(run.cluster, driver)
    why = dict.fromkeys(ready, "not waited for: the smoke Pod does not run there") | others
    blank = {"file_seconds": None, "reload_seconds": None, "state": "not asked"}
    pod_names = {p["spec"].get("nodeName", ""): p["metadata"]["name"] for p in driver.node_pods}
    return tuple(
        {"node": node, "pod": pod_names.get(node, ""), **blank, "log_line": text}
        for node, text in sorted(why.items())
        if node not in looked
    )


def _seconds_since(moment: str | None) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds() if moment else 0.0


def back_in_force(
    cluster: Cluster, pods: dict[str, Obj], since: dict[str, str], wanted: str, seconds: float
) -> list[tuple[str, str]]:
    """Wait until CSI nodes have a restored configuration: (Pod, what was seen).

    Args:
        pods: name → CSI node Pod. since: ``marks`` from before it was restored.
    """
    looked = {name: _Looked(name, pod) for name, pod in pods.items()}
    _watch(cluster, lambda kind, text, source: None, looked, wanted, since, seconds, 0.0)
    late = f"not seen within {seconds:.0f} s; its kubelet syncs within about a minute"
    return [
        (
            title_of("pods", one.pod["metadata"]["namespace"], name),
            "loaded as restored" if one.judge(wanted).state == checks.FORCE else late,
        )
        for name, one in looked.items()
    ]
