"""The run folder: results kept whole, and the journal as the truth about what was changed."""

import json
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

from jfsnb.checks.model import CheckResult, Verdict
from jfsnb.cluster.client import Cluster
from jfsnb.errors import CheckFailed, ConflictError, JfsnbError, NotInCluster, UsageError, WaitTimeout
from jfsnb.queries.model import Result
from jfsnb.run.journal import Journal
from jfsnb.run.state import checks_of, load, open_run, part
from jfsnb.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Looked(Result):
    STEP: ClassVar[str] = "01-background"
    PART: ClassVar[str] = "looked"
    TITLE: ClassVar[str] = "Looked"

    seen: tuple[str, ...] = ()


@pytest.fixture
def run(tmp_path):
    told = []
    cluster = Cluster("ctx", "https://x", None, default_image="i:v1")
    opened = open_run(replace(Settings(), outputs=tmp_path), cluster, lambda p: told.append(f"{p.kind} {p.text}"))
    return opened, told


def check(verdict):
    return CheckResult("JFS-X-001", "it works", verdict, "because", "do this")


def test_the_sandbox_s_image_is_the_default_and_a_real_cluster_has_none(run, tmp_path):
    assert run[0].settings.image == "i:v1"
    with pytest.raises(UsageError, match="no image"):
        open_run(replace(Settings(), outputs=tmp_path), Cluster("ctx", "https://x", None))


def test_an_outputs_folder_that_cannot_be_written(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        open_run(replace(Settings(image="i:v1"), outputs=blocked), Cluster("ctx", "https://x", None))


def test_a_result_is_kept_and_a_second_one_replaces_it(run):
    opened, _ = run
    opened.finish(Looked(seen=("a",)))
    opened.finish(Looked(seen=("a", "b"), checks=(check(Verdict.WARN),)))
    (kept,) = load(opened.folder)
    assert kept["data"] == {"seen": ["a", "b"]} and kept["verdict"] == "WARN"
    assert opened.recall("looked") == {"seen": ["a", "b"]}
    assert checks_of([kept]) == [("01-background", check(Verdict.WARN))]
    assert opened.recall("never") is None


@pytest.mark.parametrize(
    ("verdict", "error"),
    [(Verdict.FAIL, CheckFailed), (Verdict.NOT_READY, WaitTimeout), (Verdict.ERROR, JfsnbError)],
)
def test_what_makes_going_on_senseless_stops_the_run_and_is_kept(run, verdict, error):
    opened, _ = run
    with pytest.raises(error) as stopped:
        opened.require(Looked(checks=(check(Verdict.PASS), check(verdict))))
    assert type(stopped.value) is error and stopped.value.next_step == "do this"
    assert load(opened.folder)[0]["verdict"] == str(verdict)


def test_a_part_that_breaks_off_leaves_the_reason_as_its_result(run):
    opened, told = run

    @part(Looked)
    def look(run):
        raise NotInCluster("no PVC", "make one")

    opened.finish(Looked(checks=(check(Verdict.PASS),)))
    with pytest.raises(NotInCluster):
        look(opened)
    (kept,) = load(opened.folder)
    assert kept["verdict"] == "ERROR" and kept["checks"][0]["reason"] == "no PVC"
    assert told == ["step Looked"]


def test_a_journal_survives_a_crash_in_the_middle_of_a_line(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.plan("create", "pods", "ns", "a")
    second = journal.plan("create", "pods", "ns", "b", why="x")
    with journal.path.open("a") as sink:
        sink.write('{"number": 2, "outco')
    assert [(e.name, e.details) for e in journal.standing()] == [("b", {"why": "x"}), ("a", {})]
    with journal.path.open("a") as sink:
        sink.write("\n")
    journal.undone(second)
    assert [e.name for e in journal.standing()] == ["a"]
    assert journal.plan("create", "pods", "ns", "c") == 3


def test_a_change_is_on_disk_before_it_is_made(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")

    class Api:
        def create(self, obj):
            (entry,) = journal.standing()
            assert (entry.op, entry.name, entry.uid) == ("create", "a", "")
            return {**obj, "metadata": {**obj["metadata"], "uid": "u1"}}

    journal.create(Api(), {"kind": "Pod", "metadata": {"name": "a", "namespace": "ns"}})
    assert journal.standing()[0].uid == "u1"
    journal.gone("pods", "ns", "a")
    assert journal.standing() == ()
    assert all("at" in json.loads(line) for line in journal.path.read_text().splitlines())


def test_a_name_that_is_taken_is_nothing_to_undo(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")

    class Api:
        def create(self, obj):
            raise ConflictError("exists")

    with pytest.raises(ConflictError, match="there already"):
        journal.create(Api(), {"kind": "Pod", "metadata": {"name": "a", "namespace": "ns"}})
    assert journal.standing() == ()
