"""Tiers: what is tried decides, and a tier never says it is a higher one."""

import pytest

from jfsnb.errors import UsageError
from jfsnb.sandbox.runtime.tier import Trial, choose, detect

OK, DENIED = "ok", "unshare: Operation not permitted"


@pytest.mark.parametrize(
    ("trial", "name"),
    [
        (Trial(OK, OK), "full"),
        (Trial(OK, "fuse: Permission denied"), "namespaces"),
        (Trial(DENIED, "not tried"), "recorded"),
    ],
)
def test_the_best_that_works_is_chosen(trial, name):
    found = choose(trial, "full")
    assert found.name == name
    if name == "namespaces":
        assert "no client can mount" in found.reason and "fuse" in found.reason
    if name == "recorded":
        assert DENIED in found.reason and found.reason.startswith("Nothing is executed")


def test_a_lower_tier_can_be_asked_for(monkeypatch):
    assert choose(Trial(OK, OK), "namespaces").name == "namespaces"
    assert detect("recorded").name == "recorded"
    monkeypatch.setenv("JFSNB_TIER", "recorded")
    assert detect().name == "recorded"
    monkeypatch.setenv("JFSNB_TIER", "best")
    with pytest.raises(UsageError, match="'best' is not a tier"):
        detect()


def test_other_systems_are_recorded(monkeypatch):
    monkeypatch.setattr("sys.platform", "darwin")
    assert detect().reason == "Nothing is executed: containers need Linux, this is darwin."
