"""What an app sees while its client is exchanged, killed, deleted: as on a real cluster, stage by stage.

The real cluster's outcomes: a stall and nothing else in upgrades (9 s with re-creation, 1.2 s without); EBADF for good
on what was open for writing after a kill or a deletion; locks that vanish when a session that nobody continues expires;
and never a lost, doubled or reordered record that was acknowledged.
"""

import json
import time
from pathlib import Path

import pytest
from kubernetes import watch

from .test_end_to_end_upgrade import upgrade
from .world import NAMESPACE, NEW, OLD, SECONDS

pytestmark = [pytest.mark.sandbox, pytest.mark.full]
PROGRAM = (Path(__file__).parent / "io_app.py").read_text(encoding="utf-8")
APP, DATA = "app-io", "/data/io"
#: A session that nobody continues is cleaned up after five of these: a minute with the client's default of 12 s.
HEARTBEAT = "heartbeat=3"
WRITABLE = {"pwrite second", "pwrite unlinked", "pread unlinked"}
TRY_LOCKS = f"""
import fcntl
for name, lock in (("flock", fcntl.flock), ("fcntl", fcntl.lockf)):
    try:
        lock(open("{DATA}/" + name, "r+"), fcntl.LOCK_EX | fcntl.LOCK_NB)
        print(name, "free")
    except BlockingIOError:
        print(name, "held")
"""


class Io:
    """The app, and what it has told so far."""

    def __init__(self, world):
        self.world = world
        world.app(APP, propagation="None", command=["python3", "-c", PROGRAM])
        self.pod = world.running(APP)

    def told(self, since):
        """Events after a moment, up to one that says that the app goes on; a watch, not a guess."""
        read, found = self.world.core.read_namespaced_pod_log, []
        asked = time.time()
        for line in watch.Watch().stream(read, APP, NAMESPACE, _request_timeout=SECONDS):
            event = json.loads(line)
            if event["t"] > since:
                found.append(event)
            if event["t"] > asked and event["event"] == "alive":
                return found
        raise AssertionError(f"the app does not go on: {found[-5:]}")

    def stage(self, name, act):
        """Do something to the client: (longest stall, records not acknowledged, errors by operation)."""
        since = time.time()
        act()
        told = self.told(since)
        stalls = [e["seconds"] for e in told if e["event"] == "stall"]
        unacked = [e for e in told if e["event"] == "unacked"]
        errors = {e["op"]: e["errno"] for e in told if e["event"] == "error"}
        print(f"{name}: longest stall {max(stalls, default=0)} s, {len(unacked)} records not acknowledged, {errors}")
        return stalls, [e["errno"] for e in unacked], errors

    def serving(self):
        """Its Mount Pod, once that is the only one and Ready."""
        (found,) = self.world.serving(self.pod)
        self.world.until_pod(found.name, lambda p: p.status.container_statuses[0].ready)
        return found

    def config(self, mount_pod):
        """What the client says of itself."""
        return json.loads(self.world.exec(mount_pod.name, f"cat {mount_pod.command.config_file}"))

    def locks(self):
        said = self.world.exec(APP, f"python3 -c '{TRY_LOCKS}'").split("\n")
        return dict(line.split() for line in said if line)

    def minor(self):
        """Of the mount that the app sees: it tells one FUSE session from another."""
        return self.world.exec(APP, "grep ' /data ' /proc/self/mountinfo | cut -d' ' -f3").strip()


@pytest.fixture
def io(world):
    world.configure(world.with_entry(ceMountImage=OLD, mountOptions=[HEARTBEAT]))
    return Io(world)


def recreate(io, image):
    before = io.serving()
    io.world.configure(io.world.with_entry(ceMountImage=image, mountOptions=[HEARTBEAT]))
    outcome = io.stage(f"re-creation with {image}", lambda: succeed(io, before, "--recreate"))
    io.world.gone(before.name)
    after = io.serving()
    assert (after.image, after.upgrade_uuid, after.references) == (image, before.upgrade_uuid, before.references)
    assert after.command.mount_path == before.command.mount_path
    return outcome


