"""A request's body as an object of a kind: checked against the kind, its namespace and its schema."""

from __future__ import annotations

import copy
from typing import Any

from jfsnb.sandbox.apiserver.http.request import Options, Target
from jfsnb.sandbox.apiserver.rules.status import Cause, bad_request, invalid
from jfsnb.sandbox.apiserver.rules.validate import strict
from jfsnb.sandbox.apiserver.schema.codec import Report, compiled, decode
from jfsnb.sandbox.apiserver.schema.resources import Resource, schema_name
from jfsnb.sandbox.apiserver.storage.events import from_request

Obj = dict[str, Any]


def decoded(resource: Resource, body: Any, options: Options) -> tuple[Obj, list[str]]:
    """The body as an object of that kind, and warnings of unknown fields.

    Raises:
        Failure: 400 for another kind, wrong types and (if strict) unknown fields; 422 for unsupported values.
    """
    _check_kind(resource, body)
    body = from_request(resource, body)
    node = compiled(schema_name(*stored_kind(resource)))
    report = Report(resource.kind, resource.version, node)
    found = decode(body, node, report)
    found.pop("kind", None)
    found.pop("apiVersion", None)
    meta = found.pop("metadata", {})
    found = {"metadata": meta, **found}
    report.unknown[:0] = options.duplicates
    if report.unknown and options.field_validation == "Strict":
        raise strict(report.unknown)
    if report.unsupported:
        raise invalid(resource.kind, resource.group, meta.get("name", ""), _unsupported(report))
    return found, report.unknown if options.field_validation == "Warn" else []


def typed(kind: tuple[str, str, str], body: Any) -> Obj:
    """The body of a subresource as the kind (group, version, name) that it has.

    Raises:
        Failure: 400 for wrong types.
    """
    node = compiled(schema_name(*kind))
    found: Obj = decode(body, node, Report(kind[2], kind[1], node))
    return found


def stored_kind(resource: Resource) -> tuple[str, str, str]:
    """Events are stored in the core group's form, whichever group they come through."""
    return ("", "v1", "Event") if resource.storage == "events" else (resource.group, resource.version, resource.kind)


def _check_kind(resource: Resource, body: Any) -> None:
    if not isinstance(body, dict):
        raise bad_request("couldn't get version/kind; json parse error: json: cannot unmarshal into Go value")
    version, kind = body.get("apiVersion") or resource.group_version, body.get("kind") or resource.kind
    if not isinstance(version, str) or not isinstance(kind, str):
        raise bad_request("couldn't get version/kind; json parse error: json: cannot unmarshal into Go struct field")
    if version != resource.group_version:
        raise bad_request(
            f"the API version in the data ({version}) does not match "
            f"the expected API version ({resource.group_version})"
        )
    if kind != resource.kind:
        raise bad_request(
            f'{kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
            f"converting ({resource.version}.{kind}) to ({resource.version}.{resource.kind}): unknown conversion"
        )
    if not isinstance(body.get("metadata", {}), dict) and body.get("metadata") is not None:
        raise Report(resource.kind, resource.version).wrong_type("metadata", "string", "v1.ObjectMeta")


def take_namespace(target: Target, meta: Obj) -> None:
    given = meta.get("namespace") or ""
    if not target.resource.namespaced:
        meta.pop("namespace", None)
    elif given and given != target.namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    else:
        meta["namespace"] = target.namespace


def _unsupported(report: Report) -> list[Cause]:
    causes = []
    for path, value, allowed in report.unsupported:
        known = ", ".join(f'"{a}"' for a in sorted(allowed))
        causes.append(Cause("FieldValueNotSupported", f'Unsupported value: "{value}": supported values: {known}', path))
    return causes


def only_given(decoded: Any, given: Any) -> Any:
    """A decoded value without the zero values that decoding added: an applier owns only what it sent."""
    if isinstance(decoded, dict) and isinstance(given, dict):
        return {k: only_given(v, given[k]) for k, v in decoded.items() if k in given}
    if isinstance(decoded, list) and isinstance(given, list) and len(decoded) == len(given):
        return [only_given(d, g) for d, g in zip(decoded, given, strict=True)]
    return copy.copy(decoded)
