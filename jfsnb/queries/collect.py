"""Taking a snapshot of a live cluster: a few paged lists side by side, then what CSI nodes and Mount Pods answer.

What a question does not need is not read, and says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from jfsnb.checks.codes import Unreadable
from jfsnb.checks.diagnosis.clocks import CLOCKS_DIFFER
from jfsnb.checks.leftover import RUN_LABEL
from jfsnb.checks.parts import NotRead
from jfsnb.checks.snapshot import Snapshot
from jfsnb.cluster.access import account
from jfsnb.cluster.client import Cluster
from jfsnb.driver import names
from jfsnb.driver.mountpods.mount_pods import MountPod, claims_of
from jfsnb.errors import UnexpectedAnswer
from jfsnb.queries import ask_pods, driver_facts
from jfsnb.queries.clients import ASKED_FOR_CLIENTS
from jfsnb.queries.driver_facts import Driver
from jfsnb.queries.slim import (
    foreign,
    is_juicefs,
    juicefs_claims,
    of_driver,
    runs_controller,
    slim,
    slim_mount_pod,
    uses_juicefs,
)

Obj = dict[str, Any]
THREADS = 8
_NOT_NEEDED = Unreadable("this question does not need it")
_VOLUME = re.compile(r'for volume "([^"]+)"')


_OF_DOCTOR = (
    *("mount_pods", "pvs", "pvcs", "storage_classes", "nodes", "csi_nodes", "csi_driver", "events"),
    *("controller_pods", "controllers", "jobs", "job_pods", "run_pods"),
)


def for_mounts(cluster: Cluster, driver_namespace: str = "", node: str = "", everyone: bool = False) -> Snapshot:
    """What ``mounts`` needs.

    Args:
        node: ask Mount Pods on this node only. everyone: ask each for its client, however many there are.

    Raises:
        NotInCluster: no driver. PermissionMissing: it may not be looked for.
    """
    found = _lists(cluster, driver_namespace, ("mount_pods", "pvs", "pvcs", "nodes"), _metadata)
    mine = [p for p in found.parsed if node in ("", p.node)]
    found = ask_pods.with_clients(cluster, found, mine, everyone)
    return ask_pods.with_hashes(cluster, found, mine if everyone else ask_pods.newest(mine))


def for_verify(cluster: Cluster, namespace: str, target: str, driver_namespace: str = "") -> Snapshot:
    """What ``verify`` needs of a Pod or a claim. Raises as ``for_mounts``."""
    from jfsnb.queries.verify import meant, serving

    found = _lists(
        cluster,
        driver_namespace,
        ("mount_pods", "pvs", "pvcs", "nodes"),
        lambda c, known: _target(c, namespace, target),
    )
    apps, claim = meant(found, namespace, target)
    pods = {pod.name: pod for app in apps for pod in serving(found, app, claim)}
    found = ask_pods.with_clients(cluster, found, pods.values(), everyone=True)
    found = ask_pods.with_inside(cluster, found, apps)
    return ask_pods.with_hashes(cluster, found, [p for s in pods.values() for p in found.parsed if _beside(p, s)])


def for_explain(cluster: Cluster, namespace: str, claim: str, driver_namespace: str = "") -> Snapshot:
    """What ``explain`` needs of a claim. Raises as ``for_mounts``."""
    found = _lists(cluster, driver_namespace, ("mount_pods", "pvs", "pvcs", "nodes"), None)
    pv_name = (found.pvc_by_key.get((namespace, claim), {}).get("spec") or {}).get("volumeName", "")
    pv = found.pv_by_name.get(pv_name)
    if pv is None:
        return found
    found = found.but(secret_keys=ask_pods.secret_keys(cluster, [pv]))
    handle = pv["spec"]["csi"].get("volumeHandle", "")
    mine = [p for p in found.parsed if p.unique_id == handle or any(r.pv_name == pv_name for r in p.references)]
    return ask_pods.with_hashes(cluster, found, mine)


def for_reach(cluster: Cluster, driver: Driver) -> Snapshot:
    """What the plan of a patch needs to say whom it affects."""
    return _lists(cluster, "", ("mount_pods", "pvs", "pvcs", "nodes"), _metadata, driver, ask_nodes=False)


def for_doctor(cluster: Cluster, driver_namespace: str = "", everyone: bool = False) -> Snapshot:
    """Everything that the diagnosis rules look at. Raises as ``for_mounts``."""
    found = _lists(cluster, driver_namespace, _OF_DOCTOR, _users)
    found = _dated(cluster, _with_secret_keys(cluster, found).but(mount_logs=ask_pods.mount_logs(cluster, found)))
    if everyone and not isinstance(found.part("app_pods"), Unreadable):
        found = ask_pods.with_inside(cluster, found, found.app_pods)
    return ask_pods.with_clients(cluster, found, found.parsed, everyone)


def for_file(cluster: Cluster, driver_namespace: str = "", everyone: bool = False) -> Snapshot:
    """Everything that any question looks at. Raises as ``for_mounts``."""
    found = _lists(cluster, driver_namespace, _OF_DOCTOR, _all_users)
    found = found.but(mount_logs=ask_pods.mount_logs(cluster, found), account=account(cluster))
    found = _dated(cluster, found).but(version=cluster.version)
    found = _with_secret_keys(cluster, found)
    if not isinstance(found.part("app_pods"), Unreadable):
        by_age = sorted(found.app_pods, key=lambda p: str(p["metadata"].get("creationTimestamp", "")), reverse=True)
        found = ask_pods.with_inside(cluster, found, by_age if everyone else by_age[:ASKED_FOR_CLIENTS])
    try:
        found = ask_pods.with_clients(cluster, found, found.parsed, everyone)
        return ask_pods.with_hashes(cluster, found, found.parsed if everyone else ask_pods.newest(found.parsed))
    except NotRead as error:
        return found.but(next_hashes=error.unreadable)


def _dated(cluster: Cluster, found: Snapshot) -> Snapshot:
    """With the cluster's own time, where clocks differ: what is judged by its age was dated by the cluster."""
    offset = cluster.clock_offset()
    differs = offset is not None and abs(offset) > CLOCKS_DIFFER
    return found.but(clock_offset=offset, now=found.now + timedelta(seconds=offset or 0) if differs else found.now)


