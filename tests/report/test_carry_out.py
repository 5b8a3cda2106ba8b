"""A run's frame: clean-up happens whatever ends the notebooks, and what ended them is told."""

import contextlib
import io
import signal

import pytest

from jfsnb.commands import run as command
from jfsnb.errors import SandboxError
from jfsnb.report.interrupt import Interrupted
from jfsnb.report.progress import Progress
from jfsnb.report.record import CleanUp, ClusterFacts
from jfsnb.settings import Settings


@pytest.fixture
def carry_out(monkeypatch, tmp_path):
    """carry_out(raised): what a run's story is when the notebooks raise that."""
    cleaned = []

    @contextlib.contextmanager
    def place():
        yield command.Place(ClusterFacts("ctx"), "default"), None

    def clean_up(settings, story):
        cleaned.append(story)
        return CleanUp(True, "cleaned")

    def make(raised=None, at_start=None):
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
        settings.folder.mkdir()
        story = command.Story(command.Place(ClusterFacts("ctx")))
        at = no_place() if at_start else place()
        command._carry_out([], settings, at, Progress(io.StringIO(), []), story)
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


def test_a_place_that_cannot_be_had_needs_no_clean_up(carry_out):
    story, cleaned = carry_out(at_start=SandboxError("did not start"))
    assert cleaned == []
    assert story.stopped.what == "did not start"
