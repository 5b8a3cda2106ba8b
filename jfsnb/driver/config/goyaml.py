"""Reading YAML as the driver's Go library does (sigs.k8s.io/yaml, non-strict; reference/csi-driver.md §2.1).

Own code because PyYAML resolves scalars by other rules (``1:30`` is a number there, ``y`` a string, dates are dates)
and forgets lines and repeated keys, which our warnings need.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from jfsnb.errors import ConfigInvalid

Path = tuple[str | int, ...]
_TRUE = {"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"}
_FALSE = {"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"}
_NULL = {"", "~", "null", "Null", "NULL"}
_INTEGER = re.compile(r"^[-+]?(0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|0|[1-9][0-9]*)$")
_FLOAT = re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")
_SPECIAL = {".nan": "nan", ".inf": "inf", "+.inf": "inf", "-.inf": "-inf"}
_TAG = "tag:yaml.org,2002:"
_PLAIN = "plain"
_TYPED = {_PLAIN, *(_TAG + name for name in ("bool", "int", "float", "null"))}


class _Loader(yaml.SafeLoader):
    """Marks plain scalars instead of typing them; ``resolve`` types them by the Go library's rules."""

    def resolve(self, kind: type[yaml.Node], value: str | None, implicit: Any) -> str:
        if kind is yaml.ScalarNode and implicit[0]:
            return _PLAIN
        return _TAG + {yaml.ScalarNode: "str", yaml.SequenceNode: "seq", yaml.MappingNode: "map"}[kind]


@dataclass
class Document:
    """What a YAML text says.

    Args:
        value: plain data; keys are strings.
        lines: path of each key or item → its line, from 1.
        repeated: paths of keys that occur twice in their mapping (the later one counts).
    """

    value: Any
    lines: dict[Path, int] = field(default_factory=dict)
    repeated: list[Path] = field(default_factory=list)


def parse(text: str) -> Document:
    """The first document of a YAML text.

    Raises:
        ConfigInvalid: not YAML; the message is worded like the driver's log line.
    """
    node = compose(text)
    document = Document(None)
    if node is not None:
        document.value = _value(node, (), document, frozenset())
    return document


def compose(text: str) -> yaml.Node | None:
    """The node tree of the first document, with positions; None when there is nothing in it.

    Raises:
        ConfigInvalid: not YAML.
    """
    try:
        loader = _Loader(text)
        try:
            return loader.get_node() if loader.check_node() else None
        finally:
            loader.dispose()
    except (yaml.YAMLError, RecursionError) as error:
        raise _invalid(error) from error


def resolve(text: str) -> Any:
    """The value of a plain scalar."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    plain = text.replace("_", "")
    if text[0] in "+-.0123456789":
        if _INTEGER.match(plain):
            return _integer(plain)
        if _FLOAT.match(plain):
            return float(plain)
        if text.lower() in _SPECIAL:
            return float(_SPECIAL[text.lower()])
    return text


def _integer(plain: str) -> int:
    digits = plain.lstrip("+-")
    base = 10
    if len(digits) > 1 and digits[0] == "0":
        base = {"x": 16, "o": 8, "b": 2}.get(digits[1].lower(), 8)
    return int(digits, base) * (-1 if plain[0] == "-" else 1)


def _value(node: yaml.Node, path: Path, document: Document, above: frozenset[int]) -> Any:
    if id(node) in above:
        raise ConfigInvalid(
            f"error converting YAML to JSON: yaml: anchor contains itself (line {_line(node)})", "Remove the alias."
        )
    above |= {id(node)}
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node)
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            document.lines[(*path, number)] = _line(item)
        return [_value(item, (*path, n), document, above) for n, item in enumerate(node.value)]
    return _mapping(node, path, document, above)


def _mapping(node: yaml.Node, path: Path, document: Document, above: frozenset[int]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for key_node, value_node in node.value:
        if key_node.tag == _PLAIN and key_node.value == "<<":
            merged.update(_merge_source(value_node, path, document, above))
            continue
        key = _key(key_node)
        if key in own:
            document.repeated.append((*path, key))
        document.lines[(*path, key)] = _line(key_node)
        own[key] = _value(value_node, (*path, key), document, above)
    return {**merged, **own}


def _merge_source(node: yaml.Node, path: Path, document: Document, above: frozenset[int]) -> dict[str, Any]:
    sources = list(reversed(node.value)) if isinstance(node, yaml.SequenceNode) else [node]
    result: dict[str, Any] = {}
    for source in sources:
        value = _value(source, path, document, above)
        if not isinstance(value, dict):
            raise ConfigInvalid(
                f"error converting YAML to JSON: yaml: map merge requires map or sequence of maps as the value "
                f"(line {_line(node)})",
                "Let << point at a mapping.",
            )
        result.update(value)
    return result


def _key(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise ConfigInvalid(
            f"error converting YAML to JSON: yaml: invalid map key (line {_line(node)})", "Use plain text as keys."
        )
    value = _scalar(node)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)


def _scalar(node: yaml.ScalarNode) -> Any:
    text = str(node.value)
    return resolve(text) if node.tag in _TYPED else text


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _invalid(error: Exception) -> ConfigInvalid:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    where = f"line {mark.line + 1}: " if mark else ""
    return ConfigInvalid(
        f"error converting YAML to JSON: yaml: {where}{problem}",
        "Correct config.yaml; until then the driver keeps its old configuration, and its Pods cannot restart.",
    )
