"""Watch streams: what an object's change looks like to one watcher, and the stream that carries it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

from jfsnb.sandbox.apiserver.http.negotiation import View
from jfsnb.sandbox.apiserver.http.request import Target, integer
from jfsnb.sandbox.apiserver.rules.status import Cause, Failure, bad_request, invalid
from jfsnb.sandbox.apiserver.schema.resources import Resource
from jfsnb.sandbox.apiserver.storage import views
from jfsnb.sandbox.apiserver.storage.lists import Selection, selection_of
from jfsnb.sandbox.apiserver.storage.store import Change, Entry, Store

Obj = dict[str, Any]
BOOKMARK_SECONDS = 60.0
#: A bookmark comes this long before the stream ends, so that the next watch starts where this one stopped.
LAST_BOOKMARK_SECONDS = 2.0
#: A watcher that falls further behind is cut off, as a real server does.
MOST_PENDING = 20_000
TRUE = ("true", "1", "True")


class Watcher:
    """One watcher's view of a resource: its filter, its form, and the lines not yet sent."""

    def __init__(self, resource: Resource, selection: Selection, view: View, include: str) -> None:
        self.resource, self.selection, self.view, self.include = resource, selection, view, include
        self.pending: list[bytes] = []
        self.wake = asyncio.Event()
        self._columns = True

    def add(self, line: bytes) -> None:
        self.pending.append(line)
        self.wake.set()

    def see(self, change: Change) -> None:
        """Take a change that this watcher is to learn of; others are dropped."""
        seen = self.selection.includes(change.entry)
        saw = change.before is not None and self.selection.includes(change.before)
        if change.kind == "DELETED":
            if saw:
                self._show("DELETED", change.entry, change)
        elif seen:
            self._show("MODIFIED" if saw else "ADDED", change.entry, change)
        elif saw and change.before is not None:
            self._show("DELETED", _as_of(change.before, change, self.resource))

    def add_entry(self, entry: Entry) -> None:
        self._show("ADDED", entry)

    def _show(self, kind: str, entry: Entry, change: Change | None = None) -> None:
        if not self.view.form and change is not None and change.kind == kind:
            self.add(views.watch_event(self.resource, change))
        elif self.view.is_table:
            self.add(views.event(kind, views.watch_row(self.resource, entry, self.include, self._columns)))
            self._columns = False
        else:
            self.add(views.event(kind, views.one(self.resource, entry, self.view)))

    def bookmark(self, revision: int, initial: bool = False) -> None:
        meta: Obj = {"resourceVersion": str(revision)}
        if initial:
            meta["annotations"] = {"k8s.io/initial-events-end": "true"}
        if self.view.is_table:
            body: Obj = {
                "kind": "Table",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": {"resourceVersion": str(revision)},
            }
            body["columnDefinitions"], body["rows"] = [], []
            if initial:
                partial = {"kind": self.resource.kind, "apiVersion": self.resource.group_version, "metadata": meta}
                body["rows"] = [{"cells": [], "object": partial}]
        elif self.view.is_partial:
            body = {**views.PARTIAL, "metadata": meta}
        else:
            body = {"kind": self.resource.kind, "apiVersion": self.resource.group_version, "metadata": meta}
        self.add(views.event("BOOKMARK", orjson.dumps(body)))


def _as_of(entry: Entry, change: Change, resource: Resource) -> Entry:
    """An object's last matching state under the revision at which it stopped to match."""
    obj = entry.obj
    obj["metadata"]["resourceVersion"] = str(change.revision)
    return Entry(resource.storage, entry.key, obj, change.revision)


def begin(store: Store, target: Target, query: Mapping[str, str], view: View) -> Watcher:
    """A watcher with all that it is to see first; the caller must begin to listen before it awaits anything.

    Raises:
        Failure: 400 or 422 for bad parameters.
    """
    resource = target.resource
    watcher = Watcher(resource, selection_of(target, query), view, query.get("includeObject", ""))
    initial = query.get("sendInitialEvents", "")
    _check(query, initial)
    version = query.get("resourceVersion", "")
    if not version.isdigit() and version:
        raise bad_request(f"invalid resource version {version!r}".replace("'", '"'))
    streaming = initial in TRUE
    if streaming or (version in ("", "0") and initial == ""):
        shelf = store.shelf(resource.storage)
        for entry in shelf.range(target.namespace):
            if watcher.selection.includes(entry):
                watcher.add_entry(entry)
        if streaming and query.get("allowWatchBookmarks") in TRUE:
            watcher.bookmark(store.revision, initial=True)
    elif version not in ("", "0"):
        try:
            for change in store.since(resource.storage, int(version)):
                watcher.see(change)
        except Failure as failure:
            watcher.add(views.event("ERROR", orjson.dumps(failure.status())))
            watcher.selection = Selection("", None, closed=True)
    return watcher


def _check(query: Mapping[str, str], initial: str) -> None:
    match = query.get("resourceVersionMatch", "")
    causes = []
    if initial and match != "NotOlderThan":
        text = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        causes.append(Cause("FieldValueForbidden", text, "resourceVersionMatch"))
    elif not initial and match:
        text = "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        causes.append(Cause("FieldValueForbidden", text, "resourceVersionMatch"))
    if causes:
        raise invalid("ListOptions", "meta.k8s.io", "", causes)


async def stream(
    request: web.BaseRequest, store: Store, target: Target, query: Mapping[str, str], view: View
) -> web.StreamResponse:
    """Answer a watch until its time is over or the client goes."""
    watcher = begin(store, target, query, view)
    end = store.listen(target.resource.storage, watcher.see)
    try:
        answer = web.StreamResponse(headers={"Content-Type": "application/json", "Cache-Control": "no-cache, private"})
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        seconds = integer(query, "timeoutSeconds") or random.randint(1800, 3600)
        bookmarks = query.get("allowWatchBookmarks") in TRUE
        await _pump(answer, watcher, store, seconds, bookmarks)
        await answer.write_eof()
        return answer
    finally:
        end()


async def _pump(answer: web.StreamResponse, watcher: Watcher, store: Store, seconds: float, bookmarks: bool) -> None:
    loop = asyncio.get_running_loop()
    ends = loop.time() + seconds
    next_bookmark = min(loop.time() + BOOKMARK_SECONDS, max(ends - LAST_BOOKMARK_SECONDS, loop.time() + seconds / 2))
    while True:
        if len(watcher.pending) > MOST_PENDING:
            return
        if watcher.pending:
            lines, watcher.pending = watcher.pending, []
            await answer.write(b"".join(lines))
            continue
        if watcher.selection.closed or loop.time() >= ends:
            return
        watcher.wake.clear()
        until = min(ends, next_bookmark) if bookmarks else ends
        try:
            async with asyncio.timeout_at(until):
                await watcher.wake.wait()
        except TimeoutError:
            if bookmarks and loop.time() >= next_bookmark:
                watcher.bookmark(store.revision)
                last = ends - LAST_BOOKMARK_SECONDS
                next_bookmark = (
                    last if next_bookmark < last <= loop.time() + BOOKMARK_SECONDS else loop.time() + BOOKMARK_SECONDS
                )
