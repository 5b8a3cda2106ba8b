"""Others are at work in the same cluster: a run undoes only what it did, and its verdict is about its client."""

import json

import pytest

from jfsnb.checks.model import Verdict, overall
from jfsnb.errors import ConflictError
from jfsnb.run import background, deploy, patch, verify
from jfsnb.run.rollback import rollback
from jfsnb.run.state import checks_of, load

pytestmark = [pytest.mark.sandbox, pytest.mark.full]
NAMESPACE, CONFIG_MAP = "juicefs-system", "juicefs-csi-driver-config"
TO_PATCH = (background.baseline, patch.plan)
REST = (
    *(patch.wait_in_force, deploy.prepare, deploy.smoke, deploy.side_by_side),
    *(verify.chain, verify.client, verify.data, verify.shutdown, verify.restore),
)


def verdict_of(run):
    return overall(c.verdict for _, c in checks_of(load(run.folder)))


def bad_checks(run):
    return [f"{c.code} {c.verdict} {c.reason}" for _, c in checks_of(load(run.folder)) if c.verdict != "PASS"]


@pytest.mark.parametrize("parameters", [{}, {"scope": "global"}], ids=["canary", "global"])
@pytest.mark.parametrize("planned", ["before the other's patch", "after it"])
def test_of_twins_on_one_claim_the_second_is_refused_and_its_clean_up_touches_nothing(world, parameters, planned):
    first, second = world.run(**parameters), world.run(**parameters)
    for run in (first, second):
        background.baseline(run)
    patch.plan(first)
    if planned.startswith("before"):
        patch.plan(second)
    patch.apply(first)
    live = world.config
    with pytest.raises(ConflictError, match=first.id):
        (patch.apply if planned.startswith("before") else patch.plan)(second)
    assert rollback(world.cluster, second.id, world.outputs).complete
    assert world.config == live
    for part in REST:
        part(first)
    assert verdict_of(first) is Verdict.PASS, bad_checks(first)
    assert world.config == world.before["config"]["config.yaml"]


def test_two_runs_with_claims_of_their_own_both_end_well(world):
    first, second = (world.run(storage_class="juicefs-sc") for _ in range(2))
    for run in (first, second):
        for part in (*TO_PATCH, patch.apply):
            part(run)
    for part in REST:
        part(first), part(second)
    for run in (first, second):
        # the other's entry came or went meanwhile: said, and no word against the client
        assert verdict_of(run) in (Verdict.PASS, Verdict.WARN), bad_checks(run)
        assert all("JFS-CFG-003" in bad for bad in bad_checks(run))
    assert world.look() == world.before


def test_an_edit_elsewhere_by_somebody_else_says_nothing_against_the_client(world):
    run = world.run()
    world.tell(run, until=verify.restore)
    world.config = world.config.replace("cache-size=0G", "cache-size=1G")
    restored = verify.restore(run)
    (bad,) = [c for c in restored.checks if c.verdict is not Verdict.PASS]
    assert (bad.code, bad.verdict) == ("JFS-CFG-003", Verdict.WARN)
    assert any("cache-size=1G" in e.value for e in bad.evidence)
    assert world.config == world.before["config"]["config.yaml"].replace("cache-size=0G", "cache-size=1G")
    world.config = world.before["config"]["config.yaml"]


def test_a_file_that_is_replaced_whole_leaves_nothing_for_ever(world):
    run = world.run()
    world.tell(run, until=patch.wait_in_force)
    world.config = world.before["config"]["config.yaml"].replace("cache-size=0G", "cache-size=1G")
    for outputs in (world.outputs / "elsewhere", world.outputs):
        assert rollback(world.cluster, run.id, outputs).complete
    world.config = world.before["config"]["config.yaml"]


@pytest.mark.parametrize("damaged", ["", "{", '{"version": 1}'])
def test_a_damaged_note_is_told_and_the_rest_is_undone(world, damaged):
    run = world.run()
    world.tell(run, until=patch.wait_in_force)
    key = f"undo.jfsnb.io/{run.id}"
    note = world.cluster.get("configmaps", NAMESPACE, CONFIG_MAP)["metadata"]["annotations"][key]
    live = world.config

    def put(text):
        body = {"metadata": {"annotations": {key: text}}}
        world.cluster.patch("configmaps", NAMESPACE, CONFIG_MAP, body)

    put(damaged)
    for outputs in (world.outputs, world.outputs / "elsewhere"):
        done = rollback(world.cluster, run.id, outputs)
        assert not done.complete and any("cannot be read" in row["outcome"] for row in done.rows)
        assert world.config == live
    pods = [p["metadata"]["name"] for p in world.cluster.list("pods", NAMESPACE, labels=f"jfsnb.io/run={run.id}")]
    assert pods == []
    put(note)
    assert rollback(world.cluster, run.id, world.outputs).complete


def test_a_damaged_journal_is_made_up_for_by_the_cluster(world):
    run = world.run()
    world.tell(run, until=deploy.side_by_side)
    lines = run.journal.path.read_text().splitlines()
    run.journal.path.write_text("\n".join(["garbage", *lines[:1], json.dumps([1]), "{}"]) + "\n")
    assert rollback(world.cluster, run.id, world.outputs).complete
    assert world.look() == world.before


def test_a_run_of_which_nobody_knows_is_no_success(world):
    done = rollback(world.cluster, "never-was", world.outputs)
    assert (done.known, done.rows) == (False, ())
