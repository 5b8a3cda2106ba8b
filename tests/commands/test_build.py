"""`jfsnb build` as a person types it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "builder"))
from trees import commit, make_tree

from jfsnb.builder import facts
from jfsnb.cli import main
from jfsnb.run.building import record_of
from jfsnb.sandbox.runtime.tier import detect

TAG = "local/juicefs:ce-v1.3.0-abcdef1"
OWN = ["--engine", "daemonless", "--build-base", "local/machine:toolchain", "--run-base", "local/machine:minimal"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = make_tree(tmp_path_factory.mktemp("tree") / "src")
    commit(folder)
    return folder


@pytest.fixture(autouse=True)
def can_run_containers():
    if detect().name == "recorded":
        pytest.skip(detect().reason)


def build(tree, tmp_path, *more):
    words = ["build", "--source", str(tree), "--tag", TAG, *OWN, "--tls", "", "--target", "juicefs"]
    return CliRunner().invoke(main, [*words, "--outputs", str(tmp_path), *more])


def test_from_a_checkout_to_an_archive(tree, tmp_path):
    done = build(tree, tmp_path, "--to", f"archive:{tmp_path}/image.tar")
    assert done.exit_code == 0, done.output
    seen = facts.read(tmp_path / "image.tar", TAG)
    known = record_of(tmp_path, TAG)
    assert known and known["client_sha256"] == seen.client_sha256 and known["id"] == seen.id
    for word in ("RUN make juicefs", "JFS-BLD-008", seen.client_sha256, seen.id, "without a container engine"):
        assert word in done.output
    steps = [line for line in done.output.splitlines() if "[4/7] RUN make juicefs" in line]
    assert len(steps) == 1


def test_from_a_git_url(tree, tmp_path):
    done = build(f"file://{tree}", tmp_path, "--quiet")
    assert done.exit_code == 0, done.output
    assert "git clone" in done.output and "cp prebuilt/juicefs" not in done.output


def test_warnings_count_when_they_are_to(tree, tmp_path):
    assert build(tree, tmp_path, "--strict", "--quiet").exit_code == 1  # the client's commit is not the source's


@pytest.mark.parametrize(
    ("more", "code", "word"),
    [
        (["--target", "juicefs.broken"], 1, "mountAll"),
        (["--target", "juicefs.nothing"], 1, "no target"),
        (["--run-base", "nobody/has:this"], 1, "not here"),
        (["--to", "moon"], 2, "no place for an image"),
        (["--tag", "UPPER/case"], 2, "image reference"),
        (["--source", "/nowhere"], 2, "no directory"),
        (["--base", "x"], 2, "has no value"),
        (["--source", ""], 2, "nothing to build"),
        (["--to", "archive"], 2, "file to go to"),
    ],
)
def test_what_goes_wrong_is_said_with_its_exit_code(tree, tmp_path, more, code, word):
    done = build(tree, tmp_path, *more)
    assert (done.exit_code, word in done.output) == (code, True), done.output
    assert record_of(tmp_path, TAG) is None


def test_the_dockerfile_is_shown_or_kept(tmp_path):
    shown = CliRunner().invoke(main, ["build", "--dockerfile", "--target", "juicefs.ceph"])
    assert shown.exit_code == 0 and "RUN make juicefs.ceph" in shown.output
    kept = tmp_path / "mount.Dockerfile"
    assert (
        CliRunner().invoke(main, ["build", "--keep-dockerfile", str(kept), "--target", "juicefs.ceph"]).exit_code == 0
    )
    assert kept.read_text() == shown.output and "node_modules" in Path(f"{kept}.dockerignore").read_text()


def test_ctrl_c_stops_the_build(tree, tmp_path):
    words = ["build", "--source", str(tree), "--tag", TAG, *OWN, "--tls", "", "--target", "juicefs.slow"]
    command = [sys.executable, "-m", "jfsnb", *words, "--outputs", str(tmp_path)]
    env = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None and process.stderr is not None
        for line in process.stdout:
            if line.strip() == "compiling":
                process.send_signal(signal.SIGINT)
                break
        process.stdout.read()
        assert process.stderr.read().strip() == "stopped"
        assert process.wait(20) == 130
    assert not [p for p in tmp_path.iterdir() if p.name.startswith("jfsnb-")]
