"""Nothing of a node outlives the process that made it, however that process ends."""

import contextlib
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

OWNER = """
import asyncio, os, signal, sys
from pathlib import Path
from jfsnb.sandbox.images.images import ImageStore
from jfsnb.sandbox.runtime.runtime import BindMount, ContainerSpec, Runtime
from jfsnb.sandbox.runtime.tier import detect

async def main():
    state = Path(sys.argv[1])
    runtime = await Runtime.start(state, "node1", detect())
    image = ImageStore(state).find("local/debian:bookworm")
    shared = BindMount("/var/lib/kubelet", "/var/lib/kubelet", propagation="Bidirectional")
    script = "mount -t tmpfs inside /var/lib/kubelet/plugins; setsid sleep 1000 & echo up; sleep 1000"
    up = asyncio.Event()
    spec = ContainerSpec("c", "c", image, ("sh", "-c", script), {}, privileged=True, mounts=(shared,))
    process = await runtime.run(spec, lambda stream, data: up.set())
    await up.wait()
    if sys.argv[2] == "worker" and os.fork() == 0:
        signal.pause()
    print(runtime.agent_pid, process.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def cgroups(tier):
    return set(os.listdir(tier.limits.directory)) if tier.limits else set()


@pytest.mark.parametrize("worker", ["alone", "worker"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_node_ends_with_its_owner(tmp_path, tier, machine_mounts, number, worker):
    """A forked worker of the owner (multiprocessing in a notebook) holds copies of all its open files."""
    before = machine_mounts(), cgroups(tier)
    command = [sys.executable, "-c", OWNER, str(tmp_path), worker]
    owner = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    assert owner.stdout is not None
    pids = [int(word) for word in owner.stdout.readline().split()]
    node = _pids_below(pids[0])
    outer = int(Path(f"/proc/{pids[0]}/stat").read_text().rpartition(")")[2].split()[1])
    handles = [os.pidfd_open(pid) for pid in (*node, outer)]
    try:
        assert len(node) >= 3, "the test would see nothing"
        owner.send_signal(number)
        owner.wait(10)
        for handle in handles:
            ended, _, _ = select.select([handle], [], [], 10)
            assert ended, "a process outlived the sandbox's components"
        assert (machine_mounts(), cgroups(tier)) == before
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(owner.pid, signal.SIGKILL)
        owner.wait()
        owner.stdout.close()
        for handle in handles:
            os.close(handle)


def _pids_below(pid: int) -> list[int]:
    children = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [pid, *(below for child in children for below in _pids_below(child))]
