"""Decisions of the smaller control loops, from plain objects."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jfsnb.sandbox.controllers import nodes
from jfsnb.sandbox.controllers.objects import stamp, template_hash, with_condition
from jfsnb.sandbox.controllers.workloads import daemonsets, jobs, rollout
from jfsnb.sandbox.controllers.workloads.owning import share
from jfsnb.sandbox.controllers.workloads.replicasets import dispensable

NOW = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)


def failed_pod(seconds_ago):
    ended = {"state": {"terminated": {"finishedAt": stamp(NOW - timedelta(seconds=seconds_ago))}}}
    return {"metadata": {}, "status": {"phase": "Failed", "containerStatuses": [ended]}}


def test_a_job_waits_longer_after_each_failure():
    assert jobs.retry_in([], NOW) == 0
    assert jobs.retry_in([failed_pod(2)], NOW) == 8
    assert jobs.retry_in([failed_pod(2), failed_pod(30)], NOW) == 18
    assert jobs.retry_in([failed_pod(11)], NOW) == 0


@pytest.mark.parametrize(
    "spec,succeeded,failed,expected",
    [
        ({}, 0, 0, None),
        ({}, 1, 0, "CompletionsReached"),
        ({"completions": 3}, 2, 0, None),
        ({"backoffLimit": 1}, 0, 2, "BackoffLimitExceeded"),
        ({"activeDeadlineSeconds": 5}, 0, 0, "DeadlineExceeded"),
    ],
)
def test_how_a_job_ends(spec, succeeded, failed, expected):
    job = {"metadata": {}, "spec": spec, "status": {"startTime": stamp(NOW - timedelta(seconds=6))}}
    found = jobs.verdict(job, succeeded, failed, NOW)
    assert (found and found[1]) == expected


def node(ready=None, taints=(), **spec):
    conditions = [{"type": "Ready", "status": ready}] if ready else []
    return {"metadata": {"name": "n"}, "spec": {"taints": list(taints), **spec}, "status": {"conditions": conditions}}


def test_when_a_node_counts_as_silent():
    assert nodes.silent_in(node("True"), 10) == 40
    assert nodes.silent_in(node("True"), 60) == 0
    assert nodes.silent_in(node("True"), None) is None  # it has never sent a heartbeat
    assert nodes.silent_in(node(), 60) is None


@pytest.mark.parametrize(
    "state,expected",
    [
        ("True", []),
        (None, []),
        ("False", [("not-ready", "NoSchedule"), ("not-ready", "NoExecute")]),
        ("Unknown", [("unreachable", "NoSchedule"), ("unreachable", "NoExecute")]),
    ],
)
def test_taints_follow_the_nodes_state_and_leave_others_alone(state, expected):
    own = {"key": "mine", "effect": "NoSchedule"}
    stale = {"key": "node.kubernetes.io/memory-pressure", "effect": "NoSchedule"}
    found = nodes.wanted_taints(node(state, [own, stale]), NOW)
    assert found[0] == own
    assert [(t["key"].removeprefix("node.kubernetes.io/"), t["effect"]) for t in found[1:]] == expected


def test_a_cordoned_node_is_tainted():
    assert [t["key"] for t in nodes.wanted_taints(node("True", unschedulable=True), NOW)] == [
        "node.kubernetes.io/unschedulable"
    ]


def test_how_long_a_pod_may_stay():
    taint = {"key": "k", "effect": "NoExecute", "timeAdded": stamp(NOW - timedelta(seconds=100))}

    def seconds(*tolerations):
        return nodes.tolerated_for({"spec": {"tolerations": list(tolerations)}}, [taint], NOW.replace(microsecond=0))

    assert seconds() == 0
    assert seconds({"operator": "Exists"}) is None
    assert seconds({"key": "k", "operator": "Exists", "tolerationSeconds": 300}) == 200
    assert seconds({"key": "k", "operator": "Exists", "tolerationSeconds": 30}) == 0
    assert nodes.tolerated_for({"spec": {}}, [{"key": "k", "effect": "NoSchedule"}], NOW) is None


def replica_set(name, replicas, available=0, created="1"):
    meta = {"name": name, "creationTimestamp": created}
    return {"metadata": meta, "spec": {"replicas": replicas}, "status": {"availableReplicas": available}}


@pytest.mark.parametrize(
    "new,old,expected",
    [
        ((0, 0), (4, 4), {"new": 1}),  # up by the surge
        ((1, 0), (4, 4), {"old": 3}),  # down by what may be unavailable
        ((1, 1), (3, 3), {"new": 2}),
        ((2, 2), (3, 3), {"old": 1}),
        ((4, 4), (1, 1), {"old": 0}),
        ((2, 2), (0, 0), {"new": 4}),
        ((4, 3), (0, 0), {}),
        ((1, 0), (4, 1), {"old": 3}),  # the sick ones of the old set are given up
        ((5, 5), (0, 0), {"new": 4}),
    ],
)
def test_steps_of_a_rolling_update(new, old, expected):
    bounds = rollout.Bounds(replicas=4, surge=1, unavailable=1)
    assert rollout.rolling_step(bounds, replica_set("new", *new), [replica_set("old", *old)]) == expected


@given(
    st.integers(0, 6), st.integers(0, 3), st.integers(0, 3), st.integers(0, 6), st.lists(st.integers(0, 4), max_size=3)
)
def test_a_rolling_update_ends_and_keeps_its_bounds(replicas, surge, unavailable, started, olds):
    """Every new Pod becomes available after each step: the update comes to its end without leaving its bounds."""
    bounds = rollout.Bounds(replicas, surge, min(unavailable if surge or unavailable else 1, replicas or 1))
    started = min(started, replicas)
    sets = {f"old{i}": replica_set(f"old{i}", n, n, str(i)) for i, n in enumerate(olds)}
    sets["new"] = replica_set("new", started, started)
    for _ in range(100):
        before = sum(s["spec"]["replicas"] for s in sets.values())
        step = rollout.rolling_step(bounds, sets["new"], [s for n, s in sets.items() if n != "new"])
        if not step:
            break
        for name, size in step.items():
            sets[name]["spec"]["replicas"] = size
        total = sum(s["spec"]["replicas"] for s in sets.values())
        assert total <= max(before, replicas + surge)
        for s in sets.values():
            s["status"]["availableReplicas"] = min(s["status"]["availableReplicas"], s["spec"]["replicas"])
        available = sum(s["status"]["availableReplicas"] for s in sets.values())
        assert available >= min(before, replicas - bounds.unavailable)
        for s in sets.values():
            s["status"]["availableReplicas"] = s["spec"]["replicas"]
    assert {n: s["spec"]["replicas"] for n, s in sets.items() if s["spec"]["replicas"]} == (
        {"new": replicas} if replicas else {}
    )


@pytest.mark.parametrize("value,up,expected", [("25%", True, 3), ("25%", False, 2), (4, True, 4), (None, True, 1)])
def test_shares(value, up, expected):
    assert share(value, 10, 1, up) == expected


def pod(name, node="", phase="Running", ready="True", created="1", **meta):
    conditions = [{"type": "Ready", "status": ready, "lastTransitionTime": stamp(NOW)}]
    spec = {"nodeName": node} if node else {}
    meta = {"name": name, "creationTimestamp": created, **meta}
    return {"metadata": meta, "spec": spec, "status": {"phase": phase, "conditions": conditions}}


def test_pods_that_serve_least_are_given_up_first():
    order = [
        pod("unplaced", ready="False"),
        pod("pending", "n", "Pending", "False"),
        pod("unready", "n", ready="False"),
        pod("young", "n", created="2"),
        pod("old", "n", created="1"),
    ]
    assert [p["metadata"]["name"] for p in dispensable(reversed(order))] == [p["metadata"]["name"] for p in order]


def daemon_set(**strategy):
    spec = {"template": {"metadata": {}, "spec": {"containers": []}}, "updateStrategy": {"rollingUpdate": strategy}}
    return {"metadata": {"name": "d", "generation": 1}, "spec": spec}


def live(name, **more):
    return {"metadata": {"name": name, **more}, "spec": {}}


def daemon(name, node, revision="new", **more):
    return pod(name, node, labels={"controller-revision-hash": revision}, **more)


def test_a_daemon_set_covers_each_live_node_once_and_no_recorded_one():
    recorded = live("r", annotations={"sandbox.jfsnb.io/recorded": "true"})
    pods = [daemon("a1", "a"), daemon("a2", "a", created="2"), daemon("gone", "lost")]
    plan = daemonsets.plan(daemon_set(), pods, [live("a"), live("b"), recorded], "new", NOW)
    assert plan.create == ["b"]
    assert [p["metadata"]["name"] for p in plan.delete] == ["a2", "gone"]


def test_a_daemon_set_replaces_its_pods_one_by_one():
    everywhere = [live(n) for n in "abc"]
    pods = [daemon(n, n, "old") for n in "abc"]
    assert len(daemonsets.plan(daemon_set(), pods, everywhere, "new", NOW).delete) == 1
    assert len(daemonsets.plan(daemon_set(maxUnavailable=2), pods, everywhere, "new", NOW).delete) == 2
    pods[0] = daemon("a", "a", ready="False")
    assert not daemonsets.plan(daemon_set(), pods, everywhere, "new", NOW).delete


def test_a_node_gets_its_next_daemon_when_the_old_one_is_gone():
    leaving = daemon("a", "a", deletionTimestamp="now")
    assert not daemonsets.plan(daemon_set(), [leaving], [live("a")], "new", NOW).create


def test_a_condition_keeps_its_time_while_its_status_stays():
    first = with_condition([], "A", "True", "R", "one")
    first[0]["lastTransitionTime"] = "then"
    assert with_condition(first, "A", "True", "R", "two")[0]["lastTransitionTime"] == "then"
    assert with_condition(first, "A", "False", "R", "two")[0]["lastTransitionTime"] != "then"


def test_equal_templates_have_equal_names():
    assert template_hash({"a": 1, "b": [2]}) == template_hash({"b": [2], "a": 1}) != template_hash({"a": 2, "b": [2]})
