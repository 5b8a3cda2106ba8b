"""Claim, Mount Pod, bystanders."""

import dataclasses
import json

import pytest
from check_builders import TARGET, UID, app_pod, claim, mount_pod, volume

from jfsnb.checks import bystanders, serving
from jfsnb.checks.codes import Unreadable
from jfsnb.checks.model import Verdict
from jfsnb.driver import names
from jfsnb.driver.mountpods.mount_pods import pair

GONE = Unreadable("timed out")


@pytest.mark.parametrize(
    "pvc,pv,verdict",
    [
        (claim(), volume(), Verdict.PASS),
        (claim(phase="Pending", volume=""), None, Verdict.NOT_READY),
        (claim(phase="Lost"), None, Verdict.FAIL),
        (claim(), volume(driver="nfs"), Verdict.FAIL),
        (claim(), None, Verdict.FAIL),
        (None, None, Verdict.FAIL),
        (GONE, None, Verdict.ERROR),
        (claim(), GONE, Verdict.ERROR),
    ],
)
def test_claim_bound(pvc, pv, verdict):
    assert serving.claim_bound(pvc, pv, "claim").verdict is verdict


def test_duplicate_handles():
    assert serving.single_handle(volume(), [volume(), volume("pv-b")]).verdict is Verdict.PASS
    assert serving.single_handle(volume(), [volume(), volume("pv-b", "pv-a")]).verdict is Verdict.WARN
    assert serving.single_handle(volume(), GONE).verdict is Verdict.ERROR


@pytest.mark.parametrize(
    "pods,verdict",
    [
        ([mount_pod("a"), mount_pod("b", targets=[])], Verdict.PASS),
        ([], Verdict.FAIL),
        ([mount_pod("a"), mount_pod("b")], Verdict.FAIL),
        ([mount_pod("a", deleting=True)], Verdict.FAIL),
        ([mount_pod("a", targets=[TARGET + "x"])], Verdict.FAIL),
        # a microk8s-like root is as good; a key of the right form with a wrong value is not
        ([mount_pod("a", targets=[names.target_path(UID, "pv-a", "/var/snap/kubelet")])], Verdict.PASS),
        ([mount_pod("a", targets=[], annotations={names.reference_key("x"): TARGET})], Verdict.FAIL),
    ],
)
def test_served_by_one(pods, verdict):
    found = serving.served_by_one(pair(app_pod(), [claim()], [volume()], pods))
    assert found.verdict is verdict and found.evidence


def test_served_by_one_when_it_cannot_be_judged():
    assert serving.served_by_one(GONE).verdict is Verdict.ERROR
    assert serving.served_by_one(pair(app_pod(), [claim(volume="")], [], [])).verdict is Verdict.NOT_READY
    assert serving.served_by_one(pair(app_pod(), [claim()], [volume(driver="nfs")], [])).verdict is Verdict.FAIL
    process = pair(app_pod(), [claim()], [volume()], [], process_mode=True)
    assert serving.served_by_one(process).verdict is Verdict.NA


@pytest.mark.parametrize(
    "pod,verdict",
    [
        (mount_pod(), Verdict.PASS),
        (mount_pod(restarts=2), Verdict.WARN),
        (mount_pod(ready=False), Verdict.NOT_READY),
        (mount_pod(ready=False, state={"state": {"waiting": {"reason": "ImagePullBackOff"}}}), Verdict.FAIL),
        (mount_pod(ready=False, phase="Failed"), Verdict.FAIL),
        (mount_pod(deleting=True), Verdict.FAIL),
        (GONE, Verdict.ERROR),
    ],
)
def test_mount_pod_ready(pod, verdict):
    assert serving.mount_pod_ready(pod).verdict is verdict


def test_distinct_from_the_baseline():
    assert serving.distinct_from_baseline(mount_pod("a"), mount_pod("b")).verdict is Verdict.PASS
    assert serving.distinct_from_baseline(mount_pod("a"), mount_pod("a")).verdict is Verdict.FAIL
    assert serving.distinct_from_baseline(mount_pod("a"), GONE).verdict is Verdict.ERROR


@pytest.mark.parametrize(
    "after,verdict",
    [
        (mount_pod("a"), Verdict.PASS),
        (None, Verdict.FAIL),
        (mount_pod("a", uid="new"), Verdict.FAIL),
        (mount_pod("a", restarts=1), Verdict.FAIL),
        (mount_pod("a", targets=[]), Verdict.FAIL),
        (mount_pod("a", image="a/b:x"), Verdict.FAIL),
        (GONE, Verdict.ERROR),
    ],
)
def test_baseline_kept(after, verdict):
    assert bystanders.baseline_kept(mount_pod("a"), after, UID, "pv-a").verdict is verdict


@pytest.mark.parametrize(
    "after,verdict",
    [
        ([mount_pod("a"), mount_pod("ours", image="new:x")], Verdict.PASS),
        ([mount_pod("a")], Verdict.PASS),
        ([mount_pod("ours")], Verdict.PASS),  # it went with its last user
        ([mount_pod("a", uid="another")], Verdict.FAIL),
        ([mount_pod("a", image="new:x")], Verdict.FAIL),
        ([mount_pod("heir", upgrade="uuid-a", image="new:x")], Verdict.FAIL),  # re-created while the patch was in force
        ([mount_pod("heir", upgrade="uuid-a")], Verdict.WARN),
        ([mount_pod("a", restarts=1)], Verdict.WARN),
        ([mount_pod("a", deleting=True)], Verdict.WARN),
        (GONE, Verdict.ERROR),
    ],
)
def test_others_unchanged(after, verdict):
    before = [bystanders.Seen.of(mount_pod(name, upgrade=f"uuid-{name}")) for name in ("a", "ours")]
    assert bystanders.others_unchanged(before, after, [("kube-system", "ours")]).verdict is verdict


def test_what_is_remembered_survives_a_file():
    seen = bystanders.Seen.of(mount_pod("a"))
    assert bystanders.Seen(**json.loads(json.dumps(dataclasses.asdict(seen)))) == seen
