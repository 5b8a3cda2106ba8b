"""Speed of the sandbox's API over TLS, printed; nothing is asserted about times.

Run: ``python -m pytest -s tests/benchmarks/bench_api.py``.

A real kube-apiserver with etcd on two cores: create 3.9 ms, get 1.2 ms, list of 300 2.9 ms, change to watcher 2.3 ms
(medians; 99th percentiles 7.5, 1.9, 12.7, 5.1 ms).
"""

from __future__ import annotations

import http.client
import json
import ssl
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "sandbox/api"))
from api_harness import Api, api_only

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
TOKEN = {"Authorization": "Bearer admin-token", "Content-Type": "application/json"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with api_only(tmp_path_factory.mktemp("api")) as running:
        yield running


class Client:
    """One kept-alive TLS connection."""

    def __init__(self, api: Api) -> None:
        context = ssl.create_default_context(cafile=str(api.state / "pki/ca.crt"))
        host, _, port = api.server.removeprefix("https://").partition(":")
        self.connection = http.client.HTTPSConnection(host, int(port), context=context)

    def request(self, method: str, path: str, body: Any = None) -> bytes:
        self.connection.request(method, path, json.dumps(body) if body is not None else None, TOKEN)
        answer = self.connection.getresponse()
        raw = answer.read()
        assert answer.status < 300, raw
        return raw


def pod(name: str) -> dict[str, Any]:
    container = {"name": "c", "image": "x:1", "command": ["sleep", "60"], "env": [{"name": "A", "value": "b"}]}
    return {"metadata": {"name": name, "labels": {"app": "bench"}}, "spec": {"containers": [container]}}


def config_map(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"app": "bench"}}, "data": {"a": "1", "b": "2" * 100}}


def report(what: str, seconds: list[float]) -> None:
    ordered = sorted(seconds)
    p99 = ordered[int(len(ordered) * 0.99)]
    print(f"{what:44s} p50 {statistics.median(ordered) * 1e3:7.2f} ms   p99 {p99 * 1e3:7.2f} ms   n={len(ordered)}")


def timed(action: Callable[[int], Any], count: int) -> list[float]:
    found = []
    for number in range(count):
        start = time.perf_counter()
        action(number)
        found.append(time.perf_counter() - start)
    return found


def test_one_client(api: Api) -> None:
    client = Client(api)
    client.request("GET", CONFIG_MAPS)
    report("create a Pod", timed(lambda n: client.request("POST", PODS, pod(f"p{n:04}")), 300))
    report("create a ConfigMap", timed(lambda n: client.request("POST", CONFIG_MAPS, config_map(f"c{n:04}")), 300))
    report("get a Pod", timed(lambda n: client.request("GET", f"{PODS}/p{n % 300:04}"), 600))
    report("list 300 Pods", timed(lambda _: client.request("GET", PODS), 100))
    report("list 300 ConfigMaps", timed(lambda _: client.request("GET", CONFIG_MAPS), 100))
    report(
        "list by label (300 match)", timed(lambda _: client.request("GET", PODS + "?labelSelector=app%3Dbench"), 100)
    )
    patch = {"metadata": {"labels": {"n": "0"}}}

    def change(number: int) -> None:
        patch["metadata"]["labels"]["n"] = str(number)
        client.connection.request(
            "PATCH",
            f"{PODS}/p{number % 300:04}",
            json.dumps(patch),
            {**TOKEN, "Content-Type": "application/merge-patch+json"},
        )
        assert client.connection.getresponse().read()

    report("merge patch of a Pod", timed(change, 300))


@pytest.mark.parametrize("clients", [10, 50])
def test_many_clients(api: Api, clients: int) -> None:
    def work(number: int) -> list[float]:
        client = Client(api)
        client.request("GET", "/version")
        names = [f"m{clients}-{number}-{n}" for n in range(20)]
        made = timed(lambda n: client.request("POST", CONFIG_MAPS, config_map(names[n])), 20)
        read = timed(lambda n: client.request("GET", f"{CONFIG_MAPS}/{names[n]}"), 20)
        return made + read

    with ThreadPoolExecutor(clients) as pool:
        report(f"create and get, {clients} clients", [s for found in pool.map(work, range(clients)) for s in found])


def test_watch_delivery(api: Api) -> None:
    watcher, writer = Client(api), Client(api)
    seen: dict[str, float] = {}
    ready = threading.Event()

    def follow() -> None:
        watcher.connection.request("GET", CONFIG_MAPS + "?watch=1&timeoutSeconds=60&labelSelector=w", headers=TOKEN)
        answer = watcher.connection.getresponse()
        ready.set()
        while len(seen) < 200:
            event = json.loads(answer.readline())
            seen[event["object"]["metadata"]["name"]] = time.perf_counter()

    thread = threading.Thread(target=follow)
    thread.start()
    ready.wait(10)
    sent = {}
    for number in range(200):
        body = config_map(f"w{number}")
        body["metadata"]["labels"] = {"w": "1"}
        sent[body["metadata"]["name"]] = time.perf_counter()
        writer.request("POST", CONFIG_MAPS, body)
    thread.join(30)
    report("request sent -> watcher has the event", [seen[n] - sent[n] for n in sent])


def test_among_five_thousand_objects(api: Api) -> None:
    client = Client(api)
    for number in range(5000):
        client.request("POST", CONFIG_MAPS, config_map(f"many{number:05}"))
    report("list of 500 among 5,000", timed(lambda _: client.request("GET", CONFIG_MAPS + "?limit=500"), 30))
    report("get among 5,000", timed(lambda n: client.request("GET", f"{CONFIG_MAPS}/many{n:05}"), 300))
