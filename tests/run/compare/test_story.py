"""A comparison against a sandbox: two real clients, side by side."""

import pytest

from jfsnb.checks.model import Verdict
from jfsnb.run import background, deploy, patch
from jfsnb.run.compare import parts as compare
from jfsnb.run.rollback import rollback

pytestmark = [pytest.mark.sandbox, pytest.mark.full]


def test_two_clients_are_compared_and_nothing_is_left_on_the_volume(world):
    run = world.run(pairs=2)
    for part in (background.preflight, background.baseline, patch.plan, patch.apply, patch.wait_in_force, deploy.smoke):
        part(run)
    sides = compare.sides(run)
    assert [row["client"].split()[0] for row in sides.rows] == ["1.3.0", "1.4.2"] and sides.verdict is Verdict.PASS
    measured = compare.measure(run)
    assert {row["metric"] for row in measured.metrics} >= {"create", "rename", "small-write", "append", "cpu", "memory"}
    assert measured.verdict is Verdict.NOT_READY  # one block says nothing, and it is said
    behaved = compare.behaviours(run)
    assert len(behaved.rows) >= 60 and behaved.verdict in (Verdict.PASS, Verdict.WARN)
    seen = {row["name"]: (row["old"], row["new"]) for row in behaved.rows}
    assert seen["written-there-read-here"] == ("x", "x")
    assert seen["lock-held-there-refused-here"] == ("refused", "refused")
    pod = run.recall("smoke")
    left = run.cluster.execute(pod["namespace"], pod["pod"], ["ls", "-A", "/jfs"]).stdout
    assert run.id not in left.replace(pod["pod"], "").replace(run.recall("baseline")["pod"], "")
    assert rollback(run.cluster, run.id, run.settings.outputs).complete
