"""Label and field selectors: parsing with a real server's error texts, and matching."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from jfsnb.sandbox.apiserver.rules.status import Failure, bad_request

Obj = dict[str, Any]
TOKEN = re.compile(r"\s*(?:(==|!=|=|!|,|\(|\)|>|<)|([A-Za-z0-9_./-]+))")
KEY = re.compile(r"([a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?\Z")
#: Fields that can be selected on besides metadata.name and metadata.namespace, by plural.
FIELDS: dict[str, tuple[str, ...]] = {
    "pods": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
    ),
    "events": (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
        "regarding.kind",
        "regarding.namespace",
        "regarding.name",
        "regarding.uid",
    ),
    "nodes": ("spec.unschedulable",),
    "namespaces": ("status.phase",),
    "secrets": ("type",),
    "services": ("spec.clusterIP", "spec.type"),
    "jobs": ("status.successful",),
    "replicasets": ("status.replicas",),
}
#: Kinds with field label conversion in the server answer an unknown label in their own words.
LABEL_CONVERSION = {"pods", "nodes", "events", "namespaces", "secrets", "services", "replicationcontrollers", "jobs"}


@dataclass(frozen=True)
class Requirement:
    """``key operator values``; operators: in, notin, exists, !exists, gt, lt."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        present = self.key in labels
        if self.operator == "exists":
            return present
        if self.operator == "!exists":
            return not present
        if self.operator == "in":
            return present and labels[self.key] in self.values
        if self.operator == "notin":
            return not present or labels[self.key] not in self.values
        try:
            value, limit = int(labels[self.key]), int(self.values[0])
        except (KeyError, ValueError):
            return False
        return value > limit if self.operator == "gt" else value < limit


@lru_cache(1024)
def parse_labels(text: str) -> tuple[Requirement, ...]:
    """A label selector such as ``app=x,tier in (a,b),!old``.

    Raises:
        Failure: 400, worded as the API server does.
    """
    tokens = _tokens(text)
    found: list[Requirement] = []
    position = 0
    while position < len(tokens):
        requirement, position = _requirement(tokens, position, text)
        found.append(requirement)
        if position < len(tokens):
            if tokens[position] != "," or position + 1 == len(tokens):
                raise _unparsable(f"found '{tokens[position]}', expected: ',' or 'end of string'")
            position += 1
    return tuple(found)


def _unparsable(why: str) -> Failure:
    return bad_request(f"unable to parse requirement: {why}")


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise _unparsable(f"found '{text[position:]}', expected: identifier")
        tokens.append(match.group(1) or match.group(2))
        position = match.end()
    return tokens


def _requirement(tokens: list[str], at: int, text: str) -> tuple[Requirement, int]:
    negated = tokens[at] == "!"
    at += negated
    if at >= len(tokens) or not KEY.match(tokens[at]):
        found = tokens[at] if at < len(tokens) else ""
        raise _unparsable(f"found '{found}', expected: !, identifier, or 'end of string'")
    key, at = tokens[at], at + 1
    operator = tokens[at] if at < len(tokens) else ","
    if negated:
        return Requirement(key, "!exists"), at
    if operator == ",":
        return Requirement(key, "exists"), at
    if operator in ("in", "notin"):
        values, at = _values(tokens, at + 1)
        return Requirement(key, operator, values), at
    if operator in ("=", "==", "!=", ">", "<"):
        value = tokens[at + 1] if at + 1 < len(tokens) and tokens[at + 1] != "," else ""
        at += 2 if value else 1
        name = {"!=": "notin", ">": "gt", "<": "lt"}.get(operator, "in")
        return Requirement(key, name, (value,)), at
    raise _unparsable(f"found '{operator}', expected: in, notin, =, ==, !=, gt, lt")


def _values(tokens: list[str], at: int) -> tuple[tuple[str, ...], int]:
    if at >= len(tokens) or tokens[at] != "(":
        raise _unparsable(f"found '{tokens[at] if at < len(tokens) else ''}', expected: '('")
    values = []
    at += 1
    while at < len(tokens) and tokens[at] != ")":
        if tokens[at] != ",":
            values.append(tokens[at])
        at += 1
    if at >= len(tokens):
        raise _unparsable("found '', expected: ',', ')' or identifier")
    return tuple(values) or ("",), at + 1


def matches_selector(selector: Obj | None, labels: Mapping[str, str]) -> bool:
    """Whether labels match the LabelSelector of an object; none matches nothing, an empty one everything."""
    if selector is None:
        return False
    if any(labels.get(k) != v for k, v in (selector.get("matchLabels") or {}).items()):
        return False
    names = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!exists"}
    return all(
        Requirement(e["key"], names[e["operator"]], tuple(e.get("values") or ())).matches(labels)
        for e in selector.get("matchExpressions") or ()
    )


@dataclass(frozen=True)
class FieldRequirement:
    field: str
    equal: bool
    value: str


@lru_cache(1024)
def parse_fields(text: str, plural: str) -> tuple[FieldRequirement, ...]:
    """A field selector such as ``metadata.name=x,status.phase!=Running`` for one kind of object.

    Raises:
        Failure: 400, worded as the API server does for that kind.
    """
    found = []
    for part in filter(None, text.split(",")):
        match = re.match(r"([^=!]+)(!=|==|=)(.*)$", part)
        if match is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        name, operator, value = match.groups()
        if name not in ("metadata.name", "metadata.namespace") and name not in FIELDS.get(plural, ()):
            raise bad_request(_unknown_field(name, plural))
        found.append(FieldRequirement(name, operator != "!=", value))
    return tuple(found)


def _unknown_field(name: str, plural: str) -> str:
    if plural in LABEL_CONVERSION:
        return f"field label not supported: {name}"
    return f'"{name}" is not a known field selector: only "metadata.name", "metadata.namespace"'


#: Where a selectable field is found, when that is not its own path.
PATHS = {"source": "source.component"}
ABSENT = {"spec.unschedulable": "false", "spec.hostNetwork": "false"}


def selectable(storage: str, obj: Mapping[str, Any]) -> dict[str, str]:
    """The values of an object's selectable fields besides name and namespace; absent ones are empty texts."""
    names = FIELDS.get(storage.rpartition("/")[2])
    return {name: _field_value(obj, name) for name in names} if names else {}


def _field_value(obj: Mapping[str, Any], name: str) -> str:
    path = PATHS.get(name, name)
    if path.startswith("regarding."):
        path = "involvedObject." + path.removeprefix("regarding.")
    value: Any = obj
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or isinstance(value, (dict, list)):
        return ABSENT.get(name, "")
    return str(value)


class Selectable(Protocol):
    """What selectors look at: see store.Entry."""

    key: str
    labels: dict[str, str]
    fields: dict[str, str]


Match = Callable[[Selectable], bool]


def matcher(labels: str, fields: str, plural: str) -> Match | None:
    """A predicate for both selectors; None when everything matches.

    Raises:
        Failure: 400 for a selector that cannot be understood.
    """
    wanted = parse_labels(labels) if labels else ()
    where = parse_fields(fields, plural) if fields else ()
    if not wanted and not where:
        return None

    def match(entry: Selectable) -> bool:
        return all(r.matches(entry.labels) for r in wanted) and all(
            (_of(entry, f.field) == f.value) == f.equal for f in where
        )

    return match


def _of(entry: Selectable, name: str) -> str:
    if name == "metadata.name":
        return entry.key.partition("/")[2]
    if name == "metadata.namespace":
        return entry.key.partition("/")[0]
    return entry.fields[name]
