"""Secrets in data, and in text that is YAML or JSON: found by where they stand, whatever they look like.

A text keeps every byte that is no secret (comments, order, quoting): only the places of the values are replaced.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml

from jfsnb.redact.addresses import HIDDEN
from jfsnb.redact.known import KNOWN
from jfsnb.redact.names import harmless, telling

Text = Callable[[str], str]
#: Longer texts are left to the patterns: parsing takes too long.
LONGEST = 1_000_000
#: Keys that name what stands beside them under ``value``.
_LABELS = ("name", "Name", "NAME", "field", "key", "option", "variable", "setting")
_VALUES = ("value", "Value", "VALUE")
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def worth_learning(value: str) -> bool:
    """Whether a value found in a telling place is unlike any other word, so that it may be removed everywhere."""
    return len(value) >= 8 and not value.replace("-", "").isalpha() and "\n" not in value


def _hidden(value: str) -> str:
    if worth_learning(value):
        KNOWN.learn(value)
    return HIDDEN


def _label(mapping: Mapping[Any, Any]) -> str:
    """The name beside a ``value``, of an env entry or of a row that tells about a field; its last word counts."""
    found = next((mapping[key] for key in _LABELS if isinstance(mapping.get(key), str)), "")
    return str(found).rsplit(".", 1)[-1].strip("[]\"'") if found else ""


def redact_data(value: Any, text: Text, secret: str = "") -> Any:
    """Plain data without its secrets; keys stay as they are, pictures (image/*) too.

    Args:
        text: what to do with a string that stands in no telling place.
        secret: the telling name that the data stands behind, if it does.
    """
    if isinstance(value, str):
        return _hidden(value) if secret and not harmless(value, secret) else text(value)
    if isinstance(value, Mapping):
        label = _label(value)
        return {key: _of_key(key, item, text, label, secret) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items, flag = [], ""
        for item in value:
            items.append(redact_data(item, text, secret or flag))
            flag = _flag(item)
        return items if isinstance(value, list) else tuple(items)
    if secret and isinstance(value, int | float) and not isinstance(value, bool) and not harmless(str(value), secret):
        return HIDDEN
    return value


def _of_key(key: Any, item: Any, text: Text, label: str, secret: str) -> Any:
    if isinstance(key, str) and key.startswith("image/"):
        return item
    return redact_data(item, text, _inside(str(key), label, secret, isinstance(item, Mapping), isinstance(item, list)))


def _inside(key: str, label: str, secret: str, is_mapping: bool, is_list: bool) -> str:
    """The telling name that a value stands behind, if it does.

    Args:
        key: its own.
        label: the name beside it, where the key is ``value``.
        secret: the telling name that the mapping around it stands behind.
    """
    if is_mapping:
        return secret or ("secrets" if key == "secrets" else "")  # of a CSI request: all of them
    name = label if key in _VALUES and label else key
    return secret or (name if telling(name) and not (is_list and key.lower().endswith("s")) else "")


def _flag(item: Any) -> str:
    is_flag = isinstance(item, str) and item.startswith("-") and "=" not in item and " " not in item and telling(item)
    return item if is_flag else ""


def redact_document(source: str, text: Text) -> str:
    """A YAML or JSON text without its secrets; as it is where it is neither.

    Args:
        text: what to do with a text inside it, such as a file in a ConfigMap.
    """
    if len(source) > LONGEST or not (":" in source and ("\n" in source or source.lstrip()[:1] in ("{", "["))):
        return source
    try:
        documents = [node for node in yaml.compose_all(source, Loader=_Loader) if _is_document(node)]
    except (yaml.YAMLError, ValueError, RecursionError):
        return _redact_json(source, text)
    splices: list[tuple[int, int, str]] = []
    for node in documents:
        splices += _places(node, source, text, frozenset())
    for begin, end, new in sorted(set(splices), reverse=True):
        source = source[:begin] + new + source[end:]
    return source


def _is_document(node: yaml.Node | None) -> bool:
    """Several lines of plain text, such as a log's, are one scalar to YAML, and would be folded into one line."""
    return node is not None and not (isinstance(node, yaml.ScalarNode) and not node.style)


def _redact_json(source: str, text: Text) -> str:
    """JSON that is no YAML (tabs, surrogates): written anew."""
    try:
        data = json.loads(source)
    except (ValueError, RecursionError):
        return source
    found = redact_data(data, text)
    return source if found == data else json.dumps(found, ensure_ascii=False, indent=1 if "\n" in source else None)


def _places(
    node: yaml.Node, source: str, text: Text, above: frozenset[int], secret: str = ""
) -> Iterator[tuple[int, int, str]]:
    """Where values stand that are to be replaced, and by what."""
    if id(node) in above:
        return  # an alias to what is around it
    above = above | {id(node)}
    if isinstance(node, yaml.ScalarNode):
        yield from _scalar(node, source, text, secret)
    elif isinstance(node, yaml.SequenceNode):
        flag = ""
        for item in node.value:
            yield from _places(item, source, text, above, secret or flag)
            flag = _flag(item.value)
    elif isinstance(node, yaml.MappingNode):
        label = _label({k.value: v.value for k, v in node.value if isinstance(k, yaml.ScalarNode)})
        for key, item in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            is_mapping, is_list = isinstance(item, yaml.MappingNode), isinstance(item, yaml.SequenceNode)
            yield from _places(item, source, text, above, _inside(name, label, secret, is_mapping, is_list))


def _scalar(node: yaml.ScalarNode, source: str, text: Text, secret: str) -> Iterator[tuple[int, int, str]]:
    begin, end, value = node.start_mark.index, node.end_mark.index, node.value
    as_it_stands, quote = source[begin:end], '"' if node.style == '"' else "'"
    if secret and not harmless(value, secret):
        _hidden(value)
        yield begin, end, f"{quote}{HIDDEN}{quote}" + ("\n" if as_it_stands.endswith("\n") else "")
    elif not secret and ("\n" in value or "://" in value) and (inner := text(value)) != value:
        yield begin, end, _rewritten(as_it_stands, inner, node.style)


def _rewritten(as_it_stands: str, inner: str, style: str | None) -> str:
    """A text inside a document with new content: a block keeps its header and indentation."""
    head, _, body = as_it_stands.partition("\n")
    if style == "'":
        return "'" + inner.replace("'", "''") + "'" if "\n" not in inner else json.dumps(inner, ensure_ascii=False)
    if style != "|":
        return inner if style is None and "\n" not in inner else json.dumps(inner, ensure_ascii=False)
    first = next((line for line in body.split("\n") if line.strip()), "")
    dent = first[: len(first) - len(first.lstrip())]
    lines = [dent + line if line else "" for line in inner.rstrip("\n").split("\n")]
    return "\n".join([head, *lines]) + body[len(body.rstrip("\n")) :]