def succeed(io, mount_pod, *words):
    said = upgrade(io.world, mount_pod.name, *words)
    assert said[-1].startswith(f"POD-SUCCESS [{mount_pod.name}]"), said


def kill_worker(io, mount_pod):
    pid = io.config(mount_pod)["Pid"]
    io.world.exec(mount_pod.name, f"kill -9 {pid}")
    io.world.until_logged(mount_pod.name, "signal: killed, will restart in 1 second")


def test_an_app_goes_on_whatever_happens_to_its_client(io, capsys):
    world, minor = io.world, io.minor()
    first = io.config(io.serving())
    io.told(0)

    for image in (NEW, OLD):
        stalls, unacked, errors = recreate(io, image)
        assert (bool(stalls), unacked, errors) == (True, [], {})
    mount_pod = io.serving()
    now = io.config(mount_pod)
    assert (now["Meta"]["Sid"], now["Version"]) == (first["Meta"]["Sid"], first["Version"])

    world.configure(world.with_entry(ceMountImage=NEW, mountOptions=[HEARTBEAT]))
    stalls, unacked, errors = io.stage("exchange of the client", lambda: succeed(io, mount_pod))
    assert (unacked, errors) == ([], {})
    world.eventually(mount_pod.name, f"cat {mount_pod.command.config_file}", NEW.rpartition("v")[2])
    assert io.serving().image == OLD
    assert io.locks() == {"flock": "held", "fcntl": "held"}

    stalls, unacked, errors = io.stage("kill -9 of the client", lambda: kill_worker(io, mount_pod))
    assert stalls
    assert set(unacked) <= {"EBADF", "EINTR"}
    assert set(errors.values()) == {"EBADF"}
    assert set(errors) == WRITABLE
    assert io.config(mount_pod)["Meta"]["Sid"] == first["Meta"]["Sid"]  # a re-created Mount Pod keeps it
    assert io.locks() == {"flock": "held", "fcntl": "held"}

    def delete():
        world.delete(mount_pod.name)

    stalls, unacked, errors = io.stage("Mount Pod deleted", delete)
    assert stalls
    assert set(unacked) <= {"EBADF", "EINTR"}
    assert errors == {}  # what is open for writing is dead already, the rest goes on
    mount_pod = io.serving()
    assert (mount_pod.image, io.config(mount_pod)["Meta"]["Sid"] != first["Meta"]["Sid"]) == (NEW, True)

    def restart():
        old = world.csi_node()
        world.delete(old)
        world.until_logged(world.csi_node(), "Listening for connection on address")

    stalls, unacked, errors = io.stage("CSI node restarted", restart)
    assert (unacked, errors) == ([], {})
    world.eventually(world.csi_node(), "juicefs-csi-driver upgrade list", mount_pod.upgrade_uuid)
    stalls, unacked, errors = recreate(io, OLD)
    assert (bool(stalls), unacked, errors) == (True, [], {})

    assert io.minor() == minor  # one FUSE session, from beginning to end
    free = "flock free"  # nobody told the app
    world.eventually(APP, f"python3 -c '{TRY_LOCKS}'", free)
    check_records(io, capsys)


def check_records(io, capsys):
    """All that was acknowledged is there, once, in its order."""
    told = io.told(0)
    stored = [int(line) for line in io.world.exec(APP, f"cat {DATA}/records").split()]
    last = max(e["seq"] for e in told if e["event"] == "alive")
    unacked = {e["seq"] for e in told if e["event"] == "unacked"}
    assert stored == sorted(set(stored))
    assert set(range(last)) - unacked <= set(stored)
    with capsys.disabled():
        print(f"\n{capsys.readouterr().out}{last} records, {len(unacked)} not acknowledged, none lost or doubled")
