"""Temporary folders of killed runs are swept; those of running ones, and what is not ours, stay."""

import subprocess

from jfsnb.report import leftovers


def test_only_folders_of_ended_processes_go(tmp_path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    for name in (f"jfsnb-k-{ended.pid}-abc", leftovers.prefix("k") + "abc", "jfsnb-0", "other-k-1-abc"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
    leftovers.sweep(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {leftovers.prefix("k") + "abc", "jfsnb-0", "other-k-1-abc"}
