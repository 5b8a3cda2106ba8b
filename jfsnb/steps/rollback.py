"""Undoing what a run did, by whoever comes along: the run, the runner after a crash, a person on another machine."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jfsnb.driver.mountpods import MountPod
from jfsnb.driver.names import MOUNT_POD_SELECTOR
from jfsnb.errors import JfsnbError, NotInCluster, WaitTimeout
from jfsnb.kube.cluster import Cluster
from jfsnb.settings import Settings
from jfsnb.steps import config, driver
from jfsnb.steps.journal import ANNOTATE, CONFIG, CREATE, Entry, Journal
from jfsnb.steps.manifest import RUN_LABEL
from jfsnb.steps.model import Row, Table

Obj = dict[str, Any]
#: Pods of a run that is given up need no graceful end; their data are test data.
GRACE_SECONDS = 2
GONE_SECONDS = 60.0
SWEPT = ("pods", "persistentvolumeclaims", "configmaps")


@dataclass(frozen=True)
class RolledBack:
    """What a rollback did.

    Args:
        rows: columns what, object, outcome (``undone``, ``already gone``, ``left: <why>``, ``failed: <why>`` …).
        complete: whether nothing of the run is left.
    """

    rows: Table
    complete: bool


def rollback(cluster: Cluster, run_id: str, outputs: Path | None = None) -> RolledBack:
    """Undo what is left of a run: what its journal says, and everything in the cluster that carries its label.

    Safe to call at any time, any number of times, and when nothing is left to do.

    Args:
        outputs: folder of the run folders; None for $JFSNB_OUTPUTS or ./outputs.
    """
    settings = Settings(run_id=run_id) if outputs is None else Settings(run_id=run_id, outputs=outputs)
    journal = Journal(settings.folder / "journal.jsonl")
    rows: list[Row] = []
    served = _pods_of(cluster, journal, run_id)
    standing = journal.standing()
    for entry in standing:
        _attempt(rows, entry.op, entry.object, functools.partial(_undo, cluster, journal, entry, run_id))
    _wait_for_objects(cluster, journal, standing, rows)
    _sweep(cluster, run_id, rows)
    if not any(e.op == CONFIG for e in journal.entries()):
        _undo_noted_config(cluster, run_id, rows)
    _wait_for_mount_pods(cluster, served, rows)
    return RolledBack(tuple(rows), not any(r["outcome"].startswith(("left", "failed")) for r in rows))


def _attempt(rows: list[Row], what: str, name: str, action: Callable[[], str]) -> None:
    """One thing that fails must not keep the rest from being undone."""
    try:
        outcome = action()
    except JfsnbError as error:
        outcome = f"failed: {error.what}"
    if outcome:
        rows.append({"what": what, "object": name, "outcome": outcome})


def _undo(cluster: Cluster, journal: Journal, entry: Entry, run_id: str) -> str:
    if entry.op == CREATE:
        return _delete(cluster, journal, entry, run_id)
    if entry.op == CONFIG:
        outcome = config.restore(cluster, entry.namespace, entry.name, run_id, entry.details)
    elif entry.op == ANNOTATE:
        outcome = _restore_annotation(cluster, entry)
    else:
        return f"left: no way known to undo {entry.op!r}"
    if not outcome.startswith("left"):
        journal.undone(entry.number, outcome)
    return outcome


def _delete(cluster: Cluster, journal: Journal, entry: Entry, run_id: str) -> str:
    """Ask for the deletion; ``_wait_for_objects`` tells the outcome."""
    found = cluster.find(entry.plural, entry.namespace, entry.name)
    if found is None:
        journal.undone(entry.number, "already gone")
        return "already gone"
    ours = (found["metadata"].get("labels") or {}).get(RUN_LABEL) == run_id
    if not ours or entry.uid not in ("", found["metadata"]["uid"]):
        journal.undone(entry.number, "not ours any more")
        return "already gone (somebody else has made one of that name)"
    _ask_for_deletion(cluster, entry.plural, found)
    return ""


def _ask_for_deletion(cluster: Cluster, plural: str, obj: Obj) -> None:
    meta = obj["metadata"]
    if plural == "persistentvolumeclaims":
        _let_volume_go(cluster, obj)
    grace = GRACE_SECONDS if plural == "pods" else None
    cluster.delete(plural, meta["namespace"], meta["name"], uid=meta["uid"], grace=grace)


def _let_volume_go(cluster: Cluster, claim: Obj) -> None:
    """A volume that was provisioned for a claim of ours goes with it, whatever its class wants kept."""
    name = str((claim.get("spec") or {}).get("volumeName") or "")
    volume = cluster.find("persistentvolumes", name=name) if name else None
    if volume is not None and volume["spec"].get("persistentVolumeReclaimPolicy") == "Retain":
        cluster.patch("persistentvolumes", "", name, {"spec": {"persistentVolumeReclaimPolicy": "Delete"}})


def _wait_for_objects(cluster: Cluster, journal: Journal, entries: tuple[Entry, ...], rows: list[Row]) -> None:
    """Created objects, Pods first: a claim goes only after its last Pod."""
    deadline = time.monotonic() + GONE_SECONDS
    numbers = {e.number for e in journal.standing()}
    waiting = [e for e in entries if e.op == CREATE and e.number in numbers]
    for entry in sorted(waiting, key=lambda e: e.plural != "pods"):

        def gone(entry: Entry = entry) -> str:
            left = max(1.0, deadline - time.monotonic())
            cluster.wait_gone(entry.plural, entry.namespace, entry.name, left, entry.uid)
            journal.undone(entry.number, "deleted")
            return "deleted"

        _attempt(rows, CREATE, entry.object, gone)
    for name in _volumes_of(cluster, {(e.namespace, e.name) for e in waiting if e.plural == "persistentvolumeclaims"}):

        def volume_gone(name: str = name) -> str:
            cluster.wait_gone("persistentvolumes", "", name, max(1.0, deadline - time.monotonic()))
            return "deleted, its data with it"

        _attempt(rows, "provisioned volume", f"PersistentVolume {name}", volume_gone)


def _volumes_of(cluster: Cluster, claims: set[tuple[str, str]]) -> list[str]:
    """Volumes that are still there for claims that are gone."""
    if not claims:
        return []
    refs = [(v["metadata"]["name"], v["spec"].get("claimRef") or {}) for v in cluster.list("persistentvolumes")]
    return [name for name, ref in refs if (ref.get("namespace", ""), ref.get("name", "")) in claims]


def _restore_annotation(cluster: Cluster, entry: Entry) -> str:
    before = entry.details.get("before")
    patch = {"metadata": {"annotations": {entry.details["key"]: before}}}
    try:
        cluster.patch(entry.plural, entry.namespace, entry.name, patch)
    except NotInCluster:
        return "already gone"
    return "undone"


def _sweep(cluster: Cluster, run_id: str, rows: list[Row]) -> None:
    """What carries the run's label but stands in no journal here: the run was started on another machine."""
    for plural in SWEPT:

        def sweep(plural: str = plural) -> str:
            found = cluster.list(plural, labels=f"{RUN_LABEL}={run_id}")
            for obj in found:
                _ask_for_deletion(cluster, plural, obj)
            for obj in found:
                meta = obj["metadata"]
                cluster.wait_gone(plural, meta["namespace"], meta["name"], GONE_SECONDS, meta["uid"])
            return f"deleted {', '.join(o['metadata']['name'] for o in found)}" if found else ""

        _attempt(rows, "labelled", plural, sweep)


