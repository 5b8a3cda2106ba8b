"""A run's frame: clean-up happens whatever ends the notebooks, and what ended them is told."""

import contextlib
import errno
import io
import json
import os
import signal
from pathlib import Path

import pytest

from jfsnb.commands import run as command
from jfsnb.errors import SandboxError
from jfsnb.report.interrupt import Interrupted, interruptible
from jfsnb.report.progress import Progress
from jfsnb.report.record import CleanUp, ClusterFacts
from jfsnb.settings import Settings


@pytest.fixture
def carry_out(monkeypatch, tmp_path):
    """carry_out(raised): what a run's story is when the notebooks raise that."""
    cleaned = []

    @contextlib.contextmanager
    def place(at_end):
        yield command.Place(ClusterFacts("ctx"), "default", own=at_end is not None), None
        if at_end:
            raise at_end

    def clean_up(settings, story):
        cleaned.append(story)
        return CleanUp(True, "cleaned")

    class Broken(io.StringIO):
        """A terminal that is gone, or a disk that is full, after the first line."""

        def write(self, text):
            raise OSError(errno.ENOSPC, "No space left on device")

    def make(raised=None, at_start=None, at_end=None, broken=False):
        def notebooks(*_):
            if raised:
                raise raised

        @contextlib.contextmanager
        def no_place():
            raise at_start
            yield

        monkeypatch.setattr(command, "_clean_up", clean_up)
        monkeypatch.setattr(command, "_notebooks", notebooks)
        settings = Settings(outputs=tmp_path, run_id="r1")
        settings.folder.mkdir(exist_ok=True)
        story = command.Story(command.Place(ClusterFacts("ctx")))
        at = no_place() if at_start else place(at_end)
        command._carry_out([], settings, at, Progress(Broken() if broken else io.StringIO(), []), story)
        return story, cleaned

    return make


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (None, None),
        (Interrupted(signal.SIGTERM), "stopped by SIGTERM"),
        (SandboxError("the API server ended"), "the API server ended"),
        (KeyError("x"), "KeyError"),
    ],
)
def test_clean_up_runs_whatever_ended_the_notebooks(carry_out, raised, told):
    story, cleaned = carry_out(raised)
    assert cleaned == [story]
    assert story.clean_up.sentence == "cleaned"
    assert (told is None and story.stopped is None) or told in str(story.stopped)


def test_an_error_that_nobody_foresaw_leaves_its_stack_in_the_run_folder(carry_out, tmp_path):
    carry_out(KeyError("x"))
    assert "KeyError" in (tmp_path / "r1" / "error.txt").read_text()


@pytest.mark.parametrize("raised", [Interrupted(signal.SIGTERM), KeyboardInterrupt(), OSError(errno.ENOSPC, "full")])
def test_nothing_that_breaks_on_the_way_keeps_clean_up_from_running(carry_out, raised, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)  # error.txt
    story, cleaned = carry_out(raised, broken=True)
    assert cleaned == [story] and story.stopped is not None


def test_a_sandbox_that_could_not_be_taken_away_is_not_cleaned_up(carry_out):
    story, _ = carry_out(at_end=SandboxError("its supervisor hangs"))
    assert not story.clean_up.complete and "hangs" in story.clean_up.sentence
    assert carry_out(Interrupted(signal.SIGTERM), at_end=SandboxError("x"))[0].stopped.signal == "SIGTERM"


def test_a_second_signal_does_not_stop_what_the_first_has_begun():
    with pytest.raises(Interrupted) as first, interruptible():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            done = True
    assert (first.value.signal, done) == ("SIGTERM", True)


@pytest.mark.parametrize("unwritable", ["run.json", "report.html", "index.html"])
def test_a_report_that_cannot_be_written_is_told_and_no_verdict(tmp_path, capsys, unwritable):
    """Somebody's folder of that name stands where the file should be."""
    settings = Settings(outputs=tmp_path, run_id="r1", image="i:v1")
    (settings.folder / "results").mkdir(parents=True)
    ((tmp_path if unwritable == "index.html" else settings.folder) / unwritable / "in the way").mkdir(parents=True)
    assert command.finish(settings, command.Story(command.Place(ClusterFacts("ctx")))) == 3
    assert f"{unwritable} could not be written" in capsys.readouterr().out


def test_results_that_are_damaged_are_told_and_no_traceback(tmp_path, capsys):
    settings = Settings(outputs=tmp_path, run_id="r1", image="i:v1")
    (settings.folder / "results").mkdir(parents=True)
    (settings.folder / "results" / "01-background.json").write_text("[{")
    assert command.finish(settings, command.Story(command.Place(ClusterFacts("ctx")))) == 3
    assert "cannot be read" in json.loads((settings.folder / "run.json").read_text())["reason"]


def test_a_place_that_cannot_be_had_needs_no_clean_up(carry_out):
    story, cleaned = carry_out(at_start=SandboxError("did not start"))
    assert cleaned == []
    assert story.stopped.what == "did not start"
