"""Each drill brings its sandbox into a state that the diagnosis names, and out of it again without a trace."""

import pytest

from jfsnb.checks.model import Verdict
from jfsnb.errors import ConflictError, UsageError
from jfsnb.kube.connect import connect
from jfsnb.sandbox.scenarios import drill, find, scenarios
from jfsnb.steps import investigate

pytestmark = [pytest.mark.sandbox, pytest.mark.full]


@pytest.fixture(scope="module")
def cluster(sandbox):
    return connect(kubeconfig=str(sandbox.kubeconfig), context=sandbox.context)


def findings(cluster):
    """What the diagnosis says beside PASS: code and reason."""
    found = investigate.doctor(cluster).checks
    return {(c.code, c.reason) for c in found if c.verdict is not Verdict.PASS and c.code != "JFS-IMG-103"}


def objects(cluster):
    kinds = ("pods", "persistentvolumes", "persistentvolumeclaims", "storageclasses", "configmaps", "secrets")
    return {(kind, o["metadata"]["name"]) for kind in kinds for o in cluster.list(kind)}


def named_by(cluster, scenario):
    """Codes and reasons that whoever the scenario names finds."""
    words = scenario.ask.replace("${NEW}", cluster.default_image).split()
    if words[0] == "doctor":
        return findings(cluster)
    found = investigate.verify(cluster, "juicefs-system", words[1], words[2])
    return {(c.code, c.reason) for c in found.checks if c.verdict is not Verdict.PASS}


@pytest.mark.parametrize("name", [s.name for s in scenarios()])
def test_a_drill_is_named_and_mended(sandbox, cluster, name):
    before, things = findings(cluster), objects(cluster)
    scenario = drill.break_(sandbox, name)
    try:
        assert drill.broken(sandbox) == (name,)
        news = named_by(cluster, scenario) - before
        assert {code for code, _ in news} == set(scenario.codes), news
    finally:
        assert drill.mend(sandbox, name)
    left = findings(cluster) - before
    csi = {thing for thing in objects(cluster) ^ things if "juicefs-csi-node-" not in thing[1]}
    assert (left, csi, drill.broken(sandbox)) == (set(), set(), ())


def test_a_broken_sandbox_is_not_broken_twice_and_a_whole_one_not_mended(sandbox):
    drill.break_(sandbox, "unknown-key")
    with pytest.raises(ConflictError, match="jfsnb sandbox mend unknown-key"):
        drill.break_(sandbox, "unknown-key")
    assert drill.mend(sandbox, "unknown-key")
    assert not drill.mend(sandbox, "unknown-key")


def test_a_name_that_is_nearly_right():
    with pytest.raises(UsageError, match="stale-mount-pod"):
        find("stale-mountpod")
