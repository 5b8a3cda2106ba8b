"""Under load: watchers beside many writers see every change once and in order; memory does not grow with changes."""

from __future__ import annotations

import json
import resource
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from api_harness import Requests

from jfsnb.sandbox.apiserver.storage.store import KEPT_CHANGES

WRITERS, WATCHERS, CHANGES = 20, 5, 30


def test_watchers_beside_many_writers(http, ns):
    maps = f"/api/v1/namespaces/{ns}/configmaps"
    start = http.get(maps).json()["metadata"]["resourceVersion"]
    expected = WRITERS * CHANGES
    ready = threading.Barrier(WATCHERS + 1)

    def follow(_):
        seen = []
        params = {"watch": "1", "resourceVersion": start, "timeoutSeconds": "60"}
        with Requests(http.api) as requests, requests.client.stream("GET", maps, params=params) as stream:
            ready.wait(20)
            for line in stream.iter_lines():
                seen.append(json.loads(line))
                if len(seen) == expected:
                    return seen
        return seen

    def write(number):
        with Requests(http.api) as requests:
            name = f"w{number}"
            requests.post(maps, {"metadata": {"name": name}, "data": {"n": "0"}})
            for n in range(1, CHANGES - 1):
                requests.patch("merge", f"{maps}/{name}", {"data": {"n": str(n)}})
            requests.delete(f"{maps}/{name}")

    with ThreadPoolExecutor(WATCHERS) as watching, ThreadPoolExecutor(WRITERS) as writing:
        watchers = [watching.submit(follow, n) for n in range(WATCHERS)]
        ready.wait(20)
        list(writing.map(write, range(WRITERS)))
        streams = [w.result(60) for w in watchers]
    first = streams[0]
    versions = [int(e["object"]["metadata"]["resourceVersion"]) for e in first]
    assert versions == sorted(set(versions)) and len(first) == expected
    assert all(stream == first for stream in streams)
    for number in range(WRITERS):
        own = [e for e in first if e["object"]["metadata"]["name"] == f"w{number}"]
        assert [e["type"] for e in own] == ["ADDED", *["MODIFIED"] * (CHANGES - 2), "DELETED"]
        assert [e["object"]["data"]["n"] for e in own[:-1]] == [str(n) for n in range(CHANGES - 1)]


@pytest.mark.slow
def test_memory_is_flat_once_history_is_full(http, api, ns):
    maps = f"/api/v1/namespaces/{ns}/configmaps"
    for number in range(100):
        http.post(maps, {"metadata": {"name": f"m{number}"}, "data": {"n": "x" * 200}})

    def change(count):
        for number in range(count):
            http.patch("merge", f"{maps}/m{number % 100}", {"data": {"n": f"{number}" + "x" * 200}})
        return _memory(api.pid)

    before = change(KEPT_CHANGES + 500)
    assert change(KEPT_CHANGES + 500) < before * 1.1


def _memory(pid):
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()
