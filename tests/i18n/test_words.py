"""The catalogue of sentences: complete, well-formed, and applied to sentences that were put together elsewhere."""

import ast
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

from jfsnb import checks
from jfsnb import i18n as words
from jfsnb.checks.codes import REGISTER
from jfsnb.run import results

PACKAGE = Path(words.__file__).parents[1]
PLACE = re.compile(r"\{(\d?)\}")
OTHERS = sorted(set(words.LANGUAGES) - {"en"})
each_language = pytest.mark.parametrize("into", OTHERS)


@pytest.fixture
def chinese(monkeypatch):
    monkeypatch.setenv(words.VARIABLE, "zh")


@each_language
def test_every_sentence_keeps_its_places(into):
    """Except for a plural's ending (``Pod{}``), which other languages may leave out."""
    for text, theirs in words.catalogue(into).items():
        before = text.split("{}")[:-1]
        places = {place or str(number) for number, place in enumerate(PLACE.findall(theirs))}
        needed = {str(number) for number, piece in enumerate(before) if not piece[-1:].isalpha()}
        assert needed <= places <= {str(number) for number in range(len(before))}, text
        assert theirs.format(*"abcdefgh")


@each_language
def test_titles_and_next_actions_of_all_checks_are_there(into):
    for module in pkgutil.walk_packages(checks.__path__, "jfsnb.checks."):
        importlib.import_module(module.name)
    assert len(REGISTER) > 50
    wanted = {text for code in REGISTER.values() for text in (code.title, code.fix)}
    assert missing(wanted, into) == []


@each_language
def test_titles_of_all_parts_are_there(into):
    parts = (kind for kind in vars(results).values() if isinstance(kind, type) and getattr(kind, "TITLE", ""))
    assert missing({kind.TITLE for kind in parts}, into) == []


@each_language
def test_what_pictures_forms_and_tables_are_given_to_show_is_there(into):
    said = {
        text
        for room in ("views", "notebook", "report")
        for path in (PACKAGE / room).glob("*.py")
        for text in shown_in(path)
    }
    assert len(said) > 100
    assert missing(said, into) == []


@each_language
def test_what_the_pages_say_is_there(into):
    pages = "".join(path.read_text("utf-8") for path in PACKAGE.rglob("*.html"))
    said = set(re.findall(r'say\("([^"]+)"', pages))
    assert len(said) > 10
    assert missing(said, into) == []


@each_language
def test_reasons_that_checks_give_are_there(into):
    said = {text for path in (PACKAGE / "checks").rglob("*.py") for text in reasons_in(path)}
    assert len(said) > 100
    assert missing(said, into) == []


def missing(said: set[str], into: str) -> list[str]:
    """What has no translation yet: add it to jfsnb/words/<language>/*.yaml."""
    return sorted(said - set(words.catalogue(into)))


SHOWING = {
    "say",
    "translated",
    "_ask",
    "form",
    "dropdown",
    "text",
    "box",
    "card",
    "folded",
    "heading",
    "table",
    "picture",
}


def shown_in(path: Path) -> set[str]:
    """Sentences (not single words) among the arguments of functions that show them."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        name = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
        if name in SHOWING:
            arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
            found |= {
                text for argument in arguments for text in literals(argument) if re.search("[a-z]{2} [a-z]", text)
            }
    return found


def reasons_in(path: Path) -> set[str]:
    """Sentences handed to `result(code, verdict, reason)`, with ``{}`` for their values."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "result" and len(node.args) > 2:
            found |= {text for text in literals(node.args[2]) if re.search("[a-z]{2} [a-z]", text)}
    return found


def literals(node: ast.expr) -> set[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return {node.value.strip()}
    if isinstance(node, ast.JoinedStr):
        return {"".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values).strip()}
    if isinstance(node, ast.IfExp):
        return literals(node.body) | literals(node.orelse)
    if isinstance(node, ast.List | ast.Tuple):
        return {text for item in node.elts for text in literals(item)}
    return set()


def test_english_is_left_as_it_is(monkeypatch):
    monkeypatch.delenv(words.VARIABLE, raising=False)
    assert words.translated("{} is gone") == "{} is gone"
    assert words.say("{} of {} rows", 1, 2) == "1 of 2 rows"


def test_a_language_that_we_do_not_have_is_english(monkeypatch):
    monkeypatch.setenv(words.VARIABLE, "tlh")
    assert words.language() == "en"


def test_a_sentence_with_its_values_filled_in_is_recognised(chinese):
    assert words.translated("smoke-1 is gone") == "smoke-1 已不存在"


def test_the_most_definite_sentence_wins(chinese):
    assert words.translated("mp-1 was re-created as mp-2 with image x:1") == "mp-1 被重建为 mp-2，镜像 x:1"


def test_a_sentence_within_a_sentence_is_translated(chinese):
    assert words.translated("could not look: it was not recorded") == "无法检查：没有记录"


def test_what_nobody_has_translated_stays_english(chinese):
    assert words.translated("a new sentence of somebody's") == "a new sentence of somebody's"
    assert words.translated("") == ""


@pytest.mark.parametrize("text", ["add a reference to one with the same hash", "a thing of theirs, by nobody we know"])
def test_a_common_word_does_not_tear_a_sentence_apart(chinese, text):
    assert words.translated(text) == text


def test_a_common_word_between_names_is_translated(chinese):
    assert words.translated("Bound to pv-1") == "已绑定，对应 pv-1"


def test_a_question_and_its_answer_are_translated_apart(chinese):
    assert words.translated("That Mount Pod is ready? running and ready") == "这个 Mount Pod 已就绪？运行中且就绪"


def test_a_plural_needs_no_ending(chinese):
    assert words.translated("and 9 other nodes") == "以及另外 9 个节点"
    assert words.translated("and 1 other node") == "以及另外 1 个节点"


def test_a_place_may_be_empty(chinese):
    assert words.translated("13 are as they were") == "13 保持原样"


def test_a_value_with_braces_does_no_harm(chinese):
    assert words.translated("{0} is gone") == "{0} 已不存在"


@pytest.mark.parametrize(("text", "room"), [("abc", 3), ("中文", 4), ("a中", 3), ("", 0)])
def test_a_chinese_letter_takes_the_room_of_two(text, room):
    assert words.width(text) == room
