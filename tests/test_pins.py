"""What scripts/setup installs: every dependency at a fixed version, with the hashes of its files."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)(?: ;[^\\]*)?((?:\s*\\\n\s+--hash=sha256:[0-9a-f]{64})+)$", re.M)


def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(name):
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    found = {plain(m[1]): m[2] for m in PIN.finditer(text)}
    assert PIN.sub("", text).strip() == "", "something is there without a version or without a hash"
    return found


@pytest.mark.parametrize("name", ["base", "dev", "build"])
def test_versions_are_those_of_the_constraints(name):
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    wanted = {plain(line.partition("==")[0]): line.partition("==")[2] for line in lines}
    different = {n: (v, wanted[n]) for n, v in pins(name).items() if wanted.get(n, v) != v}
    assert not different, "run scripts/pins"


def test_every_dependency_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    asked = project["project"]["dependencies"]
    names = {plain(re.match(r"[A-Za-z0-9._-]+", line)[0]) for line in asked}
    assert names <= pins("base").keys(), "run scripts/pins"
    more = {plain(re.match(r"[A-Za-z0-9._-]+", line)[0]) for line in project["project"]["optional-dependencies"]["dev"]}
    assert names | more <= pins("dev").keys(), "run scripts/pins"
    assert {plain(line) for line in project["build-system"]["requires"]} <= pins("build").keys()
