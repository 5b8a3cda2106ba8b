"""A watch never misses, repeats or reorders: whatever happens, its events rebuild the state that a list shows."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from jfsnb.sandbox.apiserver.http.negotiation import View
from jfsnb.sandbox.apiserver.http.request import Target
from jfsnb.sandbox.apiserver.schema.resources import find
from jfsnb.sandbox.apiserver.storage import lists, watches
from jfsnb.sandbox.apiserver.storage.store import Store

CONFIG_MAPS = find("", "v1", "configmaps")
assert CONFIG_MAPS is not None
NAMES, NAMESPACES = ("a", "b", "c"), ("one", "two")
#: (namespace, name, label value or None; "" deletes)
CHANGES = st.lists(
    st.tuples(st.sampled_from(NAMESPACES), st.sampled_from(NAMES), st.sampled_from(["", "on", "off", None])),
    max_size=30,
)
SELECTIONS = st.fixed_dictionaries(
    {},
    optional={"labelSelector": st.sampled_from(["l=on", "l!=on", "!l"]), "fieldSelector": st.just("metadata.name=a")},
)


def apply(store: Store, change: tuple[str, str, str | None]) -> None:
    namespace, name, label = change
    entry = store.get("/configmaps", namespace, name)
    if label == "":
        if entry is not None:
            store.remove("/configmaps", entry)
        return
    labels = {} if label is None else {"l": label}
    store.put("/configmaps", {"metadata": {"name": name, "namespace": namespace, "labels": labels}})


def state(store: Store, target: Target, query: dict[str, str]) -> dict[tuple[str, str], Any]:
    page = lists.read(store, target, query)
    return {(o["metadata"]["namespace"], o["metadata"]["name"]): o for o in (e.obj for e in page.entries)}


def replay(start: dict[tuple[str, str], Any], lines: list[bytes], revision: int) -> dict[tuple[str, str], Any]:
    """The state that a client has after the events, checking each on the way."""
    known = dict(start)
    for event in (orjson.loads(line) for line in lines):
        obj = event["object"]
        del obj["kind"], obj["apiVersion"]
        version = int(obj["metadata"]["resourceVersion"])
        assert version > revision
        revision = version
        key = obj["metadata"]["namespace"], obj["metadata"]["name"]
        assert (key in known) == (event["type"] != "ADDED"), "each event fits what was known"
        if event["type"] == "DELETED":
            del known[key]
        else:
            known[key] = obj
    return known


@settings(max_examples=300, deadline=None)
@given(CHANGES, CHANGES, CHANGES, SELECTIONS, st.sampled_from(["", *NAMESPACES]))
def test_events_rebuild_the_list(before: Any, between: Any, after: Any, query: dict[str, str], namespace: str) -> None:
    async def run() -> None:
        store, target = Store(), Target(CONFIG_MAPS, namespace)
        for change in before:
            apply(store, change)
        listed, revision = state(store, target, query), store.revision
        for change in between:  # before the watch begins: replayed from history
            apply(store, change)
        watcher = watches.begin(store, target, {**query, "resourceVersion": str(revision)}, View())
        store.listen("/configmaps", watcher.see)
        for change in after:
            apply(store, change)
        assert replay(listed, watcher.pending, revision) == state(store, target, query)

    asyncio.run(run())


@settings(max_examples=100, deadline=None)
@given(CHANGES, CHANGES, st.integers(1, 3))
def test_pages_are_the_list_as_it_was(before: Any, between: Any, limit: int) -> None:
    store, target = Store(), Target(CONFIG_MAPS)
    for change in before:
        apply(store, change)
    whole = [e.raw for e in lists.read(store, target, {}).entries]
    page = lists.read(store, target, {"limit": str(limit)})
    found = [e.raw for e in page.entries]
    for change in between:
        apply(store, change)
        if page.meta.get("continue"):
            page = lists.read(store, target, {"limit": str(limit), "continue": page.meta["continue"]})
            found += [e.raw for e in page.entries]
    while page.meta.get("continue"):
        page = lists.read(store, target, {"limit": str(limit), "continue": page.meta["continue"]})
        found += [e.raw for e in page.entries]
    assert found == whole
