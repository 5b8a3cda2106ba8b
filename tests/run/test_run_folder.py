"""The run folder: results kept whole, and the journal as the truth about what was changed."""

import json
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

from jfsnb.checks.model import CheckResult, Verdict
from jfsnb.cluster.client import Cluster
from jfsnb.cluster.versions import Newest
from jfsnb.errors import CheckFailed, ConflictError, JfsnbError, NotInCluster, UsageError, WaitTimeout
from jfsnb.queries.model import Result
from jfsnb.run.change.model import Outcome, State
from jfsnb.run.change.object_made import ObjectMade
from jfsnb.run.journal import Journal
from jfsnb.run.rollback import rollback
from jfsnb.run.state import checks_of, load, open_run, part
from jfsnb.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Looked(Result):
    STEP: ClassVar[str] = "01-background"
    PART: ClassVar[str] = "looked"
    TITLE: ClassVar[str] = "Looked"

    seen: tuple[str, ...] = ()


class Server:
    """An API server that has only the namespace kube-system."""

    uid = "one"
    newest = Newest()

    def call(self, method, path, query=None, body=None, **_):
        assert (method, path) == ("GET", "/api/v1/namespaces/kube-system")
        return {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "kube-system", "uid": self.uid}}


@pytest.fixture
def run(tmp_path):
    told = []
    cluster = Cluster("ctx", "https://x", Server(), default_image="i:v1")
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


def made(name):
    return ObjectMade(run_id="r1", plural="pods", namespace="ns", name=name)


def test_a_cluster_of_the_same_name_that_is_another_one_is_noticed_at_the_next_part(run):
    opened, _ = run

    @part(Looked)
    def look(run):
        return run.finish(Looked())

    look(opened)
    opened.cluster.transport.uid = "two"
    with pytest.raises(ConflictError, match="another cluster"):
        look(opened)
    with pytest.raises(ConflictError, match="another cluster"):
        look(open_run(opened.settings, opened.cluster))
    assert not rollback(opened.cluster, opened.id, opened.settings.outputs).complete


def test_a_journal_survives_a_crash_in_the_middle_of_a_line(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.plan(made("a"))
    second = journal.plan(made("b"))
    with journal.path.open("a") as sink:
        sink.write('{"number": 2, "outco')
    assert [e.change for e in journal.standing()] == [made("b"), made("a")]
    assert journal.is_whole  # what was cut was not done
    journal.undone(second, Outcome(State.UNDONE, "deleted"))
    assert [e.change.name for e in journal.standing()] == ["a"]
    assert journal.plan(made("c")) == 3


@pytest.mark.parametrize("line", ["[]", "null", "{}", "7", "{", '{"number": 1, "change": {"kind": "?"}}', "\xff\xfe"])
def test_a_damaged_line_hides_none_of_the_others_and_is_told(tmp_path, line):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.plan(made("a"))
    with journal.path.open("a", encoding="latin-1") as sink:
        sink.write(line + "\n")
    journal.plan(made("b"))
    assert [e.change.name for e in journal.standing()] == ["b", "a"]
    assert journal.damaged == (2,) and not journal.is_whole


def test_a_change_is_on_disk_before_it_is_made(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")

    class Api:
        def create(self, obj):
            (entry,) = journal.standing()
            assert (entry.change.KIND, entry.change.name, entry.change.made) == (ObjectMade.KIND, "a", False)
            return {**obj, "metadata": {**obj["metadata"], "uid": "u1"}}

    journal.create(Api(), {"kind": "Pod", "metadata": {"name": "a", "namespace": "ns"}})
    change = journal.standing()[0].change
    assert (change.uid, change.made) == ("u1", True)
    journal.gone("pods", "ns", "a")
    assert journal.standing() == ()
    assert all("at" in json.loads(line) for line in journal.path.read_text().splitlines())


def test_a_name_that_is_taken_is_nothing_to_undo(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")

    class Api:
        labels: ClassVar = {}

        def create(self, obj):
            raise ConflictError("exists")

        def find(self, *_):
            return {"metadata": {"name": "a", "namespace": "ns", "uid": "theirs", "labels": self.labels}}

    with pytest.raises(ConflictError, match="there already"):
        journal.create(Api(), {"kind": "Pod", "metadata": {"name": "a", "namespace": "ns"}})
    assert journal.standing() == ()


def test_an_object_that_was_made_though_the_answer_was_lost_is_ours_to_undo(tmp_path):
    """A server that is busy may have carried out what it is asked again: then the name is taken, by ourselves."""
    journal = Journal(tmp_path / "r1" / "journal.jsonl")
    made = {"metadata": {"name": "a", "namespace": "ns", "uid": "u1", "labels": {"jfsnb.io/run": "r1"}}}

    class Api:
        def create(self, obj):
            raise ConflictError("exists")

        def find(self, *_):
            return made

    assert journal.create(Api(), {"kind": "Pod", "metadata": {"name": "a", "namespace": "ns"}}) == made
    assert journal.standing()[0].change.uid == "u1"
