"""The rules of .dockerignore."""

import pytest

from jfsnb.builder.ignore import Ignore, of_tree, walk
from jfsnb.builder.recipe import BINARY, Recipe


@pytest.mark.parametrize(
    ("patterns", "path", "ignored"),
    [
        ("docs", "docs/a/b.md", True),
        ("docs", "src/docs", False),
        ("*.md", "README.md", True),
        ("*.md", "docs/README.md", False),
        ("**/*.md", "docs/en/README.md", True),
        ("**/node_modules", "node_modules/x", True),
        ("**/node_modules", "a/b/node_modules/x", True),
        ("docs\n!docs/keep", "docs/keep/x", False),
        ("docs\n!docs/keep\ndocs/keep/secret", "docs/keep/secret", True),
        ("!docs\ndocs", "docs", True),
        ("/juicefs", "juicefs", True),
        ("./juicefs/", "juicefs", True),
        ("# docs", "docs", False),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[ab].txt", "b.txt", True),
        ("sdk/java/**/target", "sdk/java/x/y/target/z", True),
        (".", "anything", False),
        ("", "anything", False),
    ],
)
def test_the_last_pattern_that_fits_decides(patterns, path, ignored):
    assert Ignore.parse(patterns).ignores(path) is ignored


def test_what_is_taken_back_from_an_ignored_directory_is_sent(tmp_path):
    for name in ("docs/keep", "docs/drop", "src"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").write_text("x")
    sent = [path for path, entry in walk(tmp_path, Ignore.parse("docs\n!docs/keep")) if entry.is_file()]
    assert sent == ["docs/keep/file", "src/file"]


def test_a_tree_s_own_rules_come_before_ours(tmp_path):
    assert of_tree(tmp_path, "docs\n")[1:] == ("docs\n", False)
    (tmp_path / ".dockerignore").write_text("*.o\n")
    assert of_tree(tmp_path, "docs\n")[1:] == ("*.o\n", True)


def test_our_rules_keep_git_and_drop_an_earlier_client_unless_that_is_what_is_packed():
    two_stage, binary = (Ignore.parse(Recipe(way=way).dockerignore()) for way in ("two-stage", BINARY))
    assert not two_stage.ignores(".git/HEAD") and not two_stage.ignores("cmd/mount.go")
    assert two_stage.ignores("juicefs") and not binary.ignores("juicefs")
