"""A change: one entry of the driver's config.yaml, and the note beside it that tells how to undo it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeVar

from jfsnb.cluster.client import Cluster
from jfsnb.driver.config import edit as config_edit
from jfsnb.driver.config.edit import Edit
from jfsnb.driver.names import CONFIG_KEY
from jfsnb.errors import ConfigInvalid, ConflictError, NotInCluster
from jfsnb.run import config_map as config
from jfsnb.run.change.model import Change, Outcome, State
from jfsnb.run.config_map import Note, NoteDamaged

Obj = dict[str, Any]
T = TypeVar("T")
ATTEMPTS = 3


@dataclass(frozen=True)
class Planned:
    """What making it needs: the ConfigMap as it was read, the edit, and the changes of which its note tells."""

    config_map: Obj
    edit: Edit
    changes: tuple[Obj, ...]


@dataclass(frozen=True, kw_only=True)
class ConfigEntry(Change):
    """An entry of mountPodPatch that is added, or whose image is changed.

    Text and note go into the ConfigMap with one request, so the note is there exactly as long as the edit stands, and
    is what makes it ours.

    Args:
        scope, claim, image_key, image: what the entry says, and to whom.
        before_sha256: of config.yaml before.
        smoke_namespace: where the run's own objects are.
        planned: only whoever makes it has it.
    """

    KIND: ClassVar[str] = "config.yaml patched"

    scope: str
    claim: str
    image_key: str
    image: str
    before_sha256: str
    smoke_namespace: str = ""
    planned: Planned | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        run_id: str,
        config_map: Obj,
        edit: Edit,
        claim: str,
        changes: tuple[Change, ...] = (),
        smoke_namespace: str = "",
    ) -> ConfigEntry:
        """Of a planned edit.

        Args:
            changes: of the run, that the note shall tell of, too.
        """
        meta = config_map["metadata"]
        change = cls(
            run_id=run_id,
            plural="configmaps",
            namespace=meta["namespace"],
            name=meta["name"],
            scope=edit.scope,
            claim=claim,
            image_key=edit.image_key,
            image=edit.image,
            before_sha256=config.checksum(edit.before),
            smoke_namespace=smoke_namespace,
        )
        told = tuple(c.to_dict() for c in (change, *changes))
        return replace(change, planned=Planned(config_map, edit, told))

    @property
    def _entry(self) -> str:
        whom = "everybody" if self.scope == "global" else f"claim {self.claim}"
        return f"{self.image_key}: {self.image} for {whom}"

    def describe(self) -> str:
        return f"patch config.yaml, scope {self.scope}: {self._entry}"

    def do(self, cluster: Cluster) -> Obj:
        """Refused when the ConfigMap has changed since it was read."""
        try:
            return self._make(cluster, dry_run=False)
        except ConflictError:
            found = cluster.find(self.plural, self.namespace, self.name)
            if found is not None and self.planned is not None and self._is_made(found, self.planned.edit):
                return found  # it was made, and the answer that said so was lost
            raise

    def _is_made(self, config_map: Obj, edit: Edit) -> bool:
        note = config.note_on(config_map, self.run_id)
        return note is not None and note.edit == edit

    def rehearse(self, cluster: Cluster) -> None:
        """Ask the server whether it would take it. Raises as ``do``."""
        self._make(cluster, dry_run=True)

    def _make(self, cluster: Cluster, dry_run: bool) -> Obj:
        assert self.planned is not None
        config_map, edit = self.planned.config_map, self.planned.edit
        note = Note(self.scope, self.claim, edit, self.planned.changes)
        return self._patch(cluster, config_map, edit.after, note, dry_run=dry_run)

    def _patch(self, cluster: Cluster, config_map: Obj, text: str, note: Note | None, *, dry_run: bool = False) -> Obj:
        annotations = {config.note_key(self.run_id): note.dumps() if note else None}
        meta = {"resourceVersion": config_map["metadata"]["resourceVersion"], "annotations": annotations}
        body: Obj = {"metadata": meta}
        if text != config.text_of(config_map):
            body["data"] = {CONFIG_KEY: text}
        return cluster.patch("configmaps", self.namespace, self.name, body, dry_run=dry_run)

    def undo(self, cluster: Cluster) -> Outcome:
        """The exact bytes from before, or only our part where others have changed theirs."""
        return self._attempt(lambda: self._undo_once(cluster))

    def forget(self, cluster: Cluster) -> None:
        self._attempt(lambda: self._forget_once(cluster))

    def _attempt(self, action: Callable[[], T]) -> T:
        """Again, from what is there by then, when somebody else was quicker."""
        for _ in range(ATTEMPTS - 1):
            try:
                return action()
            except ConflictError:
                continue
        return action()

    def _undo_once(self, cluster: Cluster) -> Outcome:
        config_map = cluster.find(self.plural, self.namespace, self.name)
        if config_map is None:
            return self._without_config_map(cluster)
        try:
            note = config.note_on(config_map, self.run_id)
        except NoteDamaged as error:
            return Outcome(State.LEFT, f"{error.what}; {error.next_step}")
        if note is None:
            return self._without_note(config.text_of(config_map))
        if note.edit is None:
            return Outcome(State.GONE, "undone already")
        text = config.text_of(config_map)
        wanted, outcome = _undone(text, note.edit, self.claim)
        if outcome.settled:
            self._patch(cluster, config_map, wanted, replace(note, edit=None))
        return outcome

    def _without_config_map(self, cluster: Cluster) -> Outcome:
        """Believed when it is said to a change, too."""
        try:
            cluster.patch(self.plural, self.namespace, self.name, {}, dry_run=True)
        except NotInCluster:
            return Outcome(State.GONE, "the ConfigMap is gone")
        return Outcome(State.FAILED, "the ConfigMap is there and is not: it cannot be read, but changed")

    def _without_note(self, text: str) -> Outcome:
        """Nothing here carries our run id. Only where the cluster said that it was made, something could be left."""
        if config.checksum(text) == self.before_sha256:
            return Outcome(State.GONE, "as before already")
        if not self.made:
            return Outcome(State.GONE, "never made: this run's note is not on the ConfigMap")
        if _stands(text, self.scope, self.claim, self.image_key, self.image):
            return Outcome(
                State.LEFT,
                f"the run's note is gone from the ConfigMap, so its entry ({self._entry}) cannot be told from anybody "
                "else's; remove it by hand",
            )
        return Outcome(State.GONE, "somebody else has replaced config.yaml; this run's entry is not in it")

    def is_undone(self, cluster: Cluster, seconds: float) -> Outcome:
        config_map = cluster.find(self.plural, self.namespace, self.name)
        if config_map is None:
            return self._without_config_map(cluster)
        note = config.note_on(config_map, self.run_id)
        if note is not None and note.edit is not None:
            return Outcome(State.LEFT, f"the run's note is still there, and so its entry ({self._entry})")
        return Outcome(State.UNDONE, "undone")

    def _forget_once(self, cluster: Cluster) -> None:
        config_map = cluster.find(self.plural, self.namespace, self.name)
        if config_map is None or config.note_key(self.run_id) not in (config_map["metadata"].get("annotations") or {}):
            return
        note = config.note_on(config_map, self.run_id)
        if note is not None and note.edit is None:
            self._patch(cluster, config_map, config.text_of(config_map), None)


def _undone(text: str, edit: Edit, claim: str) -> tuple[str, Outcome]:
    """config.yaml without the edit, and what to say about it."""
    if text == edit.before:
        return text, Outcome(State.GONE, "as before already")
    if text == edit.after:
        return edit.before, Outcome(State.UNDONE, "restored, byte for byte")
    try:
        wanted = config_edit.undo(text, edit)
    except ConflictError as error:
        image = "" if edit.added and edit.scope == "canary" else edit.image
        if _stands(text, edit.scope, claim, edit.image_key, image):
            return text, Outcome(State.LEFT, error.what)
        theirs = config.diff_of(edit.before, text)
        words = "somebody else has changed config.yaml, and this run's entry is not in it any more; that stays"
        return text, Outcome(State.GONE, words, theirs)
    theirs = config.diff_of(edit.before, wanted)
    words = "our part undone; others have changed config.yaml meanwhile, and that stays"
    return wanted, Outcome(State.UNDONE, words, theirs)


def _stands(text: str, scope: str, claim: str, key: str, image: str) -> bool:
    """A text that cannot be loaded cannot be cleared of it."""
    try:
        return config_edit.stands(text, scope, claim, key, image)
    except ConfigInvalid:
        return True
