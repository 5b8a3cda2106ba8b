"""From source to proof: the client that was compiled is the one that serves, and another one would be noticed."""

import json
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "builder"))
from trees import commit, make_tree

from jfsnb.builder.plan import BuildPlan
from jfsnb.builder.recipe import Recipe
from jfsnb.checks.model import Verdict
from jfsnb.run import build, verify
from jfsnb.sandbox.building.daemonless import MINIMAL, TOOLCHAIN, DaemonlessEngine
from jfsnb.sandbox.images.catalogue import WHEELS
from jfsnb.sandbox.images.images import ImageStore
from jfsnb.sandbox.images.wheels import fetch_clients

pytestmark = [pytest.mark.sandbox, pytest.mark.full]
TAG = "local/juicefs:ce-v1.4.1-built"


def test_the_client_that_was_built_is_the_one_that_serves(world, sandbox, tmp_path_factory):
    client = fetch_clients([wheel for wheel in WHEELS if wheel.version == "1.4.1"])[0]
    tree = make_tree(tmp_path_factory.mktemp("tree") / "src", client.path)
    revision = commit(tree)
    run = world.run(image=TAG)
    plan = BuildPlan(str(tree), TAG, Recipe(build_base=TOOLCHAIN, run_base=MINIMAL, target="juicefs", tls=""))
    store = ImageStore(sandbox.state_dir)
    engine = DaemonlessEngine()

    def deliver(facts, archive, binary):
        return store.add_whole(facts.reference, archive, keep=False).id, ""

    seen = build.preflight(run, plan, [engine])
    assert seen.verdict in (Verdict.PASS, Verdict.WARN)
    made = build.build(run, plan, [engine], deliver)
    assert (made.client_sha256, made.commit, made.built) == (client.sha256, revision, True)
    world.tell(run, until=verify.data)
    mount_pod = run.recall("smoke")["mount_pod"]
    answer = run.cluster.execute(
        "juicefs-system", mount_pod, ["sh", "-c", "ls /bin/make /usr/bin/python3; stat -c %s /bin/sh"]
    )
    assert (
        answer.stdout.strip().isdigit()
    )  # the image's own userland: a shell, and none of this machine's other programs
    checks = {check.code: check for check in verify.client(run).checks}
    assert checks["JFS-IMG-007"].verdict is Verdict.PASS, checks["JFS-IMG-007"]

    record = next((run.settings.outputs / "builds").glob("*.json"))
    record.write_text(json.dumps({**json.loads(record.read_text()), "client_sha256": "0" * 64}))
    again = build.build(run, BuildPlan("", TAG), [])
    assert again.built_before and again.client_sha256 == "0" * 64
    (check,) = [check for check in verify.client(run).checks if check.code == "JFS-IMG-007"]
    assert check.verdict is Verdict.FAIL and client.sha256[:12] in check.reason
    for part in (verify.shutdown, verify.restore):
        part(run)
    shutil.rmtree(run.settings.outputs / "builds")
