"""A sandbox that is like a cluster that was collected: what was recorded there is recorded here."""

import os
from pathlib import Path

import pytest

from jfsnb.bundle.read import read
from jfsnb.cluster.connect import connect
from jfsnb.commands.collect import like, not_the_same
from jfsnb.queries import investigate
from jfsnb.sandbox import lifecycle

pytestmark = pytest.mark.sandbox
MOMENT = Path(__file__).parents[1] / "recorded" / "real" / "4-after-binary-upgrade"


@pytest.fixture
def cluster(state_home):
    running = lifecycle.up("like", owner_pid=os.getpid(), tier="recorded", like=like(str(MOMENT)))
    yield connect(kubeconfig=str(running.kubeconfig), context=running.context)
    lifecycle.down(running.name)


def test_the_same_mount_pods_users_claims_and_configuration(cluster):
    there, here = read(MOMENT), investigate.mounts(cluster)
    fields = ("name", "node", "claim", "image", "desired_image", "references", "serves", "ready")
    rows = [[row[field] for field in fields] for row in investigate.mounts(there).rows]
    assert [[row[field] for field in fields] for row in here.rows] == rows
    config = cluster.get("configmaps", "juicefs-system", "juicefs-csi-driver-config")["data"]["config.yaml"]
    assert config == there.config_text
    explained = [investigate.explain(place, "demo", "web-data", "node-a").rows for place in (there, cluster)]
    wanted = [[(row["field"], row["value"], row["decided_by"]) for row in rows] for rows in explained]
    assert wanted[0] == wanted[1]
    assert "songlin-test-pvc" in {c["metadata"]["name"] for c in cluster.list("persistentvolumeclaims")}


def test_what_is_not_the_same_is_said():
    said = not_the_same(like(str(MOMENT)))
    assert "nothing of them runs" in said and "kube-system" in said
