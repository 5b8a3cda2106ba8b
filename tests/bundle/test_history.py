"""Several moments of one cluster in a file, each thing stored once."""

import json
import zipfile
from datetime import UTC, datetime, timedelta

import pytest
from check_builders import healthy
from click.testing import CliRunner

from jfsnb.bundle import layout
from jfsnb.bundle.read import named, read
from jfsnb.bundle.write import append, as_zip
from jfsnb.cli import main
from jfsnb.errors import BundleInvalid, UsageError
from jfsnb.queries import investigate

BEGIN = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def world(minutes):
    """A Mount Pod less each ten minutes."""
    known = healthy(now=BEGIN + timedelta(minutes=minutes), source="prod")
    return known.but(mount_pods=known.mount_pods[minutes // 10 :])


@pytest.fixture
def history(tmp_path):
    for minutes in (0, 10, 20):
        append(world(minutes), tmp_path / "h.zip")
    return tmp_path / "h.zip"


@pytest.mark.parametrize(("at", "minutes"), [(None, 20), (20, 20), (19, 10), (10, 10), (5, 0), (500, 20)])
def test_each_moment_answers_as_it_did(history, at, minutes):
    known = read(history, BEGIN + timedelta(minutes=at) if at is not None else None)
    assert known.now == BEGIN + timedelta(minutes=minutes)
    assert investigate.mounts(known).rows == investigate.mounts(world(minutes)).rows
    found, expected = (sorted(map(str, investigate.doctor(one).rows)) for one in (known, world(minutes)))
    assert found == expected


def test_what_did_not_change_is_stored_once(history, tmp_path):
    names = zipfile.ZipFile(history).namelist()
    moments = [name for name in names if name.startswith(layout.MOMENTS)]
    members = len(json.loads(zipfile.ZipFile(history).read(moments[0]))["members"])
    assert len(moments) == 3 and len(names) - 3 < members + 4
    assert history.stat().st_size < 2 * len(as_zip(world(0), {})[0])
    assert [p.name for p in tmp_path.iterdir()] == ["h.zip"]


def test_moments_are_named_on_the_command_line(history):
    def told(*words):
        result = CliRunner().invoke(main, [*words, "-o", "json"])
        return result.exit_code, json.loads(result.stdout) if result.stdout.startswith("{") else result.output

    _, early = told("mounts", "--from", str(history), "--at", "2026-11-01T12:05:00Z")
    _, last = told("mounts", "--from", str(history))
    assert len(early["rows"]) == len(last["rows"]) + 2
    _, found = told("diff", f"{history}#2026-11-01T12:00:00Z", str(history))
    assert {(r["what"], r["field"]) for r in found["rows"] if r["what"] == "Mount Pod"} == {("Mount Pod", "gone")}
    assert told("mounts", "--from", str(history), "--at", "2026-10-01")[0] == 2
    assert told("mounts", "--from", str(history), "--at", "noon")[0] == 2
    assert told("mounts", "--at", "2026-10-01")[0] == 2


def test_a_history_that_begins_later_says_when(history):
    with pytest.raises(UsageError) as error:
        named(f"{history}#2026-01-01T00:00:00Z")
    assert "2026-11-01T12:00:00" in error.value.next_step


def test_a_history_that_lacks_something_or_has_something_else_is_one_error(history, tmp_path):
    with zipfile.ZipFile(history) as source:
        content = {name: source.read(name) for name in source.namelist()}
    blob = next(name for name in content if name.startswith(layout.BLOBS))
    moment = max(name for name in content if name.startswith(layout.MOMENTS))
    manifest = json.loads(content[moment])
    for change in ({blob: None}, {blob: b"{}"}, {moment: b"[]"}, {moment: json.dumps({**manifest, "members": 7})}):
        path = tmp_path / "x.zip"
        with zipfile.ZipFile(path, "w") as sink:
            for name, text in {**content, **change}.items():
                if text is not None:
                    sink.writestr(name, text)
        with pytest.raises(BundleInvalid):
            for minutes in (0, 10, 20):  # the blob belongs to one of them
                read(path, BEGIN + timedelta(minutes=minutes))
