"""Where things stand in a YAML text, and how to splice lines into it without touching the rest."""

from __future__ import annotations

import re
from dataclasses import dataclass

import yaml

from jfsnb.driver.config import goyaml

_PROPERTIES = re.compile(r"(?:[&!]\S*[ \t]+)*")
_ALIAS = re.compile(r"[ \t]*:[ \t]*(\*[^\s,\]}]+)")
_AFTER_KEY = re.compile(r"[ \t]*:")


@dataclass(frozen=True)
class Splice:
    """Exchange ``text[start:end]``."""

    start: int
    end: int
    text: str

    def apply(self, text: str) -> str:
        return text[: self.start] + self.text + text[self.end :]


@dataclass(frozen=True)
class Tree:
    """A text and its parsed nodes, which know their positions."""

    text: str
    root: yaml.Node | None

    @classmethod
    def of(cls, text: str) -> Tree:
        """Parse.

        Raises:
            ConfigInvalid: not YAML.
        """
        root = goyaml.compose(text)
        if isinstance(root, yaml.ScalarNode) and goyaml.resolve(root.value) is None and not root.value:
            root = None
        return cls(text, root)

    def pair(self, mapping: yaml.Node, name: str) -> tuple[yaml.Node, yaml.Node] | None:
        """Key and value node of a key as Go's decoder finds it: case folded; of several, the last one in the alphabet,
        and of the same key twice, the later one."""
        found = [(k, v) for k, v in mapping.value if str(k.value).lower() == name.lower()]
        found.sort(key=lambda pair: str(pair[0].value))
        return found[-1] if found else None

    def value(self, mapping: yaml.Node | None, name: str) -> yaml.Node | None:
        found = self.pair(mapping, name) if isinstance(mapping, yaml.MappingNode) else None
        return found[1] if found else None

    def items(self, sequence: yaml.Node | None) -> list[yaml.Node]:
        return list(sequence.value) if isinstance(sequence, yaml.SequenceNode) else []

    def end(self, node: yaml.Node) -> int:
        """Index behind the last character of a node's content; the parser's own end mark is at the next token."""
        if isinstance(node, yaml.ScalarNode):
            if node.style in ("|", ">"):
                return node.start_mark.index + len(self.text[node.start_mark.index : node.end_mark.index].rstrip())
            return int(node.end_mark.index)
        if not isinstance(node, yaml.CollectionNode) or node.flow_style or not node.value:
            return int(node.end_mark.index)
        last = node.value[-1]
        if isinstance(node, yaml.MappingNode):
            return max(self.end(last[0]), self.end(last[1]))
        return self.end(last)

    @property
    def newline(self) -> str:
        return "\r\n" if self.text.count("\r\n") * 2 > self.text.count("\n") else "\n"

    def append_line(self, index: int, *lines: str) -> Splice:
        """New lines after the line that ``index`` is in; a text without a final line break keeps having none."""
        block = self.newline.join(lines)
        line_end = self.text.find("\n", index)
        if line_end >= 0 and index != len(self.text):
            return Splice(line_end + 1, line_end + 1, block + self.newline)
        at_line_start = not self.text or self.text.endswith("\n")
        text = block + self.newline if at_line_start else self.newline + block
        return Splice(len(self.text), len(self.text), text)

    def before_line(self, index: int, *lines: str) -> Splice:
        """New lines before the line that ``index`` is in."""
        start = self.text.rfind("\n", 0, index) + 1
        return Splice(start, start, self.newline.join(lines) + self.newline)

    def into_flow(self, collection: yaml.Node, item: str) -> Splice:
        """A new last item of a flow collection."""
        if not collection.value:
            inside = collection.end_mark.index - 1
            return Splice(inside, inside, item)
        last = collection.value[-1]
        at = max(n.end_mark.index for n in (last if isinstance(last, tuple) else (last,)))
        return Splice(at, at, f", {item}")

    def replace_null(self, key: yaml.Node, null: yaml.Node, lines: list[str]) -> Splice:
        """Lines in the place of a null value, behind whatever else stands on the key's line."""
        start, end = value_region(self.text, key, null)
        line_end = self.text.find("\n", end)
        stop = len(self.text) if line_end < 0 else line_end - (self.text[line_end - 1] == "\r")
        rest = self.text[end:stop].strip()
        if start == end:
            return self.append_line(key.end_mark.index, *lines)
        kept = f" {rest}" if rest else ""
        after_colon = start - len(self.text[:start]) + len(self.text[:start].rstrip(" \t"))
        return Splice(after_colon, stop, kept + self.newline + self.newline.join(lines))


def value_region(text: str, key: yaml.Node, value: yaml.Node) -> tuple[int, int]:
    """Where a value's own text stands, without anchor and tag; an alias counts as the value."""
    alias = _ALIAS.match(text, key.end_mark.index)
    if alias:
        return alias.start(1), alias.end(1)
    start, end = value.start_mark.index, value.end_mark.index
    if start == end:
        colon = _AFTER_KEY.match(text, key.end_mark.index)
        return (colon.end(), colon.end()) if colon else (start, end)
    properties = _PROPERTIES.match(text, start)
    start = properties.end() if properties else start
    if getattr(value, "style", None) in ("|", ">"):
        end = start + len(text[start:end].rstrip())
    return int(start), int(end)
