"""The design's budgets beside what this machine does: ``python -m tests.benchmarks [--inventory]`` from the checkout.

Prints one table in Markdown; asserts nothing. With --inventory it also makes a cluster of 60,000 Pods (some minutes).
"""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from jfsnb.cluster.client import Cluster
from jfsnb.cluster.connect import connect
from jfsnb.sandbox import lifecycle

HERE = Path(__file__).parent
JFSNB = [sys.executable, "-m", "jfsnb"]
NAMESPACE, CLAIM = "juicefs-system", "songlin-test-pvc"
ROUNDS = 5
Row = tuple[str, str, str]


def main() -> None:
    os.environ["JFSNB_STATE_HOME"] = tempfile.mkdtemp(prefix="jfb")
    print(f"{machine()}\n\n| what | budget | measured |\n|---|---|---|")
    parts: list[Callable[[], Iterator[Row]]] = [imports, api, sandbox, runs]
    if "--inventory" in sys.argv:
        parts.append(inventory)
    for part in parts:
        for row in part():
            print("| " + " | ".join(row) + " |", flush=True)


def machine() -> str:
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    load = os.getloadavg()[0]
    name = model[1] if model else platform.machine()
    return f"{date.today()}, {os.cpu_count()} × {name}, Python {platform.python_version()}, load {load:.1f}"


def seconds(times: list[float]) -> str:
    return f"{statistics.median(times):.2f} s (median of {len(times)}; {min(times):.2f} to {max(times):.2f})"


def took(*command: str) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begun


def imports() -> Iterator[Row]:
    nothing = statistics.median(took(sys.executable, "-c", "") for _ in range(ROUNDS))
    times = [max(0.0, took(sys.executable, "-c", "import jfsnb") - nothing) for _ in range(ROUNDS)]
    yield "`import jfsnb`", "0.15 s", seconds(times)


def api() -> Iterator[Row]:
    """From the benchmark of the API, whose lines end in medians and 99th percentiles in ms."""
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", str(HERE / "bench_api.py")]
    told = subprocess.run([*command, "-k", "one_client or watch"], capture_output=True, text=True).stdout
    wanted = {
        "create a ConfigMap": ("create", "3.9 / 7.5 ms"),
        "get a Pod": ("get", "1.2 / 1.9 ms"),
        "list 300 ConfigMaps": ("list of 300", "2.9 / 12.7 ms"),
        "request sent -> watcher has the event": ("change → watcher has it", "2.3 / 5.1 ms"),
    }
    for line, (what, budget) in wanted.items():
        found = re.search(rf"{re.escape(line)}\s+p50\s+([\d.]+) ms\s+p99\s+([\d.]+) ms", told)
        yield f"API, {what}: p50 / p99", budget, f"{found[1]} / {found[2]} ms" if found else "not measured"


def sandbox() -> Iterator[Row]:
    answering, ready = [], []
    for _ in range(ROUNDS):
        with started() as (_, times):
            answering.append(times[0])
            ready.append(times[1])
    yield "`jfsnb sandbox up`: command → API answers", "1 s", seconds(answering)
    yield "`jfsnb sandbox up`: command → world ready", "2 s", seconds(ready)
    with started() as (running, _):
        cluster = connect(kubeconfig=str(running.kubeconfig))
        yield "memory of the sandbox without clients (PSS)", "150 MB", f"{memory(running, client=False):.0f} MB"
        times = [smoke(cluster, f"bench-{number}") for number in range(ROUNDS)]
        yield "Pod created → its first line, with a client of its own mounted", "0.5 s", seconds(times)
        smoke(cluster, "bench-stays", keep=True)
        yield "memory of one client, supervisor and worker (PSS)", "98 MB", f"{memory(running, client=True):.0f} MB"


@contextmanager
def started() -> Iterator[tuple[lifecycle.Sandbox, tuple[float, float]]]:
    """A sandbox, and after how many seconds its API answered and its world was ready."""
    begun = time.perf_counter()
    process = subprocess.Popen([*JFSNB, "sandbox", "up"], stdout=subprocess.DEVNULL)
    while (found := lifecycle.find()) is None:
        time.sleep(0.005)
    connect(kubeconfig=str(found.kubeconfig))
    answering = time.perf_counter() - begun
    process.wait()
    try:
        yield found, (answering, time.perf_counter() - begun)
    finally:
        lifecycle.down()


def smoke(cluster: Cluster, name: str, keep: bool = False) -> float:
    """Seconds from the creation of a Pod on the claim to its first line; its Mount Pod is gone afterwards."""
    script = "echo written > /data/bench && cat /data/bench && exec sleep 1000"
    container = {"name": "app", "image": "local/debian:bookworm", "command": ["sh", "-c", script]}
    container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": CLAIM}}
    spec = {"containers": [container], "volumes": [volume], "terminationGracePeriodSeconds": 0}
    meta = {"name": name, "namespace": NAMESPACE}
    before = mount_pods(cluster)
    begun = time.perf_counter()
    cluster.create({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    cluster.wait_for("pods", NAMESPACE, name, 60, lambda pod: pod["status"].get("phase") == "Running" or None)
    next(iter(cluster.follow(NAMESPACE, name, "app", seconds=60)))
    elapsed = time.perf_counter() - begun
    if not keep:
        (own,) = mount_pods(cluster) - before
        cluster.delete("pods", NAMESPACE, name, grace=0)
        cluster.wait_gone("pods", NAMESPACE, own, 60)
    return elapsed


def mount_pods(cluster: Cluster) -> set[str]:
    found = cluster.list("pods", NAMESPACE, labels="app.kubernetes.io/name=juicefs-mount")
    return {str(pod["metadata"]["name"]) for pod in found}


def memory(running: lifecycle.Sandbox, client: bool) -> float:
    """MB: of the JuiceFS clients (each is a supervisor and a worker), or of everything else that the sandbox runs."""
    programs = {pid: os.path.basename(os.readlink(f"/proc/{pid}/exe")) for pid in below(running.pid)}
    chosen = [pid for pid, program in programs.items() if (program == "juicefs") == client]
    sizes = [int(re.search(r"^Pss:\s+(\d+)", read(pid), re.MULTILINE)[1]) for pid in chosen if read(pid)]
    return sum(sizes) / 1024


def read(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return ""


def below(pid: int) -> list[int]:
    children = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [pid, *(one for child in children for one in below(child))]


def runs() -> Iterator[Row]:
    totals, rest = [], []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as outputs:
            totals.append(took(*JFSNB, "run", "--outputs", outputs))
            (file,) = Path(outputs).glob("*/run.json")
            rest.append(totals[-1] - asked_for(json.loads(file.read_text())))
    yield "`jfsnb run`, all of it, its own sandbox included", "", seconds(totals)
    yield "`jfsnb run` minus the waits for the cluster", "12 s, later 8 s", seconds(rest)


def asked_for(run: dict[str, Any]) -> float:
    return sum(entry["seconds"] for entry in run["timeline"] if entry["kind"] == "waited for")


def inventory() -> Iterator[Row]:
    told = subprocess.run([sys.executable, str(HERE / "bench_inventory.py")], capture_output=True, text=True).stdout
    for line in told.splitlines():
        yield "inventory of 10,000 Mount Pods and 50,000 app Pods", "3 × faster than kubectl, 400 MB", line.strip()


if __name__ == "__main__":
    main()
