"""A mount that is dead under a healthy-looking Pod."""

import subprocess

from jfsnb.checks.codes import Unreadable
from jfsnb.checks.inside import LOOK, answers_inside, read


def look(*paths):
    return read(subprocess.run(["sh", "-c", LOOK, "look", *map(str, paths)], capture_output=True, text=True).stdout)


def test_a_shell_tells_what_answers_and_what_does_not(tmp_path):
    seen = look(tmp_path, tmp_path / "not there")
    assert seen[str(tmp_path)] == "" and "No such file" in seen[str(tmp_path / "not there")]


def test_verdicts():
    assert answers_inside({"/data": ""}, "ns/app").verdict == "PASS"
    dead = answers_inside({"/data": "", "/jfs": "stat: /jfs: Transport endpoint is not connected"}, "ns/app")
    assert dead.verdict == "FAIL" and "Transport endpoint" in dead.reason and "/data" not in dead.reason
    assert answers_inside(Unreadable("exec refused"), "ns/app").verdict == "ERROR"
    assert answers_inside({}, "ns/app").verdict == "ERROR"
    assert answers_inside(None, "ns/app").verdict == "N/A"
