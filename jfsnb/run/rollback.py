"""Undoing what a run did, by whoever comes along: the run, the runner after a crash, a person on another machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jfsnb.cluster.client import Cluster
from jfsnb.errors import JfsnbError
from jfsnb.queries.model import Row, Table
from jfsnb.run import config_map as config
from jfsnb.run import in_force
from jfsnb.run.change.config_entry import ConfigEntry
from jfsnb.run.change.found import find
from jfsnb.run.change.model import Outcome, State
from jfsnb.run.change.nudge import Nudge
from jfsnb.run.journal import Entry, Journal
from jfsnb.run.served import Served
from jfsnb.settings import Settings

Obj = dict[str, Any]
GONE_SECONDS = 60.0
#: What is said to be gone is looked for once more, by another request.
GLANCE_SECONDS = 1.0
IN_FORCE_SECONDS = 10.0


@dataclass(frozen=True)
class Undone:
    """One line of what a rollback did: what kind of thing, to which object, and how it ended."""

    what: str
    object: str
    outcome: Outcome

    def row(self) -> Row:
        return {"what": self.what, "object": self.object, "outcome": str(self.outcome)}


@dataclass(frozen=True)
class RolledBack:
    """What a rollback did.

    Args:
        lines: in the order in which it was done.
        known: whether anything is known of such a run, here or in the cluster.
    """

    lines: tuple[Undone, ...]
    known: bool = True

    @property
    def rows(self) -> Table:
        """Columns what, object, outcome."""
        return tuple(line.row() for line in self.lines)

    @property
    def complete(self) -> bool:
        """Whether it was seen that nothing of the run is left."""
        return all(line.outcome.settled for line in self.lines)

    @property
    def theirs(self) -> str:
        """What others have changed in config.yaml meanwhile, as a diff."""
        return "\n".join(line.outcome.theirs for line in self.lines if line.outcome.theirs)

    def unsettled(self, state: State) -> list[str]:
        """In words: what is ``LEFT``, or ``FAILED``."""
        return [f"{x.object}: {x.outcome}" for x in self.lines if x.outcome.state is state]


def rollback(
    cluster: Cluster, run_id: str, outputs: Path | None = None, namespace: str = "", driver_namespace: str = ""
) -> RolledBack:
    """Undo what is left of a run: what its journal says, its note on the driver's ConfigMap, what carries its label.

    Safe to call at any time, any number of times, and when nothing is left to do. Nothing that fails keeps the rest
    from being undone.

    Args:
        outputs: folder of the run folders; None for $JFSNB_OUTPUTS or ./outputs.
        namespace: of the smoke Pods, for credentials that may not list ConfigMaps everywhere.
        driver_namespace: where the driver runs; empty: found.
    """
    settings = Settings(run_id=run_id) if outputs is None else Settings(run_id=run_id, outputs=outputs)
    journal = Journal(settings.folder / "journal.jsonl")
    if (elsewhere := _attempt(lambda: _another_cluster(cluster, journal))) is not None:
        return RolledBack((Undone("cluster", cluster.context, elsewhere),))
    return _Rollback(cluster, journal).carry_out({namespace} - {""}, driver_namespace)


def _another_cluster(cluster: Cluster, journal: Journal) -> Outcome | None:
    began = journal.cluster
    if not began or (now := cluster.identity()) == began:
        return None
    words = f"the run was made in another cluster (kube-system has uid {began} there, {now} here); nothing was touched"
    return Outcome(State.FAILED, words)


class _Rollback:
    """One rollback as it goes."""

    def __init__(self, cluster: Cluster, journal: Journal) -> None:
        self._cluster, self._journal = cluster, journal
        self._lines: list[Undone] = []

    def carry_out(self, namespaces: set[str], driver_namespace: str) -> RolledBack:
        found = find(self._cluster, self._journal, namespaces, driver_namespace)
        self._lines += [Undone(*note) for note in found.notes]
        served = self._guarded("Mount Pods", "", lambda: Served.of(self._cluster, self._changes(found.entries)))
        log_marks = self._log_marks(found.entries)
        outcomes = self._undo(found.entries)
        self._wait_in_force(found.entries, outcomes, log_marks)
        if served is not None:
            self._guarded("Mount Pods", "", lambda: self._wait_for_mount_pods(served))
        self._close(found.entries, outcomes)
        return RolledBack(tuple(self._lines), found.traces)

    def _changes(self, standing: Iterable[Entry]) -> list[Any]:
        """With those of the journal that are undone: their Mount Pods may still be there."""
        return [e.change for e in (*self._journal.entries(), *standing)]

    def _guarded(self, what: str, name: str, action: Callable[[], Any]) -> Any:
        """Whatever goes wrong is told, and is no reason to stop."""
        result = None

        def act() -> None:
            nonlocal result
            result = action()

        if (failed := _attempt(act)) is not None:
            self._lines.append(Undone(what, name, failed))
        return result

    def _undo(self, entries: list[Entry]) -> list[Outcome]:
        """Ask for everything, then see that it is done: Pods first, as a claim goes only after its last Pod."""
        outcomes = [_outcome(lambda e=e: e.change.undo(self._cluster)) for e in entries]  # type: ignore[misc]
        until = time.monotonic() + GONE_SECONDS
        for index in sorted(range(len(entries)), key=lambda i: entries[i].change.plural != "pods"):
            if outcomes[index].state in (State.ASKED, State.UNDONE, State.GONE):
                outcomes[index] = self._see(entries[index], outcomes[index], until)
        self._lines += [
            Undone(entry.change.KIND, entry.change.object, outcome)
            for entry, outcome in zip(entries, outcomes, strict=True)
        ]
        return outcomes

    def _see(self, entry: Entry, said: Outcome, until: float) -> Outcome:
        left = GLANCE_SECONDS if said.state is State.GONE else max(1.0, until - time.monotonic())
        seen = _outcome(lambda: entry.change.is_undone(self._cluster, left))
        return said if said.state is not State.ASKED and seen.settled else seen

    def _log_marks(self, entries: list[Entry]) -> dict[str, tuple[Obj, str]]:
        """CSI node Pods that were hurried on, and what their logs had said before the configuration was restored."""
        found: dict[str, tuple[Obj, str]] = {}
        for entry in entries:
            if isinstance(entry.change, Nudge):
                try:
                    pod = self._cluster.get("pods", entry.change.namespace, entry.change.name)
                    (mark,) = in_force.marks(self._cluster, {entry.change.name: pod}).values()
                    found[entry.change.name] = pod, mark
                except JfsnbError:
                    continue  # only whether it is in force again would be seen there
        return found

    def _wait_in_force(self, entries: list[Entry], outcomes: list[Outcome], marks: dict[str, tuple[Obj, str]]) -> None:
        """Wait for the CSI nodes, when the configuration was changed back just now. That it is not seen is no failure:
        the kubelet brings it within about a minute."""
        pairs = zip(entries, outcomes, strict=True)
        restored = [e.change for e, o in pairs if isinstance(e.change, ConfigEntry) and o.state is State.UNDONE]
        for change in restored if marks else ():
            try:
                text = config.text_of(self._cluster.get(change.plural, change.namespace, change.name))
                pods, since = {n: pod for n, (pod, _) in marks.items()}, {n: mark for n, (_, mark) in marks.items()}
                seen = in_force.back_in_force(self._cluster, pods, since, text, IN_FORCE_SECONDS)
            except JfsnbError as error:
                seen = [(", ".join(marks), f"not seen: {error.what}; its kubelet syncs within about a minute")]
            self._lines += [Undone("configuration in force", pod, Outcome(State.UNDONE, words)) for pod, words in seen]

    def _wait_for_mount_pods(self, served: Served) -> None:
        self._lines += [Undone("Mount Pod", *line) for line in served.gone(self._cluster, GONE_SECONDS)]

    def _close(self, entries: list[Entry], outcomes: list[Outcome]) -> None:
        """What undoing needed goes last: until everything is undone, somebody else may need it."""
        if not all(line.outcome.settled for line in self._lines):
            return
        for entry, outcome in zip(entries, outcomes, strict=True):
            self._guarded(entry.change.KIND, entry.change.object, lambda e=entry: e.change.forget(self._cluster))  # type: ignore[misc]
            if entry.number:
                self._write_down(entry.number, outcome)

    def _write_down(self, number: int, outcome: Outcome) -> None:
        try:
            self._journal.undone(number, outcome)
        except OSError as error:  # the cluster is as it was, whatever the journal says
            words = f"could not be written ({error.strerror}); undoing it again does no harm"
            self._lines.append(Undone("journal", f"change {number}", Outcome(State.GONE, words)))


def _attempt(action: Callable[[], Outcome | None]) -> Outcome | None:
    """What went wrong, whatever it was: one thing that fails must not keep the rest from being undone."""
    try:
        return action()
    except JfsnbError as error:
        return Outcome(State.FAILED, error.what)
    except Exception as error:  # a full disk, a mistake of ours, an answer that nobody expected
        return Outcome(State.FAILED, f"{type(error).__name__}: {error}")


def _outcome(action: Callable[[], Outcome]) -> Outcome:
    found = _attempt(action)
    assert found is not None
    return found
