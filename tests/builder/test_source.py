"""A source tree before it is built."""

import pytest
from trees import commit, make_tree

from jfsnb.builder.ignore import Ignore
from jfsnb.builder.source import clone, is_url, look_at, makefile_targets, weigh
from jfsnb.errors import JfsnbError, UsageError


@pytest.fixture
def tree(tmp_path):
    return make_tree(tmp_path / "src")


def test_a_checkout_tells_module_targets_and_commit(tree):
    revision = commit(tree)
    seen = look_at(tree)
    assert seen.is_juicefs and seen.commit == revision and seen.git_inside and seen.changed == 0
    assert {"juicefs", "juicefs.linux", "all", "test"} <= set(seen.targets)
    (tree / "main.go").write_text("package other\n")
    assert look_at(tree).changed == 1


def test_a_directory_without_git_tells_no_commit(tree):
    assert look_at(tree).commit == ""


def test_another_project_is_seen_as_such(tmp_path):
    (tmp_path / "go.mod").write_text("module example.com/juicefs\n")
    assert not look_at(tmp_path).is_juicefs
    with pytest.raises(UsageError):
        look_at(tmp_path / "go.mod")


def test_targets_are_read_without_running_the_makefile():
    text = "A := $(shell touch /nowhere)\nx: y\n\techo z: w\n.PHONY: p\nb c:: d\nE ?= f\nifeq ($(X),y)\n"
    text += "long \\\n other: z\n/usr/local/include/x:\n"
    assert makefile_targets(text) == ("x", "b", "c", "long", "other", "/usr/local/include/x")


def test_weight_counts_what_is_sent_only(tree):
    commit(tree)
    everything, most = weigh(tree, Ignore()), weigh(tree, Ignore.parse("docs\n.git"))
    assert everything.size - most.size > 100_000 and everything.git and not most.git
    assert everything.heaviest[0][1] == max(size for _, size in everything.heaviest)


@pytest.mark.parametrize(
    ("source", "url"),
    [
        ("https://example.com/juicefs.git", True),
        ("git@example.com:juicedata/juicefs.git", True),
        ("file:///src/juicefs#main", True),
        ("/home/me/juicefs", False),
        ("../juicefs", False),
    ],
)
def test_urls_and_directories_are_told_apart(source, url):
    assert is_url(source) is url


def test_a_url_is_fetched_with_its_commit(tree, tmp_path):
    revision = commit(tree)
    said = []
    assert look_at(clone(f"file://{tree}", tmp_path, said.append)).commit == revision
    with pytest.raises(JfsnbError, match="git clone failed"):
        clone(f"file://{tree}#no-such-branch", tmp_path / "again", said.append)


def test_a_password_in_a_url_is_never_told(tmp_path):
    said = []
    with pytest.raises(JfsnbError) as failure:
        clone("file://user:hunter2@/nowhere/juicefs.git", tmp_path, said.append)
    assert "hunter2" not in " ".join(said) + str(failure.value)
