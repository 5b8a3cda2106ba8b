"""Taking a snapshot of a cluster for the diagnosis rules: lists in parallel, logs and files where a node answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from jfsnb.checks.codes import Unreadable
from jfsnb.checks.diagnosis.snapshot import Snapshot
from jfsnb.cluster.client import Cluster
from jfsnb.driver import names
from jfsnb.errors import JfsnbError, NotInCluster
from jfsnb.queries import clients, driver_facts
from jfsnb.queries.driver_facts import Driver

Obj = dict[str, Any]
T = TypeVar("T")
THREADS = 8
CSI_LOG_LINES, MOUNT_LOG_LINES = 200, 100
#: More Mount Pods than this are not each asked which client runs in them.
ASKED_FOR_CLIENTS = 30
_VOLUME = re.compile(r'for volume "([^"]+)"')


def snapshot(cluster: Cluster, driver: Driver) -> Snapshot:
    """Everything that the rules look at, as far as these credentials may read it."""
    unread: dict[str, str] = {}
    lists: dict[str, Callable[[], list[Obj]]] = {
        "mount_pods": lambda: cluster.list("pods", driver.namespace, labels=names.MOUNT_POD_SELECTOR),
        "app_pods": lambda: [
            *(_slim(p) for page in cluster.pages("pods", labels=names.UNIQUE_ID) for p in page),
            *map(_slim, cluster.list("pods", labels=f"{names.SIDECAR_DONE}=true,!{names.UNIQUE_ID}")),
        ],
        "pvs": lambda: [v for v in cluster.list("persistentvolumes") if _is_juicefs(v)],
        "pvcs": lambda: cluster.list("persistentvolumeclaims"),
        "storage_classes": lambda: cluster.list("storageclasses"),
        "nodes": lambda: cluster.list("nodes"),
        "csi_nodes": lambda: cluster.list("csinodes"),
        "events": lambda: [
            *cluster.list("events", fields="type=Warning"),
            *cluster.list("events", driver.namespace, fields="reason=Upgrade"),
        ],
    }
    with ThreadPoolExecutor(THREADS) as pool:
        running = {name: pool.submit(read) for name, read in lists.items()}
        found: dict[str, list[Obj]] = {}
        for name, future in running.items():
            try:
                found[name] = future.result()
            except JfsnbError as error:
                found[name], unread[name] = [], error.what
    if "app_pods" not in unread:
        found["app_pods"] += _unlabelled(cluster, found)
    ready_nodes = driver_facts.ready_nodes(found["nodes"])
    csi_pods = [p for p in driver.node_pods if _answers(p, ready_nodes)]
    troubled = [p for p in found["mount_pods"] if _in_trouble(p, ready_nodes)]
    partly: dict[str, str] = {}
    return Snapshot(
        mount_pods=found["mount_pods"],
        app_pods=found["app_pods"],
        pvs=found["pvs"],
        pvcs=found["pvcs"],
        storage_classes=found["storage_classes"],
        nodes=found["nodes"],
        csi_nodes=found["csi_nodes"],
        events=found["events"],
        csi_pods=driver.node_pods,
        daemon_set=driver.daemon_set or driver.node_pods[0],
        config_map=driver.config_map,
        csi_logs=_logs(cluster, csi_pods, names.PLUGIN_CONTAINER, CSI_LOG_LINES, partly, "csi_logs"),
        csi_files=_files(cluster, csi_pods, partly),
        mount_logs=_logs(cluster, troubled, names.MOUNT_CONTAINER, MOUNT_LOG_LINES, partly, "mount_logs"),
        versions=_versions(cluster, found["mount_pods"], ready_nodes, partly),
        unread=unread,
        partly=partly,
    )


def _is_juicefs(pv: Obj) -> bool:
    return (pv["spec"].get("csi") or {}).get("driver") == names.DRIVER


def _unlabelled(cluster: Cluster, found: dict[str, list[Obj]]) -> list[Obj]:
    """App Pods without the driver's label, which it sets only once it is asked to mount: those that a reference names,
    and those whose JuiceFS volume could not be mounted. Looked for only when there are such."""
    known = {p["metadata"]["uid"] for p in found["app_pods"]}
    noted = (p["metadata"].get("annotations") for p in found["mount_pods"])
    referenced = {r.pod_uid for notes in noted for r in names.references(notes)} - known
    places = {p["uid"]: (p["namespace"], p["name"]) for p in _not_mounted(found) if p["uid"] not in known}
    if referenced - set(places):
        metas = (o["metadata"] for page in cluster.pages("pods", metadata_only=True) for o in page)
        places |= {m["uid"]: (m["namespace"], m["name"]) for m in metas if m["uid"] in referenced}
    there = [(uid, cluster.find("pods", *place)) for uid, place in places.items()]
    return [_slim(p) for uid, p in there if p is not None and p["metadata"]["uid"] == uid]


def _not_mounted(found: dict[str, list[Obj]]) -> list[Obj]:
    """Pods that an event says could not get a JuiceFS volume, as the events name them."""
    volumes = {v["metadata"]["name"] for v in found["pvs"]}
    failed = [e for e in found["events"] if e.get("reason") == "FailedMount"]
    return [e["involvedObject"] for e in failed if volumes & set(_VOLUME.findall(e.get("message", "")))]


#: Shared by all of them.
_READY, _NOT_READY = ([{"type": "Ready", "status": status}] for status in ("True", "False"))


def _slim(pod: Obj) -> Obj:
    """What the rules look at of an app Pod: of these there are very many."""
    meta, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    volumes = [v for v in spec.get("volumes") or () if "persistentVolumeClaim" in v or "ephemeral" in v]
    kept = ("name", "namespace", "uid", "labels", "creationTimestamp", "deletionTimestamp")
    slim: Obj = {
        "metadata": {k: meta[k] for k in kept if k in meta},
        "spec": {"nodeName": spec.get("nodeName", ""), "volumes": volumes},
        "status": {
            "phase": status.get("phase", ""),
            "conditions": _READY if driver_facts.is_ready(pod) else _NOT_READY,
        },
    }
    if (meta.get("labels") or {}).get(names.SIDECAR_DONE) == "true":
        slim["status"] |= {k: status[k] for k in ("containerStatuses", "initContainerStatuses") if k in status}
    return slim


def _answers(pod: Obj, ready_nodes: Collection[str]) -> bool:
    return driver_facts.is_ready(pod) and driver_facts.can_be_asked(pod, ready_nodes)


def _in_trouble(pod: Obj, ready_nodes: Collection[str]) -> bool:
    """A Mount Pod whose log may say what is wrong, on a node that can hand it out; one that never started has none."""
    states = (pod.get("status") or {}).get("containerStatuses") or ()
    restarted = any(s.get("restartCount") for s in states)
    started = any(kind in (s.get("state") or {}) for s in states for kind in ("running", "terminated")) or restarted
    here = driver_facts.can_be_asked(pod, ready_nodes)
    return here and started and (restarted or not driver_facts.is_ready(pod))


def _each(pods: Iterable[Obj], read: Callable[[str, str], T]) -> dict[str, T | JfsnbError]:
    """Pod name → what reading it gave, several at a time; Pods that have gone since they were listed are left out."""

    def one(pod: Obj) -> tuple[str, T | JfsnbError] | None:
        meta = pod["metadata"]
        try:
            return meta["name"], read(meta["namespace"], meta["name"])
        except NotInCluster:
            return None
        except JfsnbError as error:
            return meta["name"], error

    with ThreadPoolExecutor(THREADS) as pool:
        return dict(found for found in pool.map(one, pods) if found is not None)


def _logs(
    cluster: Cluster, pods: list[Obj], container: str, lines: int, partly: dict[str, str], field: str
) -> dict[str, tuple[str, ...]]:
    found = _each(pods, lambda namespace, name: cluster.log(namespace, name, container, tail=lines))
    return _readable(found, partly, field)


def _files(cluster: Cluster, pods: list[Obj], partly: dict[str, str]) -> dict[str, str]:
    """CSI node Pod → its config.yaml as it sees it."""

    def read(namespace: str, name: str) -> str:
        answer = cluster.execute(namespace, name, ["cat", names.CONFIG_PATH], names.PLUGIN_CONTAINER)
        if not answer.ok:
            raise JfsnbError(
                f"cat {names.CONFIG_PATH} in {name}: {answer.stderr.strip() or f'exit code {answer.code}'}"
            )
        return answer.stdout

    return _readable(_each(pods, read), partly, "csi_files")


def _versions(
    cluster: Cluster, pods: list[Obj], ready_nodes: Collection[str], partly: dict[str, str]
) -> dict[str, str]:
    """Mount Pod → the client that runs in it, for Ready ones; a big cluster's are not all asked."""
    asked = [p for p in pods if _answers(p, ready_nodes)]
    if len(asked) > ASKED_FOR_CLIENTS:
        return {}
    facts = {p["metadata"]["name"]: driver_facts.facts_of({"": p})[0] for p in asked}

    def ask(_: str, name: str) -> str:
        runs = clients.best(clients.in_mount_pod(cluster, facts[name]))[1]
        if isinstance(runs, Unreadable):
            raise JfsnbError(f"the client in {name}: {runs.why}")
        return runs

    return _readable(_each(asked, ask), partly, "versions")


def _readable(found: dict[str, T | JfsnbError], partly: dict[str, str], field: str) -> dict[str, T]:
    """What could be read; the first failure, and how many there were, is noted in ``partly``."""
    failed = [v for v in found.values() if isinstance(v, JfsnbError)]
    if failed:
        partly[field] = failed[0].what + (f" (and {len(failed) - 1} more)" if len(failed) > 1 else "")
    return {name: v for name, v in found.items() if not isinstance(v, JfsnbError)}
