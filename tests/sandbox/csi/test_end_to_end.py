"""The driver in a sandbox: real mounts, real references, real recovery."""

import base64

import pytest
import yaml

from jfsnb.driver.names import reference_key, references
from jfsnb.driver.trace.csi_trace import parse_trace

from .world import NAMESPACE, NEW, OLD

UNPUBLISHED = '/NodeUnpublishVolume"'
pytestmark = [pytest.mark.sandbox, pytest.mark.full]


def test_an_app_pod_writes_through_its_mount_pod(world):
    world.app("app-one", "mountpoint -q /data && echo written > /data/one && sync; while :; do sleep 1; done")
    app = world.running("app-one")
    (mount_pod,) = world.serving(app)
    assert mount_pod.image == OLD
    assert mount_pod.ready
    assert app.metadata.labels["juicefs-uniqueid"] == ""
    world.eventually("app-one", "cat /data/one", "written")
    path = mount_pod.command.mount_path
    assert world.exec(mount_pod.name, f"cat {path}/one").strip() == "written"
    assert "unit: BYTES" in world.call_node("NodeGetVolumeStats", volume_path=mount_pod.references[0].target)
    calls = [c for c in parse_trace(world.csi_log().splitlines()) if app.metadata.uid in str(c.request)]
    assert ("NodePublishVolume", "kubelet", "") in [(c.name, c.caller, c.error) for c in calls]
    ended = world.csi_log().count(UNPUBLISHED)
    world.delete("app-one")
    world.gone(mount_pod.name)
    world.until_logged(world.csi_node(), UNPUBLISHED, ended + 1)
    calls = [c for c in parse_trace(world.csi_log().splitlines()) if app.metadata.uid in str(c.request)]
    assert [c.name for c in calls if c.name != "NodeGetVolumeStats"][-1] == "NodeUnpublishVolume"


def test_two_app_pods_share_a_mount_pod_until_the_configuration_changes(world):
    world.app("app-two")
    two = world.running("app-two")
    world.app("app-three")
    three = world.running("app-three")
    assert [m.name for m in world.serving(two)] == [m.name for m in world.serving(three)]
    world.configure(world.with_entry(ceMountImage=NEW))
    world.app("app-four")
    four = world.running("app-four")
    (old,), (new,) = world.serving(two), world.serving(four)
    assert (old.image, new.image) == (OLD, NEW)
    assert old.node == new.node
    assert old.settings_hash != new.settings_hash
    world.delete("app-four")
    world.gone(new.name)
    assert [m.name for m in world.serving(two)] == [old.name]


def test_a_deleted_mount_pod_is_made_anew_and_goes_on_with_the_mount(world):
    """With mount propagation or without: it is the same FUSE session."""
    world.app("app-sees")
    world.app("app-alone", propagation="None")
    sees, alone = world.running("app-sees"), world.running("app-alone")
    world.exec("app-sees", "echo content > /data/kept; sync")
    served = {m.name: m for a in (sees, alone) for m in world.serving(a)}
    for name in served:
        world.delete(name)
    again = {m.name: m for a in (sees, alone) for m in world.serving(a)}
    assert not set(again) & set(served)
    assert {m.command.mount_path for m in again.values()} == {m.command.mount_path for m in served.values()}
    assert {m.upgrade_uuid for m in again.values()} == {m.upgrade_uuid for m in served.values()}
    for app in ("app-sees", "app-alone"):
        assert world.exec(app, "cat /data/kept").strip() == "content"


def test_a_killed_client_is_restarted_in_place_and_bound_again(world):
    world.app("app-one")
    app = world.running("app-one")
    (mount_pod,) = world.serving(app)
    world.exec("app-one", "echo content > /data/kept; sync")
    assert world.kill_client(mount_pod.command.mount_path) == 1
    restarted = world.until_pod(mount_pod.name, lambda p: p.status.container_statuses[0].restart_count > 0)
    assert restarted.status.container_statuses[0].last_state.terminated.exit_code == 137
    world.eventually("app-one", "cat /data/kept", "content")