def _with_secret_keys(cluster: Cluster, found: Snapshot) -> Snapshot:
    """Where that may be read: answers do without, and then take every volume for one of the community edition."""
    unread = isinstance(found.part("pvs"), Unreadable)
    return found if unread else found.but(secret_keys=ask_pods.secret_keys(cluster, found.pvs))


AppPods = Callable[[Cluster, Mapping[str, Any]], list[Obj]]


def _lists(
    cluster: Cluster,
    driver_namespace: str,
    parts: Collection[str],
    app_pods: AppPods | None,
    driver: Driver | None = None,
    *,
    ask_nodes: bool = True,
) -> Snapshot:
    """Lists in parallel; CSI nodes are asked while the longer ones come.

    Args:
        app_pods: how to read them, given the other lists and the driver's name; None: not at all.
    """
    driver = driver or driver_facts.find_driver(cluster, driver_namespace)
    others: list[Obj] = []
    name = driver.deployment.driver_name
    reads: dict[str, Callable[[], Any]] = {
        "nodes": lambda: _nodes(cluster, driver),
        "mount_pods": lambda: _mount_pods(cluster, driver.namespace),
        "pvs": lambda: _volumes(cluster, others, name),
        "pvcs": lambda: cluster.list("persistentvolumeclaims"),
        "storage_classes": lambda: cluster.list("storageclasses"),
        "csi_nodes": lambda: cluster.list("csinodes"),
        "controller_pods": lambda: cluster.list("pods", driver.namespace, labels=names.CSI_CONTROLLER_SELECTOR),
        "controllers": lambda: _controllers(cluster, driver.namespace),
        "jobs": lambda: [j for j in cluster.list("jobs", driver.namespace) if of_driver(j)],
        "job_pods": lambda: cluster.list("pods", driver.namespace, labels=names.JOB_NAME),
        "run_pods": lambda: [
            {"kind": "Pod", **p} for page in cluster.pages("pods", labels=RUN_LABEL, metadata_only=True) for p in page
        ],
        "csi_driver": lambda: cluster.find("csidrivers", name=name),
        "events": lambda: [
            *cluster.list("events", fields="type=Warning"),
            *cluster.list("events", driver.namespace, fields="reason=Upgrade"),
        ],
    }
    unread = dict.fromkeys((*reads, "foreign_pvs", "app_pods", "csi_files", "csi_logs", "csi_file_times"), _NOT_NEEDED)
    base = Snapshot(
        now=datetime.now(UTC),
        source=cluster.context,
        tier=cluster.tier,
        csi_pods=driver.node_pods,
        daemon_set=_daemon_set(cluster, driver),
        config_map=driver.config_map,
    ).but(**unread)
    with ThreadPoolExecutor(THREADS) as pool:
        running = {part: pool.submit(ask_pods.attempt, read) for part, read in reads.items() if part in parts}
        early = pool.submit(ask_pods.attempt, lambda: _metadata(cluster, {})) if app_pods is _metadata else None
        base = base.but(nodes=running["nodes"].result())
        if ask_nodes and not isinstance(base.part("nodes"), Unreadable):
            base = base.but(**ask_pods.csi_nodes(cluster, base))
        found: dict[str, Any] = {part: future.result() for part, future in running.items()}
        if "pvs" in found:
            found["foreign_pvs"] = found["pvs"] if isinstance(found["pvs"], Unreadable) else others
        if early is not None:
            found["app_pods"] = early.result()
        elif app_pods is not None:
            found["app_pods"] = ask_pods.attempt(lambda: app_pods(cluster, {**found, "driver": name}))
    return base.but(**found)


