"""DeleteOptions: from a body, completed from the query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jfsnb.sandbox.apiserver.http.request import integer, read_body
from jfsnb.sandbox.apiserver.rules.status import Failure, bad_request
from jfsnb.sandbox.apiserver.storage.registry import DeleteOptions

Obj = dict[str, Any]


def delete_options(raw: bytes, content_type: str, query: Mapping[str, str], given: Any = None) -> DeleteOptions:
    """How to delete.

    Args:
        raw: the request's body; may be empty.
        content_type: its media type.
        query: parameters that count where the body says nothing.
        given: DeleteOptions that came inside another body.

    Raises:
        Failure: 400 for values of a wrong type, 422 for an unknown propagation policy.
    """
    body = given if given is not None else read_body(raw, content_type) if raw.strip() else {}
    if body is None:
        body = {}
    if not isinstance(body, dict):
        raise bad_request("couldn't get version/kind; json parse error: json: cannot unmarshal into Go value")
    grace = body.get("gracePeriodSeconds")
    if grace is None and query.get("gracePeriodSeconds"):
        grace = integer(query, "gracePeriodSeconds")
    if grace is not None and (isinstance(grace, bool) or not isinstance(grace, int) or abs(grace) >= 1 << 31):
        raise _wrong("gracePeriodSeconds", "int64")
    propagation = body.get("propagationPolicy") or query.get("propagationPolicy") or ""
    if body.get("orphanDependents") is True or query.get("orphanDependents") == "true":
        propagation = "Orphan"
    if propagation not in ("", "Background", "Foreground", "Orphan"):
        text = f'propagationPolicy: Unsupported value: "{propagation}"'
        text += ': supported values: "Background", "Foreground", "Orphan"'
        raise Failure(422, "Invalid", f'DeleteOptions.meta.k8s.io "" is invalid: {text}')
    conditions = body.get("preconditions") or {}
    if not isinstance(conditions, dict):
        raise _wrong("preconditions", "v1.Preconditions")
    uid, version = conditions.get("uid") or "", conditions.get("resourceVersion") or ""
    dry_run = body.get("dryRun") == ["All"] or query.get("dryRun") == "All"
    return DeleteOptions(grace, str(propagation), str(uid), str(version), dry_run)


def _wrong(field: str, go: str) -> Failure:
    return bad_request(f"json: cannot unmarshal into Go struct field DeleteOptions.{field} of type {go}")
