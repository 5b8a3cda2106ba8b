"""Back-off, restart decisions and what probe results mean."""

import asyncio

import pytest

from jfsnb.sandbox.kubelet.containers.backoff import BackOff, go_duration, restarts
from jfsnb.sandbox.kubelet.containers.grace import Grace
from jfsnb.sandbox.kubelet.containers.handlers import Target, act, port_number
from jfsnb.sandbox.kubelet.containers.probes import ProbeState


def test_the_first_restart_is_at_once_then_the_delay_doubles_up_to_five_minutes():
    backoff, now, waits = BackOff(10, 300), 0.0, []
    for _ in range(8):  # each start ends at once
        left = backoff.remaining(now, now)
        waits.append(left)
        now += left
        backoff.next(now, now - left)
    assert waits == [0, 10, 20, 40, 80, 160, 300, 300]


def test_ten_minutes_without_a_failure_forgive_everything():
    backoff = BackOff(10, 300)
    for start in (0, 10, 30):
        backoff.next(start, start)
    assert backoff.remaining(40, 31) == pytest.approx(31)
    assert backoff.remaining(700, 700) == 0


@pytest.mark.parametrize(
    ("policy", "code", "again"),
    [("Always", 0, True), ("OnFailure", 0, False), ("OnFailure", 3, True), ("Never", 3, False)],
)
def test_restart_policies(policy, code, again):
    assert restarts(policy, code) is again


@pytest.mark.parametrize(("seconds", "text"), [(10, "10s"), (80, "1m20s"), (300, "5m0s"), (3661, "1h1m1s")])
def test_durations_as_in_kubelets_messages(seconds, text):
    assert go_duration(seconds) == text


def test_a_probe_turns_only_after_a_row_of_equal_results():
    state = ProbeState(failure_threshold=3, success_threshold=2, good=False)
    assert [state.result(ok) for ok in (True, False, True)] == [False, False, False]
    assert state.result(True) and state.good
    assert [state.result(False), state.result(False), state.good] == [False, False, True]
    assert state.result(False) and not state.good


def test_grace_can_only_get_shorter():
    async def scenario():
        grace = Grace(100)
        grace.shorten(200)
        long = grace.left
        grace.shorten(0)
        await asyncio.wait_for(grace.over(), 5)
        return long, grace.left

    long, left = asyncio.run(scenario())
    assert long <= 100 and left == 0


def act_in(action, exec=None, timeout=1.0):
    return asyncio.run(
        act(action, Target({"ports": [{"name": "web", "containerPort": 1}]}, "127.0.0.1", exec), timeout)
    )


def test_exec_shows_its_output_when_it_fails():
    async def command(argv):
        return (1, b"no " + argv[0].encode())

    outcome = act_in({"exec": {"command": ["x"]}}, command)
    assert (outcome.ok, outcome.text) == (False, "no x")


def test_exec_that_takes_too_long_and_exec_that_cannot_start():
    async def slow(argv):
        await asyncio.Event().wait()

    async def missing(argv):
        raise OSError("no such command")

    assert "timed out after" in act_in({"exec": {"command": ["x"]}}, slow, 0.01).text
    assert act_in({"exec": {"command": ["x"]}}, missing).unknown


def test_a_closed_port_is_refused_in_kubelets_words():
    assert act_in({"tcpSocket": {"port": 1}}).text == "dial tcp 127.0.0.1:1: connect: connection refused"
    refused = 'Get "http://127.0.0.1:1/healthz": dial tcp 127.0.0.1:1: connect: connection refused'
    assert act_in({"httpGet": {"port": "web", "path": "/healthz"}}).text == refused


def test_named_ports():
    container = {"ports": [{"name": "web", "containerPort": 8080}]}
    assert (port_number("web", container), port_number(81, container), port_number("82", container)) == (8080, 81, 82)
    with pytest.raises(ValueError, match="couldn't find port"):
        port_number("nope", container)
