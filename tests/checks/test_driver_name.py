"""A driver that is called otherwise (DRIVER_NAME): its volumes are those of its own name."""

import json
from dataclasses import replace

from check_builders import healthy

from jfsnb.checks import preflight
from jfsnb.checks.diagnosis.rules import examine
from jfsnb.checks.model import Verdict
from jfsnb.checks.serving import claim_bound
from jfsnb.driver import names
from jfsnb.queries.slim import is_juicefs, juicefs_claims
from jfsnb.queries.verify import verify

OTHER = "csi.example.com"


def renamed():
    """The healthy world with every name of the driver another one."""
    snapshot = healthy()
    parts = ("pvs", "storage_classes", "csi_nodes", "csi_driver", "pvcs")
    changed = {p: json.loads(json.dumps(snapshot.part(p)).replace(f'"{names.DRIVER}"', f'"{OTHER}"')) for p in parts}
    daemon_set = json.loads(json.dumps(snapshot.daemon_set))
    daemon_set["spec"]["template"]["spec"]["containers"][0]["env"] += [{"name": "DRIVER_NAME", "value": OTHER}]
    return replace(snapshot, **changed, daemon_set=daemon_set)


def test_its_name_is_known_from_the_daemon_set():
    assert (renamed().driver_name, healthy().driver_name) == (OTHER, names.DRIVER)
    assert OTHER in preflight.driver_installed(None, renamed().daemon_set).reason


def test_nothing_is_wrong_with_it():
    assert [(r.code, r.reason) for r in examine(renamed())] == [(r.code, r.reason) for r in examine(healthy())]


def test_the_chain_is_followed_as_ever():
    known, pods = renamed(), [p for p in renamed().app_pods if p["spec"].get("volumes")]
    pod = pods[0]["metadata"]
    told = [row["mount_pod"] for row in verify(known, pod["namespace"], pod["name"]).rows]
    assert told == [row["mount_pod"] for row in verify(healthy(), pod["namespace"], pod["name"]).rows] != []


def test_volumes_are_its_own_by_its_name():
    pv, pvc = renamed().pvs[0], {"metadata": {"name": "c"}, "spec": {"volumeName": "v"}, "status": {"phase": "Bound"}}
    assert is_juicefs(pv, OTHER) and not is_juicefs(pv)
    assert claim_bound(pvc, pv, "c", OTHER).verdict is Verdict.PASS
    assert claim_bound(pvc, pv, "c").verdict is Verdict.FAIL
    waiting = {"metadata": {"name": "c", "namespace": "n"}, "spec": {"storageClassName": "sc"}}
    other = {"metadata": {"name": "sc"}, "provisioner": OTHER}
    assert juicefs_claims([], [waiting], [other], OTHER) == {("n", "c")}
    assert juicefs_claims([], [waiting], [other]) == set()
