"""The builder without a daemon: what COPY and friends mean, the machine as a base, and what it refuses."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "builder"))
from trees import make_tree

from jfsnb.builder import archive
from jfsnb.builder.dockerfile import instructions
from jfsnb.builder.engine import BuildFailed, BuildRequest
from jfsnb.builder.ignore import Ignore
from jfsnb.builder.recipe import Recipe
from jfsnb.errors import UsageError
from jfsnb.sandbox.building.daemonless import MINIMAL, TOOLCHAIN, DaemonlessEngine
from jfsnb.sandbox.building.stage import BuildStage
from jfsnb.sandbox.runtime.tier import Tier

TAG = "local/x:1"


@pytest.fixture(scope="module")
def engine():
    found = DaemonlessEngine()
    if found.tier.name == "recorded":
        pytest.skip(found.tier.reason)
    return found


def build(engine, folder, dockerfile, ignore="", arguments=None):
    lines = []
    request = BuildRequest(folder, dockerfile, ignore, TAG, labels={"made": "here"}, arguments=arguments or {})
    engine.build(request, lines.append)
    return lines


def saved(engine, tmp_path) -> archive.ImageArchive:
    engine.save(TAG, tmp_path / "image.tar")
    return archive.ImageArchive(tmp_path / "image.tar")


def test_the_machine_s_own_programs_are_enough_for_both_stages(engine, tmp_path):
    tree = make_tree(tmp_path / "src")
    recipe = Recipe(build_base=TOOLCHAIN, run_base=MINIMAL, target="juicefs", tls="")
    lines = build(engine, tree, recipe.dockerfile(), recipe.dockerignore())
    assert lines[-1] == f"Successfully tagged {TAG}" and "juicefs version 1.3.0+2025-07-03.abcdef1" in lines
    assert engine.run_client(TAG) == "juicefs version 1.3.0+2025-07-03.abcdef1"
    with saved(engine, tmp_path) as image:
        assert image.labels == {"made": "here"} and len(image.layers) == 1


def test_environment_arguments_and_what_a_step_leaves(engine, tmp_path):
    text = f"""\
ARG BASE={MINIMAL}
FROM $BASE AS one
ARG WHO=nobody
ENV GREETING="hello $WHO"
WORKDIR /work
RUN echo "$GREETING" > said; ln -s said link; rm /bin/ls
RUN ["/bin/sh", "-c", "cat said >&2"]
FROM one
COPY --from=one /work/s* /copied/
CMD ["/bin/sh"]
"""
    lines = build(engine, tmp_path, text, arguments={"WHO": "you"})
    assert "hello you" in lines
    with saved(engine, tmp_path) as image:
        files = image.files()
        assert {"work/said", "work/link", "copied/said"} <= set(files) and "bin/ls" not in files
        assert image.config["config"]["Cmd"] == ["/bin/sh"] and image.config["config"]["WorkingDir"] == "/work"
        assert "GREETING=hello you" in image.config["config"]["Env"]


def test_an_image_can_be_the_base_of_the_next(engine, tmp_path):
    build(engine, tmp_path, f"FROM {MINIMAL}\nENV A=1\nRUN echo first > /first\n")
    engine.save(TAG, tmp_path / "base.tar")
    lines = build(
        DaemonlessEngine({"local/base:1": tmp_path / "base.tar"}),
        tmp_path,
        "FROM local/base:1\nRUN echo $A $(cat /first)\n",
    )
    assert "1 first" in lines


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("FROM nobody/has:this\nRUN true", "no base image"),
        ("FROM scratch\nCOPY nothing /x", "COPY found no nothing"),
        ("FROM scratch\nCOPY ../x /x", "outside of the context"),
        ("FROM scratch\nCOPY --from=later /x /x", "no stage"),
        ("FROM scratch\nADD http://example.com/x /x", "ADD of URLs"),
        (f"FROM {TOOLCHAIN}\nWORKDIR /usr/local/x", "belongs to this machine"),
        (f"FROM {TOOLCHAIN}\nWORKDIR /x", "cannot stand on"),
    ],
)
def test_what_it_does_not_do_is_said(engine, tmp_path, text, why):
    with pytest.raises(UsageError, match=why):
        build(engine, tmp_path, text)


def test_a_program_that_is_not_there_fails_as_in_docker(engine, tmp_path):
    with pytest.raises(BuildFailed) as failure:
        build(engine, tmp_path, f'FROM {MINIMAL}\nRUN ["/bin/nothing"]\n')
    assert failure.value.step.text == 'RUN ["/bin/nothing"]' and "no such file" in failure.value.said


def test_a_machine_without_namespaces_is_told_before_anything_is_tried(tmp_path):
    with pytest.raises(UsageError, match="cannot run containers"):
        build(DaemonlessEngine(tier=Tier("recorded", "no")), tmp_path, f"FROM {MINIMAL}\n")


def test_copy_follows_docker_s_rules(tmp_path):
    context = tmp_path / "context"
    (context / "dir/sub").mkdir(parents=True)
    for name in ("a.txt", "b.txt", "dir/c", "dir/sub/d", "dir/skip.o"):
        (context / name).write_text(name)
    stage = BuildStage(tmp_path / "root")
    stage.root.mkdir()
    for line in (
        "WORKDIR /w",
        "COPY a.txt .",
        "COPY a.txt renamed",
        "COPY *.txt /all/",
        "COPY dir /d",
        "COPY . /whole",
    ):
        (instruction,) = instructions(line)
        if instruction.name == "COPY":
            stage.copy(instruction, (context, Ignore.parse("**/*.o")))
        else:
            stage.take(instruction)
    found = sorted(str(p.relative_to(stage.root)) for p in stage.root.rglob("*") if p.is_file())
    assert [p for p in found if not p.startswith("whole/")] == [
        *("all/a.txt", "all/b.txt", "d/c", "d/sub/d", "w/a.txt", "w/renamed")
    ]
    assert "whole/dir/sub/d" in found and "whole/dir/skip.o" not in found


def test_copy_never_leaves_the_stage_by_a_link(tmp_path):
    (tmp_path / "context").mkdir()
    (tmp_path / "context/file").write_text("x")
    stage = BuildStage(tmp_path / "root")
    stage.root.mkdir()
    (stage.root / "way").symlink_to(tmp_path / "outside")
    stage.copy(instructions("COPY file /way/file")[0], (tmp_path / "context", Ignore()))
    assert not (tmp_path / "outside").exists()
