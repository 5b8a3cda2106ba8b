"""Each drill brings its sandbox into a state that the diagnosis names, and out of it again without a trace."""

import re
from dataclasses import replace

import pytest

from jfsnb.checks.model import Verdict
from jfsnb.cluster.connect import connect
from jfsnb.errors import ConflictError, SandboxError, UsageError
from jfsnb.queries import investigate
from jfsnb.sandbox.drills import drill, find, scenarios
from jfsnb.sandbox.drills.verbs import VERBS, inverse

pytestmark = [pytest.mark.sandbox, pytest.mark.full]


@pytest.fixture(scope="module")
def cluster(sandbox):
    return connect(kubeconfig=str(sandbox.kubeconfig), context=sandbox.context)


def findings(cluster):
    """What the diagnosis says beside PASS: code and reason. Ages pass, and so do Jobs that another drill has left."""
    found = (c for c in investigate.doctor(cluster).checks if c.verdict is not Verdict.PASS)
    told = ((c.code, re.sub(r"\d+ (s|min) ago", "ago", c.reason)) for c in found)
    return {(code, reason) for code, reason in told if not re.search("-cleancache-|-delvol-", reason)}


#: A drill may exchange the driver's node Pod; Jobs, and Secrets of volumes that other tests had made, go by themselves.
PASSING = re.compile("juicefs-csi-node-|-cleancache-|-delvol-|-canary-|juicefs-pvc-.*-secret")


def objects(cluster):
    """What there is and stays."""
    kinds = ("pods", "persistentvolumes", "persistentvolumeclaims", "storageclasses", "configmaps", "secrets")
    found = {(kind, o["metadata"]["name"]) for kind in kinds for o in cluster.list(kind)}
    return {thing for thing in found if not PASSING.search(thing[1])}


def named_by(cluster, scenario):
    """Codes and reasons that whoever the scenario names finds."""
    words = scenario.ask.replace("${NEW}", cluster.default_image).split()
    if words[0] == "doctor":
        return findings(cluster)
    found = investigate.verify(cluster, "juicefs-system", words[1], words[2])
    return {(c.code, c.reason) for c in found.checks if c.verdict is not Verdict.PASS}


@pytest.mark.parametrize("name", [s.name for s in scenarios()])
def test_a_drill_is_named_and_mended(sandbox, cluster, name):
    if find(name).needs == "limits" and "Memory limits hold" not in sandbox.tier_reason:
        pytest.skip(sandbox.tier_reason)
    before, things = findings(cluster), objects(cluster)
    try:
        scenario = drill.break_(sandbox, name)
        assert drill.broken(sandbox) == (name,)
        news = named_by(cluster, scenario) - before
        assert {code for code, _ in news} == set(scenario.codes), news
    finally:
        assert drill.mend(sandbox, name)
    assert findings(cluster) - before == set()
    assert drill.broken(sandbox) == ()
    assert objects(cluster) ^ things == set()


def test_a_broken_sandbox_is_not_broken_twice_and_a_whole_one_not_mended(sandbox):
    drill.break_(sandbox, "unknown-key")
    with pytest.raises(ConflictError, match="jfsnb sandbox mend unknown-key"):
        drill.break_(sandbox, "unknown-key")
    assert drill.mend(sandbox, "unknown-key")
    assert not drill.mend(sandbox, "unknown-key")


def test_a_drill_that_got_stuck_halfway_can_be_mended(sandbox, cluster, monkeypatch):
    before = objects(cluster)
    scenario = find("unknown-key")
    steps = ({"volume": {"name": "stuck"}}, *scenario.steps, {"execute": {"in": "csi-node", "command": "exit 3"}})
    monkeypatch.setattr(drill, "find", lambda name: replace(scenario, steps=steps))
    with pytest.raises(SandboxError, match="exit 3"):
        drill.break_(sandbox, "unknown-key")
    assert {("persistentvolumes", "drill-stuck")} <= objects(cluster) - before
    assert drill.mend(sandbox, "unknown-key")
    assert objects(cluster) == before


def test_what_is_somebody_else_s_is_not_taken_away(sandbox, cluster):
    """A Pod that has the name of a drill's is in its way; it is still there when the drill has been mended."""
    pod = {"name": "app", "image": "local/debian:bookworm", "command": ["sleep", "600"]}
    meta = {"name": "drill-sidecar", "namespace": "juicefs-system"}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [pod], "nodeName": "nowhere"}}
    cluster.create(body)
    try:
        with pytest.raises(ConflictError, match="drill-sidecar is there already"):
            drill.break_(sandbox, "sidecar")
        assert drill.mend(sandbox, "sidecar")
        assert cluster.find("pods", "juicefs-system", "drill-sidecar") is not None
    finally:
        cluster.delete("pods", "juicefs-system", "drill-sidecar", grace=0)


def test_a_merge_patch_is_taken_back_field_by_field():
    before = {"metadata": {"labels": {"a": "1"}, "name": "x"}, "data": {"k": "old"}}
    change = {"metadata": {"labels": {"a": "2", "b": "3"}, "annotations": {"c": "4"}}, "data": {"k": None}}
    assert inverse(before, change) == {
        "metadata": {"labels": {"a": "1", "b": None}, "annotations": {"c": None}},
        "data": {"k": "old"},
    }


def test_every_scenario_tells_what_it_is_and_uses_known_verbs():
    for scenario in scenarios():
        assert scenario.title and scenario.does and scenario.observe
        assert {verb for step in scenario.steps for verb in step} <= set(VERBS)


def test_a_name_that_is_nearly_right():
    with pytest.raises(UsageError, match="stale-mount-pod"):
        find("stale-mountpod")
