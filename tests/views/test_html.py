"""Pieces of HTML: escaped, inline styles only, a status always as a word."""

import pytest

from jfsnb.views import html

EVIL = "<script>alert(1)</script> & </pre>"


@pytest.mark.parametrize(
    "piece",
    [
        html.table([{"name": EVIL, "verdict": EVIL, "what": EVIL}], caption=EVIL),
        html.block(EVIL, EVIL),
        html.diff(f"+{EVIL}\n-{EVIL}"),
        html.facts([(EVIL, EVIL)]),
        html.heading(EVIL, EVIL),
        html.folded(EVIL, ""),
        html.chip("PASS", EVIL),
        html.checks(
            [
                {
                    "verdict": EVIL,
                    "code": EVIL,
                    "title": EVIL,
                    "reason": EVIL,
                    "next_action": EVIL,
                    "evidence": [{"object": EVIL, "field": EVIL, "value": EVIL}],
                }
            ]
        ),
    ],
)
def test_what_comes_from_a_cluster_is_escaped(piece):
    assert "<script>" not in piece
    assert "&lt;script&gt;" in piece
    assert "<style" not in piece


def test_a_long_name_may_break_but_keeps_every_character():
    name = "juicefs-svr28176de740-songlin-test-pv-wslvif/" + "0123456789abcdef" * 4
    text = html.table([{"name": name}])
    assert name not in text
    assert name in text.replace("<wbr>", "")


@pytest.mark.parametrize("verdict", ["PASS", "FAIL", "WARN", "NOT_READY", "ERROR", "N/A"])
def test_a_verdict_is_a_word_on_its_colour(verdict):
    text = html.table([{"what": "x", "verdict": verdict}])
    assert f">{verdict}</span>" in text


def test_a_table_without_rows_says_so_and_columns_keep_their_order():
    assert "none" in html.table([], caption="Mount Pods")
    text = html.table([{"b": 1, "a": 2}], columns=("a", "b"))
    assert text.index(">a</th>") < text.index(">b</th>")


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), ("", "–"), (True, "yes"), (False, "no"), (1.5, "1.5"), (2.0, "2"), ((1, "a"), "1, a"), (0, "0")],
)
def test_values_are_written_as_people_do(value, text):
    assert html.show(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (5, "5s"),
        (119, "119s"),
        (380, "6m20s"),
        (7080, "118m"),
        (5 * 3600 + 180, "5h3m"),
        (12 * 3600, "12h"),
        (5 * 86400 + 3600, "5d1h"),
        (12 * 86400, "12d"),
        (532 * 86400, "532d"),
    ],
)
def test_ages_are_written_as_kubectl_does(seconds, text):
    assert html.age(seconds) == text


def test_a_long_log_keeps_its_end():
    text = html.block("\n".join(map(str, range(1000))), limit=10)
    assert "990 lines left out" in text
    assert "999" in text
