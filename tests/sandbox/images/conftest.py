"""A cache of one's own, and programs that answer as a client does."""

import pytest

from jfsnb.sandbox.images.images import ImageStore


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JFSNB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def store(tmp_path, cache):
    return ImageStore(tmp_path / "state")


@pytest.fixture
def make_client():
    def make(directory, version):
        """A program that answers --version as a client does."""
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / "juicefs"
        path.write_text(f"#!/bin/sh\necho 'juicefs version {version}'\n")
        path.chmod(0o755)
        return path

    return make
