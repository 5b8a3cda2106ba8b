"""A mount that died under an app while every object looks healthy, as after a CSI node was killed within a re-creation.

Client, supervisor and CSI node go at once, so that nobody keeps the FUSE descriptor.
"""

import os
import signal

import pytest

from jfsnb.checks.model import Verdict
from jfsnb.driver.mountpods.mount_pods import MountPod
from jfsnb.queries import investigate
from jfsnb.run.rollback import rollback
from jfsnb.run.upgrade import parts as upgrade

pytestmark = [pytest.mark.sandbox, pytest.mark.full]
NAMESPACE = "juicefs-system"


def processes():
    """(pid, command line, user namespace) of all that may be looked at."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                yield int(pid), file.read().replace(b"\0", b" ").decode(), os.readlink(f"/proc/{pid}/ns/user")
        except OSError:
            continue


def kill_all_holders(mount_path):
    """The client of a mount, its supervisor, and the CSI node of the same sandbox."""
    found = list(processes())
    clients = [(pid, space) for pid, command, space in found if mount_path in command and "python" not in command]
    spaces = {space for _, space in clients}
    csi = [pid for pid, command, space in found if "jfsnb.sandbox.csi.node.main" in command and space in spaces]
    assert clients and csi
    for pid in [*csi, *(pid for pid, _ in clients)]:
        os.kill(pid, signal.SIGKILL)


def test_verify_and_doctor_look_through_the_app(world):
    run = world.run()
    known = upgrade.load(run)
    try:
        target = f"pod/{known.pod}"
        before = investigate.verify(world.cluster, NAMESPACE, target)
        assert {c.verdict for c in before.checks if c.code == "JFS-IO-006"} == {Verdict.PASS}
        pod = MountPod.from_object(world.cluster.get("pods", NAMESPACE, known.mount_pod))
        kill_all_holders(pod.command.mount_path)
        for event in world.cluster.watch("pods", NAMESPACE, fields=f"metadata.name={pod.name}", seconds=90):
            seen = MountPod.from_object(event.object) if event.type != "SYNCED" else pod
            if seen.restarts > pod.restarts and seen.ready:
                break
        after = investigate.verify(world.cluster, NAMESPACE, target)
        (dead,) = [c for c in after.checks if c.code == "JFS-IO-006"]
        assert dead.verdict is Verdict.FAIL and "endpoint is not connected" in dead.reason
        deep = investigate.doctor(world.cluster, everyone=True)
        assert any(c.code == "JFS-IO-101" and known.pod in c.reason for c in deep.checks)
    finally:
        rollback(world.cluster, run.id, world.outputs)
