"""Looking before a build, and at what came out, with an engine that only pretends."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "builder"))
from trees import SCRIPT, commit, make_tree

from jfsnb.builder import archive, delivery
from jfsnb.builder.engine import BuildFailed
from jfsnb.builder.plan import BuildPlan
from jfsnb.builder.progress import Step
from jfsnb.builder.recipe import Recipe
from jfsnb.builder.source import look_at
from jfsnb.checks.model import Verdict
from jfsnb.errors import CheckFailed, JfsnbError, UsageError
from jfsnb.run import building

TAG = "registry.example.com/juicefs/mount:ce-v1.3.0-abcdef1"
PROGRAMS = ("sh", "umount", "rmdir", "stat")


class Pretender:
    """Writes an image of a few empty programs and a client."""

    name, title, note = "docker", "Pretender 1.0", ""

    def __init__(self, folder: Path, programs=PROGRAMS, said="juicefs version 1.3.0+2025-07-03.{commit}", here=True):
        self.root = folder / "image"
        for name in programs:
            (self.root / "bin").mkdir(parents=True, exist_ok=True)
            (self.root / "bin" / name).write_text("")
            (self.root / "bin" / name).chmod(0o755)
        (self.root / "usr/local/bin").mkdir(parents=True)
        (self.root / "usr/local/bin/juicefs").write_text(SCRIPT)
        (self.root / "usr/local/bin/juicefs").chmod(0o755)
        (self.root / "bin/mount.juicefs").symlink_to("/usr/local/bin/juicefs")
        self.said, self.here, self.fails, self.pushed = said, here, False, ""

    def command(self, request):
        return f"pretend build {request.tag}"

    def build(self, request, say):
        say("Step 1/2 : FROM a")
        say("Step 2/2 : RUN make")
        say("juicefs version 1.3.0 (told while it was built)")
        if self.fails:
            raise BuildFailed(Step(2, 2, "RUN make"), ("no rule",), "code 2")
        self.labels = request.labels

    def has(self, reference):
        return self.here

    def save(self, reference, path):
        config = archive.ImageConfig("amd64", "2024-01-01T00:00:00Z", env={"PATH": "/bin"}, labels=self.labels)
        archive.write(path, self.root, config, [reference])

    def push(self, reference, say):
        self.pushed = reference
        return "sha256:" + "1" * 64

    def run_client(self, reference):
        return self.said


@pytest.fixture
def tree(tmp_path):
    folder = make_tree(tmp_path / "src")
    commit(folder)
    return look_at(folder)


def plan(tree, **more) -> BuildPlan:
    return BuildPlan(str(tree.path), more.pop("tag", TAG), Recipe(**more))


def verdicts(checks) -> dict[str, Verdict]:
    return {check.code: check.verdict for check in checks}


def test_all_is_well_before(tree, tmp_path):
    seen = building.look(plan(tree), tree, Pretender(tmp_path), ("linux/amd64",))
    assert set(verdicts(seen.checks).values()) <= {Verdict.PASS, Verdict.NA}
    seen.require()


@pytest.mark.parametrize(
    ("more", "here", "code", "verdict"),
    [
        ({"target": "juicefs.linx"}, True, "JFS-BLD-002", Verdict.FAIL),
        ({"way": "binary", "binary": "nothing"}, True, "JFS-BLD-002", Verdict.FAIL),
        ({"way": "binary", "binary": "prebuilt/juicefs"}, True, "JFS-BLD-002", Verdict.PASS),
        ({}, False, "JFS-BLD-003", Verdict.WARN),
        ({"tag": "juicedata/mount:ce-v1.1.0"}, True, "JFS-BLD-007", Verdict.WARN),
        ({"tag": "juicedata/mount:ce-nightly"}, True, "JFS-BLD-007", Verdict.WARN),
        ({"tag": "localhost:5000/mount:ce-v1.3.0-1"}, True, "JFS-BLD-007", Verdict.PASS),
    ],
)
def test_what_can_be_known_before(tree, tmp_path, more, here, code, verdict):
    seen = building.look(plan(tree, **more), tree, Pretender(tmp_path, here=here), ())
    assert verdicts(seen.checks)[code] is verdict
    if verdict is Verdict.FAIL:
        with pytest.raises(CheckFailed):
            seen.require()


def test_without_a_registry_a_missing_base_is_the_end(tree, tmp_path):
    engine = Pretender(tmp_path, here=False)
    engine.name = "daemonless"
    assert verdicts(building.look(plan(tree), tree, engine).checks)["JFS-BLD-003"] is Verdict.FAIL


def test_another_project_is_refused(tree, tmp_path):
    (tree.path / "go.mod").write_text("module example.com/other\n")
    again = look_at(tree.path)
    assert verdicts(building.look(plan(again), again, Pretender(tmp_path)).checks)["JFS-BLD-001"] is Verdict.FAIL


def test_a_commit_that_the_build_cannot_read_is_told(tree, tmp_path):
    engine = Pretender(tmp_path)
    (tree.path / ".dockerignore").write_text(".git\n")
    ignored = building.look(plan(tree), tree, engine).checks
    assert next(c for c in ignored if c.code == "JFS-BLD-005").verdict is Verdict.WARN
    shutil.rmtree(tree.path / ".git")
    none = look_at(tree.path)
    assert (
        "no git checkout"
        in next(c for c in building.look(plan(none), none, engine).checks if c.code == "JFS-BLD-005").reason
    )


@pytest.mark.parametrize(
    ("nodes", "verdict"),
    [
        (("linux/amd64",), Verdict.PASS),
        (("linux/arm64",), Verdict.FAIL),
        (("linux/amd64", "linux/arm64"), Verdict.WARN),
        ((), Verdict.NA),
    ],
)
def test_the_image_is_compared_with_the_nodes(tree, tmp_path, nodes, verdict):
    made = building.make(plan(tree), tree, Pretender(tmp_path), lambda line: None, nodes=nodes)
    assert verdicts(made.checks)["JFS-BLD-006"] is verdict


def test_an_image_is_looked_at_and_not_believed(tree, tmp_path):
    engine = Pretender(tmp_path, programs=("sh", "rmdir", "stat"), said="juicefs version 1.3.0+2025-07-03.0000000")
    found = verdicts(building.make(plan(tree), tree, engine, lambda line: None).checks)
    assert found["JFS-BLD-008"] is Verdict.FAIL
    assert found["JFS-BLD-010"] is Verdict.WARN


def test_what_fails_its_contract_is_delivered_nowhere(tree, tmp_path):
    delivered = []

    def deliver(facts, archive_file, client):
        delivered.append(client.read_text())
        return "there", "sha256:1"

    steps = []
    whole = Pretender(tmp_path / "whole", said=f"juicefs version 1.3.0+2025-07-03.{tree.commit[:7]}")
    made = building.make(plan(tree), tree, whole, lambda line: None, steps.append, deliver)
    assert delivered == [SCRIPT] and (made.where, made.facts.digest) == ("there", "sha256:1")
    assert verdicts(made.checks)["JFS-BLD-010"] is Verdict.PASS
    assert steps == ["[1/2] FROM a", "[2/2] RUN make", "look at the image", "deliver the image"]
    building.make(plan(tree), tree, Pretender(tmp_path / "broken", ("sh",)), lambda line: None, deliver=deliver)
    assert len(delivered) == 1


def test_a_client_that_cannot_be_run_here_is_known_from_the_build_s_last_step(tree, tmp_path):
    made = building.make(plan(tree), tree, Pretender(tmp_path, said=None), lambda line: None)
    assert made.facts.version == "juicefs version 1.3.0 (told while it was built)"
    assert made.facts.asked == building.IN_BUILD


def test_a_build_is_remembered_by_its_image(tree, tmp_path):
    made = building.make(plan(tree), tree, Pretender(tmp_path), lambda line: None)
    building.keep_record(tmp_path, made.facts, "Pretender", tree.commit)
    known = building.record_of(tmp_path, TAG)
    assert known and known["client_sha256"] == made.facts.client_sha256 and known["commit"] == tree.commit
    assert building.record_of(tmp_path, TAG + "x") is None


def test_places_for_an_image(tmp_path):
    engine = Pretender(tmp_path)
    where, digest = delivery.deliver("registry", engine, TAG, tmp_path / "i.tar", lambda line: None)
    assert engine.pushed == TAG and digest in where
    (tmp_path / "i.tar").write_text("image")
    delivery.deliver(f"archive:{tmp_path}/copy.tar", engine, TAG, tmp_path / "i.tar", lambda line: None)
    assert (tmp_path / "copy.tar").read_text() == "image"
    assert delivery.load_command("kind", "dev", Path("/i.tar")) == [
        "kind",
        "load",
        "image-archive",
        "/i.tar",
        "--name",
        "dev",
    ]
    assert delivery.parse("containerd") == ("containerd", "k8s.io")
    for wrong in ("moon", "archive", "kind2:x"):
        with pytest.raises(UsageError):
            delivery.parse(wrong)


def test_a_loader_that_fails_says_so(tmp_path, monkeypatch):
    (tmp_path / "kind").write_text("#!/bin/sh\necho no nodes found; exit 1\n")
    (tmp_path / "kind").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    said = []
    with pytest.raises(JfsnbError, match="kind ended with exit code 1"):
        delivery.deliver("kind:dev", Pretender(tmp_path), TAG, tmp_path / "i.tar", said.append)
    assert "no nodes found" in said
