"""The smallest edit of config.yaml that gives a PVC (canary) or everybody (global) another client image, and its undo.

The text is spliced at positions that the YAML parser reports, so that comments, order, quoting, unknown keys and line
endings survive; the result is parsed again and must be what it was, plus exactly the one change.
"""

from __future__ import annotations

import copy
import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from jfsnb.driver.config import goyaml, schema
from jfsnb.driver.config import merging as config
from jfsnb.driver.config.entry_text import places, quoted_like
from jfsnb.driver.config.yaml_marks import Splice, Tree, value_region
from jfsnb.errors import ConfigInvalid, ConflictError

LIST = "mountPodPatch"


@dataclass(frozen=True)
class Edit:
    """A planned edit; plain data, so that a journal can keep it.

    Args:
        scope: ``canary`` or ``global``.
        image: that the entry names afterwards. image_key: ``ceMountImage`` or ``eeMountImage``.
        entry: number of the entry that is added or changed, from 1.
        added: the entry is new; else its image is changed.
        before, after: the whole text. start: where they differ; removed, inserted: what is exchanged there.
    """

    scope: str
    image: str
    image_key: str
    entry: int
    added: bool
    before: str
    after: str
    start: int = 0
    removed: str = ""
    inserted: str = ""

    @property
    def changed(self) -> bool:
        """False when config.yaml already says so."""
        return self.before != self.after

    @property
    def diff(self) -> str:
        """Unified diff; empty when nothing changes. May show secrets that stand nearby: for eyes, `unified_diff` of the
        redacted texts."""
        return unified_diff(self.before, self.after)


def unified_diff(before: str, after: str) -> str:
    """Unified diff of two config.yaml."""
    lines = (before.splitlines(), after.splitlines())
    return "\n".join(difflib.unified_diff(*lines, "config.yaml (before)", "config.yaml (after)", lineterm=""))


def plan_canary(text: str, pvc_name: str, image: str, *, is_ce: bool = True) -> Edit:
    """An entry at the end of mountPodPatch that gives PVCs of this name the image; one that is there is changed.

    Args:
        text: config.yaml, as it is. pvc_name: name of the PVC (the driver ignores its namespace).
        image: reference. is_ce: community edition.

    Raises:
        ConfigInvalid: the text is not what the driver can load, or no safe edit can be found.
    """
    key = _image_key(is_ce)
    entries = config.load(text).entries
    setters = [e.number for e in entries if key in e.fields]
    ours = [e for e in entries if _is_canary(e, pvc_name, key)]
    if ours and ours[-1].number == setters[-1]:
        return _change(text, "canary", ours[-1], key, image)
    value = {"pvcSelector": {"matchName": pvc_name}, key: image}
    return _add(text, "canary", value, len(entries), key, image)


def plan_global(text: str, image: str, *, is_ce: bool = True) -> Edit:
    """Change the image of the last entry without selectors that names one.

    When there is none, an entry is added at the *beginning*: entries for certain PVCs or nodes keep winning.

    Args:
        text: config.yaml, as it is. image: reference. is_ce: community edition.

    Raises:
        ConfigInvalid: the text is not what the driver can load, or no safe edit can be found.
    """
    key = _image_key(is_ce)
    entries = config.load(text).entries
    decisive = [e for e in entries if e.selector.is_empty and key in e.fields]
    if decisive:
        return _change(text, "global", decisive[-1], key, image)
    return _add(text, "global", {key: image}, 0, key, image)


def undo(current: str, edit: Edit) -> str:
    """config.yaml without the edit; byte for byte what it was, when nobody else has changed it since.

    Args:
        current: config.yaml as it is now. edit: that was applied.

    Raises:
        ConflictError: somebody has changed the very entry in between; nothing should be touched.
    """
    if current in (edit.after, edit.before):
        return edit.before
    start = _moved_to(current, edit)
    if start is None:
        raise _foreign_change(edit)
    result = current[:start] + edit.removed + current[start + len(edit.inserted) :]
    if not _is_undone(current, result, edit):
        raise _foreign_change(edit)
    return result


def stands(current: str, scope: str, claim: str, key: str, image: str) -> bool:
    """Whether an entry such as an edit makes is there: for one claim (canary), or for everybody.

    Args:
        current: config.yaml. claim: the PVC's name. key: ``ceMountImage`` or ``eeMountImage``.
        image: that it names; empty: any.

    Raises:
        ConfigInvalid: the text is not what the driver can load.
    """
    entries = [e for e in config.load(current).entries if key in e.fields and image in ("", e.fields[key])]
    if scope == "global":
        return any(e.selector.is_empty for e in entries)
    return any(_is_canary(e, claim, key) for e in entries)


def _foreign_change(edit: Edit) -> ConflictError:
    return ConflictError(
        f"entry {edit.entry} of {LIST} ({edit.image_key}: {edit.image}) was changed by somebody else in between",
        "Nothing was touched; decide by hand, the text from before the run is its backup config-before.yaml.",
    )


