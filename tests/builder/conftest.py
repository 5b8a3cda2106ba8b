"""Engines to build with: the ones of this machine, or a Docker engine started for the tests."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for trees.py, bases.py, dockerd.py

from bases import load, write_bases
from dockerd import private_dockerd, why_not
from trees import commit, make_tree

from jfsnb.builder import cli_engines
from jfsnb.builder.engine import Engine

ENGINES = ("buildkit", "classic", "podman", "buildah", "daemonless")


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Archives of two base images, by their names."""
    return write_bases(tmp_path_factory.mktemp("bases"))


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose client is a script."""
    folder = make_tree(tmp_path_factory.mktemp("tree") / "src")
    commit(folder)
    return folder


@pytest.fixture(scope="session")
def docker_host() -> Iterator[str]:
    """Address of a Docker engine: a private one where that can be started, else the one that answers."""
    reason = why_not()
    if not reason:
        with private_dockerd() as address:
            yield address
    elif shutil.which("docker") and subprocess.run(["docker", "version"], capture_output=True).returncode == 0:
        yield os.environ.get("DOCKER_HOST", "")
    else:
        pytest.skip(f"no Docker engine answers, and none can be started: {reason}")


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Configuration of podman and buildah with images of their own: the machine's are left alone."""
    folder = tmp_path_factory.mktemp("storage")
    lines = ["[storage]", 'driver = "vfs"', f'graphroot = "{folder}/root"', f'runroot = "{folder}/run"']
    (folder / "storage.conf").write_text("\n".join(lines) + "\n")
    return str(folder / "storage.conf")


@pytest.fixture(scope="session")
def engines(bases: dict[str, Path], request: pytest.FixtureRequest) -> Callable[[str], Engine]:
    """An engine by its name, with the base images loaded."""
    made: dict[str, Engine] = {}

    def find(name: str) -> Engine:
        if name not in made:
            made[name] = _daemonless(bases) if name == "daemonless" else _of_command_line(name, bases, request)
        return made[name]

    return find


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, engines: Callable[[str], Engine], monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Each kind of engine."""
    if request.param in ("buildkit", "classic"):
        monkeypatch.setenv("DOCKER_HOST", request.getfixturevalue("docker_host"))
    elif request.param in ("podman", "buildah"):
        monkeypatch.setenv("CONTAINERS_STORAGE_CONF", request.getfixturevalue("storage"))
    return engines(request.param)


def _daemonless(bases: dict[str, Path]) -> Engine:
    from jfsnb.sandbox.building.daemonless import DaemonlessEngine

    engine = DaemonlessEngine(bases)
    if engine.tier.name == "recorded":
        pytest.skip(engine.tier.reason)
    return engine


def _of_command_line(name: str, bases: dict[str, Path], request: pytest.FixtureRequest) -> Engine:
    kind = name if name in ("podman", "buildah") else "docker"
    with pytest.MonkeyPatch.context() as patch:
        if kind == "docker":
            patch.setenv("DOCKER_HOST", request.getfixturevalue("docker_host"))
            patch.setenv("PATH", f"/usr/bin:{os.environ['PATH']}")  # a distribution's docker comes with BuildKit
        found = [engine for engine in cli_engines.find_engines() if engine.name == kind]
        if not found:
            pytest.skip(f"{kind} does not answer here")
        engine = found[0]
        assert isinstance(engine, cli_engines.CliEngine)
        if name == "buildkit" and not engine.buildkit:
            pytest.skip(f"{engine.title}: no BuildKit")
        for archive in bases.values():
            load(kind, archive, dict(os.environ))
    return replace(engine, buildkit=name == "buildkit")
