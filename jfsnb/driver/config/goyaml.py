"""Reading YAML as the driver's Go library does (sigs.k8s.io/yaml, non-strict; reference/csi-driver.md §2.1).

Own code because PyYAML resolves scalars by other rules (``1:30`` is a number there, ``y`` a string, dates are dates)
and forgets lines and repeated keys, which our warnings need.
"""

from __future__ import annotations

import base64
import math
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from jfsnb.driver.config.yaml_errors import place, wording
from jfsnb.driver.golang.quoting import go_syntax
from jfsnb.driver.golang.sizes import parse_float
from jfsnb.errors import ConfigInvalid

Path = tuple[str | int, ...]
_NAMED: dict[str, Any] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_INTEGER = re.compile(r"^[-+]?(0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|0|[1-9][0-9]*)$")
_FLOAT = re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")
_TAG = "tag:yaml.org,2002:"
_PLAIN = "plain"
_TYPES = {_TAG + "bool": bool, _TAG + "int": int, _TAG + "float": float, _TAG + "null": type(None)}


class _Loader(yaml.SafeLoader):
    """Marks plain scalars instead of typing them; ``resolve`` types them by the Go library's rules."""

    def resolve(self, kind: type[yaml.Node], value: str | None, implicit: Any) -> str:
        if kind is yaml.ScalarNode and implicit[0]:
            return _PLAIN
        return _TAG + {yaml.ScalarNode: "str", yaml.SequenceNode: "seq", yaml.MappingNode: "map"}[kind]

    def process_directives(self) -> Any:
        """The library reads YAML 1.1 and nothing else."""
        found = super().process_directives()  # type: ignore[no-untyped-call]
        if self.yaml_version not in (None, (1, 1)):
            raise yaml.parser.ParserError(None, None, "found incompatible YAML document", None)
        return found

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """An anchor may be given anew."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if not isinstance(event, yaml.AliasEvent):
            self.anchors.pop(getattr(event, "anchor", None), None)
        node: yaml.Node | None = super().compose_node(parent, index)
        return node


@dataclass
class Document:
    """What a YAML text says.

    Args:
        value: plain data; keys are strings, numbers or booleans, as the library reads them.
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
        raise invalid(wording(error), place(error)) from error


def resolve(text: str) -> Any:
    """The value of a plain scalar."""
    if text in _NAMED:
        return _NAMED[text]
    plain = text.replace("_", "")
    try:
        if text[0] == ".":
            return parse_float(text)
        if text[0] in "+-0123456789":
            number = _integer(plain) if _INTEGER.match(plain) else None
            if number is not None:
                return number
            return parse_float(plain) if _FLOAT.match(plain) else text
    except ValueError:  # too large for a number
        return text
    return text


def _integer(plain: str) -> int | None:
    """A whole number, if it fits into 64 bits."""
    digits = plain.lstrip("+-")
    base = 10
    if len(digits) > 1 and digits[0] == "0":
        base = {"x": 16, "o": 8, "b": 2}.get(digits[1].lower(), 8)
    number = int(digits, base) * (-1 if plain[0] == "-" else 1)
    return number if -(1 << 63) <= number < 1 << 64 else None


def _value(node: yaml.Node, path: Path, document: Document, above: frozenset[int]) -> Any:
    if id(node) in above:
        raise invalid("anchor value contains itself")
    above |= {id(node)}
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node)
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            document.lines[(*path, number)] = _line(item)
        return [_value(item, (*path, n), document, above) for n, item in enumerate(node.value)]
    return _mapping(node, path, document, above)


def _mapping(node: yaml.Node, path: Path, document: Document, above: frozenset[int]) -> dict[Any, Any]:
    """A mapping; of a key that comes again, also out of ``<<``, the last one counts."""
    result: dict[Any, Any] = {}
    own: set[Any] = set()
    for key_node, value_node in node.value:
        if key_node.tag == _PLAIN and key_node.value == "<<":
            result.update(_merge_source(value_node, path, document, above))
            continue
        key = _key(key_node, document, above)
        where = (*path, str(key))
        if key in own:
            document.repeated.append(where)
        own.add(key)
        document.lines[where] = _line(key_node)
        result[key] = _value(value_node, where, document, above)
    return result


def _merge_source(node: yaml.Node, path: Path, document: Document, above: frozenset[int]) -> dict[Any, Any]:
    sources = list(reversed(node.value)) if isinstance(node, yaml.SequenceNode) else [node]
    result: dict[Any, Any] = {}
    for source in sources:
        value = _value(source, path, document, above)
        if not isinstance(value, dict):
            raise invalid("map merge requires map or sequence of maps as the value")
        result.update(value)
    return result


def _key(node: yaml.Node, document: Document, above: frozenset[int]) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node)
    raise invalid(f"invalid map key: {go_syntax(_value(node, (), document, above))}")


def _scalar(node: yaml.ScalarNode) -> Any:
    text, tag = str(node.value), node.tag
    if tag == _PLAIN:
        return resolve(text)
    if tag == _TAG + "binary":
        return _binary(text)
    if tag not in _TYPES:
        return text
    value = resolve(text)
    if isinstance(value, int) and tag == _TAG + "float" and not isinstance(value, bool):
        return float(value)
    if type(value) is not _TYPES[tag]:
        found = next(t for t, kind in (*_TYPES.items(), (_TAG + "str", str)) if kind is type(value))
        raise invalid(f"cannot decode !!{found.removeprefix(_TAG)} `{text}` as a !!{tag.removeprefix(_TAG)}")
    return value


def _binary(text: str) -> str:
    try:
        return base64.b64decode(re.sub(r"[\r\n]", "", text), validate=True).decode(errors="replace")
    except ValueError as error:
        raise invalid("!!binary value contains invalid base64 data") from error


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def invalid(problem: str, where: str = "") -> ConfigInvalid:
    """What the driver logs about a config.yaml that is no YAML, or has no counterpart in JSON."""
    return not_loaded(f"error converting YAML to JSON: yaml: {problem}", where)


def not_loaded(text: str, where: str = "") -> ConfigInvalid:
    """The error of a config.yaml that cannot be loaded.

    Args:
        text: the driver's. where: in words, where to look; the driver does not tell, or counts otherwise.
    """
    place = f" ({where})" if where else ""
    return ConfigInvalid(
        text,
        f"Correct config.yaml{place}; until then the driver keeps its old configuration, and its Pods cannot restart.",
    )
