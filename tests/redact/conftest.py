import pytest

from jfsnb.redact.known import KNOWN


@pytest.fixture(autouse=True)
def nothing_known():
    """What one test taught the redactor must not help the next."""
    KNOWN.forget()
    yield
    KNOWN.forget()
