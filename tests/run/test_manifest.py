"""The two smoke manifests: the article's word for word, and a fast one that says the same."""

from importlib.resources import files

import pytest
import yaml

from jfsnb.checks.shutdown import PRE_STOP_LINES
from jfsnb.checks.smoke import EXPECTED_LINES
from jfsnb.run.smoke import manifest
from jfsnb.settings import Settings


def source(profile):
    return yaml.safe_load(files("jfsnb").joinpath(f"manifests/smoke-{profile}.yaml").read_text("utf-8"))


@pytest.mark.parametrize("profile", ["fast", "article"])
def test_both_say_what_the_checks_look_for(profile):
    container = source(profile)["spec"]["containers"][0]
    script, hook = container["args"][1], container["lifecycle"]["preStop"]["exec"]["command"][2]
    places = [script.find(f'echo "{line}"') for line in EXPECTED_LINES]
    assert min(places) >= 0 and places == sorted(places)
    assert all(line in hook for line in PRE_STOP_LINES)
    assert all("mountpoint -q /jfs" in container[p]["exec"]["command"][2] for p in ("livenessProbe", "readinessProbe"))


def test_the_article_s_stays_as_it_is_but_for_names_and_claim():
    settings = Settings(profile="article", image="i:v1", pvc="mine", run_id="r1")
    pod, article = manifest.smoke_pod(settings, manifest.UNDER_TEST, is_sandbox=True), source("article")
    assert pod["metadata"]["name"] == "smoke-juicefs-pod"
    assert pod["spec"]["containers"] == article["spec"]["containers"]
    assert pod["spec"]["volumes"][1]["persistentVolumeClaim"] == {"claimName": "mine"}
    assert pod["spec"]["terminationGracePeriodSeconds"] == 60 and "nodeSelector" not in pod["spec"]


def test_a_real_registry_cannot_serve_the_article_s_placeholder():
    pod = manifest.smoke_pod(Settings(profile="article", image="i:v1"), manifest.UNDER_TEST)
    assert pod["spec"]["containers"][0]["image"] == "i:v1"


def test_what_a_run_makes_carries_its_label():
    settings = Settings(image="i:v1", run_id="r1", storage_class="sc", namespace="ns")
    made = [
        manifest.smoke_pod(settings, manifest.BASELINE, node="n1"),
        manifest.claim(settings),
        manifest.updatedb_config(settings),
    ]
    assert all(obj["metadata"]["labels"][manifest.RUN_LABEL] == "r1" for obj in made)
    assert {obj["metadata"]["namespace"] for obj in made} == {"ns"}
    pod, claim = made[0], made[1]
    assert pod["metadata"]["name"] == "smoke-baseline-r1"
    assert pod["spec"]["nodeSelector"] == {"kubernetes.io/hostname": "n1"}
    assert pod["spec"]["volumes"][1]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert claim["spec"]["storageClassName"] == "sc"


def test_shown_as_people_write_it():
    text = manifest.to_yaml(source("fast"))
    assert yaml.safe_load(text) == source("fast")
    assert "    - |\n" in text
