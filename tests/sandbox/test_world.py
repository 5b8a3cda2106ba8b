"""The article's world: what is in it, and that nothing in it claims what is not so."""

import json
import re
from datetime import timedelta

import pytest
import yaml

from jfsnb.sandbox import world
from jfsnb.sandbox.images.catalogue import BASELINE, TESTED


@pytest.mark.parametrize(
    "text,expected",
    [
        ("12d", timedelta(days=12)),
        ("5d1h", timedelta(days=5, hours=1)),
        ("6m20s", timedelta(minutes=6, seconds=20)),
        ("3y194d", timedelta(days=3 * 365 + 194)),
    ],
)
def test_ages_are_read_as_kubectl_prints_them(text, expected):
    assert world.parse_age(text) == expected


def by_kind(kind):
    return {o["metadata"]["name"]: o for o in world.objects() if o["kind"] == kind}


def test_the_thirteen_mount_pods_are_there_and_each_serves_an_app_pod():
    pods = by_kind("Pod")
    mounts = [
        p for p in pods.values() if p["metadata"].get("labels", {}).get("app.kubernetes.io/name") == "juicefs-mount"
    ]
    assert len(mounts) == 13
    uids = {p["metadata"].get("uid") for p in pods.values()}
    for pod in mounts:
        targets = [v for v in pod["metadata"]["annotations"].values() if v.startswith("/var/lib/kubelet/pods/")]
        assert len(targets) == 1 and targets[0].split("/")[5] in uids


def test_two_mount_pods_of_the_smoke_volume_stand_on_the_articles_node():
    names = [
        n for n, p in by_kind("Pod").items() if "-songlin-test-pv-" in n and p["spec"]["nodeName"] == "svr28176de740"
    ]
    assert sorted(n.rsplit("-", 1)[1] for n in names) == ["wslvif", "yorllp"]


def test_no_tag_claims_a_version_that_its_client_does_not_have():
    config = by_kind("ConfigMap")["juicefs-csi-driver-config"]["data"]["config.yaml"]
    assert yaml.safe_load(config)["mountPodPatch"][0]["ceMountImage"] == world.OLD_IMAGE
    assert world.ARTICLE_IMAGE not in config
    named = set(re.findall(r"juicedata/mount:[\w.-]+", json.dumps(world.objects())))
    assert named == {world.OLD_IMAGE, world.NEW_IMAGE} == {BASELINE, TESTED}


def test_the_article_s_drift_between_data_and_last_applied_is_there():
    config = by_kind("ConfigMap")["juicefs-csi-driver-config"]
    applied = config["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"]
    assert world.NEW_IMAGE in applied and world.OLD_IMAGE not in applied


def test_only_live_nodes_are_without_the_recorded_mark():
    nodes = by_kind("Node")
    assert len(nodes) == 10
    live = [n for n, o in nodes.items() if world.RECORDED not in o["metadata"].get("annotations", {})]
    assert live == ["svr28176de740"]


def test_another_baseline_takes_the_usual_one_s_part_everywhere():
    text = json.dumps(world.objects(baseline="r/m:ce-v1.2.9", tested="r/m:ce-v1.5.0"))
    assert world.OLD_IMAGE not in text and world.NEW_IMAGE not in text
    config = next(o for o in json.loads(text) if o["metadata"]["name"] == "juicefs-csi-driver-config")
    assert "ceMountImage: r/m:ce-v1.2.9" in config["data"]["config.yaml"]
