"""Workloads and behaviours as a shell carries them out here, and how what they print is read."""

import shutil
import subprocess
from importlib.resources import files

import pytest

from jfsnb.errors import JfsnbError
from jfsnb.run.compare.measuring import NEW, OLD, QUIET, Plan, Round, blocks_of, read_round
from jfsnb.run.compare.posix import read_table

SCRIPTS = files("jfsnb.run.compare")
STATS = "juicefs_cpu_usage 0.5\njuicefs_memory 1048576\njuicefs_transaction_durations_histogram_seconds_total 12\n"


def shell(script, *words):
    command = ["sh", str(SCRIPTS / script), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("suite", ["quick", "full"])
def test_workloads_print_every_metric_and_tidy_up(tmp_path, suite):
    (tmp_path / ".stats").write_text(STATS)
    numbers, counters = read_round(shell("workloads.sh", tmp_path / "work", suite, tmp_path))
    assert set(QUIET) | {"cpu", "memory"} <= set(numbers)
    assert ("big-read" in numbers) is (suite == "full")
    assert all(numbers[name] > 0 for name in QUIET) and numbers["memory"] == 1048576
    assert counters == {"transaction_durations_histogram_seconds_total": 0}
    assert not (tmp_path / "work").exists()


def test_a_pod_without_tools_is_an_error():
    with pytest.raises(JfsnbError, match="printed no seconds"):
        read_round("sh: date: not found\n")


def test_a_local_file_system_behaves_as_the_table_expects(tmp_path):
    table = read_table(shell("behaviours.sh", tmp_path / "b"))
    wrong = {name: row for name, row in table.items() if row[1] not in (row[0], "n/a")}
    # what root may, and what overlay and tmpfs of a build machine lack, is not JuiceFS's affair
    assert len(table) >= 60 and len(wrong) <= 4, wrong
    assert not (tmp_path / "b").exists()
    if shutil.which("flock"):
        assert table["lock-excludes"] == ("refused", "refused")


def round_of(side, block, **numbers):
    return Round(side, block, numbers, {})


def test_blocks_are_made_of_whole_ones_only():
    whole = [round_of(s, 0, a=n) for s, n in ((OLD, 1.0), (NEW, 2.0), (NEW, 2.0), (OLD, 1.0))]
    broken = [round_of(OLD, 1, a=1.0), round_of(NEW, 1, a=2.0)]
    (block,) = blocks_of(whole + broken)["a"]
    assert (block.old, block.new) == ((1.0, 1.0), (2.0, 2.0))


def test_looks_are_few_and_end_with_the_last_block():
    assert Plan("quick", 24, 0, 60, "d").looks == (12,)
    looks = Plan("quick", 48, 0.05, 60, "d").looks
    assert looks[-1] == 24 and 1 < len(looks) <= 3
