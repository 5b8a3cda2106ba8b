"""Pushing to a real registry on loopback: the digest that the run is to compare with."""

import re
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from bases import RUN_BASE

from jfsnb.builder.plan import BuildPlan
from jfsnb.builder.recipe import Recipe
from jfsnb.builder.source import look_at
from jfsnb.errors import JfsnbError, UsageError

CONFIG = """\
version: 0.1
log: {{level: info}}
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Host and port of a registry without credentials."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not installed")
    folder = tmp_path_factory.mktemp("registry")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "config.yml").write_text(CONFIG.format(folder=folder / "data", port=port))
    command = [program, "serve", str(folder / "config.yml")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "listening on" in line:
            break
    drain = subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
    yield f"127.0.0.1:{port}"
    process.terminate()
    process.wait(20)
    drain.wait(20)
    process.stderr.close()


@pytest.mark.parametrize("engine", ["buildkit", "buildah", "daemonless"], indirect=True)
def test_the_digest_is_the_registry_s(engine, tree: Path, registry: str):
    reference = f"{registry}/juicefs/mount:ce-v1.3.0-abcdef1"
    recipe = Recipe(way="binary", run_base=RUN_BASE, binary="prebuilt/juicefs")
    engine.build(BuildPlan(str(tree), reference, recipe, network="none").request(look_at(tree)), lambda line: None)
    if engine.name == "daemonless":
        with pytest.raises(UsageError, match="knows no registry"):
            engine.push(reference, lambda line: None)
        return
    digest = engine.push(reference, lambda line: None)
    accept = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
    address = f"http://{registry}/v2/juicefs/mount/manifests/ce-v1.3.0-abcdef1"
    with urllib.request.urlopen(urllib.request.Request(address, headers={"Accept": accept}), timeout=20) as answer:
        assert answer.headers["Docker-Content-Digest"] == digest
    with pytest.raises(JfsnbError, match=r"push .* failed"):
        engine.push(re.sub(r"abcdef1$", "nobody", reference), lambda line: None)