def _nodes(cluster: Cluster, driver: Driver) -> list[Obj]:
    """All nodes. Raises UnexpectedAnswer where those on which CSI node Pods run are not among them."""
    nodes = cluster.list("nodes")
    needed = {p["spec"]["nodeName"] for p in driver.node_pods if p["spec"].get("nodeName")}
    if needed and not needed & {n["metadata"]["name"] for n in nodes}:
        raise UnexpectedAnswer(
            f"the list of nodes has none of the {len(needed)} on which CSI node Pods run", "try again"
        )
    return nodes


def _mount_pods(cluster: Cluster, namespace: str) -> list[Obj]:
    shared: dict[bytes, Any] = {}
    pages = cluster.pages("pods", namespace, labels=names.MOUNT_POD_SELECTOR)
    return [slim_mount_pod(p, shared) for page in pages for p in page]


def _volumes(cluster: Cluster, others: list[Obj], driver: str) -> list[Obj]:
    """The driver's volumes; of others only whose they are is noted."""
    found = []
    for page in cluster.pages("persistentvolumes"):
        found += [v for v in page if is_juicefs(v, driver)]
        others += foreign(page, driver)
    return found


def _daemon_set(cluster: Cluster, driver: Driver) -> Obj | Unreadable | None:
    if driver.daemon_set is not None:
        return driver.daemon_set
    return ask_pods.attempt(lambda: cluster.find("daemonsets", driver.namespace, names.CSI_NODE_DAEMON_SET))


def _metadata(cluster: Cluster, _: Mapping[str, Any]) -> list[Obj]:
    """The driver labels app Pods before it mounts."""
    pages = cluster.pages("pods", labels=names.UNIQUE_ID, metadata_only=True)
    kept = ("name", "namespace", "uid")
    return [{"metadata": {k: item["metadata"][k] for k in kept}} for page in pages for item in page]


def _target(cluster: Cluster, namespace: str, target: str) -> list[Obj]:
    """The Pod that is meant or, where a claim may be meant, the Pods beside it."""
    kind, _, name = target.rpartition("/")
    pod = cluster.find("pods", namespace, name) if not kind.startswith(("pvc", "persistent")) else None
    if pod is not None:
        return [slim(pod)]
    return [slim(p) for page in cluster.pages("pods", namespace) for p in page]