def _undo_noted_config(cluster: Cluster, run_id: str, rows: list[Row]) -> None:
    """The note of a run on the driver's ConfigMap, where there is no journal."""
    try:
        found = driver.find_driver(cluster)
    except JfsnbError:
        return
    if config.note_key(run_id) in (found.config_map["metadata"].get("annotations") or {}):
        meta = found.config_map["metadata"]

        def undo() -> str:
            return config.restore(cluster, meta["namespace"], meta["name"], run_id, {})

        _attempt(rows, CONFIG, f"ConfigMap {meta['namespace']}/{meta['name']}", undo)


def _pods_of(cluster: Cluster, journal: Journal, run_id: str) -> set[str]:
    """UIDs of the app Pods that this run has or had."""
    uids = {e.uid for e in journal.entries() if e.plural == "pods" and e.op == CREATE and e.uid}
    with contextlib.suppress(JfsnbError):  # not allowed to look everywhere: the journal has to do
        uids |= {p["metadata"]["uid"] for p in cluster.list("pods", labels=f"{RUN_LABEL}={run_id}")}
    return uids


def _wait_for_mount_pods(cluster: Cluster, uids: set[str], rows: list[Row]) -> None:
    """Mount Pods that serve nobody but Pods of this run; the driver deletes them once those are gone."""
    if not uids:
        return
    try:
        pods = cluster.list("pods", labels=MOUNT_POD_SELECTOR)
    except JfsnbError:
        return
    for obj in pods:
        pod = MountPod.from_object(obj)
        if not pod.references or not {r.pod_uid for r in pod.references} <= uids:
            continue

        def gone(pod: MountPod = pod) -> str:
            try:
                cluster.wait_gone("pods", pod.namespace, pod.name, GONE_SECONDS, pod.uid)
            except WaitTimeout as error:
                return f"left: {error.what}; the driver deletes it when it notices that nobody uses it"
            return "gone with its last user"

        _attempt(rows, "Mount Pod", pod.name, gone)
