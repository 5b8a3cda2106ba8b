"""The smoke Pod line by line: both manifests, and no line without a word about it."""

import pytest
import yaml

from jfsnb.notebook.annotated import lines
from jfsnb.run.smoke import manifest
from jfsnb.settings import Settings


def the_pod(profile):
    return manifest.smoke_pod(Settings(profile=profile, image="juicedata/mount:x", run_id="r1"), manifest.BASELINE)


@pytest.fixture(params=["fast", "article"])
def rows(request):
    return lines(yaml.safe_load(manifest.to_yaml(the_pod(request.param))))


def test_every_line_is_the_pod_s_own_and_says_what_it_is_for(rows):
    assert all(row["in_this_pod"] and row["what_for"] for row in rows)
    assert len(rows) > 15


@pytest.mark.parametrize("part", ["readinessProbe", "livenessProbe", "preStop", "tolerations", "volumeMounts"])
def test_probes_hook_and_volumes_are_explained(rows, part):
    assert any(row["part"].startswith(part) for row in rows)


def test_only_the_fast_manifest_ends_at_sigterm():
    parts = {name: lines(the_pod(name)) for name in ("fast", "article")}
    assert any(row["in_this_pod"].startswith("trap") for row in parts["fast"])
    assert not any(row["in_this_pod"].startswith("trap") for row in parts["article"])
    assert any(row["in_this_pod"] == "sleep 5" for row in parts["article"])


def test_a_pod_that_lacks_most_of_it_is_no_trouble():
    found = lines({"spec": {"containers": [{"image": "x"}]}})
    assert [(row["part"], row["in_this_pod"]) for row in found] == [("image", "x")]
