"""The pages are valid HTML by a browser's own rules, in every language, and can be used without a mouse."""

import itertools

import html5lib
import pytest
import sample
from test_record import a_record

from jfsnb.i18n import LANGUAGES, TAGS, VARIABLE
from jfsnb.report.index import index_html
from jfsnb.report.page import report_html
from jfsnb.views import results

each_language = pytest.mark.parametrize("into", sorted(LANGUAGES))
NAMESPACE = "{http://www.w3.org/1999/xhtml}"


def parsed(text):
    """The tree; raises ParseError where a browser would have to guess."""
    return html5lib.HTMLParser(strict=True).parse(text)


@pytest.fixture
def pages(tmp_path, notebook, monkeypatch):
    notebook("01-x", "print('hello')", title="A lesson")
    sample.write(tmp_path / "run-1", sample.parts())
    sample.write(tmp_path / "open-1", sample.parts()[:4])
    runs = [{**a_record(), "run_id": name} for name in ("run-1", "run-2", "run-3")]

    def make(into):
        monkeypatch.setenv(VARIABLE, into)
        (tmp_path / "run-1" / "run.json").touch()
        cells = "".join(results.render(part) for part in sample.parts())
        lesson = f"<!doctype html><html lang={TAGS[into]}><title>cells</title><h1>All parts</h1>{cells}</html>"
        return report_html(a_record(), sample.parts(), tmp_path), index_html(runs, tmp_path, "0"), lesson

    return make


@each_language
def test_a_browser_has_to_guess_nothing(pages, into):
    for text in pages(into):
        assert parsed(text).get("lang") == TAGS[into]


@each_language
def test_headings_leave_no_level_out_and_begin_with_one(pages, into):
    for text in pages(into):
        tags = (element.tag for element in parsed(text).iter() if isinstance(element.tag, str))
        levels = [int(tag[-1]) for tag in tags if tag.removeprefix(NAMESPACE) in ("h1", "h2", "h3")]
        assert levels[0] == 1
        assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


@each_language
def test_what_scrolls_can_be_reached_by_keyboard_and_has_a_name(pages, into):
    for text in pages(into):
        for element in parsed(text).iter():
            if "overflow-x:auto" in element.get("style", "") or element.get("class") == "scroll":
                assert element.get("tabindex") == "0"
                assert element.get("aria-label")


@each_language
def test_columns_are_named_and_pictures_have_words(pages, into):
    for text in pages(into):
        tree = parsed(text)
        assert all(element.get("scope") for element in tree.iter(f"{NAMESPACE}th"))
        assert all(element.get("alt") for element in tree.iter(f"{NAMESPACE}img"))


def test_on_paper_nothing_is_folded_half_and_no_row_is_torn(pages):
    report, *_ = pages("en")
    style = report.partition("@media print")[2].partition("</style>")[0]
    assert "break-inside: avoid" in style
    assert "details" in style


def test_a_report_speaks_one_language(pages):
    report, index, _ = pages("zh")
    for english in ("What this run looked at", "Clean-up", "Next:", "evidence ("):
        assert english not in report
    for english in ("All runs", "By image", "Not judged"):
        assert english not in index


def test_runs_of_jupyterlab_are_listed_apart_with_how_far_they_came(pages):
    _, index, _ = pages("en")
    apart = index.partition("Not judged as a whole")[2]
    assert "open-1" in apart
    assert "run-1" not in apart


def test_the_index_says_per_image_which_client_ran_and_how_often_it_passed(pages):
    _, index, _ = pages("en")
    table = index.partition("By image under test")[2].partition("All runs")[0]
    assert sample.NEW in table
    assert table.count("<td>3</td>") == 2
