"""What all tests share: a running sandbox for each worker, and signals as a terminal sends them."""

import os
import shutil
import signal
import tempfile

import pytest


def pytest_configure(config):
    """A shell that starts the tests in the background has them ignore Ctrl-C, and so whatever they start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def state_home():
    """A place for this worker's sandboxes: short, because of unix sockets. Programs that are started find it, too."""
    before = os.environ.get("JFSNB_STATE_HOME")
    os.environ["JFSNB_STATE_HOME"] = home = tempfile.mkdtemp(prefix="jft")
    yield home
    os.environ.pop("JFSNB_STATE_HOME")
    if before is not None:
        os.environ["JFSNB_STATE_HOME"] = before
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def any_sandbox(state_home):
    """The sandbox of this worker in the best tier of this machine; tests leave it as they found it.

    One that does not start, or has a lower tier than /dev/fuse promises, is a failure: JFSNB_TIER accepts a lower one.
    """
    from jfsnb.sandbox import lifecycle

    running = lifecycle.up("tested", owner_pid=os.getpid())
    try:
        promised = os.access("/dev/fuse", os.R_OK | os.W_OK) and "JFSNB_TIER" not in os.environ
        assert running.tier == "full" or not promised, running.tier_reason
        yield running
    finally:
        lifecycle.down(running.name)


@pytest.fixture(scope="session")
def container_sandbox(any_sandbox):
    """The same; skips where nothing can be executed."""
    if any_sandbox.tier == "recorded":
        pytest.skip(any_sandbox.tier_reason)
    return any_sandbox


@pytest.fixture(scope="session")
def sandbox(any_sandbox):
    """The same; skips where no client can mount."""
    if any_sandbox.tier != "full":
        pytest.skip(f"needs tier full: {any_sandbox.tier_reason}")
    return any_sandbox


@pytest.fixture(scope="session")
def recorded_sandbox(state_home):
    """One that executes nothing, for tests that fill it with objects."""
    from jfsnb.sandbox import lifecycle

    yield lifecycle.up("recorded", owner_pid=os.getpid(), tier="recorded")
    lifecycle.down("recorded")
