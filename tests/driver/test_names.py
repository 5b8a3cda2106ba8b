"""Reference keys, targets, unique ids."""

import pytest

from jfsnb.driver import names

TARGET = "/var/lib/kubelet/pods/1d1c/volumes/kubernetes.io~csi/pv-a/mount"


@pytest.mark.parametrize(
    "target,key",
    [
        ("test", "juicefs-9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c1"),
        ("", "juicefs-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991"),
    ],
)
def test_reference_key_is_the_driver_s(target, key):
    assert names.reference_key(target) == key


@pytest.mark.parametrize(
    "root",
    ["/var/lib/kubelet", "/var/snap/microk8s/common/var/lib/kubelet", "/data/kubelet/", "/var/lib/kubelet/pods/x"],
)
def test_targets_under_any_kubelet_root_are_read_back(root):
    assert names.parse_target(names.target_path("uid-1", "pv-a", root)) == ("uid-1", "pv-a")


@pytest.mark.parametrize("target", [TARGET + "/", TARGET.replace("~csi", "~nfs"), "/pods/a/b/volumes", "pods/a", ""])
def test_other_paths_are_no_targets(target):
    assert names.parse_target(target) is None


def test_only_annotations_whose_key_is_the_key_of_their_value_are_references():
    others = {
        "juicefs-uniqueid": "pv-a",
        "juicefs-delete-delay": "30m",
        "juicefs-" + "0" * 55: TARGET,
        names.reference_key(TARGET)[:-1] + "x": TARGET,
        "juicefs-uuid": TARGET,
    }
    assert names.references(others) == ()
    assert names.references({**others, names.reference_key(TARGET): TARGET}) == (
        names.Reference("1d1c", "pv-a", TARGET),
    )


def test_a_counted_reference_that_is_no_target_pairs_with_nobody():
    assert names.parse_reference(names.reference_key("x"), "x") == names.Reference("", "", "x")


def test_names_made_from_a_unique_id():
    pod = names.mount_pod_name("node-1", "pvc-AAAA", "abcdef")
    assert pod == "juicefs-node-1-pvc-AAAA-abcdef"
    assert names.first_mount_path("pvc-AAAA", pod) == "/jfs/pvc-AAAA-abcdef"
    assert names.host_path_of("/jfs/pvc-AAAA-abcdef") == "/var/lib/juicefs/volume/pvc-AAAA-abcdef"
    assert names.job_stem("test") == "juicefs-9f86d081"
