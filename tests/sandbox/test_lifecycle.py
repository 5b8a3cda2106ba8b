"""Sandboxes are found while they run, and their names are free when they have ended."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from jfsnb.errors import UsageError
from jfsnb.sandbox import lifecycle

pytestmark = pytest.mark.sandbox


@pytest.fixture
def up(state_home):
    started = []

    def start(name):
        started.append(name)
        return lifecycle.up(name, owner_pid=os.getpid(), tier="recorded")

    yield start
    for name in started:
        lifecycle.down(name)


def test_one_is_found_by_its_name_until_it_is_stopped(up):
    sandbox = up("found")
    assert lifecycle.find("found") == sandbox
    assert sandbox in lifecycle.running()
    assert sandbox.kubeconfig.stat().st_mode & 0o777 == 0o600
    with pytest.raises(UsageError, match="running already"):
        up("found")
    assert lifecycle.down("found")
    assert not sandbox.state_dir.exists()
    assert lifecycle.find("found") is None
    assert not lifecycle.down("found")


def test_one_that_is_ending_is_not_found_and_its_successor_waits(up):
    """Held in the middle of its end, as on a busy machine."""
    sandbox = up("ending")
    os.kill(sandbox.pid, signal.SIGSTOP)
    (sandbox.state_dir / lifecycle.RUNNING).rename(sandbox.state_dir / lifecycle.ENDING)
    os.kill(sandbox.pid, signal.SIGTERM)
    assert lifecycle.find("ending") is None
    with ThreadPoolExecutor(1) as pool:
        successor = pool.submit(up, "ending")
        os.kill(sandbox.pid, signal.SIGCONT)
        assert successor.result().pid != sandbox.pid
    assert lifecycle.find("ending").server == successor.result().server


def test_what_a_killed_supervisor_left_is_swept(up):
    sandbox = up("killed")
    os.kill(sandbox.pid, signal.SIGKILL)
    os.waitpid(sandbox.pid, 0)
    assert lifecycle.find("killed") is None
    lifecycle.sweep()
    assert not sandbox.state_dir.exists()
