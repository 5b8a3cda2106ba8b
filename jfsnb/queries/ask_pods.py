"""What Pods answer for a snapshot: CSI nodes for the configuration they have, Mount Pods for their client and log.

A Pod is asked only where a kubelet answers for it, and of many Mount Pods only some unless all are wished.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, TypeVar

from jfsnb.checks import inside
from jfsnb.checks.codes import Unreadable
from jfsnb.checks.parts import Each
from jfsnb.checks.preflight import is_ready
from jfsnb.checks.snapshot import LogLine, Snapshot, can_be_asked, claim_key
from jfsnb.cluster.client import Cluster
from jfsnb.driver import names
from jfsnb.driver.mountpods.mount_pods import MountPod, claims_of
from jfsnb.driver.settings.next_mount import next_hash
from jfsnb.errors import JfsnbError, NotInCluster, PermissionMissing
from jfsnb.queries import clients
from jfsnb.queries.clients import ASKED_FOR_CLIENTS, not_asked
from jfsnb.queries.next_mount import facts_of

Obj = dict[str, Any]
T = TypeVar("T")
THREADS = 8
#: Of more Secrets nobody looks whether they have a metaurl.
SECRETS = 200
#: In place of a hash that is not the Mount Pod's.
ANOTHER = "another"
CSI_LOG_LINES, MOUNT_LOG_LINES = 400, 100
#: The kubelet swaps this link when it brings a change, so that its own time is the change's.
_ASK_FILE = 'echo "$(stat -c %Y "$(dirname "$0")/..data" 2>/dev/null || echo 0) $(date +%s)"; cat "$0"'


#: Seconds that an answer may take to tell the time by it.
_QUICK = 3.0


def attempt(read: Callable[[], T]) -> T | Unreadable:
    """A value, or why there is none."""
    try:
        return read()
    except JfsnbError as error:
        return Unreadable(error.what)


def csi_nodes(cluster: Cluster, found: Snapshot) -> dict[str, Any]:
    """What each CSI node Pod has of the configuration, and its log."""
    asked = [p for p in found.csi_pods if can_be_asked(p, found.node_by_name)]
    with ThreadPoolExecutor(2) as pool:  # each of the two asks several Pods at once
        files = pool.submit(_each, asked, lambda namespace, name: _file(cluster, namespace, name))
        logs = pool.submit(_each, asked, lambda namespace, name: _csi_log(cluster, namespace, name))
    both = Each(files.result())
    nodes = {p["metadata"]["name"]: p["spec"].get("nodeName", "") for p in asked}
    return {
        "node_clocks": {nodes[pod]: told[2] for pod, told in both.items() if told[2] is not None},
        "csi_logs": logs.result(),
        "csi_files": both.map(lambda pair: pair[1]),
        "csi_file_times": both.map(lambda pair: pair[0]),
    }


def _file(cluster: Cluster, namespace: str, name: str) -> tuple[datetime | None, str, float | None]:
    """When the kubelet wrote config.yaml, its text, and how many seconds the node's clock is ahead of this machine's.

    None where the answer took so long that nobody can tell.
    """
    before = time.time()
    answer = cluster.execute(namespace, name, ["sh", "-c", _ASK_FILE, names.CONFIG_PATH], names.PLUGIN_CONTAINER)
    took, here = time.time() - before, (before + time.time()) / 2
    first, _, text = answer.stdout.partition("\n")
    when, _, there = first.partition(" ")
    if not answer.ok or not when.isdigit() or not there.isdigit():
        raise JfsnbError(f"cat {names.CONFIG_PATH} in {name}: {answer.stderr.strip() or f'exit code {answer.code}'}")
    ahead = round(int(there) + 0.5 - here, 1) if took < _QUICK else None
    return datetime.fromtimestamp(int(when), UTC) if int(when) else None, text, ahead


def _csi_log(cluster: Cluster, namespace: str, name: str) -> tuple[LogLine, ...]:
    lines = cluster.log(namespace, name, names.PLUGIN_CONTAINER, tail=CSI_LOG_LINES, timestamps=True)
    return tuple(map(LogLine.stamped, lines))


def _each(pods: Iterable[Obj], read: Callable[[str, str], T]) -> dict[str, T | Unreadable]:
    """Pod name → what reading it gave, several at a time; Pods that have gone since they were listed are left out."""

    def one(pod: Obj) -> tuple[str, T | Unreadable] | None:
        meta = pod["metadata"]
        try:
            return meta["name"], read(meta["namespace"], meta["name"])
        except NotInCluster:
            return None
        except JfsnbError as error:
            return meta["name"], Unreadable(error.what)

    with ThreadPoolExecutor(THREADS) as pool:
        return dict(found for found in pool.map(one, pods) if found is not None)


def mount_logs(cluster: Cluster, found: Snapshot) -> dict[str, Any] | Unreadable:
    """Logs of Mount Pods that may say what is wrong: of all in trouble, and of the newest that seem well.

    A client that was killed and restarted inside its container leaves no other trace.
    """
    for name in ("mount_pods", "nodes"):
        if isinstance(found.part(name), Unreadable):
            return Unreadable(f"{name}: {found.part(name).why}")
    living = [p for p in found.mount_pods if can_be_asked(p, found.node_by_name)]
    troubled = [p for p in living if _in_trouble(p)]
    well = sorted((p for p in living if is_ready(p)), key=lambda p: p["metadata"]["creationTimestamp"], reverse=True)
    asked = {p["metadata"]["name"]: p for p in [*troubled, *well[:ASKED_FOR_CLIENTS]]}
    return _each(asked.values(), lambda namespace, name: _mount_log(cluster, namespace, name))


def _mount_log(cluster: Cluster, namespace: str, name: str) -> tuple[LogLine, ...]:
    lines = cluster.log(namespace, name, names.MOUNT_CONTAINER, tail=MOUNT_LOG_LINES, timestamps=True)
    return tuple(map(LogLine.stamped, lines))


def _in_trouble(pod: Obj) -> bool:
    """A Mount Pod that is not ready or was restarted; one that never started has no log."""
    states = (pod.get("status") or {}).get("containerStatuses") or ()
    restarted = any(s.get("restartCount") for s in states)
    started = any(kind in (s.get("state") or {}) for s in states for kind in ("running", "terminated")) or restarted
    return started and (restarted or not is_ready(pod))


def with_clients(cluster: Cluster, found: Snapshot, pods: Iterable[MountPod], everyone: bool) -> Snapshot:
    """Which client runs in Ready Mount Pods on Ready nodes; of many only in the newest, unless everyone is wished."""
    if isinstance(found.part("nodes"), Unreadable):
        return found.but(clients=Unreadable(f"nodes: {found.part('nodes').why}"))
    ready = {name for name, node in found.node_by_name.items() if is_ready(node)}
    able = [p for p in pods if p.ready and p.node in ready and p.annotations.get(names.RECORDED) != "true"]
    asked = able if everyone else newest(able)
    by_name = {p.name: p for p in asked}
    objs = [{"metadata": {"namespace": p.namespace, "name": p.name}} for p in asked]
    told: dict[str, Any] = _each(objs, lambda _, name: clients.in_mount_pod(cluster, by_name[name]))
    told |= dict.fromkeys((p.name for p in able if p.name not in by_name), not_asked(ASKED_FOR_CLIENTS))
    return found.but(clients=told)


def with_inside(cluster: Cluster, found: Snapshot, apps: Iterable[Obj]) -> Snapshot:
    """How app Pods see their JuiceFS mounts: a bounded look from inside their own containers, where that is allowed."""
    if any(isinstance(found.part(name), Unreadable) for name in ("nodes", "pvs")):
        return found
    running = [app for app in apps if (app.get("status") or {}).get("phase") == "Running"]
    asked = {app["metadata"]["uid"]: app for app in running if can_be_asked(app, found.node_by_name)}
    where = {uid: _mounted(found, app) for uid, app in asked.items()}

    def look(uid: str) -> Mapping[str, str] | Unreadable | None:
        meta, (container, paths) = asked[uid]["metadata"], where[uid][0]
        words, seconds = ["sh", "-c", inside.LOOK, "look", *paths], 15.0 * len(paths) + 15
        try:
            answer = cluster.execute(meta["namespace"], meta["name"], words, container, seconds=seconds)
        except PermissionMissing:
            return None
        except JfsnbError as error:
            return Unreadable(error.what)
        return inside.read(answer.stdout) or Unreadable(f"{meta['name']} could not look: {answer.stderr.strip()[:200]}")

    uids = [uid for uid in asked if where[uid]]
    with ThreadPoolExecutor(THREADS) as pool:
        told = zip(uids, pool.map(look, uids), strict=True)
        return found.but(inside={uid: seen for uid, seen in told if seen is not None})


def _mounted(found: Snapshot, app: Obj) -> list[tuple[str, list[str]]]:
    """Containers of an app Pod that mount a volume of the driver: name, paths."""
    namespace = app["metadata"]["namespace"]
    ours = {claim_key(pv) for pv in found.pvs}
    volumes = {volume for volume, claim in claims_of(app) if (namespace, claim) in ours}
    told = []
    for container in app["spec"].get("containers") or ():
        paths = [m["mountPath"] for m in container.get("volumeMounts") or () if m.get("name") in volumes]
        if paths:
            told.append((container["name"], paths))
    return told


def newest(pods: Iterable[MountPod]) -> list[MountPod]:
    """Of many the newest."""
    ordered = sorted(pods, key=lambda p: (p.created.timestamp() if p.created else 0.0, p.name), reverse=True)
    return ordered[:ASKED_FOR_CLIENTS]


def secret_keys(cluster: Cluster, pvs: Iterable[Obj]) -> dict[str, tuple[str, ...] | Unreadable | None]:
    """Keys of the Secrets that volumes are mounted with."""
    refs = [(v["spec"].get("csi") or {}).get("nodePublishSecretRef") or {} for v in pvs]
    places = sorted({(r.get("namespace", ""), r.get("name", "")) for r in refs if r})

    def keys(place: tuple[str, str]) -> tuple[str, ...] | None:
        secret = cluster.find("secrets", *place)
        return None if secret is None else tuple(sorted(secret.get("data") or {}))

    asked = places[:SECRETS]
    with ThreadPoolExecutor(THREADS) as pool:
        found = pool.map(lambda place: attempt(lambda: keys(place)), asked)
        told = {"/".join(place): one for place, one in zip(asked, found, strict=True)}
    return {**told, **{"/".join(place): not_asked(SECRETS) for place in places[SECRETS:]}}


def with_hashes(cluster: Cluster, found: Snapshot, pods: Iterable[MountPod]) -> Snapshot:
    """Whether these Mount Pods fit the next mount of their volumes, by the driver's own hash, where its Secret may be
    read."""
    by_handle: dict[str, set[str]] = defaultdict(set)
    for pv in found.pvs:
        by_handle[(pv["spec"].get("csi") or {}).get("volumeHandle", "")].add(pv["metadata"]["name"])
    asked = [(p, pv) for p in pods for pv in sorted({r.pv_name for r in p.references} | by_handle[p.unique_id])]
    with ThreadPoolExecutor(THREADS) as pool:
        made = pool.map(lambda pair: attempt(lambda: _hash(cluster, found, *pair)), asked)
        told: dict[str, dict[str, str]] = defaultdict(dict)
        for (pod, pv_name), one in zip(asked, made, strict=True):
            if isinstance(one, str):
                told[pod.name][pv_name] = one
    return found.but(next_hashes=dict(told))


def _hash(cluster: Cluster, found: Snapshot, pod: MountPod, pv_name: str) -> str | None:
    """The Mount Pod's own hash where it fits; of another it is only said that it is another."""
    decision = found.desired(pv_name, pod.node, pod.command.is_ce, as_loaded=True)
    mount = None if isinstance(decision, Unreadable) else facts_of(found, pv_name, pod, decision)
    if mount is None or not pod.settings_hash:
        return None
    secret = names.secret_name(pod.unique_id)
    made = cluster.from_secret(found.deployment.namespace, secret, "jfsSettings", lambda kept: next_hash(kept, mount))
    return made if made in (None, pod.settings_hash) else ANOTHER
