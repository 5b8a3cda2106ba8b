"""A change of a cluster: what it is, to what; how it is made, unmade, and seen to be unmade.

A change is ours by the run id that the cluster itself carries for it (a label, an annotation, the note on the driver's
ConfigMap), and by nothing else: not by a name, and not by bytes that look like ours.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, ClassVar, Self

from jfsnb.cluster.client import Cluster
from jfsnb.cluster.resources import title_of

Obj = dict[str, Any]


class State(StrEnum):
    """What became of an attempt to undo a change."""

    UNDONE = "undone"
    ASKED = "asked"  # asked for, to be seen
    GONE = "gone"  # nothing of it is there (any more)
    STAYS = "stays"  # somebody else keeps it, with a reason
    LEFT = "left"  # not touched: no longer ours alone, or nobody can tell
    FAILED = "failed"  # the cluster could not be asked, or refused


@dataclass(frozen=True)
class Outcome:
    """How undoing a change ended.

    Args:
        state: see ``State``.
        words: what was done, or why it was not.
        theirs: what others have changed meanwhile, as a diff; it was left as it is.
    """

    state: State
    words: str
    theirs: str = ""

    @property
    def settled(self) -> bool:
        """Nothing remains to be done by us."""
        return self.state in (State.UNDONE, State.GONE, State.STAYS)

    def __str__(self) -> str:
        marked = self.state in (State.STAYS, State.LEFT, State.FAILED)
        return f"{self.state}: {self.words}" if marked else self.words


@dataclass(frozen=True, kw_only=True)
class Change(ABC):
    """One change of one object.

    Args:
        run_id: of the run that makes it.
        plural, namespace, name: which object.
        uid: of the object, once it is known.
        made: the cluster has said that it was made.
    """

    KIND: ClassVar[str]

    run_id: str
    plural: str
    namespace: str
    name: str
    uid: str = ""
    made: bool = False

    @property
    def object(self) -> str:
        return title_of(self.plural, self.namespace, self.name)

    @abstractmethod
    def describe(self) -> str:
        """What it does, in one line."""

    @abstractmethod
    def do(self, cluster: Cluster) -> Obj:
        """Make it; the object as it is then.

        Raises:
            ConflictError: somebody else was there first; nothing was changed.
        """

    @abstractmethod
    def undo(self, cluster: Cluster) -> Outcome:
        """Unmake it, or ask for that; harmless when it is not there, or was never made."""

    @abstractmethod
    def is_undone(self, cluster: Cluster, seconds: float) -> Outcome:
        """Look (for at most so many seconds) whether nothing of it is there any more; LEFT when something is."""

    def forget(self, cluster: Cluster) -> None:  # noqa: B027 - most kinds leave nothing behind
        """Take away what undoing needed, once everything that the run did is undone."""

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for the journal and the note in the cluster; holds no secret."""
        return {"kind": self.KIND, **{f.name: getattr(self, f.name) for f in fields(self) if f.repr}}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """From plain data. Raises KeyError or TypeError where it is not that of such a change."""
        known = [f.name for f in fields(cls) if f.repr]
        if not all(isinstance(data[name], str | bool) for name in known):
            raise TypeError(f"no {cls.KIND}: {data}")
        return cls(**{name: data[name] for name in known})
