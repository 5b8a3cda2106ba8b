"""Memory limits: where they can hold, and what happens to a container that goes over one."""

import os
from pathlib import Path

import pytest

from jfsnb.sandbox.runtime.cgroups import NodeCgroups, Place, candidates, oom_kills
from jfsnb.sandbox.runtime.tier import Tier, with_limits

SYSTEMD = "35 24 0:30 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"
HYBRID = (
    "41 38 0:36 / /sys/fs/cgroup/memory rw,relatime shared:12 - cgroup cgroup rw,memory\n"
    "42 38 0:37 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "50 38 0:45 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
)
IN_DOCKER = "60 50 0:36 /docker/ab12 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
NONE = "22 1 0:21 / /proc rw - proc proc rw\n"


@pytest.mark.parametrize(
    ("mounts", "own", "found"),
    [
        (SYSTEMD, "0::/user.slice/session-2.scope\n", [("/sys/fs/cgroup/user.slice", 2), ("/sys/fs/cgroup", 2)]),
        (SYSTEMD, "0::/\n", [("/sys/fs/cgroup", 2)]),
        (
            HYBRID,
            "5:memory:/jobs/7\n3:cpu,cpuacct:/\n0::/\n",
            [("/sys/fs/cgroup/memory/jobs/7", 1), ("/sys/fs/cgroup/memory", 1), ("/sys/fs/cgroup/unified", 2)],
        ),
        (IN_DOCKER, "5:memory:/docker/ab12\n", [("/sys/fs/cgroup/memory", 1)]),
        (NONE, "", []),
    ],
)
def test_where_cgroups_could_be_made(mounts, own, found):
    assert [(place.directory, place.version) for place in candidates(mounts, own)] == found


def test_both_versions_tell_what_the_kernel_had_to_end():
    assert oom_kills("low 0\nhigh 3\nmax 12\noom 2\noom_kill 2\noom_group_kill 1\n".splitlines()) == 2
    assert oom_kills("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n".splitlines()) == 1
    assert oom_kills([]) == 0


def test_a_parent_that_hands_no_limits_down_is_left_as_it_is(tmp_path):
    (tmp_path / "cgroup.subtree_control").write_text("cpu pids\n")
    with pytest.raises(PermissionError, match="not handed down"):
        NodeCgroups(Place(str(tmp_path), 2), "node")
    assert [p.name for p in tmp_path.iterdir()] == ["cgroup.subtree_control"]


def test_a_tier_says_whether_limits_hold():
    full = Tier("full", "All is real.")
    assert with_limits(full, Place("/x", 2)).reason == "All is real. Memory limits hold (cgroups v2)."
    denied = with_limits(full, "/sys/fs/cgroup: Permission denied")
    assert denied.limits is None and denied.reason.endswith(
        "Memory limits do not hold: /sys/fs/cgroup: Permission denied."
    )


@pytest.fixture
def limits(tier):
    if tier.limits is None:
        pytest.skip(tier.reason)
    return Path(tier.limits.directory)


def test_a_container_that_takes_more_than_its_limit_is_ended_and_others_are_not(on_node, limits):
    async def test(node):
        other, _ = await node.start("sleep", "1000", memory=64 << 20)
        greedy, _ = await node.start("tail", "/dev/zero", memory=64 << 20)
        assert await greedy.exited == 137 and greedy.oom_killed
        assert not other.exited.done()
        modest, output = await node.start("sh", "-c", "head -c 1000000 /dev/zero | tail -c 1", memory=64 << 20)
        assert await modest.exited == 0 and not modest.oom_killed, output.text()
        whole, _ = await node.start("sh", "-c", "tail /dev/zero; sleep 1000", memory=64 << 20)
        assert await whole.exited == 137 and whole.oom_killed, "all of a container ends, not only who took the memory"
        assert (await node.exec("c1", "tail", "/dev/zero"))[0] == 137, "a further process counts for its container"
        assert await other.exited == 137 and other.oom_killed

    before = set(os.listdir(limits))
    on_node(test)
    assert set(os.listdir(limits)) == before, "a node leaves no cgroups"
