"""Which Mount Pods are a node's own business."""

import pytest

from jfsnb.sandbox.csi.cluster import Cluster


def mount_pod(node="n1", app="juicefs-mount", pinned="", recorded=False):
    notes = {"sandbox.jfsnb.io/recorded": "true"} if recorded else {}
    spec = {"nodeSelector": {"kubernetes.io/hostname": pinned}} if pinned else {"nodeName": node}
    return {
        "metadata": {"name": "m", "labels": {"app.kubernetes.io/name": app}, "annotations": notes},
        "spec": {**spec, "containers": [{"name": "jfs-mount"}]},
    }


@pytest.mark.parametrize(
    ("pod", "ours"),
    [
        (mount_pod(), True),
        (mount_pod(pinned="n1"), True),  # not scheduled yet, but it can go nowhere else
        (mount_pod(node="n2"), False),
        (mount_pod(app="something"), False),
        (mount_pod(recorded=True), False),
    ],
)
def test_only_live_mount_pods_of_the_node(pod, ours):
    assert Cluster(None, "ns", "n1").is_ours(pod) is ours
