"""Opening a run from a notebook: which variables are parameters, which run is gone on with."""

import json
from pathlib import Path

import pytest

from jfsnb.errors import UsageError
from jfsnb.notebook import session
from jfsnb.settings import Settings

FIRST, THIRD = "/x/notebooks/01-csi-background.ipynb", "/x/notebooks/03-patch-config.ipynb"
PARAMETERS = {"namespace": "team-a", "timeout": 30, "keep": False}
SURROUNDINGS = {"In": [""], "Out": {}, "_i": "x", "__name__": "__main__", "json": json, "run": object()}


@pytest.fixture(autouse=True)
def headless(monkeypatch, tmp_path):
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    monkeypatch.setenv("JFSNB_OUTPUTS", str(tmp_path))


@pytest.fixture
def in_front(monkeypatch):
    """Somebody sits in front of JupyterLab."""
    monkeypatch.delenv("JFSNB_HEADLESS", raising=False)
    monkeypatch.setenv("JPY_SESSION_NAME", THIRD)


def test_a_notebook_s_variables_become_settings():
    settings = session.settings_of(SURROUNDINGS | PARAMETERS)
    assert (settings.namespace, settings.timeout, settings.keep) == ("team-a", 30, False)
    assert settings.scope == "canary"


def test_a_name_that_papermill_injected_by_mistake_is_refused_with_the_nearest_one():
    with pytest.raises(UsageError) as refused:
        session.settings_of(PARAMETERS | {"imgae": "x"})
    assert "image" in refused.value.next_step
    with pytest.raises(UsageError):
        session.settings_of(PARAMETERS | {"something_else": "x"})


def test_an_ill_typed_parameter_is_refused():
    with pytest.raises(UsageError, match="keep"):
        session.settings_of(PARAMETERS | {"keep": "false"})


def test_a_person_may_have_variables_of_their_own_but_no_misspelt_parameter(in_front):
    assert session.settings_of(PARAMETERS | {"my_notes": "x"}).namespace == "team-a"
    with pytest.raises(UsageError):
        session.settings_of(PARAMETERS | {"time_out": 3})


def begun(outputs: Path, name: str, ended: bool = False) -> None:
    folder = outputs / name / "results"
    folder.mkdir(parents=True)
    (folder / "01-background.json").write_text("[]")
    if ended:
        (folder / "05-verify.json").write_text(json.dumps([{"part": "restore"}]))


def test_later_notebooks_go_on_with_the_run_that_the_first_began(in_front, tmp_path):
    begun(tmp_path, "20260101-000000-aaaa")
    begun(tmp_path, "20260102-000000-bbbb")
    assert session.continued(Settings(), THIRD).run_id == "20260102-000000-bbbb"


def test_what_was_chosen_in_the_first_notebook_holds_in_the_later_ones(in_front, tmp_path):
    begun(tmp_path, "20260101-000000-aaaa")
    chosen = {**Settings(pvc="chosen", timeout=30, scope="global").parameters(), "run_id": "20260101-000000-aaaa"}
    (tmp_path / "20260101-000000-aaaa" / session.PARAMETERS).write_text(json.dumps(chosen))
    settings = session.continued(Settings(timeout=60), THIRD)
    assert (settings.pvc, settings.scope) == ("chosen", "global")
    assert settings.timeout == 60


def test_a_run_folder_that_does_not_say_its_parameters_is_gone_on_with_all_the_same(in_front, tmp_path):
    begun(tmp_path, "20260101-000000-aaaa")
    (tmp_path / "20260101-000000-aaaa" / session.PARAMETERS).write_text("{")
    assert session.continued(Settings(pvc="mine"), THIRD).pvc == "mine"


def test_the_first_notebook_begins_a_new_run(in_front, tmp_path):
    begun(tmp_path, "20260101-000000-aaaa")
    fresh = Settings()
    assert session.continued(fresh, FIRST) == fresh


def test_a_run_that_has_ended_is_not_gone_on_with(in_front, tmp_path):
    begun(tmp_path, "20260101-000000-aaaa", ended=True)
    begun(tmp_path, "20260101-000000-bbbb")
    (tmp_path / "20260101-000000-bbbb" / "run.json").touch()
    fresh = Settings()
    assert session.continued(fresh, THIRD) == fresh


def test_a_headless_notebook_goes_on_with_nothing(tmp_path):
    begun(tmp_path, "20260101-000000-aaaa")
    fresh = Settings()
    assert session.continued(fresh) == fresh


def test_headless_wins_over_a_session_s_name(monkeypatch, in_front):
    assert session.is_interactive()
    monkeypatch.setenv("JFSNB_HEADLESS", "1")
    assert not session.is_interactive()