def test_a_dead_metadata_address_is_told_before_a_mount_pod_is_made(world):
    core, encoded = world.core, base64.b64encode(b"sqlite3:///var/lib/no/such/dir.db").decode()
    good = core.read_namespaced_secret("juicefs-secret", NAMESPACE).data["metaurl"]
    core.patch_namespaced_secret("juicefs-secret", NAMESPACE, {"data": {"metaurl": encoded}})
    try:
        world.app("app-lost")
        text = world.event("app-lost", "Could not mount juicefs")
        assert text.endswith(": exit status 1")
        assert world.mount_pods() == []
    finally:
        core.patch_namespaced_secret("juicefs-secret", NAMESPACE, {"data": {"metaurl": good}})
    world.running("app-lost")


def test_a_broken_configuration_leaves_the_old_one_in_force(world):
    world.configure("mountPodPatch: [", line="fail to reload config")
    world.app("app-one")
    (mount_pod,) = world.serving(world.running("app-one"))
    assert mount_pod.image == OLD


def test_a_driver_that_restarts_keeps_its_mounts_and_needs_a_configuration_that_loads(world):
    world.app("app-before")
    before = world.running("app-before")
    (mount_pod,) = world.serving(before)
    good = world.config()
    world.configure("mountPodPatch: [", line="fail to reload config")
    world.delete(world.csi_node())
    broken = world.csi_node()
    state = world.until_pod(
        broken, lambda p: p.status.container_statuses and p.status.container_statuses[0].restart_count
    )
    log = world.core.read_namespaced_pod_log(state.metadata.name, NAMESPACE, previous=True)
    assert '"fail to load config" err="error converting YAML to JSON: yaml:' in log
    world.app("app-after")
    assert world.event("app-after", "not found in the list of registered CSI drivers")
    world.core.patch_namespaced_config_map("juicefs-csi-driver-config", NAMESPACE, {"data": {"config.yaml": good}})
    world.delete(broken)
    assert [m.name for m in world.serving(world.running("app-after"))] == [mount_pod.name]
    assert "app-before" in world.exec("app-before", "echo app-before > /data/x; cat /data/x")
    world.delete("app-before")
    world.until_pod(mount_pod.name, lambda p: len(references(p.metadata.annotations)) == 1)


def test_a_reader_cannot_write(world):
    world.app("app-writer", "echo content > /data/text; while :; do sleep 1; done")
    world.running("app-writer")
    world.app("app-reader", readOnly=True)
    world.running("app-reader")
    world.eventually("app-reader", "cat /data/text", "content")
    assert "Read-only file system" in world.exec("app-reader", "touch /data/other")


def without_room(world, by_scheduler):
    document = yaml.safe_load(world.with_entry(resources={"requests": {"cpu": "1000"}, "limits": {"memory": "1Gi"}}))
    world.configure(yaml.safe_dump(document | {"enableNodeSelector": by_scheduler}))
    world.app("app-one")


def test_a_mount_pod_that_the_kubelet_has_no_room_for_is_made_again_asking_for_nothing(world):
    without_room(world, by_scheduler=False)
    (mount_pod,) = world.serving(world.running("app-one"))
    resources = world.core.read_namespaced_pod(mount_pod.name, NAMESPACE).spec.containers[0].resources
    assert resources.requests == {"cpu": "0", "memory": "0"}
    assert resources.limits == {"memory": "1Gi"}


