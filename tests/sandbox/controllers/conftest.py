import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def plane(tmp_path_factory):
    """A control plane with one live node; tests use namespaces of their own."""
    from plane import control_plane

    with control_plane(tmp_path_factory.mktemp("plane")) as running:
        yield running


@pytest.fixture
def ns(plane):
    name = plane.namespace()
    yield name
    plane.delete(f"/api/v1/namespaces/{name}")
