"""When an old Mount Pod has stopped, and what is made of it (reference §4.6)."""

from datetime import UTC, datetime

from jfsnb.driver.mountpods.mount_pods import MountPod
from jfsnb.driver.mountpods.recreate import replacement
from jfsnb.driver.settings.driver_secret import secret_data
from jfsnb.driver.settings.host import Host
from jfsnb.driver.settings.publication import Volume, settings_of
from jfsnb.driver.settings.renewal import Sources
from jfsnb.sandbox.csi.rules.stopping import has_stopped

from .test_mount_pod import CSI_POD, NEW, SECRETS, make


def pod(state=None, phase="Running", ready=True, **meta):
    conditions = [{"type": t, "status": "True" if ready else "False"} for t in ("Ready", "ContainersReady")]
    containers = [{"name": "jfs-mount", "state": state}] if state else []
    return {
        "metadata": {"name": "m", **meta},
        "spec": {"containers": [{"name": "jfs-mount", "command": ["sh", "-c", "x"]}]},
        "status": {"phase": phase, "conditions": conditions, "containerStatuses": containers},
    }


def test_a_deleted_pod_has_stopped_when_its_client_ended_or_its_time_is_long_over():
    deleted = pod({"running": {}}, deletionTimestamp="2026-01-01T00:00:10Z")
    assert not has_stopped(deleted, datetime(2026, 1, 1, 0, 0, 12, tzinfo=UTC))
    assert has_stopped(deleted, datetime(2026, 1, 1, 0, 0, 16, tzinfo=UTC))
    ended = pod({"terminated": {"exitCode": 0}}, deletionTimestamp="2026-01-01T00:00:10Z")
    assert has_stopped(ended, datetime(2026, 1, 1, tzinfo=UTC))


HOST = Host("node-1", "kube-system", CSI_POD, NEW)
PV = {"spec": {"csi": {"volumeHandle": "pvc-AAAA", "volumeAttributes": {"subPath": "pvc-AAAA"}}}}


def made_secret(patch):
    volume = Volume("pvc-AAAA", "pvc-AAAA", SECRETS, {"subPath": "pvc-AAAA"})
    return secret_data(settings_of(volume, HOST, patch), "")


def replace(patch, old_patch=None, secrets=SECRETS, kept=True, pv=PV):
    old = make(old_patch)
    sources = Sources(old, made_secret(old_patch or {}) if kept else None, pv, None, secrets, patch)
    return old, replacement(sources, HOST, "juicefs-node-1-pvc-AAAA-ghijkl").pod


def facts(obj):
    return MountPod.from_object(obj)


def test_a_replacement_keeps_path_uuid_and_references_under_a_new_name():
    old, new = replace({})
    assert facts(new).name != facts(old).name
    assert facts(new).command == facts(old).command
    assert facts(new).upgrade_uuid == facts(old).upgrade_uuid
    assert facts(new).references == facts(old).references
    assert facts(new).settings_hash == facts(old).settings_hash


def test_a_replacement_gets_the_configuration_of_today():
    old, new = replace({"ceMountImage": "juicedata/mount:ce-v1.4.0", "labels": {"a": "b"}})
    assert facts(new).image == "juicedata/mount:ce-v1.4.0"
    assert new["metadata"]["labels"]["a"] == "b"
    assert facts(new).settings_hash != facts(old).settings_hash


def test_an_image_that_left_the_configmap_stays():
    _, new = replace({}, old_patch={"ceMountImage": "juicedata/mount:ce-v1.4.0"})
    assert facts(new).image == "juicedata/mount:ce-v1.4.0"  # reference §3.5: sticky


def test_credentials_are_read_anew():
    _, new = replace({}, secrets={**SECRETS, "bucket": "other"})
    assert "--bucket=other" in new["spec"]["containers"][0]["command"][2]


def test_without_kept_settings_the_old_spec_is_used_again_with_today_s_image():
    old, new = replace({"ceMountImage": "juicedata/mount:ce-v1.4.0"}, kept=False)
    assert facts(new).image == "juicedata/mount:ce-v1.4.0"
    assert facts(new).command.mount_path == facts(old).command.mount_path
    assert facts(new).references == facts(old).references
    assert facts(new).name != facts(old).name
