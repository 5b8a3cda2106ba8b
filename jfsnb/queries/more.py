"""What no question looks at, but people may: more logs, and what clients tell of themselves."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from jfsnb.checks.codes import Unreadable
from jfsnb.checks.snapshot import Snapshot, can_be_asked
from jfsnb.cluster.client import Cluster
from jfsnb.driver import names
from jfsnb.driver.mountpods.mount_pods import MountPod
from jfsnb.errors import JfsnbError
from jfsnb.queries.ask_pods import newest

Obj = dict[str, Any]
MORE_LINES = 300
_ASK = 'for file in .config .stats; do echo "@$file"; head -c 100000 "$1/$file" 2>/dev/null; echo; done'


def texts(cluster: Cluster, known: Snapshot, everyone: bool = False) -> dict[str, str]:
    """File name → text. What cannot be read is left out: no question misses it.

    Args:
        everyone: of all Mount Pods, not only the newest.
    """
    return {**_logs(cluster, known, everyone), **_told_by_clients(cluster, known, everyone)}


def _told_by_clients(cluster: Cluster, known: Snapshot, everyone: bool) -> dict[str, str]:
    """``.config`` and ``.stats`` of each client, from its own mount."""

    def ask(pod: MountPod) -> tuple[str, str] | None:
        try:
            answer = cluster.execute(
                pod.namespace, pod.name, ["sh", "-c", _ASK, "ask", pod.command.mount_path], names.MOUNT_CONTAINER
            )
        except JfsnbError:
            return None
        return (f"client-{pod.name}.txt", answer.stdout) if answer.stdout else None

    able = [p for p in _able(known) if p.ready]
    with ThreadPoolExecutor(8) as pool:
        return dict(found for found in pool.map(ask, able if everyone else newest(able)) if found is not None)


def _able(known: Snapshot) -> list[MountPod]:
    """Mount Pods that a kubelet answers for."""
    if any(isinstance(known.part(name), Unreadable) for name in ("mount_pods", "nodes")):
        return []
    by_name = {p["metadata"]["name"]: p for p in known.mount_pods if can_be_asked(p, known.node_by_name)}
    return [p for p in known.parsed if p.name in by_name]


def _logs(cluster: Cluster, known: Snapshot, everyone: bool) -> dict[str, str]:
    wanted = [*_controllers(known), *_mount_pods(known, everyone)]

    def read(one: tuple[str, str, str, bool]) -> tuple[str, str] | None:
        namespace, pod, container, before = one
        try:
            lines = cluster.log(namespace, pod, container, tail=MORE_LINES, timestamps=True, previous=before)
        except JfsnbError:
            return None
        return f"log-{pod}-{container}{'-previous' if before else ''}.txt", "\n".join(lines) + "\n"

    with ThreadPoolExecutor(8) as pool:
        return dict(found for found in pool.map(read, wanted) if found is not None)


def _controllers(known: Snapshot) -> Iterator[tuple[str, str, str, bool]]:
    for pod in () if isinstance(known.part("controller_pods"), Unreadable) else known.controller_pods:
        for container in pod["spec"].get("containers") or ():
            if container["name"] == names.PLUGIN_CONTAINER or "provisioner" in container["name"]:
                yield pod["metadata"]["namespace"], pod["metadata"]["name"], container["name"], False


def _mount_pods(known: Snapshot, everyone: bool) -> Iterator[tuple[str, str, str, bool]]:
    able = _able(known)
    for pod in able if everyone else newest(able):
        yield pod.namespace, pod.name, names.MOUNT_CONTAINER, False
        if pod.restarts:
            yield pod.namespace, pod.name, names.MOUNT_CONTAINER, True
