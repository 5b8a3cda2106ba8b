"""Lists: selection, consistent pages, resourceVersion semantics."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from jfsnb.sandbox.apiserver.http.request import Target, integer
from jfsnb.sandbox.apiserver.rules.selectors import Match, Selectable, matcher
from jfsnb.sandbox.apiserver.rules.status import Cause, Failure, bad_request, expired, invalid
from jfsnb.sandbox.apiserver.storage.store import Entry, Store

Obj = dict[str, Any]


@dataclass(frozen=True)
class Selection:
    """The objects that a list or watch is about: a namespace's (all when empty), by name, by selectors.

    Args:
        prefix: of the keys; ``<namespace>/`` or empty.
        match: the selectors; None selects all.
        key: one object's key, when it is about one.
        closed: nothing matches any more.
    """

    prefix: str
    match: Match | None
    key: str = ""
    closed: bool = False

    def includes(self, entry: Selectable) -> bool:
        if self.closed or not entry.key.startswith(self.prefix) or (self.key and entry.key != self.key):
            return False
        return self.match is None or self.match(entry)


def selection_of(target: Target, query: Mapping[str, str]) -> Selection:
    """Raises Failure 400 for selectors that cannot be understood."""
    prefix = target.namespace + "/" if target.namespace else ""
    match = matcher(query.get("labelSelector", ""), query.get("fieldSelector", ""), target.resource.plural)
    return Selection(prefix, match, f"{target.namespace}/{target.name}" if target.name else "")


@dataclass(frozen=True)
class Page:
    """What a list answers: entries and its metadata."""

    entries: list[Entry]
    meta: Obj


def read(store: Store, target: Target, query: Mapping[str, str]) -> Page:
    """The objects that a list request asks for, in key order.

    Raises:
        Failure: 400 for bad parameters, 410 for a state that history no longer holds, 504 for one yet to come.
    """
    storage = target.resource.storage
    selection = selection_of(target, query)
    limit = integer(query, "limit")
    integer(query, "timeoutSeconds")  # nothing takes that long here, but it must be a number
    token = query.get("continue", "")
    version, match = query.get("resourceVersion", ""), query.get("resourceVersionMatch", "")
    _check(version, match, token, query)
    after, at = "", 0
    if token:
        at, after = _open(token)
    elif version and version != "0":
        check_not_future(store, int(version))
        at = int(version) if match == "Exact" else 0
    entries, revision = _at(store, storage, target.namespace, after, at, token)
    return _page(entries, selection, limit, revision)


def check_not_future(store: Store, version: int) -> None:
    """Raises Failure 504, when that version is yet to come."""
    if version > store.revision:
        cause = Cause("ResourceVersionTooLarge", "Too large resource version")
        details = {"causes": [cause.to_dict()], "retryAfterSeconds": 1}
        text = f"Too large resource version: {version}, current: {store.revision}"
        raise Failure(504, "Timeout", f"Timeout: {text}", details)


def _check(version: str, match: str, token: str, query: Mapping[str, str]) -> None:
    if version and not version.isdigit():
        raise bad_request(f'Invalid value: "{version}": strconv.ParseUint: parsing "{version}": invalid syntax')
    if token and version not in ("", "0"):
        raise bad_request("specifying resource version is not allowed when using continue")
    causes = []
    if match and match not in ("Exact", "NotOlderThan"):
        text = f'Unsupported value: "{match}": supported values: "", "Exact", "NotOlderThan"'
        causes.append(Cause("FieldValueNotSupported", text, "resourceVersionMatch"))
    elif match and not version:
        text = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
        causes.append(Cause("FieldValueForbidden", text, "resourceVersionMatch"))
    elif match and token:
        text = "Forbidden: resourceVersionMatch is forbidden when continue is provided"
        causes.append(Cause("FieldValueForbidden", text, "resourceVersionMatch"))
    elif match == "Exact" and version == "0":
        text = 'Forbidden: resourceVersionMatch "Exact" is forbidden for resourceVersion "0"'
        causes.append(Cause("FieldValueForbidden", text, "resourceVersionMatch"))
    if query.get("sendInitialEvents"):
        causes.append(
            Cause("FieldValueForbidden", "Forbidden: sendInitialEvents is forbidden for list", "sendInitialEvents")
        )
    if causes:
        raise invalid("ListOptions", "meta.k8s.io", "", causes)


def _at(store: Store, storage: str, namespace: str, after: str, at: int, token: str) -> tuple[list[Entry], int]:
    """Entries behind a key as they were at a revision (0: as they are), and that revision."""
    shelf = store.shelf(storage)
    if at <= 0 or at >= store.revision:
        return shelf.range(namespace, after), store.revision
    try:
        changes = store.since(storage, at)
    except Failure:
        if token:
            raise _page_expired(after) from None
        raise expired("The resourceVersion for the provided list is too old.") from None
    if not changes:
        return shelf.range(namespace, after), at
    return shelf.range_at(changes, namespace, after), at


def _page(entries: list[Entry], selection: Selection, limit: int, revision: int) -> Page:
    meta: Obj = {"resourceVersion": str(revision)}
    everything = selection.match is None and not selection.key
    if not everything:
        entries = [e for e in entries if selection.includes(e)]
    if limit > 0 and len(entries) > limit:
        meta["continue"] = _token(revision, entries[limit - 1].key)
        if everything:
            meta["remainingItemCount"] = len(entries) - limit
        entries = entries[:limit]
    return Page(entries, meta)


def _token(revision: int, key: str) -> str:
    body = orjson.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": key})
    return base64.urlsafe_b64encode(body).decode().rstrip("=")


def _open(token: str) -> tuple[int, str]:
    try:
        body = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        revision, key = body["rv"], body["start"]
        if not isinstance(revision, int) or not isinstance(key, str):
            raise ValueError
    except (binascii.Error, ValueError, KeyError, TypeError):
        raise bad_request("continue key is not valid: illegal base64 data or unknown form") from None
    return revision, key


def _page_expired(after: str) -> Failure:
    """As a real server: the answer holds a token to read on in the present state."""
    failure = expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
        "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
        "modified, or deleted between the time the first chunk was returned and now may show up in the list."
    )
    failure.meta["continue"] = _token(-1, after)
    return failure
