"""A Mount Pod that the driver has just made differs in nothing that can be seen from what the next mount would make."""

import copy

import pytest

from jfsnb.driver.config.merging import effective_image, merge
from jfsnb.driver.golang.types import dumps
from jfsnb.driver.mountpods.mount_pods import MountPod
from jfsnb.driver.settings.next_mount import NextMount, next_hash, visible
from jfsnb.driver.settings.visible import differences
from tests.vectors.comparing import DATA, read
from tests.vectors.settings import claim_of, config_of, host_of

MADE = [v for v in read(DATA / "settings.jsonl.gz") if "out" in v]
EVERY = 4


def next_of(vector):
    given, pod = vector["in"], MountPod.from_object(vector["out"]["pod"])
    host, config = host_of(given), config_of(given)
    pvc = claim_of(given)[1]
    merged = merge(config, pvc, given["node"])
    is_ce = vector["out"]["settings"]["IsCe"]
    decision = effective_image(config, pvc, given["node"], pv=given["pv"], env=host.env, is_ce=is_ce)
    mount = NextMount(
        pv=given["pv"],
        pvc=pvc,
        csi_pod=host.pod,
        namespace=host.namespace,
        merged=merged,
        decision=decision,
        env=host.env,
        running_options=pod.command.options,
    )
    return pod, mount


@pytest.mark.parametrize("part", range(EVERY))
def test_a_mount_pod_that_was_just_made_fits_the_next_mount(part):
    for vector in MADE[part::EVERY]:
        pod, mount = next_of(vector)
        seen = visible(mount, vector["out"]["settings"]["IsCe"])
        assert seen, vector["id"]
        assert differences(vector["out"]["pod"], mount.merged, mount.decision, pod, seen) == (), vector["id"]


@pytest.mark.parametrize("part", range(EVERY))
def test_the_hash_of_the_next_mount_is_worked_out_from_the_driver_s_own_secret(part):
    for vector in MADE[part::EVERY]:
        mount = next_of(vector)[1]
        assert next_hash(dumps(vector["out"]["settings"]), mount) == vector["out"]["hash"], vector["id"]


def test_what_pv_and_claim_ask_for_now_is_compared_too():
    vector = next(v for v in MADE if v["kind"] == "resources" and not v["in"]["config"])
    pod, mount = next_of(vector)
    pv = copy.deepcopy(mount.pv)
    pv["spec"]["mountOptions"] = ["cache-size=77"]
    pv["spec"]["csi"]["volumeAttributes"] = {"juicefs/mount-cpu-limit": "17", "juicefs/mount-delete-delay": "7m"}
    seen = visible(NextMount(**{**mount.__dict__, "pv": pv}), vector["out"]["settings"]["IsCe"])
    found = differences(vector["out"]["pod"], mount.merged, mount.decision, pod, seen)
    assert {d.field for d in found} == {"resources", "annotations juicefs-delete-delay", "mountOptions cache-size"}
