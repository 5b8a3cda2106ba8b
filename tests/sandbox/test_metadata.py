"""Metadata in a Redis of the sandbox's own."""

import os
import shutil
import socket
import sys
from pathlib import Path

import pytest

from jfsnb.errors import SandboxError, UsageError
from jfsnb.sandbox import lifecycle, metadata

sys.path.insert(0, str(Path(__file__).parent / "csi"))
from world import NAMESPACE, NEW, OLD, World

needs_server = pytest.mark.skipif(
    not any(shutil.which(name) for name in metadata.SERVERS), reason=f"needs {' or '.join(metadata.SERVERS)}"
)


@pytest.fixture
def state(tmp_path):
    for part in ("log", "store/meta"):
        (tmp_path / part).mkdir(parents=True)
    return tmp_path


def test_sqlite_unless_something_else_is_said(monkeypatch):
    monkeypatch.delenv("JFSNB_METADATA", raising=False)
    assert metadata.choose() == "sqlite"
    monkeypatch.setenv("JFSNB_METADATA", "tikv")
    with pytest.raises(UsageError, match="no metadata engine"):
        metadata.choose()
    monkeypatch.setenv("JFSNB_METADATA", "redis")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UsageError, match="neither is on PATH") as raised:
        metadata.choose()
    assert "apt-get install redis-server" in raised.value.next_step


@needs_server
def test_it_wants_its_password_which_no_argument_shows(state):
    server = metadata.Redis(state)
    password, _, place = server.url.removeprefix("redis://:").partition("@")
    address, _, port = place.partition("/")[0].partition(":")
    try:
        with socket.create_connection((address, int(port)), 5) as connection:
            for words, answer in (("PING", b"-NOAUTH"), (f"AUTH {password}", b"+OK"), ("PING", b"+PONG")):
                connection.sendall(f"{words}\r\n".encode())
                assert connection.recv(200).startswith(answer)
        shown = b"".join(p.read_bytes() for p in Path("/proc").glob("[0-9]*/cmdline") if os.access(p, os.R_OK))
        assert password.encode() not in shown
    finally:
        server.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, int(port)), 5)


def test_one_that_cannot_start_says_why(state, tmp_path, monkeypatch):
    server = tmp_path / "redis-server"
    server.write_text("#!/bin/sh\necho 'no memory for me'\nexit 1\n")
    server.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match="did not start\nno memory for me"):
        metadata.Redis(state)


@pytest.fixture(scope="module")
def redis_world(state_home):
    sandbox = lifecycle.up("redis", owner_pid=os.getpid(), metadata="redis", baseline="ce-v1.4.2")
    try:
        if sandbox.tier != "full":
            pytest.skip(sandbox.tier_reason)
        world = World(sandbox.kubeconfig)
        world.running("juicefs-csi-controller-0")
        yield world
    finally:
        lifecycle.down(sandbox.name)


@needs_server
@pytest.mark.sandbox
@pytest.mark.full
def test_two_clients_side_by_side_on_one_volume_and_one_that_may_not_open_it(redis_world):
    world = redis_world
    world.app("app-new", "echo new > /data/from-new; while :; do sleep 1; done")
    (new,) = world.serving(world.running("app-new"))
    world.configure(world.with_entry(ceMountImage=OLD))
    world.app("app-old", "echo old > /data/from-old; while :; do sleep 1; done")
    (old,) = world.serving(world.running("app-old"))
    assert (old.image, new.image, old.node) == (OLD, NEW, new.node)
    world.eventually("app-new", "cat /data/from-old", "old")
    world.eventually("app-old", "cat /data/from-new", "new")
    sessions = world.exec(new.name, 'juicefs status "$metaurl" 2>/dev/null')
    assert '"1.3.0+' in sessions and '"1.4.2+' in sessions

    world.delete("app-old")
    world.gone(old.name)
    world.exec(new.name, 'juicefs config "$metaurl" --min-client-version 1.4.0 --yes')
    world.app("app-old")
    world.event("app-old", "mount point is not ready")
    (failing,) = (m for m in world.mount_pods() if m.image == OLD)
    said = world.core.read_namespaced_pod_log(failing.name, NAMESPACE)
    assert "allowed minimum version: 1.4.0; please upgrade the client" in said
    assert world.exec("app-new", "cat /data/from-old").strip() == "old"
