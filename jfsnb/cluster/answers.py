"""Is this the answer that was asked for? Nothing that came over the wire is believed before its kind has been seen.

A proxy's login page, a ``{}``, a Status with code 200 or another object would otherwise pass for an empty list, a
missing field, or an object that is gone.
"""

from __future__ import annotations

from typing import Any

import orjson

from jfsnb.cluster.resources import RESOURCES, Resource
from jfsnb.errors import UnexpectedAnswer

Obj = dict[str, Any]
METADATA_LIST = ("PartialObjectMetadataList", "meta.k8s.io/v1")
NEXT_STEP = "is this the API server's address? Something between here and there (a proxy, a login page) may answer"


def unexpected(what: str, why: str) -> UnexpectedAnswer:
    return UnexpectedAnswer(f"the answer for {what} cannot be believed: {why}", NEXT_STEP)


def parsed(data: bytes, what: str) -> Obj:
    """A JSON object. Raises UnexpectedAnswer where it is none."""
    try:
        answer = orjson.loads(data)
    except orjson.JSONDecodeError:
        looks = " (an HTML page)" if data.lstrip()[:1] == b"<" else ""
        raise unexpected(what, f"it is no JSON{looks}") from None
    if not isinstance(answer, dict):
        raise unexpected(what, f"it is no object, but {type(answer).__name__}")
    return answer


def status_of(data: bytes) -> Obj:
    """The Status in the body of a refusal; empty where it is none, and so not from a Kubernetes API."""
    try:
        answer = orjson.loads(data)
    except orjson.JSONDecodeError:
        return {}
    return answer if isinstance(answer, dict) and answer.get("kind") == "Status" else {}


def _is_object(obj: Any) -> bool:
    meta = obj.get("metadata") if isinstance(obj, dict) else None
    return isinstance(meta, dict) and isinstance(meta.get("name"), str) and bool(meta["name"])


def _check_kind(answer: Obj, what: str, *allowed: tuple[str, str]) -> None:
    found = (answer.get("kind"), answer.get("apiVersion"))
    if found not in allowed:
        said = f": {answer.get('message')}" if found[0] == "Status" else ""
        kind, version = allowed[0]
        raise unexpected(what, f"it is {found[0] or 'nothing that says its kind'}, not {kind} of {version}{said}"[:400])


def _named(resource: Resource, suffix: str = "") -> tuple[str, str]:
    return resource.kind + suffix, resource.api_version


def checked_object(answer: Obj, plural: str, namespace: str, name: str, what: str) -> Obj:
    """One object of that kind and name.

    Raises:
        UnexpectedAnswer: it is another.
    """
    _check_kind(answer, what, _named(RESOURCES[plural]))
    if not _is_object(answer) or not answer["metadata"].get("uid"):
        raise unexpected(what, "it has no name or uid")
    meta = answer["metadata"]
    if meta["name"] != name or (namespace and meta.get("namespace") != namespace):
        raise unexpected(what, f"it is {meta.get('namespace', '')}/{meta['name']}".replace(" /", " "))
    return answer


def checked_list(answer: Obj, plural: str, what: str, *, metadata_only: bool = False) -> list[Obj]:
    """The items of a list of that kind; ``items: null`` is how some servers write an empty one.

    Raises:
        UnexpectedAnswer: it is no such list.
    """
    allowed = [_named(RESOURCES[plural], "List")]
    _check_kind(answer, what, *allowed, *([METADATA_LIST] if metadata_only else []))
    meta, items = answer.get("metadata"), answer.get("items", False)
    if not isinstance(meta, dict) or not meta.get("resourceVersion"):
        raise unexpected(what, "it is a list without a resourceVersion")
    if items is None:
        return []
    if not isinstance(items, list) or not all(map(_is_object, items)):
        raise unexpected(what, "it is a list without proper items")
    return items


def checked_review(answer: Obj, what: str) -> bool:
    """Whether a SelfSubjectAccessReview allows it. Raises UnexpectedAnswer where it is none."""
    _check_kind(answer, what, ("SelfSubjectAccessReview", "authorization.k8s.io/v1"))
    status = answer.get("status")
    if not isinstance(status, dict) or not isinstance(status.get("allowed"), bool):
        raise unexpected(what, "it does not say whether it is allowed")
    return bool(status["allowed"])


def checked_table(answer: Obj, what: str) -> Obj:
    """A Table with columns and rows. Raises UnexpectedAnswer where it is none."""
    _check_kind(answer, what, ("Table", "meta.k8s.io/v1"))
    if not isinstance(answer.get("columnDefinitions"), list):
        raise unexpected(what, "it is a table without columns")
    return answer


def checked_deletion(answer: Obj, plural: str, what: str) -> None:
    """The object as it goes, or a Status that says so. Raises UnexpectedAnswer where it is neither."""
    _check_kind(answer, what, _named(RESOURCES[plural]), ("Status", "v1"))
    if answer["kind"] == "Status" and answer.get("status") != "Success":
        raise unexpected(what, f"its status is {answer.get('status')}")


def checked_change(line: bytes, plural: str, what: str) -> tuple[str, Obj]:
    """(type, object) of one line of a watch. Raises UnexpectedAnswer where it is none."""
    change = parsed(line, what)
    kind, obj = change.get("type"), change.get("object")
    if kind not in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR") or not isinstance(obj, dict):
        raise unexpected(what, f"it is no event of a watch, but {str(kind)[:40]}")
    if kind == "ERROR":
        _check_kind(obj, what, ("Status", "v1"))
        return kind, obj
    _check_kind(obj, what, _named(RESOURCES[plural]))
    meta = obj.get("metadata")
    if not isinstance(meta, dict) or (kind != "BOOKMARK" and not (_is_object(obj) and meta.get("uid"))):
        raise unexpected(what, "its object has no name or uid")
    return str(kind), obj
