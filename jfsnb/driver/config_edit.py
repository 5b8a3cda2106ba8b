"""The smallest edit of config.yaml that gives a PVC (canary) or everybody (global) another client image, and its undo.

The text is spliced at positions that the YAML parser reports, so that comments, order, quoting, unknown keys and line
endings survive; the result is parsed again and must be what it was, plus exactly the one change.
"""

from __future__ import annotations

import copy
import difflib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from jfsnb.driver import config, goyaml
from jfsnb.driver.yaml_marks import Splice, Tree, value_region
from jfsnb.errors import ConfigInvalid, ConflictError

LIST = "mountPodPatch"
_PLAIN = re.compile(r"^[A-Za-z0-9][-A-Za-z0-9._/:@]*$")


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
        """Unified diff; empty when nothing changes. May show what else stands nearby: redact it."""
        lines = (_shown_lines(self.before), _shown_lines(self.after))
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


def _foreign_change(edit: Edit) -> ConflictError:
    return ConflictError(
        f"entry {edit.entry} of {LIST} ({edit.image_key}: {edit.image}) was changed by somebody else in between",
        "Nothing was touched; decide by hand, the text from before the run is its backup config-before.yaml.",
    )


def _moved_to(current: str, edit: Edit) -> int | None:
    """Where the inserted text stands in a text that others have changed elsewhere; None when it does not."""
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
    key = config.list_key(value)
    return list((value or {}).get(key) or []) if isinstance(value, dict) else []


def _rest(value: Any) -> dict[str, Any]:
    key = config.list_key(value)
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
    expected[config.list_key(expected)][entry.number - 1][key_node.value] = image
    start, end = value_region(text, key_node, value_node)
    replacements = [Splice(start, end, _like(text[start:end], image)), Splice(start, end, json.dumps(image))]
    return _first_proven(text, replacements, expected, unchanged)


def _like(old: str, image: str) -> str:
    """The image, quoted as the old value was."""
    if old[:1] == "'":
        return f"'{image}'"
    return json.dumps(image) if old[:1] == '"' or not _is_plain(image) else image


def _add(text: str, scope: str, value: dict[str, Any], at: int, key: str, image: str) -> Edit:
    """Add an entry as number ``at`` + 1."""
    expected = copy.deepcopy(goyaml.parse(text).value)
    expected = {} if expected is None else expected
    name = config.list_key(expected)
    entries = expected.get(name) or []
    expected[name] = [*entries[:at], value, *entries[at:]]
    planned = Edit(scope, image, key, at + 1, True, text, text)
    return _first_proven(text, _places(text, value, at), expected, planned)


def _places(text: str, value: dict[str, Any], at: int) -> Iterator[Splice]:
    """Ways to write the entry into the text, the nicest first."""
    tree = Tree.of(text)
    flow = f"[{_flow(value)}]"
    if tree.root is None:
        yield tree.append_line(len(text), f"{LIST}:", *_block(value, 2, 4))
        return
    if isinstance(tree.root, yaml.ScalarNode):
        lines = tree.newline.join([f"{LIST}:", *_block(value, 2, 4)])
        yield Splice(tree.root.start_mark.index, tree.root.end_mark.index, lines)
        return
    assert isinstance(tree.root, yaml.MappingNode)
    found = tree.pair(tree.root, LIST)
    if found is None and tree.root.flow_style:
        yield tree.into_flow(tree.root, f"{LIST}: {flow}")
    elif found is None:
        column = tree.root.start_mark.column
        yield tree.append_line(tree.end(tree.root), *_indented(column, f"{LIST}:", *_block(value, 2, 4)))
    elif isinstance(found[1], yaml.SequenceNode) and found[1].flow_style:
        items = found[1].value
        if at == 0 and items:
            yield Splice(items[0].start_mark.index, items[0].start_mark.index, f"{_flow(value)}, ")
        else:
            yield tree.into_flow(found[1], _flow(value))
    elif isinstance(found[1], yaml.SequenceNode):
        yield from _into_block(tree, found[0], found[1], value, at)
    elif tree.root.flow_style:
        start, end = value_region(text, *found)
        yield Splice(start, end, flow if text[start - 1 : start].isspace() else f" {flow}")
    else:
        column = found[0].start_mark.column + 2
        yield tree.replace_null(found[0], found[1], _block(value, column, column + 2))


def _into_block(tree: Tree, key: yaml.Node, items: yaml.Node, value: dict[str, Any], at: int) -> Iterator[Splice]:
    dash = items.start_mark.column
    inner = next((i.start_mark.column for i in items.value if isinstance(i, yaml.MappingNode)), dash + 2)
    lines = _block(value, dash, inner if inner > dash + 1 else dash + 2)
    if at == 0:
        yield tree.append_line(key.end_mark.index, *lines)
        yield tree.before_line(items.start_mark.index, *lines)
    else:
        yield tree.append_line(tree.end(items), *lines)
        yield tree.before_line(items.end_mark.index, *lines)


def _block(value: dict[str, Any], dash: int, inner: int) -> list[str]:
    """An entry in block style, its dash and its keys at the given columns."""
    lines = []
    for name, item in value.items():
        if isinstance(item, dict):
            lines += [f"{name}:", *(f"  {k}: {_scalar(v)}" for k, v in item.items())]
        else:
            lines.append(f"{name}: {_scalar(item)}")
    indented = [" " * inner + line for line in lines]
    indented[0] = " " * dash + "-" + " " * (inner - dash - 1) + lines[0]
    return indented


def _flow(value: dict[str, Any]) -> str:
    parts = (f"{k}: {_flow(v) if isinstance(v, dict) else json.dumps(v)}" for k, v in value.items())
    return "{" + ", ".join(parts) + "}"


def _indented(column: int, *lines: str) -> list[str]:
    return [" " * column + line for line in lines]


def _scalar(text: str) -> str:
    return text if _is_plain(text) else json.dumps(text)


def _is_plain(text: str) -> bool:
    return bool(_PLAIN.match(text)) and not text.endswith(":") and goyaml.resolve(text) == text


def _first_proven(text: str, splices: Iterator[Splice] | list[Splice], expected: Any, planned: Edit) -> Edit:
    """The first way of writing that yields exactly the expected data."""
    for splice in splices:
        after = splice.apply(text)
        try:
            if goyaml.parse(after).value == expected:
                config.load(after)
                return Edit(
                    **{
                        **planned.__dict__,
                        "after": after,
                        "start": splice.start,
                        "removed": text[splice.start : splice.end],
                        "inserted": splice.text,
                    }
                )
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


def _shown_lines(text: str) -> list[str]:
    return text.splitlines()
