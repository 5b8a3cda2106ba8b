"""Every engine builds the same image, shows a failed step alike, and stops when it is told to."""

import os
import select
from pathlib import Path

import pytest
from bases import BUILD_BASE, RUN_BASE

from jfsnb.builder import facts
from jfsnb.builder.engine import BuildFailed, Engine
from jfsnb.builder.plan import OCI, BuildPlan
from jfsnb.builder.recipe import BINARY, Recipe
from jfsnb.builder.source import look_at

TAG = "local/juicefs:ce-v1.3.0-abcdef1"
SECONDS = 20


def plan_of(tree: Path, target: str = "juicefs.linux", **more) -> BuildPlan:
    recipe = Recipe(build_base=BUILD_BASE, run_base=RUN_BASE, target=target, **more)
    return BuildPlan(str(tree), TAG, recipe, network="none")


def build(engine: Engine, plan: BuildPlan, say=lambda line: None) -> None:
    engine.build(plan.request(look_at(Path(plan.source))), say)


def test_two_stages_make_an_image_that_holds_what_the_driver_calls(engine, tree, tmp_path):
    assert engine.has(BUILD_BASE) and not engine.has("local/nobody:1")
    build(engine, plan_of(tree))
    engine.save(TAG, tmp_path / "image.tar")
    seen = facts.read(tmp_path / "image.tar", TAG, tmp_path / "client")
    assert all(seen.programs.values())
    assert (tmp_path / "client").read_bytes() == (tree / "prebuilt/juicefs").read_bytes()
    assert seen.labels[f"{OCI}.revision"] == look_at(tree).commit
    assert (engine.run_client(TAG) or "juicefs version 1.3.0").startswith("juicefs version 1.3.0")


def test_a_failed_step_shows_what_it_wrote(engine, tree):
    lines = []
    with pytest.raises(BuildFailed) as failure:
        build(engine, plan_of(tree, "juicefs.broken"), lines.append)
    assert failure.value.step.text == "RUN make juicefs.broken"
    assert "cmd/mount.go:12:3: undefined: mountAll" in failure.value.output
    assert not any("STEP" in line or "ERROR" in line or "Step" in line for line in failure.value.output)
    assert "does not compile" in failure.value.next_step


def test_stopping_ends_what_the_step_was_running(engine, tree):
    running = []

    def stop(line: str) -> None:
        if line.endswith("compiling"):
            running.append(os.pidfd_open(sleeping()))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(engine, plan_of(tree, "juicefs.slow"), stop)
    ended, _, _ = select.select(running, [], [], SECONDS)
    assert ended == running
    os.close(running[0])


@pytest.mark.parametrize("engine", ["buildkit", "daemonless"], indirect=True)
def test_a_binary_that_is_there_is_put_onto_the_base(engine, tree, tmp_path):
    build(engine, plan_of(tree, way=BINARY, binary="prebuilt/juicefs"))
    engine.save(TAG, tmp_path / "image.tar")
    seen = facts.read(tmp_path / "image.tar", TAG)
    assert seen.programs["/bin/mount.juicefs"] == "/usr/local/bin/juicefs"


def sleeping() -> int:
    """Process id of the target's endless sleep."""
    while True:
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if (folder / "cmdline").read_bytes() == b"sleep\x0031007\x00":
                    return int(folder.name)
            except OSError:
                continue
