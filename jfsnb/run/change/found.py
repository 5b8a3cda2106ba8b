"""What a run has left, by whoever comes along: its journal, its note on the driver's ConfigMap, what carries its label.

The cluster has the last word: what a journal does not tell, because it is not here or is damaged, is looked for there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from jfsnb.cluster.client import Cluster
from jfsnb.driver import names
from jfsnb.driver.deployment import Deployment
from jfsnb.errors import JfsnbError, NotInCluster, PermissionMissing
from jfsnb.run import config_map as config
from jfsnb.run.change.config_entry import ConfigEntry
from jfsnb.run.change.kinds import read
from jfsnb.run.change.model import Change, Outcome, State
from jfsnb.run.change.object_made import ObjectMade
from jfsnb.run.config_map import Note, NoteDamaged
from jfsnb.run.journal import Entry, Journal
from jfsnb.run.smoke.manifest import RUN_LABEL

Obj = dict[str, Any]
LABELLED = ("pods", "persistentvolumeclaims", "configmaps")


@dataclass
class Found:
    """What was found, and where it could not be looked.

    Args:
        entries: in the order of undoing.
        notes: (what was looked for, where, and how that went), told beside the outcomes.
        traces: whether anything at all is known of the run.
    """

    entries: list[Entry] = field(default_factory=list)
    notes: list[tuple[str, str, Outcome]] = field(default_factory=list)
    traces: bool = False

    def add(self, entry: Entry) -> None:
        """Unless it is there already: the journal, the note and the labels tell of the same things."""
        self.traces = True
        new = entry.change
        for index, known in enumerate(self.entries):
            if (known.change.KIND, known.change.object) == (new.KIND, new.object):
                if not known.change.uid:
                    self.entries[index] = replace(known, change=replace(known.change, uid=new.uid))
                if known.change.uid in ("", new.uid) or not new.uid:
                    return
        self.entries.append(entry)


def find(cluster: Cluster, journal: Journal, namespaces: set[str], driver_namespace: str = "") -> Found:
    """Everything that a run has done and that nobody has undone.

    Args:
        namespaces: where its objects may be, for credentials that may not look everywhere.
        driver_namespace: where the driver runs; empty: wherever its CSI node Pods are.
    """
    found = Found(traces=journal.path.parent.exists())
    for entry in journal.standing():
        found.add(entry)
    for line in journal.damaged:
        words = "cannot be read; what it may tell was looked for in the cluster"
        found.notes.append(("journal", f"line {line}", Outcome(State.GONE, words)))
    if not journal.is_whole:
        _look(found, "note", "the driver's ConfigMap", lambda: _add_noted(found, cluster, journal, driver_namespace))
    namespaces = namespaces | {n for e in found.entries for n in _namespaces(e.change)}
    for plural in LABELLED:
        _look(found, "labelled", plural, lambda p=plural: _add_labelled(found, cluster, journal, p, namespaces))
    return found


def _namespaces(change: Change) -> set[str]:
    """Where it tells that objects of the run are."""
    made = {change.namespace} if isinstance(change, ObjectMade) else set()
    told = {change.smoke_namespace} - {""} if isinstance(change, ConfigEntry) else set()
    return made | told


def _look(found: Found, what: str, where: str, action: Any) -> None:
    """One place that cannot be looked at must not keep the others from it; that it could not is told."""
    try:
        action()
    except JfsnbError as error:
        found.notes.append((what, where, Outcome(State.FAILED, error.what)))


def _add_noted(found: Found, cluster: Cluster, journal: Journal, driver_namespace: str) -> None:
    for config_map in _config_maps(cluster, driver_namespace):
        try:
            note = config.note_on(config_map, journal.run_id)
        except NoteDamaged:
            found.add(Entry(0, _unknown(config_map, journal.run_id)))  # says so itself, when it is undone
            continue
        for change in _changes(note) if note else ():
            found.add(Entry(0, change))


def _changes(note: Note) -> Iterator[Change]:
    for data in note.changes:
        try:
            yield read(data)
        except (KeyError, TypeError) as error:
            raise JfsnbError("a note of the run tells of a change of no known kind", "use the newer jfsnb") from error


def _unknown(config_map: Obj, run_id: str) -> ConfigEntry:
    """An edit of which nothing is known but that a note is there."""
    meta = config_map["metadata"]
    where = {"plural": "configmaps", "namespace": meta["namespace"], "name": meta["name"]}
    return ConfigEntry(run_id=run_id, **where, scope="", claim="", image_key="", image="", before_sha256="")


def _config_maps(cluster: Cluster, driver_namespace: str) -> Iterator[Obj]:
    """The ConfigMap of each driver: wherever there are Pods that are labelled as its CSI nodes.

    Raises:
        NotInCluster: there are none, so nobody can tell where a note would be.
    """
    pods = cluster.list("pods", driver_namespace, labels=names.CSI_NODE_SELECTOR)
    if not pods:
        raise NotInCluster(
            f"no JuiceFS CSI node Pods ({names.CSI_NODE_SELECTOR}) in {driver_namespace or 'this cluster'}, so the "
            "ConfigMap that the run may have patched was not found",
            "give the driver's namespace: --driver-namespace",
        )
    for namespace in sorted({p["metadata"]["namespace"] for p in pods}):
        here = [p for p in pods if p["metadata"]["namespace"] == namespace]
        mounted = {Deployment.from_object(p).config_map for p in here} - {""}
        for name in sorted(mounted):
            yield cluster.get("configmaps", namespace, name)  # they mount it, so it is there
        if not mounted and (config_map := cluster.find("configmaps", namespace, names.CONFIG_MAP)) is not None:
            yield config_map


def _add_labelled(found: Found, cluster: Cluster, journal: Journal, plural: str, namespaces: set[str]) -> None:
    """With a whole journal it is only a second look, for which somebody with few permissions need not be allowed."""
    try:
        objects = _labelled(found, cluster, plural, journal.run_id, namespaces)
    except PermissionMissing:
        if not journal.is_whole:
            raise
        words = "may not be listed; the journal tells of all that the run made"
        found.notes.append(("labelled", plural, Outcome(State.GONE, words)))
        return
    for obj in objects:
        made = ObjectMade.of(journal.run_id, obj)
        found.add(Entry(0, made))
        namespaces.add(made.namespace)


def _labelled(found: Found, cluster: Cluster, plural: str, run_id: str, namespaces: set[str]) -> list[Obj]:
    """Everywhere, or where the run is known to have been when that may not be looked at."""
    labels = f"{RUN_LABEL}={run_id}"
    kind = {"pods": "Pod", "persistentvolumeclaims": "PersistentVolumeClaim", "configmaps": "ConfigMap"}[plural]
    try:
        objects = cluster.list(plural, labels=labels)
    except PermissionMissing:
        if not namespaces:
            raise
        objects = [o for namespace in sorted(namespaces) for o in cluster.list(plural, namespace, labels=labels)]
        words = f"looked for in {', '.join(sorted(namespaces))} only: may not be listed everywhere"
        found.notes.append(("labelled", plural, Outcome(State.GONE, words)))
    return [{**obj, "kind": kind} for obj in objects]