def _users(cluster: Cluster, found: Mapping[str, Any]) -> list[Obj]:
    """Pods that use JuiceFS, also those without the driver's label, which it sets only once it is asked to mount."""
    labelled = (p for page in cluster.pages("pods", labels=names.UNIQUE_ID) for p in page)
    sidecars = cluster.list("pods", labels=f"{names.SIDECAR_DONE}=true,!{names.UNIQUE_ID}")
    known = [*map(slim, labelled), *map(slim, sidecars)]
    known += _waiting(cluster, found, {p["metadata"]["uid"] for p in known})
    return known + _unlabelled(cluster, found, {p["metadata"]["uid"] for p in known})


def _waiting(cluster: Cluster, found: Mapping[str, Any], known: Collection[str]) -> list[Obj]:
    """Pods that are pending with a claim on JuiceFS, whatever they wait for."""
    if any(isinstance(found[name], Unreadable) for name in ("pvs", "pvcs", "storage_classes")):
        return []
    ours = juicefs_claims(found["pvs"], found["pvcs"], found["storage_classes"], found["driver"])
    pending = (p for p in cluster.list("pods", fields="status.phase=Pending") if p["metadata"]["uid"] not in known)
    return [slim(p) for p in pending if ours & {(p["metadata"]["namespace"], claim) for _, claim in claims_of(p)}]


def _controllers(cluster: Cluster, namespace: str) -> list[Obj]:
    """The StatefulSet or Deployment of the CSI controller, with its kind, which lists leave out."""
    kinds = (("statefulsets", "StatefulSet"), ("deployments", "Deployment"))
    found = ({"kind": kind, **one} for plural, kind in kinds for one in cluster.list(plural, namespace))
    return [one for one in found if runs_controller(one)]


def _all_users(cluster: Cluster, found: Mapping[str, Any]) -> list[Obj]:
    """Pods that use JuiceFS, also those that nobody was asked to mount anything for yet."""
    if any(isinstance(found[name], Unreadable) for name in ("pvs", "pvcs", "storage_classes")):
        return _users(cluster, found)
    ours = juicefs_claims(found["pvs"], found["pvcs"], found["storage_classes"], found["driver"])
    return [slim(p) for page in cluster.pages("pods") for p in page if uses_juicefs(p, ours)]


def _unlabelled(cluster: Cluster, found: Mapping[str, Any], known: Collection[str]) -> list[Obj]:
    """Those that a reference names, and those whose JuiceFS volume could not be mounted. Looked for only when there are
    such."""
    mount_pods, events = (() if isinstance(found[k], Unreadable) else found[k] for k in ("mount_pods", "events"))
    noted = (p["metadata"].get("annotations") for p in mount_pods)
    referenced = {r.pod_uid for notes in noted for r in names.references(notes)} - set(known)
    about = _not_mounted(events, () if isinstance(found["pvs"], Unreadable) else found["pvs"])
    places = {(p.get("namespace", ""), p["name"]): p.get("uid") for p in about if p.get("name")}
    if referenced - set(places.values()):
        metas = (o["metadata"] for page in cluster.pages("pods", metadata_only=True) for o in page)
        places |= {(m["namespace"], m["name"]): m["uid"] for m in metas if m["uid"] in referenced}
    there = [(uid, cluster.find("pods", *place)) for place, uid in places.items() if uid not in known]
    # An event that does not say which Pod of that name it is about is about the one that there is.
    met = [p for uid, p in there if p is not None and uid in (None, "", p["metadata"]["uid"])]
    return [slim(p) for p in met if p["metadata"]["uid"] not in known]


def _not_mounted(events: Iterable[Obj], pvs: Iterable[Obj]) -> list[Obj]:
    """Pods that an event says could not get a JuiceFS volume, as the events name them."""
    volumes = {v["metadata"]["name"] for v in pvs}
    failed = [e for e in events if e.get("reason") == "FailedMount"]
    about = [(e.get("involvedObject") or e.get("regarding") or {}, str(e.get("message") or "")) for e in failed]
    return [pod for pod, message in about if volumes & set(_VOLUME.findall(message))]


def _beside(pod: MountPod, serving: MountPod) -> bool:
    return pod.unique_id == serving.unique_id and pod.node == serving.node
