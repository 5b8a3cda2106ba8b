"""A sandbox in a file: the same questions, the same answers as of the sandbox it was collected from."""

import io
import json
import zipfile

import pytest
from click.testing import CliRunner

from jfsnb.cli import main
from jfsnb.run import background, patch
from jfsnb.run.rollback import rollback

pytestmark = [pytest.mark.sandbox, pytest.mark.full]
NAMESPACE, CLAIM, NEW = "juicefs-system", "songlin-test-pvc", "juicedata/mount:ce-v1.4.1"


def told(*words):
    result = CliRunner().invoke(main, [*words, "-o", "json"])
    assert result.exit_code in (0, 1, 3) and not isinstance(result.exception, TypeError), result.output
    answer = json.loads(result.stdout)
    answer.pop("cluster")  # the line that says where the answer comes from
    for row in answer["rows"]:
        row.pop("age_seconds", None)  # between the two some seconds have gone by
    return result.exit_code, answer


def test_answers_from_a_file_are_those_of_the_cluster(world, sandbox, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("JFSNB_OUTPUTS", str(world.outputs))
    run = world.run()
    smoke = background.baseline(run)
    patch.plan(run), patch.apply(run), patch.wait_in_force(run)
    where = ["--kubeconfig", str(sandbox.kubeconfig), "--cluster", sandbox.context]
    file = tmp_path_factory.mktemp("collected") / "a.zip"
    planned = CliRunner().invoke(main, ["collect", "--dry-run", "-o", str(file), *where])
    assert planned.exit_code == 0 and "nothing was read" in planned.stdout and not file.exists()
    collected = CliRunner().invoke(main, ["collect", "-o", str(file), *where])
    assert collected.exit_code == 0, collected.output
    with zipfile.ZipFile(file) as archive:
        said = archive.read(f"more/client-{smoke.mount_pod}.txt").decode()
    assert '"Version"' in said and "juicefs_" in said  # .config and .stats
    for words in (
        *(["mounts"], ["doctor"], ["explain", CLAIM], ["verify", smoke.pod], ["verify", f"pvc/{CLAIM}"]),
        *(["mounts", "--node", smoke.node], ["explain", CLAIM, "--node", smoke.node]),
        ["verify", smoke.pod, "--image", NEW],
    ):
        there, here = told(*words, "--from", str(file)), told(*words, *where)
        rows = (there[1]["rows"], here[1]["rows"])
        assert [r for r in rows[0] if r not in rows[1]] + [r for r in rows[1] if r not in rows[0]] == [], words
        assert there == here, words
    for scope in ("canary", "global"):  # neither is possible while another run's patch is in place, and both say so
        words = ["patch", "--scope", scope, "--image", "a/b:ce-v9.9.9"]
        there, here = (CliRunner().invoke(main, [*words, *place]) for place in (["--from", str(file)], where))
        assert there.exit_code == here.exit_code
        plan = here.output.partition("nothing was changed")[0].rstrip()
        assert plan in there.output and run.id in plan
    assert rollback(world.cluster, run.id, world.outputs).complete


def test_what_secrets_hold_is_not_in_the_file(world, sandbox, tmp_path):
    where = ["--kubeconfig", str(sandbox.kubeconfig), "--cluster", sandbox.context]
    values = [
        value
        for found in world.cluster.transport.call("GET", f"/api/v1/namespaces/{NAMESPACE}/secrets")["items"]
        for value in (found.get("data") or {}).values()
        if len(value) > 12
    ]
    file = tmp_path / "collected" / "a.zip"
    assert CliRunner().invoke(main, ["collect", "-o", str(file), *where]).exit_code == 0
    with zipfile.ZipFile(io.BytesIO(file.read_bytes())) as archive:
        content = "\n".join(archive.read(name).decode() for name in archive.namelist())
    assert values and [v for v in values if v in content] == []
    assert '"metaurl"' in content  # that there is such a key is kept


def test_again_and_again_is_a_history(world, sandbox, tmp_path):
    where = ["--kubeconfig", str(sandbox.kubeconfig), "--cluster", sandbox.context]
    file = tmp_path / "collected" / "h.zip"
    result = CliRunner().invoke(main, ["collect", "--every", "1s", "--for", "2s", "-o", str(file), *where])
    assert result.exit_code == 0, result.output
    with zipfile.ZipFile(file) as archive:
        moments = [name for name in archive.namelist() if name.startswith("moments/")]
    assert len(moments) == 3
    assert told("mounts", "--from", str(file))[1]["rows"] == told("mounts", *where)[1]["rows"]
    for words in (["--every", "soon"], ["--for", "-1h"], ["--every", "1s"]):  # the last: the file is there already
        assert CliRunner().invoke(main, ["collect", *words, "-o", str(file), *where]).exit_code == 2
