"""Volumes of every kind in a sandbox: provisioned, grown, read-only, sub directories, several in one Pod."""

import base64
import json
from contextlib import contextmanager

import pytest
import yaml
from kubernetes import client, watch
from kubernetes.client.rest import ApiException

from jfsnb.driver.names import job_stem
from jfsnb.driver.trace.csi_trace import parse_trace

from .world import NAMESPACE, SECONDS

pytestmark = [pytest.mark.sandbox, pytest.mark.full]
SLEEP = "while :; do sleep 1; done"
EXPAND = {
    f"csi.storage.k8s.io/controller-expand-secret-{key}": value
    for key, value in (("name", "juicefs-secret"), ("namespace", "juicefs-system"))
}


@contextmanager
def storage_class(world, name="app-class", reclaim="Delete", mount_options=(), expand=EXPAND, **parameters):
    body = {
        "metadata": {"name": name},
        "provisioner": "csi.juicefs.com",
        "reclaimPolicy": reclaim,
        "allowVolumeExpansion": True,
        "parameters": world.storage.read_storage_class("juicefs-sc").parameters | expand | parameters,
        "mountOptions": list(mount_options),
    }
    world.storage.create_storage_class(body)
    try:
        yield name
    finally:
        world.storage.delete_storage_class(name)


def make_claim(world, name, storage_class, size="1Gi", modes=("ReadWriteMany",), volume=""):
    spec = {
        "storageClassName": storage_class,
        "accessModes": list(modes),
        "resources": {"requests": {"storage": size}},
        **({"volumeName": volume} if volume else {}),
    }
    return world.core.create_namespaced_persistent_volume_claim(NAMESPACE, {"metadata": {"name": name}, "spec": spec})


def until(world, lister, condition, *args, **selectors):
    """Watch a list until an object meets the condition."""
    for found in watch.Watch().stream(lister, *args, timeout_seconds=SECONDS, **selectors):
        if condition(found["type"], found["object"]):
            return found["object"]
    raise AssertionError("it did not come true")


def until_claim(world, name, condition):
    lister = world.core.list_namespaced_persistent_volume_claim
    return until(world, lister, lambda _, pvc: condition(pvc), NAMESPACE, field_selector=f"metadata.name={name}")


def volume_gone(world, name):
    try:
        version = world.core.read_persistent_volume(name).metadata.resource_version
    except ApiException as error:
        assert error.status == 404
        return
    lister = world.core.list_persistent_volume
    until(
        world,
        lister,
        lambda kind, _: kind == "DELETED",
        field_selector=f"metadata.name={name}",
        resource_version=version,
    )


def drop_claim(world, name):
    """Delete a claim; returns its volume's name."""
    volume = world.core.read_namespaced_persistent_volume_claim(name, NAMESPACE).spec.volume_name
    world.core.delete_namespaced_persistent_volume_claim(name, NAMESPACE)
    return volume


def test_a_volume_is_provisioned_grown_measured_and_removed_by_a_job(world):
    seen = []
    with storage_class(world):
        make_claim(world, "app-claim", "app-class")
        world.app("app-own", f"echo content > /data/mine; {SLEEP}", claim="app-claim")
        world.app("app-all")
        app = world.running("app-own")
        (mount_pod,) = world.serving(app)
        volume = world.volume_of(app)
        assert (mount_pod.unique_id, volume[:4]) == (volume, "pvc-")
        world.eventually("app-own", "cat /data/mine", "content")
        world.running("app-all")
        assert world.exec("app-all", f"cat /data/{volume}/mine").strip() == "content"
        assert "mine" not in world.exec("app-all", "ls /data").split()

        grow = {"spec": {"resources": {"requests": {"storage": "3Gi"}}}}
        world.core.patch_namespaced_persistent_volume_claim("app-claim", NAMESPACE, grow)
        until_claim(world, "app-claim", lambda c: c.status.capacity["storage"] == "3Gi")
        assert world.core.read_persistent_volume(volume).spec.capacity == {"storage": "3Gi"}
        assert world.serving(app)[0].name == mount_pod.name, "nobody restarts for it"

        (stats,) = [s for s in world.volume_stats("app-own") if s["pvcRef"]["name"] == "app-claim"]
        assert 0 < stats["availableBytes"] <= stats["capacityBytes"]
        assert 0 <= stats["inodesUsed"] < stats["inodes"]  # a client counts its quota's use now and then

        world.delete("app-own")
        world.gone(mount_pod.name)
        jobs = client.BatchV1Api(world.raw)
        drop_claim(world, "app-claim")
        name = f"{job_stem(volume)}-delvol"
        job = until(
            world,
            jobs.list_namespaced_job,
            lambda _, j: j.status.succeeded,
            NAMESPACE,
            field_selector=f"metadata.name={name}",
        )
        seen = job.spec.template.spec.containers[0].command[2]
        volume_gone(world, volume)
        assert volume not in world.exec("app-all", "ls /data")
    *_, last = seen.splitlines()
    assert last.startswith("/bin/mount.juicefs ${metaurl} /mnt/jfs")
    assert last.endswith(f" && if [ -d /mnt/jfs/{volume} ]; then /usr/local/bin/juicefs rmr /mnt/jfs/{volume}; fi;")
    assert job.metadata.labels == {"app.kubernetes.io/name": "juicefs-job"}
    calls = parse_trace(world.csi_log("juicefs-csi-controller-0").splitlines())
    of_volume = [c.name for c in calls if volume in json.dumps(c.request)]
    assert of_volume == ["CreateVolume", "ControllerExpandVolume", "DeleteVolume"]


