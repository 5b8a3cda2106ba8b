"""The ends of Mount Pods: completed, without a CSI node Pod, never placed, delayed over a restart, with a cache."""

import pytest
from kubernetes import client

from jfsnb.driver.names import job_stem, reference_key, references

from .test_end_to_end_volumes import until
from .world import NAMESPACE, NODE

pytestmark = [pytest.mark.sandbox, pytest.mark.full]


def test_a_completed_mount_pod_is_replaced_at_the_same_path(world):
    world.app("app-one", privileged=True)
    app = world.running("app-one")
    (old,) = world.serving(app)
    # A client ends with status 0 when its file system is mounted nowhere any more, and only then.
    world.exec("app-one", "echo content > /data/kept; sync; umount -l /data")
    world.exec(world.csi_node(), f"umount -l {old.references[0].target} {old.command.mount_path}")
    world.gone(old.name)
    (new,) = world.serving(app)
    assert (new.command.mount_path, new.upgrade_uuid) == (old.command.mount_path, old.upgrade_uuid)
    assert "delete the old complete mount pod" in world.csi_log()
    world.eventually(new.name, f"cat {new.command.mount_path}/kept", "content")


def test_a_cache_is_cleaned_by_a_job_when_the_mount_pod_is_gone(world):
    world.configure(world.with_entry(annotations={"juicefs-clean-cache": "true"}))
    world.app(
        "app-one",
        "head -c 3000000 /dev/urandom > /data/big; sync; cat /data/big > /dev/null; while :; do sleep 1; done",
    )
    (mount_pod,) = world.serving(world.running("app-one"))
    world.eventually("app-one", "stat -c %s /data/big", "3000000")
    cache = world.cache_of(mount_pod)
    world.eventually(mount_pod.name, f"ls {cache}/raw", "chunks")
    jobs = client.BatchV1Api(world.raw)
    world.delete("app-one")
    stem = f"{job_stem('songlin-test-pv')}-cleancache-"
    job = until(
        world, jobs.list_namespaced_job, lambda _, j: j.metadata.name.startswith(stem) and j.status.succeeded, NAMESPACE
    )
    (container,) = job.spec.template.spec.containers
    assert (container.name, container.command) == ("jfs-cache-clean", ["sh", "-c", "rm -rf /var/jfsCache/*/chunks"])
    assert [v.host_path.path for v in job.spec.template.spec.volumes] == [f"{cache}/raw"]
    world.gone(mount_pod.name)
    world.app("app-two")
    (after,) = world.serving(world.running("app-two"))
    assert "chunks" not in world.exec(after.name, f"ls {cache}/raw")


def test_a_node_without_a_csi_node_pod_lets_its_mount_pods_go(world):
    world.app("app-one")
    (mount_pod,) = world.serving(world.running("app-one"))
    with world.no_csi_node():
        world.delete(mount_pod.name)  # nobody makes a successor, and the controller drops the finalizer
        assert world.mount_pods() == []
        assert (
            f'"csi node did not exist. remove finalizer of pod" logger="mount-controller" node="{NODE}"'
            in world.csi_log("juicefs-csi-controller-0")
        )
        world.app("app-two")
        assert world.event("app-two", "driver name csi.juicefs.com not found in the list of registered CSI drivers")
    world.running("app-two")


def test_a_mount_pod_that_no_node_takes_goes_with_its_last_user(world):
    target = "/var/lib/kubelet/pods/nobody/volumes/kubernetes.io~csi/lost/mount"
    body = {
        "metadata": {
            "name": "juicefs-nowhere-lost-abcdef",
            "labels": {"app.kubernetes.io/name": "juicefs-mount", "volume-id": "lost"},
            "annotations": {reference_key(target): target},
            "finalizers": ["juicefs.com/finalizer"],
        },
        "spec": {
            "schedulerName": "somebody-elses",
            "nodeSelector": {"kubernetes.io/hostname": "nowhere"},
            "containers": [{"name": "jfs-mount", "image": "local/debian:bookworm", "command": ["true"]}],
        },
    }
    world.core.create_namespaced_pod(NAMESPACE, body)
    world.gone("juicefs-nowhere-lost-abcdef")
    line = '"No app pods reference this pending mount pod, deleting it" logger="mount-controller" mountPod='
    assert f'{line}"juicefs-nowhere-lost-abcdef"' in world.csi_log("juicefs-csi-controller-0")


def test_a_delete_delay_goes_on_while_the_driver_restarts(world):
    world.configure(world.with_entry(annotations={"juicefs-delete-delay": "8s"}))
    world.app("app-one")
    (mount_pod,) = world.serving(world.running("app-one"))
    world.delete("app-one")
    waiting = world.until_pod(mount_pod.name, lambda p: "juicefs-delete-at" in p.metadata.annotations)
    world.delete(world.csi_node())
    kept = world.core.read_namespaced_pod(mount_pod.name, NAMESPACE).metadata
    assert kept.annotations["juicefs-delete-at"] == waiting.metadata.annotations["juicefs-delete-at"]
    assert references(kept.annotations) == ()
    world.gone(mount_pod.name)
