"""How parts look: every part of a run renders, escaped, with its checks; tables are DataFrames."""

import sys
from pathlib import Path

import pytest

from jfsnb.views import results
from jfsnb.views.frames import frame, frames

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))
import sample

PARTS = sample.parts()


@pytest.mark.parametrize("part", PARTS, ids=[part["part"] for part in PARTS])
def test_every_part_renders_with_its_title_and_checks(part):
    text = results.render(part)
    assert part["title"] in text
    for check in part["checks"]:
        assert check["code"] in text
    assert "<script>" not in text


def test_a_part_that_is_not_known_yet_still_shows_its_data():
    text = results.render(sample.part("05-verify", "new", "New", [], 0, rows=[{"a": "cell"}], fact="told"))
    assert "cell" in text
    assert "told" in text


def test_parts_of_results_as_the_steps_make_them_render_too():
    """Also the empty ones, as a step that found nothing hands them out."""
    from jfsnb.queries.model import Result
    from jfsnb.run import results as made

    for kind in vars(made).values():
        if isinstance(kind, type) and issubclass(kind, Result) and kind.PART:
            assert kind.TITLE.split(":")[0] in results.render(kind().to_dict()).replace("&#x27;", "'")


def test_plain_text_lists_the_checks():
    text = results.plain(PARTS[0])
    assert "PASS" in text
    assert "JFS-PRE-001" in text


def test_lanes_pair_each_app_pod_with_the_client_that_was_found_running():
    lanes = results.lanes({part["part"]: part for part in PARTS})
    assert [(lane.mount_pod, lane.client) for lane in lanes] == [
        (sample.OLD_POD, "1.3.0 (30190ca)"),
        (sample.NEW_POD, "1.4.2 (03f36d6)"),
    ]
    assert [lane.tested for lane in lanes] == [False, True]
    assert results.serving({}) == ""


def test_before_the_proof_the_baseline_s_client_is_what_the_first_notebook_saw():
    rows = [{"where": "Mount Pod", "pod": sample.OLD_POD, "client_running": "1.3.0 (2025-07-03 30190ca)"}]
    served = sample.part("01-background", "served_by", "x", [], 0, rows=rows, same_client=False)
    (lane,) = results.lanes({"baseline": PARTS[2], "served_by": served})
    assert lane.client == "1.3.0 (30190ca)"


def test_tables_become_dataframes_with_their_columns():
    table = frames(PARTS[1]["data"])["mount_pods"]
    assert list(table.columns)[:3] == ["name", "node", "volume"]
    assert list(frame([], ("a", "b")).columns) == ["a", "b"]