def test_one_pod_with_several_volumes_options_sub_paths_and_a_reader(world):
    """A class's mountOptions, a pathPattern, volumeMounts.subPath and a ReadOnlyMany claim, in one Pod."""
    pattern, options = "shared/${.pvc.namespace}-${.pvc.labels.team}", ["attr-cache=7"]
    with storage_class(world, reclaim="Retain", mount_options=options, pathPattern=pattern):
        labelled = {"metadata": {"name": "app-team", "labels": {"team": "red"}}}
        spec = {
            "storageClassName": "app-class",
            "accessModes": ["ReadWriteMany"],
            "resources": {"requests": {"storage": "1Gi"}},
        }
        world.core.create_namespaced_persistent_volume_claim(NAMESPACE, {**labelled, "spec": spec})
        world.static_volume("app-readers-pv", accessModes=["ReadOnlyMany"], mountOptions=["attr-cache=3"])
        make_claim(world, "app-readers", "", "1Gi", ["ReadOnlyMany"], volume="app-readers-pv")
        script = f"mkdir -p /team/one; echo text > /team/one/file; echo sub > /sub/file; {SLEEP}"
        world.app(
            "app-many",
            script,
            claim="app-team",
            volumes={"read": "app-readers"},
            mounts=[
                {"name": "data", "mountPath": "/team"},
                {"name": "data", "mountPath": "/sub", "subPath": "one/deep", "mountPropagation": "HostToContainer"},
                {"name": "read", "mountPath": "/read"},
            ],
        )
        app = world.running("app-many")
        volume = world.volume_of(app)
        world.eventually("app-many", "cat /team/one/deep/file", "sub")
        world.eventually("app-many", "cat /read/shared/juicefs-system-red/one/file", "text")
        assert "Read-only file system" in world.exec("app-many", "touch /read/no")
        (mine,), (theirs,) = world.serving(app), world.mount_pods("app-readers-pv")
        assert "attr-cache=7" in mine.command.options
        assert {"attr-cache=3", "ro"} <= set(theirs.command.options)
        assert theirs.serves(app.metadata.uid, "app-readers-pv")

        world.delete(mine.name)  # bound again, sub path included
        world.eventually("app-many", "cat /sub/file", "sub")

        world.delete("app-many")
        world.gone(theirs.name)
        for claim in ("app-team", "app-readers"):
            drop_claim(world, claim)
        until(
            world,
            world.core.list_persistent_volume,
            lambda _, v: v.metadata.name == volume and v.status.phase == "Released",
        )
        for name in (volume, "app-readers-pv"):
            world.core.delete_persistent_volume(name)
        volume_gone(world, volume)


def test_who_sets_no_quota_expands_no_volume(world):
    before, pods = world.config(), ["juicefs-csi-controller-0", world.csi_node()]
    world.configure(yaml.safe_dump(yaml.safe_load(before) | {"enableSetQuota": False}), pods=pods)
    with storage_class(world):
        make_claim(world, "app-claim", "app-class")
        until_claim(world, "app-claim", lambda c: c.status.phase == "Bound")
        grow = {"spec": {"resources": {"requests": {"storage": "3Gi"}}}}
        world.core.patch_namespaced_persistent_volume_claim("app-claim", NAMESPACE, grow)
        assert world.event("app-claim", "EnableSetQuota is false in config, skipping set quota")
        volume_gone(world, drop_claim(world, "app-claim"))
    world.configure(before, pods=pods)


def test_a_snapshot_is_a_clone_that_stays_as_it_was(world):
    with storage_class(world):
        make_claim(world, "app-claim", "app-class")
        world.app("app-own", f"echo first > /data/kept; ln -s kept /data/link; {SLEEP}", claim="app-claim")
        world.app("app-all")
        volume = world.volume_of(world.running("app-own"))
        world.running("app-all")
        world.eventually("app-own", "cat /data/link", "first")
        secret = world.core.read_namespaced_secret("juicefs-secret", NAMESPACE).data
        secrets = {key: base64.b64decode(text).decode() for key, text in secret.items()}
        said = world.call_controller("CreateSnapshot", source_volume_id=volume, name="snap-1", secrets=secrets)
        assert f"snap-1|{volume}" in said, said
        world.exec("app-own", "echo second > /data/kept")
        kept = f"/data/.snapshots/{volume}/snap-1"
        world.eventually("app-all", f"cat {kept}/kept; readlink {kept}/link", "first\nkept")
        world.call_controller("DeleteSnapshot", snapshot_id=f"snap-1|{volume}", secrets=secrets)
        world.eventually("app-all", f"ls {kept}", "No such file or directory")
        world.delete("app-own")
        volume_gone(world, drop_claim(world, "app-claim"))
