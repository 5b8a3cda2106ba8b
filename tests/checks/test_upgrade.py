"""What is said of an upgrade: from what the app saw, never from what was attempted."""

from dataclasses import replace

import pytest

from jfsnb.checks import upgrade as checks
from jfsnb.checks.codes import Unreadable
from jfsnb.checks.upgrade import Load, Seen

OLD, NEW = "1.3.0+2025-07-07.pypi", "juicefs version 1.4.2+2026-10-26.pypi"
HELD = {"file": "held", "flock": "held", "directory": "held"}
BEFORE = Seen("mp-a", "u1", "upg", "img:old", 0, ("/pods/1", "/pods/2"))
AFTER = Seen("mp-b", "u2", "upg", "img:new", 0, ("/pods/1", "/pods/2"))
COUNTED = {"records": 100, "lost": 0, "doubled": 0, "disordered": 0, "torn": 0}


@pytest.mark.parametrize(
    "now,inside,verdict",
    [
        ("1.4.2 (2026-10-26 pypi)", "1.4.2+2026-10-26.pypi", "PASS"),
        (OLD, OLD, "FAIL"),  # success was reported, and the old client serves
        ("1.4.2+2026-10-26.pypi", OLD, "FAIL"),  # the process is new, and the old one answers the app
        ("1.4.2+2026-10-26.pypi", "", "PASS"),
        (Unreadable("exec refused"), "", "ERROR"),
    ],
)
def test_who_serves_is_what_answers(now, inside, verdict):
    assert checks.new_client_serves(OLD, now, NEW, inside, "mp").verdict == verdict


def test_an_exchange_for_the_same_version_is_no_proof():
    assert checks.new_client_serves(NEW, NEW, NEW, "", "mp").verdict == "WARN"


@pytest.mark.parametrize(
    "lines,verdict",
    [
        (["t POD-START [a]", "t POD-SUCCESS [a] Upgrade"], "PASS"),
        (["t POD-START [a]", "t POD-FAIL [a] node may be busy."], "FAIL"),
        (["t POD-START [a]"], "FAIL"),
        ([], "FAIL"),
        (Unreadable("no connection"), "ERROR"),
    ],
)
def test_the_tool_s_own_word(lines, verdict):
    assert checks.tool_said(lines).verdict == verdict


@pytest.mark.parametrize("wrong", ["lost", "doubled", "disordered", "torn"])
def test_one_wrong_record_is_enough(wrong):
    assert checks.records_kept({**COUNTED, wrong: 1}, 100, 0).verdict == "FAIL"


def test_records():
    assert checks.records_kept(COUNTED, 100, 2).verdict == "PASS"
    assert checks.records_kept({**COUNTED, "records": 0}, 0, 0).verdict == "ERROR"
    assert checks.records_kept(Unreadable("gone"), 0, 0).verdict == "ERROR"


def test_what_the_app_noticed():
    assert checks.app_noticed(Load(acked=9, held=HELD)).verdict == "PASS"
    assert checks.app_noticed(Load(acked=9, held={**HELD, "flock": "another process could take it"})).verdict == "FAIL"
    assert checks.app_noticed(Load(acked=9, held=HELD, errors=((1.0, "append", "EBADF"),))).verdict == "FAIL"
    assert checks.app_noticed(Load()).verdict == "ERROR"  # it told nothing
    assert checks.app_noticed(Unreadable("no log")).verdict == "ERROR"


@pytest.mark.parametrize("seconds,verdict", [(0.0, "PASS"), (15.0, "PASS"), (15.1, "FAIL")])
def test_stalls(seconds, verdict):
    assert checks.stall_within(Load(stalls=((0.0, seconds, "append"),)), 15).verdict == verdict


@pytest.mark.parametrize(
    "now,recreate,verdict",
    [
        ([AFTER], True, "PASS"),
        ([BEFORE], False, "PASS"),
        ([BEFORE, AFTER], True, "FAIL"),  # the old one stayed
        ([], True, "FAIL"),
        ([BEFORE], True, "FAIL"),
        ([AFTER], False, "FAIL"),
        ([replace(AFTER, image="img:old")], True, "FAIL"),
        ([replace(AFTER, references=("/pods/1",))], True, "FAIL"),
        ([replace(BEFORE, restarts=1)], False, "FAIL"),
        (Unreadable("403"), True, "ERROR"),
    ],
)
def test_what_was_promised_of_the_mount_pod(now, recreate, verdict):
    assert checks.exchanged_as_promised(BEFORE, now, recreate, "img:new").verdict == verdict


def test_a_delete_delay_survives():
    delayed = replace(BEFORE, delete_delay="10m")
    assert checks.exchanged_as_promised(delayed, [AFTER], True, "img:new").verdict == "FAIL"
    assert (
        checks.exchanged_as_promised(delayed, [replace(AFTER, delete_delay="10m")], True, "img:new").verdict == "PASS"
    )


def test_conditions_are_told_in_the_driver_s_words():
    refused = checks.may_upgrade("pod has no hash label", "mp")
    assert refused.verdict == "FAIL" and "pod has no hash label" in refused.reason
    assert checks.may_upgrade("", "mp").verdict == "PASS"


@pytest.mark.parametrize(
    "version,recreate,refused",
    [
        ("1.2.0 (2024-06-18 873c47b)", True, True),
        ("1.2.0", False, False),
        ("1.1.2", False, True),
        ("1.3.0+2025-07-07.pypi", True, False),
        ("not known: exec refused", True, False),
    ],
)
def test_the_client_that_runs_counts_and_not_its_tag(version, recreate, refused):
    assert bool(checks.client_too_old(version, recreate)) is refused


def test_a_driver_that_knows_no_upgrade():
    assert "0.24.9" in checks.driver_too_old((0, 24, 9))
    assert checks.driver_too_old((0, 25, 0)) == checks.driver_too_old(None) == ""
