"""Writing an entry into a YAML list in the style around it: block or flow, null or missing, any indentation."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from jfsnb.driver.config import goyaml
from jfsnb.driver.config.yaml_marks import Splice, Tree, value_region

_PLAIN = re.compile(r"^[A-Za-z0-9][-A-Za-z0-9._/:@]*$")


def places(text: str, name: str, value: dict[str, Any], at: int) -> Iterator[Splice]:
    """Ways to write an entry into the list under a top-level key, the nicest first; the caller proves them.

    Args:
        text: YAML, a mapping or nothing. name: the key, in any case; added when missing.
        value: the entry, a mapping of strings and mappings of strings. at: its index in the list: 0 or the length.
    """
    tree = Tree.of(text)
    flow = f"[{_flow(value)}]"
    if tree.root is None:
        yield tree.append_line(len(text), f"{name}:", *_block(value, 2, 4))
        return
    if isinstance(tree.root, yaml.ScalarNode):
        lines = tree.newline.join([f"{name}:", *_block(value, 2, 4)])
        yield Splice(tree.root.start_mark.index, tree.root.end_mark.index, lines)
        return
    assert isinstance(tree.root, yaml.MappingNode)
    found = tree.pair(tree.root, name)
    if found is None and tree.root.flow_style:
        yield tree.into_flow(tree.root, f"{name}: {flow}")
    elif found is None:
        column = tree.root.start_mark.column
        yield tree.append_line(tree.end(tree.root), *_indented(column, f"{name}:", *_block(value, 2, 4)))
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


def quoted_like(old: str, new: str) -> str:
    """A new value in the quotes of the old one."""
    if old[:1] == "'":
        return f"'{new}'"
    return json.dumps(new) if old[:1] == '"' or not _is_plain(new) else new
