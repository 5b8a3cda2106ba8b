"""What a request asks for: path, query parameters and body, read without any rule about objects."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import orjson
import yaml

from jfsnb.sandbox.apiserver.rules.status import Cause, Failure, bad_request, no_such_resource, unsupported_media_type
from jfsnb.sandbox.apiserver.schema import protobuf
from jfsnb.sandbox.apiserver.schema.resources import Resource, find, groups_known

Obj = dict[str, Any]
BODY_TYPES = ["application/json", "application/yaml", protobuf.MEDIA_TYPE]
PATCH_TYPES = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
]
MOST_NODES = 500_000
MAX_BODY = 3 * 1024 * 1024  # a real server's limit for resource requests


class NotServed(Exception):
    """The path is none of the API's: a real server answers with a plain ``404 page not found``."""


@dataclass(frozen=True, slots=True)
class Target:
    """The resource, object or subresource that a path names."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""


@dataclass(frozen=True)
class User:
    """Who asks."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Options:
    """The query parameters that writes look at.

    Args:
        dry_run: change nothing.
        field_manager: who writes; ``client`` when it is not named.
        field_validation: ``Ignore``, ``Warn`` or ``Strict``.
        force: take fields from other managers in an apply.
        client: the program that writes.
        duplicates: what is to be said of fields that came twice.
    """

    dry_run: bool = False
    field_manager: str = ""
    field_validation: str = "Warn"
    force: bool = False
    client: str = "unknown"
    duplicates: tuple[str, ...] = ()

    @property
    def manager(self) -> str:
        return self.field_manager or self.client


def parse_path(path: str) -> Target:
    """The target of ``/api/v1/…`` or ``/apis/<group>/<version>/…``.

    Raises:
        NotServed: unknown path or group.
        Failure: 404, when the group does not have that resource.
    """
    words = [unquote(w) for w in path.split("/")[1:]]
    if words and words[-1] == "":
        words.pop()
    if len(words) >= 3 and words[0] == "api" and words[1] == "v1":
        group, version, rest = "", "v1", words[2:]
    elif len(words) >= 4 and words[0] == "apis" and words[1] in groups_known() - {""}:
        group, version, rest = words[1], words[2], words[3:]
    else:
        raise NotServed
    if "" in rest:
        raise no_such_resource()
    namespace = ""
    if rest[0] == "namespaces" and len(rest) >= 3 and not (len(rest) == 3 and rest[2] in ("status", "finalize")):
        namespace, rest = rest[1], rest[2:]
    return _target(find(group, version, rest[0]), namespace, rest)


def _target(resource: Resource | None, namespace: str, rest: list[str]) -> Target:
    if resource is None or len(rest) > 3:
        raise no_such_resource()
    name, subresource = (*rest[1:], "", "")[:2]
    if subresource and subresource not in resource.subresources:
        raise no_such_resource()
    if bool(namespace) != resource.namespaced and (namespace or name):
        raise no_such_resource()
    return Target(resource, namespace, name, subresource)


#: Method → the kind that a real server reads a write's options into.
_OPTIONS = {"POST": "CreateOptions", "PUT": "UpdateOptions", "PATCH": "PatchOptions", "DELETE": "DeleteOptions"}


def parse_options(query: Mapping[str, str], user_agent: str = "", method: str = "POST") -> Options:
    """The options of a write; its field manager is the client program when none is named.

    Raises:
        Failure: 422 for values that a real server refuses.
    """
    dry_run = query.get("dryRun", "")
    if dry_run not in ("", "All"):
        text = f'Unsupported value: ["{dry_run}"]: supported values: "All"'
        cause = Cause("FieldValueNotSupported", text, "dryRun")
        raise Failure(
            422,
            "Invalid",
            f'{_OPTIONS.get(method, "CreateOptions")}.meta.k8s.io "" is invalid: dryRun: {cause.message}',
            {"causes": [cause.to_dict()]},
        )
    validation = query.get("fieldValidation") or "Warn"
    if validation not in ("Ignore", "Warn", "Strict"):
        text = f'fieldValidation: Unsupported value: "{validation}": supported values: "Ignore", "Strict", "Warn"'
        raise Failure(422, "Invalid", f'CreateOptions.meta.k8s.io "" is invalid: {text}')
    forced = query.get("force", "") in ("true", "1", "True")
    client = user_agent.partition("/")[0][:128] or "unknown"
    return Options(dry_run == "All", query.get("fieldManager", ""), validation, forced, client)


def integer(query: Mapping[str, str], name: str, default: int = 0) -> int:
    """A number among the query parameters.

    Raises:
        Failure: 400, when it is none.
    """
    text = query.get(name, "")
    if not text:
        return default
    try:
        return int(text)
    except ValueError:
        why = f'strconv.ParseInt: parsing "{text}": invalid syntax'
        raise bad_request(why) from None


def media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def read_body(raw: bytes, content_type: str, kind_name: str = "") -> Any:
    """The parsed body of a create, update or delete.

    Args:
        raw: as it came.
        content_type: the header's text.
        kind_name: what it should be, for the error's text.

    Raises:
        Failure: 415 for an unknown format, 400 for what cannot be parsed.
    """
    kind = media_type(content_type)
    if kind in ("", "application/json"):
        return read_json(raw, kind_name)
    if kind == protobuf.MEDIA_TYPE:
        return protobuf.read(raw)
    if kind in ("application/yaml", "application/x-yaml"):
        return read_yaml(raw)
    raise unsupported_media_type(BODY_TYPES)


def read_json(raw: bytes, kind_name: str = "") -> Any:
    """Raises Failure 400, as a real server words it, for what is no JSON."""
    try:
        return orjson.loads(raw)
    except (orjson.JSONDecodeError, RecursionError) as error:
        why = "unexpected end of JSON input" if not raw.strip() or "end of data" in str(error) else str(error)
        text = f"couldn't get version/kind; json parse error: {why}"
        if kind_name:
            shown = raw[:30].decode("utf-8", "replace") + (" ..." if len(raw) > 30 else "") or "<empty>"
            text = f"the object provided is unrecognized (must be of type {kind_name}): {text} ({shown})"
        raise bad_request(text) from None


def read_yaml(raw: bytes) -> Any:
    try:
        if raw.lstrip()[:1] == b"{":
            return orjson.loads(raw)
    except orjson.JSONDecodeError:
        pass  # YAML that begins with a flow mapping
    try:
        return _plain(yaml.load(raw, Loader=_Loader), [MOST_NODES])
    except (yaml.YAMLError, ValueError, RecursionError, AttributeError, TypeError) as error:
        raise bad_request(f"error decoding YAML: {str(error).splitlines()[0]}") from None


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Without YAML 1.1's dates: a time is a text, as in JSON."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, form) for tag, form in forms if tag != "tag:yaml.org,2002:timestamp"]
    for letter, forms in _Loader.yaml_implicit_resolvers.items()
}


def _plain(value: Any, left: list[int]) -> Any:
    """YAML as JSON has it: keys are texts; aliases may not multiply it beyond measure."""
    left[0] -= 1
    if left[0] < 0:
        raise ValueError("too many nodes")
    if isinstance(value, dict):
        return {str(k): _plain(v, left) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v, left) for v in value]
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        return float(value)  # as JSON numbers are read
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no JSON")
    if isinstance(value, str):
        value.encode()  # lone surrogates are no text: UnicodeEncodeError
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)
