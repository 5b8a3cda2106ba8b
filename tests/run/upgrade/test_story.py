"""Clients exchanged under load in the sandbox, for real: 1.3.0 to 1.4.2 and back, both ways."""

import json

import pytest

from jfsnb.commands.upgrade import targets
from jfsnb.errors import CheckFailed, NotInCluster, UsageError
from jfsnb.run.rollback import rollback
from jfsnb.run.state import checks_of, load
from jfsnb.run.upgrade import parts as upgrade

pytestmark = [pytest.mark.sandbox, pytest.mark.full]
STORY = (upgrade.load, upgrade.plan, upgrade.configure, upgrade.exchange, upgrade.proof, upgrade.back)
NAMESPACE = "juicefs-system"


def not_passed(run):
    return [(c.code, c.reason) for _, c in checks_of(load(run.folder)) if c.verdict != "PASS"]


@pytest.mark.parametrize("how", ["binary", "recreate"])
def test_a_client_is_exchanged_under_load_and_exchanged_back(world, how):
    run = world.run(how=how, stall_budget=60)
    found = [part(run) for part in STORY]
    assert not_passed(run) == []
    proof, back = found[4], found[5]
    assert [row["client"].split("+")[0] for row in proof.clients] == ["1.3.0", "1.4.2"]
    assert proof.serves_after is not None and proof.longest > 0
    assert {row["state"] for row in proof.held} == {"held"} and len(proof.held) == 6
    (exchanged,) = [row for row in back.undone if row["what"] == "client exchanged"]
    assert "upgraded back" in exchanged["outcome"] and "1.3.0" in exchanged["outcome"]
    assert "no record was lost" in back.sentence
    assert world.config == world.before["config"]["config.yaml"]


def test_a_run_that_died_after_the_exchange_is_undone_from_another_machine(world):
    run = world.run()
    for part in STORY[:4]:
        part(run)
    done = rollback(world.cluster, run.id, world.outputs / "elsewhere")
    assert done.complete, json.dumps(done.rows, indent=1)
    assert any("upgraded back" in row["outcome"] for row in done.rows if row["what"] == "client exchanged")
    assert world.config == world.before["config"]["config.yaml"]


def test_what_the_driver_would_refuse_is_told_before_anything_is_changed(world):
    run = world.run()
    first = upgrade.load(run)
    world.cluster.patch("pods", NAMESPACE, first.mount_pod, {"metadata": {"labels": {"juicefs-hash": None}}})
    try:
        with pytest.raises(CheckFailed, match="no hash label"):
            upgrade.plan(run)
        assert world.config == world.before["config"]["config.yaml"]
    finally:
        assert rollback(world.cluster, run.id, world.outputs).complete


def test_targets(world):
    run = world.run()
    known = upgrade.load(run)
    place = {"target": known.mount_pod, "pvc": "songlin-test-pvc", "namespace": NAMESPACE}
    for target in (known.pod, f"pod/{known.pod}", known.mount_pod, f"mountpod/{known.mount_pod}"):
        assert targets(world.cluster, run.settings, target) == [place]
    assert place in targets(world.cluster, run.settings, "pvc/songlin-test-pvc")
    assert place in targets(world.cluster, run.settings, f"node/{known.node}")
    with pytest.raises(NotInCluster, match="no Mount Pod serves it"):
        targets(world.cluster, run.settings, "pod/nobody")
    with pytest.raises(UsageError):
        targets(world.cluster, run.settings, "service/x")
    assert rollback(world.cluster, run.id, world.outputs).complete
