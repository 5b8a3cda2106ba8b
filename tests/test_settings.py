"""The parameters: typed, refused when unknown or unusable, and the same everywhere."""

import pytest

from jfsnb.errors import UsageError
from jfsnb.settings import Settings


def test_defaults_make_a_run_id_that_fits_into_names_and_labels():
    one, two = Settings(), Settings()
    assert one.run_id != two.run_id
    assert len(f"smoke-baseline-{one.run_id}") <= 63
    assert Settings(run_id="").run_id


def test_parameters_survive_the_way_through_a_notebook():
    settings = Settings(image="juicedata/mount:ce-v1.3.0", scope="global", timeout=7, keep=True)
    assert Settings.from_mapping(settings.parameters()) == settings
    assert set(settings.parameters()) == set(Settings.names())


@pytest.mark.parametrize(
    ("mapping", "hint"),
    [
        ({"imagee": "x"}, "'image'"),
        ({"timeout": "20"}, "int"),
        ({"timeout": True}, "int"),
        ({"timeout": 0}, "above 0"),
        ({"keep": "false"}, "bool"),
        ({"scope": "canari"}, "'canary'"),
        ({"profile": "slow"}, "fast, article"),
        ({"namespace": "A_B"}, "namespace"),
        ({"image": "two words"}, "registry"),
        ({"pvc": ""}, "PersistentVolumeClaim"),
        ({"run_id": "x" * 60}, "40"),
        ({"outputs": "/tmp"}, "known parameters"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_hint(mapping, hint):
    with pytest.raises(UsageError) as refused:
        Settings.from_mapping(mapping)
    assert hint in refused.value.next_step


def test_outputs_come_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("JFSNB_OUTPUTS", str(tmp_path))
    assert Settings(run_id="r").folder == tmp_path / "r"
