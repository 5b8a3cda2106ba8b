"""The verdict of a run: the worst that was found, and never PASS without the evidence for it."""

import json
import signal
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest
import sample

from jfsnb.checks.model import Verdict
from jfsnb.commands.run import IN_A_COMPARISON, IN_A_RUN
from jfsnb.errors import ConnectionFailed, JfsnbError
from jfsnb.report.interrupt import Interrupted
from jfsnb.report.junit import junit
from jfsnb.report.record import CleanUp, ClusterFacts, exit_code, judge_run, record
from jfsnb.report.runner import NotebookOutcome
from jfsnb.run.results import expected
from jfsnb.settings import Settings

CLEAN = CleanUp(True, "nothing is left")
RAN = NotebookOutcome("01-x", "One", Verdict.PASS, "every cell ran", "", 3, 3, "2026-11-25T01:00:00+00:00", 1.0, 0)
ALL = tuple(replace(RAN, name=name) for name in IN_A_RUN)
EXPECTED = expected(IN_A_RUN)
SETTINGS = Settings(image=sample.NEW, run_id="r1").parameters()
TIMES = ("2026-11-25T01:00:00.000+00:00", "2026-11-25T01:00:24.000+00:00", 24.0)


def with_check(part, verdict):
    found = sample.parts()
    for item in found:
        if item["part"] == part:
            item["checks"] = [sample.check("JFS-X-001", "Asked", verdict, "seen")]
    return found


def a_record(parts=None, outcomes=(RAN,), clean_up=CLEAN, tier="full", **options):
    cluster = ClusterFacts("ctx", "v1.34", tier, "because")
    found = sample.parts() if parts is None else parts
    return record("r1", SETTINGS, cluster, outcomes, found, clean_up, {"jfsnb": "1"}, TIMES, **options)


def test_a_complete_run_without_a_complaint_passes():
    judged = judge_run(ALL, sample.parts())
    assert judged.verdict is Verdict.PASS
    assert sample.NEW in judged.reason


@pytest.mark.parametrize("verdict", ["FAIL", "ERROR", "NOT_READY", "WARN"])
def test_the_worst_check_decides_and_is_named(verdict):
    judged = judge_run(ALL, with_check("client", verdict))
    assert judged.verdict == verdict
    assert "Asked? seen" in judged.reason
    assert judged.next_action == "Look at it."


@pytest.mark.parametrize("missing", list(EXPECTED))
def test_without_the_result_of_any_part_it_is_not_a_pass(missing):
    found = [part for part in sample.parts() if part["part"] != missing]
    assert judge_run(ALL, found).verdict is Verdict.ERROR


@pytest.mark.parametrize("part", [name for name, judges in EXPECTED.items() if judges])
def test_a_part_that_judged_nothing_is_no_evidence(part):
    found = sample.parts()
    next(p for p in found if p["part"] == part)["checks"] = []
    assert judge_run(ALL, found).verdict is Verdict.ERROR


def test_the_sample_has_every_part_that_a_run_has():
    assert set(EXPECTED) == {part["part"] for part in sample.parts()}


def test_a_comparison_has_to_leave_its_parts_too():
    more = set(expected(IN_A_COMPARISON)) - set(EXPECTED)
    assert more == {"sides", "measure", "behaviours"}
    compared = replace(RAN, name="08-compare-clients")
    assert judge_run([*ALL, compared], sample.parts()).verdict is Verdict.ERROR


def test_a_notebook_that_died_or_never_ran_is_not_a_pass_however_good_the_checks():
    died = replace(RAN, verdict=Verdict.ERROR, reason="the kernel died", exit_code=3)
    assert judge_run([died], sample.parts()).verdict is Verdict.ERROR
    never = replace(RAN, verdict=Verdict.NOT_READY, started="", executed=0)
    assert judge_run([RAN, never], sample.parts()).verdict is Verdict.ERROR


def test_nothing_at_all_is_an_error():
    assert judge_run([], []).verdict is Verdict.ERROR


def test_something_left_behind_is_not_a_pass():
    left = CleanUp(False, "a Pod is left")
    found = a_record(outcomes=ALL, clean_up=left)
    assert (found["verdict"], found["exit_code"]) == ("ERROR", 3) and "a Pod is left" in found["reason"]
    assert found["next_action"].startswith("jfsnb rollback ")


