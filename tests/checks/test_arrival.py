"""What holds up a smoke Pod: the thing nearest to the cause, and early when waiting does not help."""

import pytest

from jfsnb.checks.arrival import came_up, kept_nonce, trouble_of
from jfsnb.checks.carried_out import all_parts_looked, not_carried_out
from jfsnb.checks.model import Verdict
from jfsnb.driver.mountpods.mount_pods import MountPod
from jfsnb.errors import CheckFailed, NotInCluster, WaitTimeout

NOT_FOUND = "failed to resolve reference docker.io/x:y: not found"


def pod(state=None, *, ready=False, phase="Pending", restarts=0, conditions=(), policy="Always"):
    statuses = [{"name": "c", "state": state, "restartCount": restarts}] if state else []
    found = [{"type": "Ready", "status": "True" if ready else "False"}, *conditions]
    return {
        "metadata": {"name": "smoke", "namespace": "ns", "uid": "u"},
        "spec": {"containers": [{"name": "c", "image": "x:y"}], "restartPolicy": policy},
        "status": {"phase": phase, "conditions": found, "containerStatuses": statuses},
    }


def waiting(reason, message=""):
    return {"waiting": {"reason": reason, "message": message}}


def judged(app, mount=None, *, failed=(), log=(), mount_log=(), claim="Bound"):
    facts = MountPod.from_object(mount) if mount else None
    return came_up(app, facts, mount, failed, log, mount_log, claim, 20.0)


@pytest.mark.parametrize(
    ("state", "restarts", "hopeless"),
    [
        (waiting("ImagePullBackOff"), 0, True),
        (waiting("ErrImagePull", NOT_FOUND), 0, True),
        (waiting("ErrImagePull", "i/o timeout"), 0, False),  # the registry may come back
        (waiting("InvalidImageName"), 0, True),
        (waiting("CrashLoopBackOff"), 1, False),
        (waiting("CrashLoopBackOff"), 2, True),
        ({"terminated": {"exitCode": 1, "reason": "Error"}}, 0, False),
        ({"terminated": {"exitCode": 1, "reason": "Error"}}, 3, True),
    ],
)
def test_what_waiting_does_not_cure(state, restarts, hopeless):
    trouble = trouble_of(pod(state, restarts=restarts))
    assert trouble is not None and trouble.hopeless is hopeless


@pytest.mark.parametrize(
    "state",
    [waiting("ContainerCreating"), waiting("PodInitializing"), {"running": {}}, {"terminated": {"exitCode": 0}}],
)
def test_what_is_no_trouble(state):
    assert trouble_of(pod(state)) is None


def test_ready_is_pass():
    assert judged(pod({"running": {}}, ready=True, phase="Running")).verdict is Verdict.PASS


def test_its_own_image():
    found = judged(pod(waiting("ErrImagePull", NOT_FOUND)))
    assert found.verdict is Verdict.FAIL and "x:y" in found.reason and "not found" in found.reason


def test_its_mount_pod_s_image_comes_before_the_volume_that_is_not_mounted():
    mount = pod(waiting("ImagePullBackOff", NOT_FOUND))
    found = judged(pod(waiting("ContainerCreating")), mount, failed=["MountVolume.SetUp failed"])
    assert found.verdict is Verdict.FAIL and "Mount Pod" in found.reason and "ImagePullBackOff" in found.reason


def test_a_crashing_client_is_quoted():
    mount = pod(waiting("CrashLoopBackOff"), restarts=2)
    found = judged(pod(waiting("ContainerCreating")), mount, mount_log=["first", "mount.juicefs: not found"])
    assert found.verdict is Verdict.FAIL and "mount.juicefs: not found" in found.reason


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (["<INFO>: a", "<FATAL>: cause [x]", "<ERROR>: mount process 27: exit status 1", "....."], "cause"),
        (["<FATAL>: cause [x]", "<FATAL>: fail 3 times in 3s, give up [main@main.go:31]"], "cause"),
        (["<ERROR>: cause", "<INFO>: bye"], "cause"),
        (["sh: 2: exec: /bin/mount.juicefs: not found"], "not found"),
        (["only this", "  "], "only this"),
    ],
)
def test_the_line_nearest_to_the_cause_is_quoted(log, said):
    mount = pod(waiting("CrashLoopBackOff"), restarts=2)
    assert said in judged(pod(waiting("ContainerCreating")), mount, mount_log=log).reason.partition("it said: ")[2]


def test_its_own_error_line_is_quoted():
    ended = pod({"terminated": {"exitCode": 1, "reason": "Error"}}, restarts=2)
    found = judged(ended, log=["Starting", "ERROR: /jfs is not mounted"])
    assert found.verdict is Verdict.FAIL and "ERROR: /jfs is not mounted" in found.reason


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"claim": "Pending"}, "is Pending"),
        ({"claim": ""}, "is not there"),
        ({"failed": ["old", "rpc error: Could not mount juicefs"]}, "Could not mount juicefs"),
        ({"mount": pod({"running": {}}, phase="Running")}, "not Ready"),
        ({}, "phase Pending"),
    ],
)
def test_what_may_still_come_is_not_ready(options, said):
    found = judged(pod(waiting("ContainerCreating")), **options)
    assert found.verdict is Verdict.NOT_READY and said in found.reason and found.next_action


def test_no_node_takes_it():
    refused = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/10 nodes"}
    assert "0/10 nodes" in judged(pod(conditions=(refused,))).reason


def test_it_vanished():
    assert judged(None).verdict is Verdict.FAIL


def test_the_nonce_that_the_fast_manifest_keeps():
    assert kept_nonce(["x", "Nonce kept: /jfs/n.txt sha256 abc"]) == ("/jfs/n.txt", "abc")
    assert kept_nonce(["All tests passed"]) is None


@pytest.mark.parametrize(
    ("error", "verdict"),
    [(CheckFailed("a", "b"), Verdict.FAIL), (WaitTimeout("a"), Verdict.NOT_READY), (NotInCluster("a"), Verdict.ERROR)],
)
def test_a_part_that_ended_in_an_error_is_never_pass(error, verdict):
    assert not_carried_out(error).verdict is verdict


def test_parts_that_never_looked_are_named():
    found = all_parts_looked(["baseline", "smoke", "client"], {"baseline"})
    assert found.verdict is Verdict.NOT_READY and "smoke, client" in found.reason
    assert all_parts_looked(["baseline"], {"baseline", "other"}).verdict is Verdict.PASS
