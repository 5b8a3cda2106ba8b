"""Exercises: right is told from wrong, and nothing ever stops a headless run."""

import pytest

from jfsnb.notebook.exercise import Exercise, ask, is_right, judged

POD = Exercise("Which Pod?", "look there", "because", "juicefs-node-pv-abc")
IMAGE = Exercise("Which image?", "look there", "because", "juicedata/mount:ce-v1.3.0")


@pytest.fixture(autouse=True)
def headless(monkeypatch):
    monkeypatch.setenv("JFSNB_HEADLESS", "1")
    monkeypatch.delenv("JFSNB_LANG", raising=False)


@pytest.mark.parametrize("answer", ["juicefs-node-pv-abc", " 'JuiceFS-node-pv-abc' ", "pod/juicefs-node-pv-abc"])
def test_a_right_answer_may_be_written_in_several_ways(answer):
    assert is_right(POD, answer)


@pytest.mark.parametrize("answer", ["", "  ", "juicefs-node-pv-ab", "abc", "pod/"])
def test_a_wrong_answer_is_wrong(answer):
    assert not is_right(POD, answer)


def test_an_image_of_another_repository_is_another_image():
    assert is_right(IMAGE, "juicedata/mount:ce-v1.3.0")
    assert not is_right(IMAGE, "registry.example/juicedata/mount:ce-v1.3.0")


def test_a_number_may_be_given_as_a_number():
    shown = ask(lambda: Exercise("How many?", "count", "so many", "3"), 3)
    assert "so many" in shown._repr_html_().partition("solution")[0]


def test_a_wrong_answer_gets_the_hint_and_not_the_reason():
    told = judged(POD, "another")
    assert "look there" in told
    assert "because" not in told


def test_what_was_answered_is_escaped():
    assert "<script>" not in judged(POD, "<script>alert(1)</script>")


def test_without_an_answer_it_is_a_question_and_no_widget():
    shown = ask(lambda: POD)
    assert "Which Pod?" in shown._repr_html_()
    assert "Which Pod?" in repr(shown)


def test_what_the_cluster_cannot_answer_is_said_and_nothing_is_judged():
    shown = ask(lambda: Exercise("Which Pod?", "look there", "because", "", "not here"), "anything")
    assert "not here" in shown._repr_html_()


def test_in_front_of_a_person_it_is_a_form_whose_button_judges(monkeypatch):
    monkeypatch.delenv("JFSNB_HEADLESS")
    monkeypatch.setenv("JPY_SESSION_NAME", "x.ipynb")
    form = ask(lambda: POD)
    row, shown = form.children[-2:]
    line, button = row.children
    line.value = "another"
    button.click()
    assert "look there" in shown.value
    line.value = "juicefs-node-pv-abc"
    button.click()
    assert "because" in shown.value


def test_an_error_in_a_form_is_shown_in_the_form(monkeypatch):
    monkeypatch.delenv("JFSNB_HEADLESS")
    monkeypatch.setenv("JPY_SESSION_NAME", "x.ipynb")
    answers = iter([POD])
    form = ask(lambda: next(answers))
    row, shown = form.children[-2:]
    row.children[0].value = "x"
    row.children[1].click()
    assert "StopIteration" in shown.value
