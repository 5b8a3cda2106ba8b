"""What goes wrong, word for word as the driver and the kubelet say it (reference §6)."""

import re

import pytest
import yaml

from .test_end_to_end_volumes import drop_claim, make_claim
from .world import NAMESPACE, OLD

pytestmark = [pytest.mark.sandbox, pytest.mark.full]
FAILED = 'MountVolume.SetUp failed for volume "{}" : '
COULD_NOT = "rpc error: code = Internal desc = Could not mount juicefs: "
MOUNT_POD = r"juicefs-svr28176de740-songlin-test-pv-[a-z]{6}"
#: Name, fields of the ConfigMap's entry, what comes after COULD_NOT (a regular expression).
CONFIGURED = (
    (
        "image without a client",
        {"ceMountImage": "local/debian:bookworm"},
        r"wait for mount sqlite3:///\S+ ready failed, err: mount point is not ready in 3s, mountpod: "
        rf"{MOUNT_POD}, log: (?s:.*)/bin/mount\.juicefs: not found",
    ),
    (
        "invalid label",
        {"labels": {"team": "not a label!"}},
        rf'Pod "{MOUNT_POD}" is invalid: metadata\.labels: Invalid value: "not a label!": .*',
    ),
    (
        "cache volume that is not there",
        {"cacheDirs": [{"type": "PVC", "name": "no-such-claim"}]},
        r"mount pod is not running in 3s, reason: (ContainerCreating|Pending), please check its event, "
        rf"mountpod: {MOUNT_POD}",
    ),
    (
        "option that is none",
        {"mountOptions": ["cache-size=1=2"]},
        r"genAndValidOptions error: invalid mount option: cache-size=1=2",
    ),
)


def told(world, name, volume="songlin-test-pv"):
    """The first FailedMount that tells of a call, without what every one begins with."""
    text = world.event(name, "MountVolume.SetUp failed")
    begin = FAILED.format(volume)
    assert text.startswith(begin)
    return text[len(begin) :]


def test_what_a_configuration_can_do_wrong(world):
    with world.driver_env(JUICEFS_MOUNT_WAIT_SECONDS="3"):
        good = world.config()
        for number, (name, fields, text) in enumerate(CONFIGURED):
            app = f"app-wrong-{number}"
            world.configure(world.with_entry(**fields))
            world.app(app)
            assert re.fullmatch(re.escape(COULD_NOT) + text, told(world, app), re.DOTALL), (name, told(world, app))
            world.delete(app)
            for mount_pod in world.mount_pods():
                world.gone(mount_pod.name)
            world.configure(good)
        assert '"Create pod err, stop fuse fd server" err="Pod \\"juicefs-' in world.csi_log()

        world.configure(world.with_entry(ceMountImage="juicedata/mount:no-such-tag"))
        world.app("app-heals")
        text = r"mount pod is not running in 3s, reason: (ErrImagePull|ImagePullBackOff), please check its event, "
        assert re.fullmatch(re.escape(COULD_NOT) + text + f"mountpod: {MOUNT_POD}", told(world, "app-heals"))
        (bad,) = world.mount_pods()
        world.configure(good)  # the next attempt has another hash: it takes the reference away from the bad one
        (mount_pod,) = world.serving(world.running("app-heals"))
        assert mount_pod.image == OLD
        world.gone(bad.name)
        world.delete("app-heals")
        world.gone(mount_pod.name)

        document = yaml.safe_load(world.with_entry(resources={"requests": {"cpu": "1000"}}))
        world.configure(
            yaml.safe_dump(document | {"enableNodeSelector": True, "enableAutoRemoveRequestResources": False})
        )
        world.app("app-large")
        text = r"mount pod is not running in 3s, reason: Pending, please check its event, mountpod: "
        assert re.fullmatch(re.escape(COULD_NOT) + text + MOUNT_POD, told(world, "app-large"))
        world.delete("app-large")
        world.configure(good)


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        (
            "app-missing",
            None,
            "fetching NodePublishSecretRef juicefs-system/app-missing failed: kubernetes.io/csi: failed to find the "
            'secret app-missing in the namespace juicefs-system with error: secrets "app-missing" not found',
        ),
        ("app-nameless", {"metaurl": "sqlite3:///nowhere"}, "rpc error: code = InvalidArgument desc = Empty name"),
    ],
)
def test_what_a_secret_can_do_wrong(world, name, data, text):
    if data is not None:
        world.core.create_namespaced_secret(NAMESPACE, {"metadata": {"name": name}, "stringData": data})
    world.static_volume(name, secret=name)
    make_claim(world, name, "", volume=name)
    world.app(name, claim=name)
    assert told(world, name, name).endswith(text)
    assert world.mount_pods(name) == []
    world.delete(name)
    drop_claim(world, name)
    world.core.delete_persistent_volume(name)
    if data is not None:
        world.core.delete_namespaced_secret(name, NAMESPACE)


def test_what_a_call_can_do_wrong(world):
    capability = {"mount": {}, "access_mode": {"mode": "MULTI_NODE_MULTI_WRITER"}}
    secrets = {"name": "myjfs", "metaurl": "sqlite3:///var/lib/jfsnb-store/meta/myjfs.db"}
    call = {"volume_capability": capability, "secrets": secrets}
    end = "pods/nobody/volumes/kubernetes.io~csi/songlin-test-pv/mount"
    said = world.call_node("NodePublishVolume", target_path=f"/elsewhere/{end}", **call)
    assert "target kubelet rootdir /elsewhere is not equal csi mounted kubelet root-dir /var/lib/kubelet" in said
    said = world.call_node("NodePublishVolume", target_path=f"/var/lib/kubelet/{end}", **call)
    assert (
        "Could not mount juicefs: can not connect to kubelet, please turn `podInfoOnMount` on in csiDriver, "
        "and fallback to apiServer" in said
    )
