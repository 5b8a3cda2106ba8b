"""Events of events.k8s.io are the core group's events under other field names; they are stored in the core form."""

from __future__ import annotations

from typing import Any

from jfsnb.sandbox.apiserver.schema.resources import Resource

Obj = dict[str, Any]
#: events.k8s.io name -> core name, where they differ.
RENAMED = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
BACK = {core: new for new, core in RENAMED.items()}


def is_new_form(resource: Resource) -> bool:
    return resource.group == "events.k8s.io"


def from_request(resource: Resource, body: Any) -> Any:
    """A body in the form that is stored; other kinds pass."""
    if not is_new_form(resource) or not isinstance(body, dict):
        return body
    return {RENAMED.get(key, key): value for key, value in body.items()}


def to_new_form(obj: Obj) -> Obj:
    """A stored event as events.k8s.io shows it."""
    return {BACK.get(key, key): value for key, value in obj.items()}
