"""Upgrades that go wrong in ways that users really met: none of them ends as a success."""

import pytest

from jfsnb.checks.model import Verdict
from jfsnb.checks.upgrade import SAID, SERVES
from jfsnb.run.rollback import rollback
from jfsnb.run.state import checks_of, load
from jfsnb.run.upgrade import parts as upgrade

pytestmark = [pytest.mark.sandbox, pytest.mark.full]
NAMESPACE = "juicefs-system"
#: Holds the metadata database, so that requests stay unanswered in the client: see drill upgrade-of-a-busy-session.
HOLD = """
import glob, sqlite3, time
db = sqlite3.connect(glob.glob("/var/lib/jfsnb-store/meta/*.db")[0], timeout=30)
db.execute("BEGIN IMMEDIATE"); print("held", flush=True); time.sleep(45)
"""
HELD = """
out=$(mktemp); setsid python -c "$0" >"$out" 2>&1 </dev/null &
until grep -q held "$out"; do sleep .1; done; rm "$out"
"""


def verdicts(run):
    return {check.code: check.verdict for _, check in checks_of(load(run.folder))}


def test_an_image_that_cannot_be_pulled_leaves_the_old_client_and_says_so(world):
    run = world.run(image="juicedata/mount:ce-v1.9.9", timeout=90)
    try:
        for part in (upgrade.load, upgrade.plan, upgrade.configure, upgrade.exchange):
            part(run)
        assert verdicts(run)[SAID] is Verdict.FAIL
        proof = upgrade.proof(run)
        found = {check.code: check for check in proof.checks}
        assert found[SERVES].verdict in (Verdict.ERROR, Verdict.FAIL)
        assert proof.errors == () and {row["state"] for row in proof.held} == {"held"}
    finally:
        assert rollback(world.cluster, run.id, world.outputs).complete


def test_success_is_told_and_the_old_client_still_serves(world):
    """A session with unanswered requests: client 1.4.2 says that it is busy, and stays (juicefs-csi-driver #1678)."""
    before = world.config
    world.config = before.replace("ce-v1.3.0", "ce-v1.4.2")
    run = world.run(image="juicedata/mount:ce-v1.3.0", how="binary", stall_budget=60)
    try:
        for part in (upgrade.load, upgrade.plan, upgrade.configure):
            part(run)
        csi = next(e.change for e in run.journal.standing() if e.change.KIND == "client exchanged").csi_pod
        held = world.cluster.execute(NAMESPACE, csi, ["sh", "-c", HELD, HOLD], "juicefs-plugin", seconds=60)
        assert held.ok, held
        upgrade.exchange(run)
        assert verdicts(run)[SAID] is Verdict.PASS  # that is what the tool says
        proof = upgrade.proof(run)
        (serves,) = [check for check in proof.checks if check.code == SERVES]
        assert serves.verdict is Verdict.FAIL and "1.4.2" in serves.reason
    finally:
        rollback(world.cluster, run.id, world.outputs)
        world.config = before