@pytest.mark.parametrize(
    ("more", "first"),
    [
        ({"parts": with_check("client", "FAIL"), "outcomes": ALL}, "Asked? seen"),
        ({"stopped": Interrupted(signal.SIGTERM)}, "stopped by SIGTERM"),
        ({"stopped": JfsnbError("the API server ended")}, "the API server ended"),
    ],
    ids=["a failure", "a signal", "an error"],
)
def test_clean_up_that_is_not_complete_is_told_beside_what_came_first(more, first):
    found = a_record(clean_up=CleanUp(False, "a Pod is left"), **more)
    assert first in found["reason"] and "a Pod is left" in found["reason"]
    assert found["exit_code"] in (1, 3)  # 143 would say that clean-up is done


@pytest.mark.parametrize(
    ("verdict", "strict", "code"),
    [
        ("PASS", False, 0),
        ("WARN", False, 0),
        ("WARN", True, 1),
        ("FAIL", False, 1),
        ("ERROR", False, 3),
        ("NOT_READY", False, 3),
        ("N/A", False, 3),
    ],
)
def test_exit_codes(verdict, strict, code):
    judged = replace(judge_run(ALL, sample.parts()), verdict=Verdict(verdict))
    assert exit_code(judged, [RAN], strict) == code


def test_wrong_usage_and_signals_have_their_own_exit_codes():
    judged = judge_run(ALL, with_check("client", "FAIL"))
    assert exit_code(judged, [replace(RAN, exit_code=2)]) == 2
    stopped = a_record(stopped=Interrupted(signal.SIGTERM))
    assert (stopped["exit_code"], stopped["verdict"]) == (143, "ERROR")
    refused = a_record(parts=[], stopped=ConnectionFailed("no answer", "look at the address"))
    assert (refused["exit_code"], refused["reason"], refused["next_action"]) == (3, "no answer", "look at the address")


def test_what_was_not_covered_names_tier_scope_and_nodes():
    text = " ".join(a_record(tier="recorded")["coverage"]["not_covered"])
    for word in ("recorded", "because", "canary", "2 nodes", "real cluster"):
        assert word in text
    assert "real data path" not in " ".join(a_record(tier="full")["coverage"]["not_covered"])
    assert "sandbox" not in " ".join(a_record(tier="")["coverage"]["not_covered"])


@pytest.mark.parametrize("tier", ["namespaces", "recorded"])
@pytest.mark.parametrize("verdict", ["PASS", "FAIL"])
def test_without_a_real_data_path_there_is_no_verdict_about_the_client(tier, verdict):
    found = a_record(with_check("client", verdict), tier=tier)
    assert (found["verdict"], found["exit_code"]) == ("ERROR", 3)
    assert tier in found["reason"]


def test_a_global_patch_is_said_to_have_touched_everybody():
    options = dict(SETTINGS, scope="global")
    found = record("r1", options, ClusterFacts("ctx"), [RAN], sample.parts(), CLEAN, {"jfsnb": "1"}, TIMES)
    assert "everybody" in " ".join(found["coverage"]["covered"])
    assert "canary" not in " ".join(found["coverage"]["not_covered"])


def test_the_record_is_what_the_schema_says():
    import jsonschema

    schema = json.loads((Path(__file__).parents[2] / "docs" / "run-schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    for found in (a_record(), a_record(parts=[], outcomes=[]), a_record(stopped=Interrupted(signal.SIGINT))):
        jsonschema.validate(json.loads(json.dumps(found)), schema)


def test_junit_has_a_case_per_check_and_a_failure_where_there_is_one():
    suite = ElementTree.fromstring(junit(a_record(with_check("client", "FAIL"))))
    assert suite.get("failures") == "1"
    assert int(suite.get("tests")) == len(a_record()["checks"])
    (failure,) = suite.iter("failure")
    assert "seen" in failure.get("message")


def test_junit_survives_control_characters():
    found = a_record(with_check("client", "FAIL"))
    found["checks"][0] |= {"verdict": "ERROR", "reason": "\x1b[31mbad\x00"}
    assert ElementTree.fromstring(junit(found)).get("errors") == "1"
