"""Which Mount Pods can be upgraded (reference §3.8)."""

import pytest

from jfsnb.driver.mountpods.pod_state import why_not_upgradable

from .test_mount_pod import NEW, OLD, make

READY = {"conditions": [{"type": kind, "status": "True"} for kind in ("Ready", "ContainersReady")], "phase": "Running"}


def pod(image="juicedata/mount:ce-v1.3.0", status=READY, patch=None):
    made = make(patch={"ceMountImage": image, **(patch or {})}, env=NEW)
    return {**made, "status": status}


@pytest.mark.parametrize(
    ("image", "binary", "recreate"),
    [
        ("juicedata/mount:ce-v1.3.0", True, True),
        ("juicedata/mount:ce-v1.2.0", False, False),  # its Pod has the umount preStop
        ("juicedata/mount:ee-5.1.0-abc", True, True),
        ("juicedata/mount:nightly", True, True),
        ("registry:5000/mine", True, True),
        (OLD["JUICEFS_CE_MOUNT_IMAGE"], False, False),
    ],
)
def test_the_image_that_runs_decides(image, binary, recreate):
    assert (why_not_upgradable(pod(image), False) == "", why_not_upgradable(pod(image), True) == "") == (
        binary,
        recreate,
    )


def test_the_driver_s_words():
    old = OLD["JUICEFS_CE_MOUNT_IMAGE"]
    assert why_not_upgradable(pod(old), False) == f"image {old} do not support smooth binary upgrade"
    assert why_not_upgradable(pod(old), True) == f"image {old} do not support recreate smooth upgrade"
    assert (
        why_not_upgradable(pod("juicedata/mount:ce-v1.2.0"), False)
        == "mount pod has umount prestop hook, can not upgrade"
    )
    assert why_not_upgradable(pod(status={"phase": "Running"}), False) == "mount pod is not ready yet"
    assert why_not_upgradable(pod(), False, grace_upgrade_disabled=True) == "smooth upgrade is disabled"
    unlabelled = pod()
    del unlabelled["metadata"]["labels"]["juicefs-hash"]
    assert why_not_upgradable(unlabelled, True) == "pod has no hash label"
