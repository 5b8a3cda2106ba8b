"""Undoing what a run did, by whoever comes along: the run, the runner after a crash, a person on another machine."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jfsnb.cluster.client import Cluster
from jfsnb.driver.mountpods.deletion import reason_to_stay
from jfsnb.driver.mountpods.mount_pods import MountPod, claims_of
from jfsnb.driver.names import MOUNT_POD_SELECTOR
from jfsnb.errors import JfsnbError, NotInCluster, PermissionMissing, WaitTimeout
from jfsnb.queries import driver_facts as driver
from jfsnb.queries.model import Row, Table
from jfsnb.run import config_map as config
from jfsnb.run import in_force
from jfsnb.run.journal import ANNOTATE, CONFIG, CREATE, Entry, Journal
from jfsnb.run.smoke.manifest import RUN_LABEL
from jfsnb.settings import Settings

Obj = dict[str, Any]
#: Pods of a run that is given up need no graceful end; their data are test data.
GRACE_SECONDS = 2
GONE_SECONDS = 60.0
IN_FORCE_SECONDS = 10.0
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


def rollback(cluster: Cluster, run_id: str, outputs: Path | None = None, namespace: str = "") -> RolledBack:
    """Undo what is left of a run: what its journal says, and everything in the cluster that carries its label.

    Safe to call at any time, any number of times, and when nothing is left to do.

    Args:
        outputs: folder of the run folders; None for $JFSNB_OUTPUTS or ./outputs.
        namespace: of the smoke Pods, for credentials that may not list ConfigMaps everywhere.
    """
    settings = Settings(run_id=run_id) if outputs is None else Settings(run_id=run_id, outputs=outputs)
    journal = Journal(settings.folder / "journal.jsonl")
    rows: list[Row] = []
    served = _Served.of(cluster, journal, run_id)
    standing = (*journal.standing(), *_noted(cluster, journal, run_id))
    watched = _Watched.of(cluster, standing)
    for entry in standing:
        _attempt(rows, entry.op, entry.object, functools.partial(_undo, cluster, journal, entry, run_id))
    _forget_patch(cluster, journal, standing, run_id, rows)
    _wait_for_objects(cluster, journal, standing, rows)
    places = {namespace, *(e.namespace for e in standing if e.op == CREATE), *(_smoke_namespace(e) for e in standing)}
    _sweep(cluster, run_id, rows, bool(journal.entries()), places - {""})
    rows += watched.wait(rows)
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
    if not outcome.startswith("left") and entry.number and entry.op != CONFIG:
        journal.undone(entry.number, outcome)
    return outcome


def _forget_patch(
    cluster: Cluster, journal: Journal, standing: tuple[Entry, ...], run_id: str, rows: list[Row]
) -> None:
    """The note on the ConfigMap goes last: until everything that it tells is undone, somebody else may need it."""
    outcomes = [row["outcome"] for row in rows if row["what"] in (CONFIG, ANNOTATE)]
    if any(outcome.startswith(("left", "failed")) for outcome in outcomes):
        return
    for entry in standing:
        if entry.op == CONFIG:
            outcome = next(row["outcome"] for row in rows if row["what"] == CONFIG)

            def forget(entry: Entry = entry, outcome: str = outcome) -> str:
                config.forget(cluster, entry.namespace, entry.name, run_id)
                if entry.number:
                    journal.undone(entry.number, outcome)
                return ""

            _attempt(rows, CONFIG, entry.object, forget)


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
    claims = {(e.namespace, e.name) for e in waiting if e.plural == "persistentvolumeclaims"}
    _wait_for_volumes(cluster, claims, deadline, rows)


def _wait_for_volumes(cluster: Cluster, claims: set[tuple[str, str]], deadline: float, rows: list[Row]) -> None:
    """What was provisioned for claims that are gone goes too."""
    for name in _volumes_of(cluster, claims):

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
    """Also where it was never set: what counts is that the kubelet looks, and brings the restored configuration."""
    key, before = entry.details["key"], entry.details.get("before")
    try:
        now = (cluster.get(entry.plural, entry.namespace, entry.name)["metadata"].get("annotations") or {}).get(key)
        values = [in_force.now(), before] if now == before else [before]
        for value in values:
            cluster.patch(entry.plural, entry.namespace, entry.name, {"metadata": {"annotations": {key: value}}})
    except NotInCluster:
        return "already gone"
    return "undone"


def _sweep(cluster: Cluster, run_id: str, rows: list[Row], has_journal: bool, namespaces: set[str]) -> None:
    """What carries the run's label but stands in no journal here: the run was started on another machine.

    With a journal it is only a second look, for which somebody with few permissions need not be allowed to list.
    """
    for plural in SWEPT:

        def sweep(plural: str = plural) -> str:
            try:
                found = _labelled(cluster, plural, run_id, namespaces)
            except PermissionMissing:
                if has_journal:
                    return ""
                raise
            namespaces.update(o["metadata"]["namespace"] for o in found)
            for obj in found:
                _ask_for_deletion(cluster, plural, obj)
            for obj in found:
                meta = obj["metadata"]
                cluster.wait_gone(plural, meta["namespace"], meta["name"], GONE_SECONDS, meta["uid"])
            if plural == "persistentvolumeclaims":
                claims = {(o["metadata"]["namespace"], o["metadata"]["name"]) for o in found}
                _wait_for_volumes(cluster, claims, time.monotonic() + GONE_SECONDS, rows)
            return f"deleted {', '.join(o['metadata']['name'] for o in found)}" if found else ""

        _attempt(rows, "labelled", plural, sweep)


def _labelled(cluster: Cluster, plural: str, run_id: str, namespaces: set[str]) -> list[Obj]:
    """Everywhere, or where the run is known to have been when that may not be looked at."""
    labels = f"{RUN_LABEL}={run_id}"
    try:
        return cluster.list(plural, labels=labels)
    except PermissionMissing:
        found, looked = [], False
        for namespace in sorted(namespaces):
            with contextlib.suppress(PermissionMissing):
                found += cluster.list(plural, namespace, labels=labels)
                looked = True
        if not looked:
            raise
        return found


def _smoke_namespace(entry: Entry) -> str:
    return str(entry.details.get("smoke_namespace", "")) if entry.op == CONFIG else ""


def _noted(cluster: Cluster, journal: Journal, run_id: str) -> tuple[Entry, ...]:
    """What the run's note on the driver's ConfigMap tells, where there is no journal; in the order of undoing."""
    if any(e.op == CONFIG for e in journal.entries()):
        return ()
    try:
        found = driver.find_driver(cluster)
    except JfsnbError:
        return ()
    meta = found.config_map["metadata"]
    note = (meta.get("annotations") or {}).get(config.note_key(run_id))
    if note is None:
        return ()
    facts = config.read_note(note)
    hurried = facts.get("hurried") or ()
    where = {"smoke_namespace": facts.get("smoke_namespace", "")}
    details = [{"key": in_force.UPDATE_TIME, "before": h["before"]} for h in hurried]
    return (
        Entry(0, CONFIG, "configmaps", meta["namespace"], meta["name"], where),
        *(Entry(0, ANNOTATE, "pods", h["namespace"], h["name"], d) for h, d in zip(hurried, details, strict=True)),
    )


@dataclass(frozen=True)
class _Watched:
    """CSI node Pods that were hurried on, and what their logs had said before the configuration was restored."""

    cluster: Cluster
    pods: dict[str, Obj]
    marks: dict[str, str]
    config_map: tuple[str, str]

    @classmethod
    def of(cls, cluster: Cluster, standing: tuple[Entry, ...]) -> _Watched:
        patched = next((e for e in standing if e.op == CONFIG), None)
        if patched is None:
            return cls(cluster, {}, {}, ("", ""))
        pods: dict[str, Obj] = {}
        marks: dict[str, str] = {}
        for entry in standing:
            if entry.op == ANNOTATE:
                with contextlib.suppress(JfsnbError):
                    pod = {entry.name: cluster.get("pods", entry.namespace, entry.name)}
                    marks |= in_force.marks(cluster, pod)
                    pods |= pod
        return cls(cluster, pods, marks, (patched.namespace, patched.name))

    def wait(self, rows: list[Row]) -> Table:
        """Wait for them, when the configuration was changed back just now."""
        changed = any(r["what"] == CONFIG and r["outcome"].startswith(("restored", "our part")) for r in rows)
        if not changed or not self.pods:
            return ()
        try:
            text = config.text_of(self.cluster.get("configmaps", *self.config_map))
            return in_force.back_in_force(self.cluster, self.pods, self.marks, text, IN_FORCE_SECONDS)
        except JfsnbError:
            return ()


@dataclass(frozen=True)
class _Served:
    """The app Pods of the run by UID, their volumes' ids, and the Mount Pods that serve nobody else, by UID."""

    uids: frozenset[str]
    volume_ids: frozenset[str]
    mount_pods: frozenset[str]

    @classmethod
    def of(cls, cluster: Cluster, journal: Journal, run_id: str) -> _Served:
        """As far as these credentials may look; the journal's Pods count also when they are gone."""
        uids = {e.uid for e in journal.entries() if e.plural == "pods" and e.op == CREATE and e.uid}
        handles: set[str] = set()
        with contextlib.suppress(JfsnbError):
            for pod in cluster.list("pods", labels=f"{RUN_LABEL}={run_id}"):
                uids.add(pod["metadata"]["uid"])
                for _, claim in claims_of(pod):
                    volume = driver.find_volume(cluster, pod["metadata"]["namespace"], claim)
                    handles.add(volume.handle)
        found = cls(frozenset(uids), frozenset(handles), frozenset())
        return replace(found, mount_pods=frozenset(p.uid for p in found.only_ours(cluster)))

    def only_ours(self, cluster: Cluster) -> list[MountPod]:
        """Mount Pods that exist for this run alone, now: those that serve its Pods, and those that served them."""
        if not self.uids:
            return []
        try:
            pods = driver.facts_of({p["metadata"]["uid"]: p for p in cluster.list("pods", labels=MOUNT_POD_SELECTOR)})
        except JfsnbError:
            return []
        return [p for p in pods if p.uid in self.mount_pods or self._is_ours(p)]

    def _is_ours(self, pod: MountPod) -> bool:
        users = {r.pod_uid for r in pod.references}
        # without a reference: the driver was called off in the middle of a mount, and is about to delete it
        return users <= self.uids if users else pod.unique_id in self.volume_ids


def _wait_for_mount_pods(cluster: Cluster, served: _Served, rows: list[Row]) -> None:
    """The driver deletes a Mount Pod once nobody uses it any more."""
    for pod in served.only_ours(cluster):

        def gone(pod: MountPod = pod) -> str:
            try:
                cluster.wait_gone("pods", pod.namespace, pod.name, GONE_SECONDS, pod.uid)
            except WaitTimeout as error:
                now = cluster.find("pods", pod.namespace, pod.name)
                stays = reason_to_stay(MountPod.from_object(now), datetime.now(UTC)) if now else ""
                return f"stays: {stays}" if stays else f"left: {error.what}"
            return "gone with its last user"

        _attempt(rows, "Mount Pod", pod.name, gone)
