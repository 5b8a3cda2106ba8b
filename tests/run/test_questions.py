"""Read-only questions to a sandbox in which a real client serves: mounts, verify, explain, doctor."""

import json

import pytest
from click.testing import CliRunner

from jfsnb.checks.codes import result
from jfsnb.checks.model import Verdict
from jfsnb.checks.serving import BOUND
from jfsnb.cli import main
from jfsnb.cluster.connect import connect
from jfsnb.errors import NotInCluster
from jfsnb.queries import investigate
from jfsnb.queries.finding import Finding
from jfsnb.run import background, patch
from jfsnb.run.rollback import rollback

pytestmark = [pytest.mark.sandbox, pytest.mark.full]
NAMESPACE, CLAIM = "juicefs-system", "songlin-test-pvc"
OLD, NEW = "juicedata/mount:ce-v1.3.0", "juicedata/mount:ce-v1.4.2"


@pytest.fixture
def call(sandbox, monkeypatch):
    """The command line against this sandbox; (exit code, output)."""

    def call(*words):
        where = ("--kubeconfig", str(sandbox.kubeconfig), "--cluster", sandbox.context)
        result = CliRunner().invoke(main, [*words, *where])
        return result.exit_code, result.stdout

    return call


def answer(call, *words):
    code, text = call(*words, "-o", "json")
    return code, json.loads(text)


def test_before_and_after_a_patch_every_question_tells_the_truth(world, call):
    run = world.run()
    smoke = background.baseline(run)
    code, found = answer(call, "verify", smoke.pod)
    (row,) = found["rows"]
    assert (code, found["verdict"], row["mount_pod"], row["image"]) == (0, "PASS", smoke.mount_pod, OLD)
    assert "1.3.0" in row["client"] and row["client_by"] and row["image_id"]
    assert row["next_mount"] == f"it would use {smoke.mount_pod}, whose settings have the same hash"

    patch.plan(run), patch.apply(run), patch.wait_in_force(run)
    code, found = answer(call, "verify", f"pvc/{CLAIM}")
    row = next(r for r in found["rows"] if r["pod"] == smoke.pod)
    assert code == 0 and row["verdict"] == "WARN" and row["desired_image"] == NEW  # stale by design
    assert row["next_mount"].endswith("image would differ")
    assert call("verify", smoke.pod, "--strict")[0] == 1
    assert call("verify", smoke.pod, "--image", NEW)[0] == 1

    code, found = answer(call, "explain", CLAIM)
    image = next(r for r in found["rows"] if r["field"] == "image")
    assert code == 0 and image["value"] == NEW and "pvcSelector.matchName" in image["decided_by"]
    assert image["instead_of"].startswith(OLD)
    (coming,) = [r for r in found["tables"]["next mount"] if r["node"] == smoke.node]
    assert coming["exact"] and "beside the running one: image" in coming["answer"]
    assert [r["state"] for r in found["tables"]["configuration in force"]] == ["in force"]

    code, found = answer(call, "mounts", "--node", smoke.node)
    row = next(r for r in found["rows"] if r["name"] == smoke.mount_pod)
    assert code == 0 and row["next_mount"] == "a new one (image)" and "1.3.0" in row["client"]
    assert row["serves"] == f"{NAMESPACE}/{smoke.pod}"
    assert {r["node"] for r in found["rows"]} == {smoke.node}
    assert rollback(world.cluster, run.id, world.outputs).complete


def test_the_driver_has_what_it_has_loaded_not_what_the_config_map_says(world):
    run = world.run()
    background.baseline(run)
    before = world.config
    world.config = before.replace("mountPodPatch:", "mountPodPatch: [", 1)  # no YAML: the driver keeps what it had
    found = investigate.mounts(world.cluster)
    (state,) = [r["state"] for r in found.tables["configuration in force"] if r["state"] != "not asked"]
    assert state == "rejected" and found.verdict is not Verdict.PASS
    world.config = before
    found = investigate.mounts(world.cluster)
    assert [r["state"] for r in found.tables["configuration in force"] if r["state"] != "not asked"] == ["in force"]
    assert rollback(world.cluster, run.id, world.outputs).complete


def test_a_plan_shows_every_claim_pod_and_node_that_it_reaches(world, call, monkeypatch):
    monkeypatch.setenv("JFSNB_OUTPUTS", str(world.outputs))
    run = world.run(scope="global")
    smoke = background.baseline(run)
    plan = patch.plan(run)
    assert {(r["namespace"], r["nodes"]) for r in plan.affected} >= {(NAMESPACE, "all"), ("infer", "all")}
    mine = next(r for r in plan.affected_pods if r["pod"] == f"{NAMESPACE}/{smoke.pod}")
    assert (mine["node"], mine["mount_pod"], mine["image_then"]) == (smoke.node, smoke.mount_pod, NEW)
    assert len(plan.affected_pods) == 14
    canary = patch.plan(world.run())
    assert {r["claim"] for r in canary.affected_pods} == {f"{NAMESPACE}/{CLAIM}"}
    code, text = call("patch", "--scope", "global", "--image", NEW)
    assert code == 0 and smoke.pod in text and "infer" in text and "nothing was changed" in text
    assert rollback(world.cluster, run.id, world.outputs).complete


