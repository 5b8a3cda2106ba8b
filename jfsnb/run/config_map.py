"""The driver's ConfigMap: patching it, noting on it how to undo that, and undoing it."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

from jfsnb.cluster.client import Cluster
from jfsnb.driver.config import edit as config_edit
from jfsnb.driver.config.edit import Edit
from jfsnb.driver.names import CONFIG_KEY
from jfsnb.errors import ConflictError, JfsnbError

Obj = dict[str, Any]
ATTEMPTS = 3


def note_key(run_id: str) -> str:
    """The annotation that a run leaves on the ConfigMap while its patch is in place."""
    return f"undo.jfsnb.io/{run_id}"


def checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def plan_edit(text: str, scope: str, claim: str, image: str, is_ce: bool = True) -> Edit:
    """The smallest edit for a scope."""
    if scope == "global":
        return config_edit.plan_global(text, image, is_ce=is_ce)
    return config_edit.plan_canary(text, claim, image, is_ce=is_ce)


def note_of(
    before: str, scope: str, claim: str, image: str, is_ce: bool, hurried: list[Obj], smoke_namespace: str = ""
) -> str:
    """Everything that undoing the edit needs, from wherever: the bytes from before, packed, and what was asked for.

    Args:
        hurried: CSI node Pods that are annotated with the edit: namespace, name, and the annotation's value before.
        smoke_namespace: where the run's own objects are.
    """
    packed = base64.b64encode(zlib.compress(before.encode(), 9)).decode()
    facts = {"scope": scope, "claim": claim, "image": image, "is_ce": is_ce, "hurried": hurried, "before": packed}
    return json.dumps(facts | {"smoke_namespace": smoke_namespace})


def read_note(note: str) -> Obj:
    """The same, with ``before`` unpacked; ``restored`` is true once only the hurried Pods are left to see to."""
    data: Obj = json.loads(note)
    return (
        data if data.get("restored") else data | {"before": zlib.decompress(base64.b64decode(data["before"])).decode()}
    )


def patch(cluster: Cluster, config_map: Obj, edit: Edit, key: str, note: str, *, dry_run: bool = False) -> Obj:
    """Patch config.yaml and leave the note; refused when the ConfigMap has changed since it was read.

    Raises:
        ConflictError: somebody else changed it in between.
    """
    meta = config_map["metadata"]
    guarded = {"resourceVersion": meta["resourceVersion"], "annotations": {key: note}}
    body = {"metadata": guarded, "data": {CONFIG_KEY: edit.after}}
    return cluster.patch("configmaps", meta["namespace"], meta["name"], body, dry_run=dry_run)


def text_of(config_map: Obj) -> str:
    return str((config_map.get("data") or {}).get(CONFIG_KEY, ""))


def restore(cluster: Cluster, namespace: str, name: str, run_id: str, details: Obj) -> str:
    """Undo a run's edit: the exact bytes from before, or only our part when others have changed theirs.

    A note that tells of more to undo stays until ``forget``.

    Args:
        details: of the journal entry (``before_sha256``, ``backup``); may be empty.

    Returns:
        The outcome in words; beginning with ``left`` when nothing was touched because it is no longer ours.
    """
    for attempt in range(ATTEMPTS):
        config_map = cluster.find("configmaps", namespace, name)
        if config_map is None:
            return "left: the ConfigMap is gone"
        try:
            return _restore_once(cluster, config_map, run_id, details)
        except ConflictError:
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def _restore_once(cluster: Cluster, config_map: Obj, run_id: str, details: Obj) -> str:
    meta, text = config_map["metadata"], text_of(config_map)
    note = (meta.get("annotations") or {}).get(note_key(run_id))
    if note is None and checksum(text) == details.get("before_sha256"):
        return "as before already"
    facts = read_note(note) if note else _from_backup(details)
    if facts is not None and facts.get("restored"):
        return "as before already"
    if facts is None:
        return "left: neither our note on the ConfigMap nor the backup is there; compare with config-before.yaml"
    edit = plan_edit(facts["before"], facts["scope"], facts["claim"], facts["image"], facts["is_ce"])
    if text == edit.before:
        wanted, outcome = text, "as before already"
    elif text == edit.after:
        wanted, outcome = edit.before, "restored, byte for byte"
    else:
        try:
            wanted = config_edit.undo(text, edit)
        except JfsnbError as error:
            return f"left: {error.what}"
        outcome = "our part undone; others have changed config.yaml meanwhile, and that stays"
    body: Obj = {"metadata": {"resourceVersion": meta["resourceVersion"]}}
    if note is not None:
        body["metadata"]["annotations"] = {note_key(run_id): _rest_of(facts)}
    if wanted != text:
        body["data"] = {CONFIG_KEY: wanted}
    cluster.patch("configmaps", meta["namespace"], meta["name"], body)
    return outcome


def _rest_of(facts: Obj) -> str | None:
    """What the note has still to tell once the edit is undone; None for nothing."""
    rest = {key: facts[key] for key in ("hurried", "smoke_namespace") if facts.get(key)}
    return json.dumps({"restored": True, **rest}) if facts.get("hurried") else None


def forget(cluster: Cluster, namespace: str, name: str, run_id: str) -> None:
    """Take the run's note off the ConfigMap, where there is one."""
    config_map = cluster.find("configmaps", namespace, name)
    if config_map is not None and note_key(run_id) in (config_map["metadata"].get("annotations") or {}):
        cluster.patch("configmaps", namespace, name, {"metadata": {"annotations": {note_key(run_id): None}}})


def _from_backup(details: Obj) -> Obj | None:
    """What the note would say, from the run folder, for a ConfigMap that was replaced and our note with it."""
    path = Path(details.get("backup") or "/nonexistent")
    if not path.exists():
        return None
    before = path.read_text(encoding="utf-8")
    return {**details, "before": before} if checksum(before) == details.get("before_sha256") else None
