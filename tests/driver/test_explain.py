"""Effective settings, field by field."""

from jfsnb.driver.config.merging import effective_image, load, merge
from jfsnb.driver.settings.explain import explain

CONFIG = load("""
mountPodPatch:
- ceMountImage: one
  labels: {a: b}
  env: [{name: TOKEN, value: hush}]
  resources: {limits: {cpu: 1}}
  volumes: [{name: v1}]
- pvcSelector: {matchName: claim}
  ceMountImage: two
  labels: {c: d}
  volumes: [{name: v2}]
""")
CLAIM = {"metadata": {"name": "claim"}, "spec": {}}


def explained():
    found = explain(CONFIG, merge(CONFIG, CLAIM, None), effective_image(CONFIG, CLAIM, None))
    return {e.field: e for e in found}


def test_each_field_tells_who_decided_and_who_was_overruled():
    image, labels = explained()["image"], explained()["labels"]
    assert (image.value, image.provenance) == ("two", "entry 2 of mountPodPatch, pvcSelector.matchName claim")
    assert image.overruled[0].startswith("one (entry 1 of mountPodPatch")
    assert labels.value == "c=d" and labels.overruled[0].startswith("a=b (entry 1")
    assert explained()["resources"].value == "limits: cpu=1" and not explained()["resources"].overruled


def test_appended_fields_overrule_nobody():
    volumes = explained()["volumes"]
    assert not volumes.overruled and "entry 1" in volumes.provenance and "entry 2" in volumes.provenance


def test_values_of_environment_variables_are_not_shown():
    assert explained()["env"].value == "TOKEN"
    assert "hush" not in str(explained())
