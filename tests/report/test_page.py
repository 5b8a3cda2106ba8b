"""The report: one offline file whose first screen says what was proven and what was not."""

import json
import re
from html.parser import HTMLParser

import pytest
import sample
from test_record import RAN, a_record, with_check

from jfsnb.report.index import index_html, read_runs
from jfsnb.report.page import report_html

VOID = {"meta", "br", "img", "link", "hr", "input", "col", "wbr"}


class Balanced(HTMLParser):
    """Collects tags; complains where one is not closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.problems = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}> at {self.getpos()}")


def parsed(text):
    parser = Balanced()
    parser.feed(text)
    parser.close()
    return parser


@pytest.fixture
def report(tmp_path, notebook):
    source = notebook("01-x", "print('hello')", title="A <b>lesson</b>")
    node = json.loads(source.read_text())
    node["cells"][2]["outputs"] = [
        {"output_type": "stream", "name": "stdout", "text": "</pre><script>alert(2)</script>"}
    ]
    (tmp_path / "01-x.ipynb").write_text(json.dumps(node))
    return lambda found=None, **options: report_html(
        a_record(found, **options), sample.parts() if found is None else found, tmp_path
    )


def test_html_is_balanced_and_ids_are_unique(report):
    page = parsed(report())
    assert page.problems == []
    assert page.open == []
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_it_needs_no_network_and_runs_no_script(report):
    text = report()
    page = parsed(text)
    assert not [tag for tag, _ in page.tags if tag in ("script", "link", "iframe", "object")]
    assert all(a["src"].startswith("data:") for tag, a in page.tags if tag == "img")
    assert "default-src 'none'" in text
    assert not re.search(r"url\(\s*['\"]?https?:", text)


def test_what_a_program_printed_is_escaped(report):
    text = report()
    assert "<script>" not in text
    assert "&lt;script&gt;alert(2)" in text


def test_every_picture_has_words(report):
    pictures = [a for tag, a in parsed(report()).tags if tag == "img"]
    assert pictures
    assert all(len(a["alt"]) > 20 for a in pictures)


def test_the_first_screen_says_verdict_client_and_what_was_not_covered(report):
    top = report().partition('id="checks"')[0]
    for word in ("PASS", sample.NEW, "1.4.2 (03f36d6)", sample.NEW_POD, "What it did not", "canary"):
        assert word in top


def test_a_failure_says_what_to_do_next(report):
    text = report(with_check("client", "FAIL"))
    assert "Look at it." in text
    assert ">FAIL<" in text


def test_a_run_that_ended_before_anything_still_has_a_report(report):
    page = parsed(report([], outcomes=[]))
    assert page.problems == []


def test_the_index_lists_the_latest_first_and_links_only_what_is_there(tmp_path):
    for name, started in (("r1", "2026-01-01T00:00:00"), ("r2", "2026-01-02T00:00:00")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "run.json").write_text(json.dumps(a_record() | {"run_id": name, "started": started}))
    (tmp_path / "r1" / "report.html").touch()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text("{")
    runs = read_runs(tmp_path)
    assert [run["run_id"] for run in runs] == ["r2", "r1"]
    page = parsed(index_html(runs, tmp_path, "1"))
    assert page.problems == []
    assert [a["href"] for tag, a in page.tags if tag == "a"] == ["r1/report.html"]


def test_outcome_titles_are_escaped(report):
    from dataclasses import replace

    text = report(outcomes=[replace(RAN, title="<i>x</i>")])
    assert "<i>x</i>" not in text
