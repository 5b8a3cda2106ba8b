"""One Mount Pod for several volumes: by StorageClass, by file system (reference §1.1, §1.8, §3.7)."""

import pytest

from jfsnb.driver.mountpods.mount_pods import MountPod, pair
from jfsnb.driver.names import references

from .test_end_to_end_volumes import drop_claim, make_claim, storage_class, volume_gone
from .world import NAMESPACE

pytestmark = [pytest.mark.sandbox, pytest.mark.full]


def paired(world, pod):
    """The Mount Pod that the tool finds for an app Pod."""
    core, plain = world.core, world.raw.sanitize_for_serialization
    claims = plain(core.list_namespaced_persistent_volume_claim(NAMESPACE))["items"]
    volumes = plain(core.list_persistent_volume())["items"]
    pods = plain(core.list_namespaced_pod(NAMESPACE, label_selector="app.kubernetes.io/name=juicefs-mount"))["items"]
    found = pair(plain(core.read_namespaced_pod(pod, NAMESPACE)), claims, volumes, map(MountPod.from_object, pods))
    (volume,) = found.volumes
    return [m.name for m in volume.mount_pods], volume.problem


def owners_of_secret(world, unique_id):
    meta = world.core.read_namespaced_secret(f"juicefs-{unique_id}-secret", NAMESPACE).metadata
    return {(o.kind, o.name) for o in meta.owner_references}


def test_volumes_share_a_mount_pod_by_class_and_else_by_file_system(world):
    """With both switches on: volumes of a class share by it; static ones, which have no class, by their file system."""
    static = {name: f"app-{name}-pv" for name in ("three", "four")}
    for name, volume in static.items():
        world.static_volume(volume)
        make_claim(world, f"app-{name}", "", volume=volume)
    with world.driver_env(STORAGE_CLASS_SHARE_MOUNT="true", FS_SHARE_MOUNT="true"), storage_class(world):
        for name in ("one", "two"):
            make_claim(world, f"app-{name}", "app-class")
        apps = ("one", "two", "three", "four")
        for name in apps:
            world.app(f"app-{name}", f"echo {name} > /data/{name}; while :; do sleep 1; done", claim=f"app-{name}")
        pods = {name: world.running(f"app-{name}") for name in apps}
        volumes = {name: world.volume_of(pod) for name, pod in pods.items()}
        (by_class,), (by_system,) = world.mount_pods("app-class"), world.mount_pods("myjfs")
        assert by_class.share_mode == by_system.share_mode == "storageClassShareMount"
        for mount_pod, names in ((by_class, apps[:2]), (by_system, apps[2:])):
            users = {(pods[n].metadata.uid, volumes[n]) for n in names}
            assert {(r.pod_uid, r.pv_name) for r in mount_pod.references} == users
            assert not any(o.startswith("subdir") for o in mount_pod.command.options)
            for name in names:
                world.eventually(f"app-{name}", f"cat /data/{name}", name)
                assert paired(world, f"app-{name}") == ([mount_pod.name], "")
        assert owners_of_secret(world, "app-class") == {("StorageClass", "app-class")}
        assert owners_of_secret(world, "myjfs") == {("PersistentVolume", v) for v in static.values()}
        assert world.exec("app-one", "ls /data").split() == ["one"], "each volume is a directory of the shared mount"
        assert {"three", "four"} <= set(world.exec("app-three", "ls /data").split())

        world.delete(by_class.name)  # one successor for both, each bound to its own directory again
        for name in ("one", "two"):
            world.eventually(f"app-{name}", f"cat /data/{name}", name)
        (again,) = world.mount_pods("app-class")
        assert (again.command.mount_path, len(again.references)) == (by_class.command.mount_path, 2)
        assert owners_of_secret(world, "app-class") == {("StorageClass", "app-class")}

        world.delete("app-one")
        left = world.until_pod(again.name, lambda p: len(references(p.metadata.annotations)) == 1).metadata
        assert [r.pod_uid for r in references(left.annotations)] == [pods["two"].metadata.uid]
        for name in apps[1:]:
            world.delete(f"app-{name}", wait=False)
        world.gone(again.name)
        world.gone(by_system.name)
        for volume in [drop_claim(world, f"app-{name}") for name in apps][:2]:
            volume_gone(world, volume)
        for volume in static.values():
            world.core.delete_persistent_volume(volume)
