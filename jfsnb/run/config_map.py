"""The driver's ConfigMap: the edit of config.yaml, and the notes that runs leave on it while their edits stand."""

from __future__ import annotations

import base64
import difflib
import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from jfsnb.checks.leftover import NOTE_PREFIX
from jfsnb.driver.config import edit as config_edit
from jfsnb.driver.config.edit import Edit
from jfsnb.driver.names import CONFIG_KEY
from jfsnb.errors import ConflictError, JfsnbError
from jfsnb.redact import redact_text

Obj = dict[str, Any]
VERSION = 1


class NoteDamaged(JfsnbError):
    """A note on the ConfigMap is not as any run has written it."""


@dataclass(frozen=True)
class Note:
    """All that undoing a run needs, kept in the cluster.

    Args:
        scope, claim: whom the edit is for.
        edit: of config.yaml; None once it is undone.
        changes: what the run has made or is about to make, as data (``Change.to_dict``), in the order of undoing.
    """

    scope: str
    claim: str
    edit: Edit | None
    changes: tuple[Obj, ...] = ()

    def dumps(self) -> str:
        """As the annotation holds it: the bytes from before are packed, those after follow from them."""
        packed = None
        if self.edit is not None:
            packed = asdict(self.edit) | {"before": _pack(self.edit.before)}
            del packed["after"]
        facts = {"version": VERSION, "scope": self.scope, "claim": self.claim, "edit": packed}
        return json.dumps(facts | {"changes": self.changes})

    @classmethod
    def loads(cls, text: str, key: str) -> Note:
        """Raises NoteDamaged."""
        try:
            facts = json.loads(text)
            if facts["version"] != VERSION:
                raise ValueError(f"version {facts['version']}")
            changes = tuple(dict(change) for change in facts["changes"])
            return cls(str(facts["scope"]), str(facts["claim"]), _edit(facts["edit"]), changes)
        except (ValueError, TypeError, KeyError, AttributeError, zlib.error) as error:
            raise NoteDamaged(
                f"the annotation {key} cannot be read ({type(error).__name__}: {str(error)[:80]})",
                f"mend config.yaml by hand (the run's folder has config-before.yaml), then remove the annotation {key}",
            ) from error


def _edit(packed: Obj | None) -> Edit | None:
    if packed is None:
        return None
    before = zlib.decompress(base64.b64decode(packed["before"])).decode()
    start, removed, inserted = packed["start"], packed["removed"], packed["inserted"]
    if before[start : start + len(removed)] != removed:
        raise ValueError("its edit does not fit its text")
    after = before[:start] + inserted + before[start + len(removed) :]
    return Edit(**packed | {"before": before, "after": after})


def _pack(text: str) -> str:
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def note_key(run_id: str) -> str:
    """The annotation that a run leaves on the ConfigMap while its patch is in place."""
    return f"{NOTE_PREFIX}{run_id}"


def note_on(config_map: Mapping[str, Any], run_id: str) -> Note | None:
    """A run's note; None where there is none. Raises NoteDamaged."""
    text = (config_map["metadata"].get("annotations") or {}).get(note_key(run_id))
    return None if text is None else Note.loads(str(text), note_key(run_id))


def refuse_beside_others(config_map: Mapping[str, Any], run_id: str, edit: Edit, claim: str) -> None:
    """One run at a time for each claim, and for everybody: two edits could not be told apart, nor their effects.

    Raises:
        ConflictError: names the run whose edit stands.
    """
    keys = config_map["metadata"].get("annotations") or {}
    for other in [key.removeprefix(NOTE_PREFIX) for key in keys if key.startswith(NOTE_PREFIX)]:
        try:
            note = note_on(config_map, other)
        except NoteDamaged as error:
            raise ConflictError(f"run {other} has patched the configuration: {error.what}", error.next_step) from error
        if note is None or note.edit is None or (other == run_id and not edit.changed):
            continue
        if note.claim == claim or note.scope == edit.scope == "global":
            whom = f"claim {claim}" if note.claim == claim else "everybody"
            raise ConflictError(
                f"the configuration for {whom} is patched already, by run {other}",
                f"wait until that run has ended; where it is dead: jfsnb rollback {other}",
            )


def checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def plan_edit(text: str, scope: str, claim: str, image: str, is_ce: bool = True) -> Edit:
    """The smallest edit for a scope."""
    if scope == "global":
        return config_edit.plan_global(text, image, is_ce=is_ce)
    return config_edit.plan_canary(text, claim, image, is_ce=is_ce)


def text_of(config_map: Mapping[str, Any]) -> str:
    return str((config_map.get("data") or {}).get(CONFIG_KEY, ""))


def diff_of(before: str, after: str) -> str:
    """What others have changed, as a unified diff, redacted; empty where nothing."""
    lines = (redact_text(before).splitlines(), redact_text(after).splitlines())
    return "\n".join(difflib.unified_diff(*lines, "before the run", "now", lineterm=""))
