"""The lessons in other languages: complete, up to date, and with the same code."""

import json
import re
from pathlib import Path

import pytest

from jfsnb.i18n import LANGUAGES, VARIABLE
from jfsnb.notebook import lessons

NOTEBOOKS = sorted(lessons.NOTEBOOKS.glob("*.ipynb"))
OTHERS = sorted(set(LANGUAGES) - {"en"})
each = pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda path: path.stem)
each_language = pytest.mark.parametrize("into", OTHERS)


@each
@each_language
def test_every_text_is_translated_and_no_translation_is_left_over(source, into):
    assert set(lessons.translations(source, into)) == set(lessons.english(source))


@each
@each_language
def test_no_translation_is_older_than_its_english_text(source, into):
    """After a look at the translation: python -m jfsnb.notebook.lessons"""
    marks = {cell: mark for cell, (mark, _) in lessons.translations(source, into).items()}
    assert marks == {cell: lessons.fingerprint(text) for cell, text in lessons.english(source).items()}


@each
@each_language
def test_code_is_the_very_same(source, into):
    def code(notebook):
        return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]

    assert code(lessons.compose(source, into)) == code(json.loads(source.read_text("utf-8")))


@each
@each_language
def test_names_in_code_face_survive_translation(source, into):
    """Commands, fields and files are written alike in every language."""
    texts = lessons.translations(source, into)
    for cell, english in lessons.english(source).items():
        pieces = {piece for piece in english.split("`")[1::2] if " " not in piece}
        assert not {piece for piece in pieces if f"`{piece}`" not in texts[cell][1]}, cell


def test_english_is_the_source_itself(monkeypatch, tmp_path):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert lessons.localized(NOTEBOOKS[0], tmp_path) == NOTEBOOKS[0]
    assert not list(tmp_path.iterdir())


def test_work_done_in_a_composed_notebook_is_kept_until_its_sources_change(monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, "zh")
    target = lessons.localized(NOTEBOOKS[0], tmp_path)
    notebook = json.loads(target.read_text("utf-8"))
    notebook["cells"][0]["source"] = ["my own notes"]
    target.write_text(json.dumps(notebook), "utf-8")
    assert "my own notes" in lessons.localized(NOTEBOOKS[0], tmp_path).read_text("utf-8")
    notebook["metadata"]["jfsnb_source"] = "of an older version"
    target.write_text(json.dumps(notebook), "utf-8")
    assert "my own notes" not in lessons.localized(NOTEBOOKS[0], tmp_path).read_text("utf-8")


def test_a_text_without_a_translation_stays_english(tmp_path):
    source = tmp_path / "00-x.ipynb"
    cell = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": ["# English"]}
    source.write_text(json.dumps({"cells": [cell], "metadata": {}}))
    assert lessons.compose(source, "zh")["cells"][0]["source"] == ["# English"]


def test_fingerprints_are_set_for_what_is_there(tmp_path):
    source, texts = tmp_path / "00-x.ipynb", tmp_path / "zh" / "00-x.md"
    cell = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": ["# English"]}
    source.write_text(json.dumps({"cells": [cell], "metadata": {}}))
    texts.parent.mkdir()
    texts.write_text("<!-- a -->\n# 中文\n<!-- gone -->\nx\n", "utf-8")
    lessons.set_fingerprints(source, "zh")
    assert lessons.translations(source, "zh")["a"] == (lessons.fingerprint("# English"), "# 中文")


def test_the_folder_of_texts_holds_nothing_else():
    for into in OTHERS:
        assert {path.stem for path in Path(lessons.NOTEBOOKS, into).iterdir()} == {path.stem for path in NOTEBOOKS}


@each
@each_language
def test_emphasis_is_closed_where_words_are_not_parted_by_blanks(source, into):
    """After a full-width bracket ``**`` closes nothing (CommonMark), and would be shown as it is."""
    import mistune

    render = mistune.create_markdown(plugins=["table"])
    for cell, (_, text) in lessons.translations(source, into).items():
        assert "*" not in re.sub(r"<code.*?</code>", "", str(render(text)), flags=re.DOTALL), cell