def _moved_to(current: str, edit: Edit) -> int | None:
    """Where the inserted text stands in a text that others have changed elsewhere; None when it does not."""
    whole_lines = edit.inserted.endswith("\n") and ("\n" + edit.after)[edit.start] == "\n"
    if whole_lines and ("\n" + current).count("\n" + edit.inserted) == 1:
        return ("\n" + current).index("\n" + edit.inserted)
    old, new = edit.after.splitlines(keepends=True), current.splitlines(keepends=True)
    first = edit.after.count("\n", 0, edit.start)
    last = edit.after.count("\n", 0, max(edit.start, edit.start + len(edit.inserted) - 1))
    for block in difflib.SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks():
        if block.a <= first and last < block.a + block.size:
            line_start = len("".join(old[:first]))
            return len("".join(new[: first - block.a + block.b])) + edit.start - line_start
    return None


def _is_undone(current: str, result: str, edit: Edit) -> bool:
    """The undo removes our entry, or puts its image back, and nothing else."""
    try:
        now, then = goyaml.parse(current).value, goyaml.parse(result).value
    except ConfigInvalid:
        return False
    listed, back = _entries(now), _entries(then)
    if edit.added:
        gone = [n for n in range(len(listed)) if listed[:n] + listed[n + 1 :] == back]
        return any(_image_of(listed[n], edit.image_key) == edit.image for n in gone) and _rest(now) == _rest(then)
    differing = [n for n, (a, b) in enumerate(zip(listed, back, strict=False)) if a != b]
    return len(listed) == len(back) and len(differing) == 1 and _rest(now) == _rest(then)


def _entries(value: Any) -> list[Any]:
    key = schema.list_key(value)
    return list((value or {}).get(key) or []) if isinstance(value, dict) else []


def _rest(value: Any) -> dict[str, Any]:
    key = schema.list_key(value)
    return {k: v for k, v in value.items() if k != key} if isinstance(value, dict) else {}


def _image_of(entry: Any, key: str) -> Any:
    return entry.get(key) if isinstance(entry, dict) else None


def _image_key(is_ce: bool) -> str:
    return "ceMountImage" if is_ce else "eeMountImage"


def _is_canary(entry: config.PatchEntry, pvc_name: str, key: str) -> bool:
    selector = entry.selector
    pvc = selector.pvc
    only_name = pvc is not None and pvc.match_name == pvc_name and not pvc.match_storage_class and pvc.has_no_labels
    return only_name and selector.node is None and set(entry.fields) == {key}


def _change(text: str, scope: str, entry: config.PatchEntry, key: str, image: str) -> Edit:
    """Exchange the image of an entry."""
    unchanged = Edit(scope, image, key, entry.number, False, text, text)
    if entry.fields[key] == image:
        return unchanged
    tree = Tree.of(text)
    entry_node = tree.items(tree.value(tree.root, LIST))[entry.number - 1]
    found = tree.pair(entry_node, key)
    if found is None:
        raise _unsafe(f"the image of entry {entry.number} comes from a YAML merge (<<)")
    key_node, value_node = found
    expected = goyaml.parse(text).value
    expected[schema.list_key(expected)][entry.number - 1][key_node.value] = image
    start, end = value_region(text, key_node, value_node)
    replacements = [Splice(start, end, quoted_like(text[start:end], image)), Splice(start, end, json.dumps(image))]
    return _first_proven(text, replacements, expected, unchanged)


def _add(text: str, scope: str, value: dict[str, Any], at: int, key: str, image: str) -> Edit:
    """Add an entry as number ``at`` + 1."""
    expected = copy.deepcopy(goyaml.parse(text).value)
    expected = {} if expected is None else expected
    name = schema.list_key(expected)
    entries = expected.get(name) or []
    expected[name] = [*entries[:at], value, *entries[at:]]
    planned = Edit(scope, image, key, at + 1, True, text, text)
    return _first_proven(text, places(text, LIST, value, at), expected, planned)


def _first_proven(text: str, splices: Iterable[Splice], expected: Any, planned: Edit) -> Edit:
    """The first way of writing that yields exactly the expected data."""
    for splice in splices:
        after = splice.apply(text)
        try:
            if goyaml.parse(after).value == expected:
                config.load(after)
                removed = text[splice.start : splice.end]
                return replace(planned, after=after, start=splice.start, removed=removed, inserted=splice.text)
        except ConfigInvalid:
            continue
    raise _unsafe(
        "its style (anchors, unusual nesting) leaves no place where the change is sure to change nothing else"
    )


def _unsafe(why: str) -> ConfigInvalid:
    return ConfigInvalid(
        f"config.yaml cannot be edited safely: {why}",
        f"Add the entry to {LIST} by hand, or write config.yaml in plain block style.",
    )
