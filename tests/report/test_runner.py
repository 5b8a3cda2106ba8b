"""One notebook: what the runner makes of everything that can happen in a cell."""

import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from jfsnb.checks.model import Verdict
from jfsnb.report.runner import Watcher, run_notebook


@pytest.fixture
def run(notebook, kernels, tmp_path):
    def start(*cells, parameters="namespace: str = 'a'", values=None, watcher=None, cell_seconds=60):
        source = notebook("lesson", *cells, parameters=parameters)
        output = tmp_path / "lesson.ipynb"
        outcome = run_notebook(source, output, values or {}, kernels.take(), cell_seconds, watcher)
        return outcome, output.read_text() if output.exists() else ""

    return start


def test_a_notebook_that_ran_passes_and_typed_values_arrive_as_they_are(run):
    outcome, text = run(
        "print(repr(namespace), repr(keep))",
        parameters="namespace: str = 'a'\nkeep: bool = True",
        values={"namespace": "0123", "keep": False},
    )
    assert (outcome.verdict, outcome.executed, outcome.cells, outcome.exit_code) == (Verdict.PASS, 3, 3, 0)
    assert "'0123' False" in text
    assert outcome.title == "A lesson"


def test_an_error_is_reported_with_its_class_and_what_to_do_next(run):
    outcome, _ = run("from jfsnb.errors import NotInCluster\nraise NotInCluster('no PVC x', 'create it')", "print(1)")
    assert (outcome.verdict, outcome.reason, outcome.next_action) == (Verdict.ERROR, "no PVC x", "create it")
    assert outcome.executed == 1


def test_a_failed_check_is_a_failure_not_an_error(run):
    outcome, _ = run("from jfsnb.errors import CheckFailed\nraise CheckFailed('old client')")
    assert (outcome.verdict, outcome.exit_code) == (Verdict.FAIL, 1)


def test_wrong_usage_keeps_its_exit_code(run):
    outcome, _ = run("from jfsnb.errors import UsageError\nraise UsageError('no image')")
    assert (outcome.verdict, outcome.exit_code) == (Verdict.ERROR, 2)


def test_leaving_early_with_exit_code_zero_is_not_a_pass(run):
    outcome, _ = run("import sys; sys.exit(0)", "print(1)")
    assert outcome.verdict is Verdict.ERROR


def test_a_killed_kernel_is_an_error(run):
    outcome, _ = run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "print(1)")
    assert outcome.verdict is Verdict.ERROR
    assert "kernel died" in outcome.reason


def test_a_cell_that_takes_too_long_is_interrupted_so_that_its_clean_up_runs(run, tmp_path):
    code = f"try:\n    import time; time.sleep(600)\nfinally:\n    open({str(tmp_path / 'cleaned')!r}, 'w').close()"
    outcome, _ = run(code, cell_seconds=1)
    assert outcome.verdict is Verdict.ERROR
    assert (tmp_path / "cleaned").exists()


def test_no_secret_reaches_the_saved_notebook(run):
    outcome, text = run(
        "print('Bearer abcdefghijklmnop', 'redis://:hunter2@host/1')",
        "from IPython.display import HTML\nHTML('<b>mysql://root:hunter3@host</b>')",
        "raise RuntimeError('secret-key=hunter4')",
    )
    outputs = json.dumps([cell.get("outputs") for cell in json.loads(text)["cells"]])
    for secret in ("abcdefghijklmnop", "hunter2", "hunter3", "hunter4"):
        assert secret not in outputs
        assert secret not in outcome.reason


def test_what_somebody_has_in_an_ipython_profile_is_no_part_of_a_run(run, tmp_path, monkeypatch):
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("namespace = 'changed'; mine = 1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    outcome, _ = run("assert 'mine' not in globals()")
    assert outcome.verdict == "PASS"


def test_a_flood_of_output_is_cut(run):
    _, text = run("for _ in range(30): print('x' * 20_000)")
    assert len(text) < 400_000
    assert "cut here" in text


def test_the_watcher_sees_each_cell_and_what_it_waits_for(run):
    seen = []
    watcher = Watcher(lambda number, count, label: seen.append((number, count, label)), lambda text: seen.append(text))
    show = "from IPython.display import display, HTML\ndisplay(HTML('x'), metadata={'jfsnb_progress': 'Pod Ready'})"
    run(show, values={"namespace": "b"}, watcher=watcher)
    assert seen == [(1, 2, "A lesson"), (2, 2, "A lesson"), "Pod Ready"]


INTERRUPTED = """
import signal, sys
from pathlib import Path
from jfsnb.report.interrupt import Interrupted, interruptible
from jfsnb.report.kernels import Kernels
from jfsnb.report.runner import run_notebook
source, folder = Path(sys.argv[1]), Path(sys.argv[2])
kernels = Kernels({}, folder, warm_up="")
try:
    with interruptible():
        run_notebook(source, folder / "out.ipynb", {}, kernels.take())
except Interrupted as stop:
    print("stopped by", stop.signal)
    sys.exit(stop.exit_code)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_interrupts_the_kernel_so_that_its_clean_up_runs(notebook, tmp_path, number, code):
    ready, cleaned = tmp_path / "ready", tmp_path / "cleaned"
    os.mkfifo(ready)
    source = notebook(
        "slow",
        f"try:\n    open({str(ready)!r}, 'w').write('go')\n    import time; time.sleep(600)\n"
        f"finally:\n    open({str(cleaned)!r}, 'w').close()",
    )
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED, str(source), str(tmp_path)], stdout=subprocess.PIPE)
    guard = threading.Timer(60, process.kill)
    guard.start()
    with ready.open() as pipe:
        assert pipe.read() == "go"
    process.send_signal(number)
    out, _ = process.communicate()
    guard.cancel()
    assert process.returncode == code, out
    assert cleaned.exists()
