"""The ConfigMap of a batch upgrade (reference §3.9)."""

import base64
import gzip
import json

import pytest

from jfsnb.sandbox.csi.rules.batch import BatchError, mount_pods_of

PLAN = json.dumps(
    {"batches": [[{"name": "a", "node": "n1"}, {"name": "b", "node": "n2"}], [{"name": "c", "node": "n1"}]]}
)


def config_map(**parts):
    return {"metadata": {"name": "jfs-upgrade-job-abcdef-config"}, **parts}


@pytest.mark.parametrize(
    "parts",
    [
        {"data": {"upgrade": PLAN}},
        {"binaryData": {"upgrade": base64.b64encode(gzip.compress(PLAN.encode())).decode()}},
    ],
    ids=["plain", "large"],
)
def test_the_mount_pods_of_one_batch_on_one_node(parts):
    assert mount_pods_of(config_map(**parts), 1, "n1") == ("a",)
    assert mount_pods_of(config_map(**parts), 2, "n1") == ("c",)
    assert mount_pods_of(config_map(**parts), 2, "n2") == ()


@pytest.mark.parametrize("parts", [{}, {"data": {"upgrade": "{"}}, {"data": {"upgrade": '{"batches": null}'}}])
def test_what_is_no_batch_upgrade(parts):
    with pytest.raises(BatchError, match="jfs-upgrade-job-abcdef-config"):
        mount_pods_of(config_map(**parts), 1, "n1")


def test_a_batch_that_is_not_there():
    with pytest.raises(BatchError, match="has no batch 3"):
        mount_pods_of(config_map(data={"upgrade": PLAN}), 3, "n1")
