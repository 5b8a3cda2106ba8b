"""``juicefs-csi-driver upgrade`` in the CSI node Pod (reference §3.8)."""

import json
import re

import pytest

from .test_end_to_end_volumes import EXPAND, drop_claim, make_claim, storage_class, until_claim, volume_gone
from .world import NAMESPACE, NEW, NODE

pytestmark = [pytest.mark.sandbox, pytest.mark.full]


def upgrade(world, *words):
    """What the command prints, without the times in front of the lines."""
    said = world.exec(world.csi_node(), " ".join(["juicefs-csi-driver upgrade", *words]))
    lines = [line for line in said.splitlines() if line]
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", line) for line in lines)
    return [line[20:] for line in lines]


def test_what_is_not_a_mount_pod_of_this_node_is_not_upgraded(world):
    assert upgrade(world, "nobody")[-1] == "POD-FAIL [nobody] can not get pod."
    recorded = next(p for p in world.recorded_mount_pods() if p.node != NODE)
    assert upgrade(world, recorded.name)[-1] == f"POD-FAIL [{recorded.name}] pod is not on node."


@pytest.mark.parametrize("secret", [EXPAND, {}], ids=["controller", "node"])
def test_a_volume_is_as_large_as_its_claim_and_grows_with_it(world, secret):
    """Quotas: set by the controller before the first mount, or by the node; enlarged by the expansion."""
    with storage_class(world, expand=secret):
        make_claim(world, "app-sized", "app-class", "1Gi")
        world.app("app-sized", claim="app-sized")
        pod = world.running("app-sized")
        early = (
            "juicefs/controller-quota-set"
            in world.core.read_persistent_volume(world.volume_of(pod)).spec.csi.volume_attributes
        )
        assert early is bool(secret)
        world.eventually("app-sized", "df -BG --output=size /data", " 1G")
        if secret:
            grow = {"spec": {"resources": {"requests": {"storage": "3Gi"}}}}
            world.core.patch_namespaced_persistent_volume_claim("app-sized", NAMESPACE, grow)
            until_claim(world, "app-sized", lambda c: c.status.capacity["storage"] == "3Gi")
            world.eventually("app-sized", "df -BG --output=size /data", " 3G")
        world.delete("app-sized")
        volume_gone(world, drop_claim(world, "app-sized"))


def test_a_running_client_is_exchanged_and_its_user_goes_on(world):
    world.app("app-one", "while :; do date +%s.%N >> /data/log || exit; sleep .05; done")
    app = world.running("app-one")
    (before,) = world.serving(app)
    world.eventually(before.name, f"ls -a {before.command.mount_path}", ".stats")
    world.configure(world.with_entry(ceMountImage=NEW))
    said = upgrade(world, before.name)
    assert said[-1] == f"POD-SUCCESS [{before.name}] Upgrade binary in jfs-mount"
    assert any(re.fullmatch(r"create canary job juicefs-[0-9a-f]{8}-canary for .*", line) for line in said)
    world.eventually(before.name, f"cat {before.command.config_file}", "1.4.2+")
    (after,) = world.serving(app)
    assert (after.name, after.image, after.settings_hash) == (before.name, before.image, before.settings_hash)
    assert after.restarts == 0
    assert world.event(before.name, "Upgrade binary in jfs-mount")
    lines = int(world.exec("app-one", "wc -l < /data/log"))
    world.eventually("app-one", f"[ $(wc -l < /data/log) -gt {lines + 3} ] && echo writing", "writing")
    status = world.core.read_namespaced_pod("app-one", NAMESPACE).status
    assert status.container_statuses[0].restart_count == 0


def test_a_batch_is_upgraded_as_its_config_map_says(world):
    """The node's part of what a Job of the dashboard drives: the Mount Pods of one batch, all at once."""
    world.app("app-one")
    app = world.running("app-one")
    (before,) = world.serving(app)
    csi_node = world.csi_node()
    pods = [{"name": n, "node": NODE, "csiNodePod": csi_node, "status": "pending"} for n in (before.name, "gone")]
    elsewhere = {"name": "other", "node": "other", "csiNodePod": "other", "status": "pending"}
    plan = {"parallel": 3, "ignoreError": False, "batches": [[elsewhere], [*pods, elsewhere]], "status": "running"}
    meta = {"name": "app-batch-config", "labels": {"app.kubernetes.io/name": "juicefs-conf"}}
    world.core.create_namespaced_config_map(NAMESPACE, {"metadata": meta, "data": {"upgrade": json.dumps(plan)}})
    try:
        world.configure(world.with_entry(ceMountImage=NEW))
        ask = ("BATCH", "--batchConfig", "app-batch-config", "--batchIndex")
        assert upgrade(world, *ask, "1") == []  # nothing of it is on this node
        said = upgrade(world, *ask, "2")
        assert said[:2] == [
            f"POD-SUCCESS [gone] has already upgraded in node {NODE}.",
            f"POD-START [{before.name}] start to upgrade",
        ]
        assert said[-1] == f"Upgrade pod [{before.name}] with recreating"
        assert upgrade(world, *ask, "3")[0].startswith(f"CRT-BATCH-FAIL fetch pods in node {NODE} error: ")
    finally:
        world.core.delete_namespaced_config_map("app-batch-config", NAMESPACE)
    world.gone(before.name)
    (after,) = world.serving(app)
    assert (after.image, after.upgrade_uuid) == (NEW, before.upgrade_uuid)
