"""The comparison itself: what counts as a difference, and what the command says about one."""

import gzip
import json

import pytest
from click.testing import CliRunner

from tests.vectors.__main__ import main
from tests.vectors.comparing import DIFFER, NO_COUNTERPART, Refused, answers_of, differences, judge


@pytest.mark.parametrize(
    "theirs, ours, places",
    [
        ({"a": [1, 2]}, {"a": [1, 2]}, []),
        ({"a": [1, 2]}, {"a": [2, 1]}, ["a[0]", "a[1]"]),
        ({"a": None}, {}, ["a"]),
        ({"a": None}, {"a": []}, ["a"]),
        (1, True, [""]),
        ({"error": "x"}, {"out": None}, ["error", "out"]),
    ],
)
def test_places_that_differ(theirs, ours, places):
    assert [d.path for d in differences(theirs, ours)] == places


def test_a_crash_of_ours_is_a_difference_and_a_refusal_is_compared_by_its_text():
    def crashing(given):
        raise KeyError("x")

    def refusing(given):
        raise Refused("no")

    vector = {"id": "v-1", "kind": "k", "in": {"function": "f"}, "error": "no"}
    assert judge("values", vector, crashing).outcome == DIFFER
    assert judge("values", vector, refusing).outcome == "agree"
    assert judge("values", {**vector, "error": "never"}, refusing).outcome == DIFFER


def test_a_family_without_a_module_has_no_counterpart():
    vector = {"id": "v-1", "kind": "k", "in": {"function": "f"}, "out": 1}
    assert judge("unheard-of", vector, answers_of("unheard-of")).outcome == NO_COUNTERPART


def test_the_command_counts_by_kind_and_fails_when_nothing_is_there(tmp_path):
    assert CliRunner().invoke(main, [str(tmp_path)]).exit_code == 2
    line = json.dumps({"id": "v-1", "kind": "odd", "in": {"function": "f"}, "out": 1})
    (tmp_path / "unheard-of.jsonl.gz").write_bytes(gzip.compress(line.encode() + b"\n"))
    result = CliRunner().invoke(main, [str(tmp_path)])
    assert result.exit_code == 0
    assert "unheard-of odd" in result.output and result.output.splitlines()[-1].split()[-1] == "1"