def test_a_client_that_a_restart_would_exchange_is_told(world, call):
    """As after a binary upgrade whose process stayed: another client is on disk than the one that runs."""
    run = world.run()
    smoke = background.baseline(run)
    other = "#!/bin/sh\\necho juicefs version 9.9.9+2030-01-01.abcdef12\\n"
    exchange = (
        f"printf '{other}' > /tmp/other && chmod 755 /tmp/other && mount --bind /tmp/other /usr/local/bin/juicefs"
    )
    done = world.cluster.execute(NAMESPACE, smoke.mount_pod, ["sh", "-c", exchange], "jfs-mount")
    assert done.ok, done.stderr
    code, found = answer(call, "verify", smoke.pod)
    assert code == 1 and "a restart would change the client" in found["rows"][0]["reason"]
    assert "1.3.0" in found["rows"][0]["client"]  # what runs, not what is on disk
    assert rollback(world.cluster, run.id, world.outputs).complete


def test_a_patch_and_its_undoing_on_the_command_line(world, call, monkeypatch):
    monkeypatch.setenv("JFSNB_OUTPUTS", str(world.outputs))
    code, text = call("patch", "--yes", "--image", NEW, "--run-id", "by-hand")
    assert code == 0 and "jfsnb rollback by-hand" in text and "in force" in text
    assert NEW in world.config
    code, text = call("rollback", "by-hand", "--outputs", str(world.outputs / "another-machine"))
    assert code == 0 and "restored, byte for byte" in text and "nothing of run by-hand is left" in text
    assert world.look() == world.before


def test_answers_are_data_frames_to_filter_group_and_draw(world):
    from jfsnb.notebook import investigate as notebook
    from jfsnb.notebook import show

    at = notebook.AtHand(world.cluster, world.run().settings)
    mounts = notebook.mounts(at).frame
    assert len(mounts) == 13 and set(mounts[mounts.verdict < "PASS"].verdict) == {"WARN"}
    assert (mounts.age > "1D").sum() == 10
    assert "12" in repr(show.bars(mounts.groupby("image").size(), "by image"))
    explained = notebook.explain(at)
    assert NAMESPACE in explained.title and "next mount" in explained.frames
    assert "decided_by" in explained.frame and "<table" in explained._repr_html_()


def test_the_article_s_two_mount_pods_side_by_side_are_told_apart(world):
    rows = investigate.mounts(world.cluster).rows
    mine = {r["image"]: r for r in rows if r["volume"] == "songlin-test-pv"}
    assert (mine[OLD]["next_mount"], mine[OLD]["verdict"]) == ("uses it", "PASS")
    assert (mine[NEW]["next_mount"], mine[NEW]["verdict"]) == (f"uses {mine[OLD]['name']}", "WARN")


def test_for_people(world, call):
    code, text = call("mounts")
    assert code == 0 and "NEXT_MOUNT" in text and "13 Mount Pods" in text and "in force" in text
    code, text = call("explain", CLAIM)
    assert code == 0 and "ceMountImage" not in text.splitlines()[0] and "Entries of mountPodPatch" in text
    code, text = call("doctor")
    assert code == 0 and "JFS-PRE-001" in text
    code, text = call("verify", CLAIM)
    assert "MOUNT_POD" in text


def test_what_is_not_there_is_said(world, call):
    assert call("verify", "nobody")[0] == 3
    assert call("explain", "nobody")[0] == 3
    assert call("explain", CLAIM, "--node", "nowhere")[0] == 3
    with pytest.raises(NotInCluster, match="neither a Pod nor a claim"):
        investigate.verify(world.cluster, NAMESPACE, "nobody")


def test_that_all_is_well_with_nobody_is_no_pass():
    """verify of a claim that nobody uses: its JSON must not say what its exit code denies."""
    bound = result(BOUND, Verdict.PASS, "bound")
    assert Finding((), (bound,)).to_dict()["verdict"] == "N/A"
    assert Finding(({"pod": "a"},), (bound,)).to_dict()["verdict"] == "PASS"


def test_where_no_client_can_mount_nobody_is_verified_without_saying_so(recorded_sandbox):
    cluster = connect(kubeconfig=str(recorded_sandbox.kubeconfig))
    found = investigate.verify(cluster, NAMESPACE, f"pvc/{CLAIM}")
    assert found.verdict is not Verdict.PASS
    assert "JFS-TIER-001" in {c.code for c in found.checks}
    assert not [c for c in found.checks if c.code.startswith("JFS-IMG-003") and c.verdict is Verdict.PASS]
