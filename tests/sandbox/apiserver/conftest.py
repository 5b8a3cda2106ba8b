import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def api(tmp_path_factory):
    """An API server without components."""
    from api_harness import api_only

    with api_only(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture(scope="session")
def http(api):
    """Requests as its admin."""
    from api_harness import Requests

    with Requests(api) as requests:
        yield requests


@pytest.fixture
def ns(http):
    """A new namespace with a service account."""
    return http.namespace()