def test_a_mount_pod_that_the_scheduler_finds_no_room_for_waits_for_ever(world):
    """juicefs-csi-driver#1484: the CSI node sees only Pods that are bound to its node."""
    with world.driver_env(JUICEFS_MOUNT_WAIT_SECONDS="3"):
        without_room(world, by_scheduler=True)
        assert "mount pod is not running in 3s, reason: Pending" in world.event("app-one", "MountVolume.SetUp failed")
        (waiting,) = world.mount_pods()
        pod = world.core.read_namespaced_pod(waiting.name, NAMESPACE)
        assert (pod.status.phase, pod.spec.node_name) == ("Pending", None)
        assert any("Insufficient cpu" in (c.message or "") for c in pod.status.conditions)
        assert pod.spec.containers[0].resources.requests["cpu"] == "1k"
        world.delete("app-one")
        world.gone(waiting.name)


def test_a_leaked_reference_is_cleaned_and_the_mount_pod_goes(world):
    world.app("app-one")
    (mount_pod,) = world.serving(world.running("app-one"))
    target = "/var/lib/kubelet/pods/nobody/volumes/kubernetes.io~csi/songlin-test-pv/mount"
    note = {"metadata": {"annotations": {reference_key(target): target}}}
    world.core.patch_namespaced_pod(mount_pod.name, NAMESPACE, note)
    world.until_pod(mount_pod.name, lambda p: reference_key(target) not in p.metadata.annotations)
    world.delete("app-one")
    world.gone(mount_pod.name)


def test_recorded_mount_pods_are_left_alone(world):
    recorded = "juicefs-svr28176de740-songlin-test-pv-yorllp"
    target = "/var/lib/kubelet/pods/nobody/volumes/kubernetes.io~csi/songlin-test-pv/mount"
    note = {"metadata": {"annotations": {reference_key(target): target}}}
    world.core.patch_namespaced_pod(recorded, NAMESPACE, note)
    world.app("app-one")
    (mount_pod,) = world.serving(world.running("app-one"))
    world.core.patch_namespaced_pod(mount_pod.name, NAMESPACE, note)  # the driver cleans this one
    world.until_pod(mount_pod.name, lambda p: reference_key(target) not in p.metadata.annotations)
    world.delete("app-one")
    world.gone(mount_pod.name)
    left = world.core.read_namespaced_pod(recorded, NAMESPACE).metadata
    assert left.annotations[reference_key(target)] == target
    assert left.deletion_timestamp is None


def test_a_delete_delay_keeps_an_unused_mount_pod_for_its_next_user(world):
    world.configure(world.with_entry(annotations={"juicefs-delete-delay": "5s"}))
    world.app("app-one")
    (mount_pod,) = world.serving(world.running("app-one"))
    world.delete("app-one")
    waiting = world.until_pod(mount_pod.name, lambda p: "juicefs-delete-at" in p.metadata.annotations)
    assert not waiting.metadata.deletion_timestamp
    world.gone(mount_pod.name)


def test_a_volume_id_becomes_part_of_names_as_it_is(world):
    """The specification allows capital letters, and the real driver passes them on to the API, which refuses them."""
    pv = world.raw.sanitize_for_serialization(world.core.read_persistent_volume("songlin-test-pv"))
    pv = {"metadata": {"name": "app-capitals"}, "spec": pv["spec"]}
    pv["spec"].pop("claimRef")
    pv["spec"]["csi"]["volumeHandle"] = "Capitals"
    claim = {"accessModes": ["ReadWriteMany"], "storageClassName": "", "volumeName": "app-capitals"}
    claim["resources"] = {"requests": {"storage": "1Gi"}}
    world.core.create_persistent_volume(pv)
    world.core.create_namespaced_persistent_volume_claim(
        NAMESPACE, {"metadata": {"name": "app-capitals"}, "spec": claim}
    )
    try:
        world.app("app-capitals", claim="app-capitals")
        text = world.event("app-capitals", "Could not mount juicefs")
        assert 'code = Internal desc = Could not mount juicefs: Secret "juicefs-Capitals-secret" is invalid' in text
    finally:
        world.delete("app-capitals")
        world.core.delete_namespaced_persistent_volume_claim("app-capitals", NAMESPACE)
        world.core.delete_persistent_volume("app-capitals")
