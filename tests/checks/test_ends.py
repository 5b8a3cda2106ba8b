"""Configuration in force, restored; shutdown; tiers; preflight."""

import hashlib
from datetime import timedelta

import pytest
from check_builders import NOW, TARGET, UID, healthy, mount_pod

from jfsnb.checks import carried_out, client, configured, preflight, shutdown, smoke, tier
from jfsnb.checks.codes import Unreadable, result
from jfsnb.checks.configured import NodeConfig, node_config
from jfsnb.checks.model import Verdict
from jfsnb.checks.serving import made_after_patch
from jfsnb.driver.config.merging import effective_image, load
from jfsnb.driver.deployment import Deployment

GONE = Unreadable("stream broke off")
RELOAD = 'I1 "config file updated, reload config" logger="config" config file="/etc/config/config.yaml"'
REJECT = 'E1 "fail to reload config" err="error converting YAML to JSON: yaml: line 3"'
HOOK = [f"=== {line}" for line in shutdown.PRE_STOP_LINES]


def delayed_until(moment):
    return {"juicefs-delete-delay": "1h", "juicefs-delete-at": moment.isoformat()}


@pytest.mark.parametrize(
    "file,log,state",
    [
        ("new", [RELOAD], "in force"),
        ("new", [], "file only"),
        ("old", [RELOAD], "old"),  # a reload of something else proves nothing
        ("new", [RELOAD, REJECT], "rejected"),
        ("new", [RELOAD, REJECT, RELOAD], "in force"),
        (GONE, [RELOAD], "unknown"),
        ("new", GONE, "unknown"),
    ],
)
def test_what_one_csi_node_has(file, log, state):
    assert node_config("n", "p", "new", file, log).state == state


def test_a_csi_node_that_started_after_the_patch_has_it():
    assert node_config("n", "p", "new", "new", [], started_after=True).state == "in force"
    assert node_config("n", "p", "new", "old", [], started_after=True).state == "old"


@pytest.mark.parametrize(
    "states,needed,verdict",
    [
        (["in force", "in force"], ["n0", "n1"], Verdict.PASS),
        (["in force", "old"], ["n0"], Verdict.PASS),
        (["in force", "old"], ["n0", "n1"], Verdict.NOT_READY),
        (["in force", "file only"], ["n0", "n1"], Verdict.NOT_READY),
        (["rejected", "old"], ["n0", "n1"], Verdict.FAIL),
        (["unknown"], ["n0"], Verdict.ERROR),
        (["in force"], ["n0", "n1"], Verdict.ERROR),
        (["surprise"], ["n0"], Verdict.ERROR),
        (["in force"], [], Verdict.ERROR),
    ],
)
def test_in_force(states, needed, verdict):
    nodes = [NodeConfig(f"n{n}", f"p{n}", s) for n, s in enumerate(states)]
    assert configured.in_force(nodes, needed).verdict is verdict


def test_decides_for_image():
    decision = effective_image(load("mountPodPatch: [{ceMountImage: 'a/b:c'}]"), None, None)
    assert configured.decides_for_image(decision, "docker.io/a/b:c", "claim").verdict is Verdict.PASS
    assert configured.decides_for_image(decision, "a/b:d", "claim").verdict is Verdict.FAIL
    assert configured.decides_for_image(GONE, "a/b:d", "claim").verdict is Verdict.ERROR


def test_restored_to_the_byte():
    before = hashlib.sha256(b"a\n").hexdigest()
    assert configured.restored(before, "a\n").verdict is Verdict.PASS
    assert configured.restored(before, "a", left=["our entry"]).verdict is Verdict.FAIL
    assert configured.restored(before, "a", failed=["could not look"]).verdict is Verdict.ERROR
    assert configured.restored(before, kept=True).verdict is Verdict.NA
    assert configured.restored(before, GONE).verdict is Verdict.ERROR


def test_what_others_have_changed_meanwhile_is_shown_and_says_nothing_about_the_client():
    found = configured.restored(hashlib.sha256(b"a\n").hexdigest(), "a\ntheirs\n", "+theirs")
    assert found.verdict is Verdict.WARN and "+theirs" in {e.value for e in found.evidence}


def test_what_is_left_is_a_failure_and_what_could_not_be_seen_an_error():
    assert carried_out.nothing_left([]).verdict is Verdict.PASS
    assert carried_out.nothing_left(["a Pod"], ["a claim"]).verdict is Verdict.FAIL
    assert carried_out.nothing_left([], ["a claim"]).verdict is Verdict.ERROR


@pytest.mark.parametrize(
    "log,verdict",
    [
        (HOOK, Verdict.PASS),
        (["x", *HOOK[:2], "JuiceFS mount status: OK", HOOK[2]], Verdict.PASS),
        (HOOK[:1], Verdict.FAIL),
        ([HOOK[1], HOOK[0], HOOK[2]], Verdict.FAIL),
        ([HOOK[0], "=== [PRESTOP] Warning: Cannot write to JuiceFS during shutdown", *HOOK[1:]], Verdict.FAIL),
        ([], Verdict.FAIL),
        (GONE, Verdict.ERROR),
    ],
)
def test_pre_stop(log, verdict):
    assert shutdown.pre_stop_lines(log, "smoke", True).verdict is verdict


def test_logs_that_began_too_late_prove_nothing():
    assert shutdown.pre_stop_lines(HOOK, "smoke", False).verdict is Verdict.ERROR
    assert shutdown.client_exit(["x"], 0, "mp", False).verdict is Verdict.ERROR


@pytest.mark.parametrize(
    "code,reason,verdict",
    [
        (137, "Error", Verdict.PASS),
        (0, "Completed", Verdict.FAIL),
        (137, "OOMKilled", Verdict.FAIL),
        (None, "", Verdict.NOT_READY),
        (GONE, "", Verdict.ERROR),
    ],
)
def test_app_exit(code, reason, verdict):
    assert shutdown.app_exit(code, {137}, "smoke", reason).verdict is verdict


@pytest.mark.parametrize(
    "pod,verdict",
    [
        (None, Verdict.PASS),
        (mount_pod(targets=[]), Verdict.PASS),
        (mount_pod(targets=[TARGET.replace(UID, "other")]), Verdict.PASS),
        (mount_pod(), Verdict.FAIL),
        (GONE, Verdict.ERROR),
    ],
)
def test_reference_removed(pod, verdict):
    assert shutdown.reference_removed(pod, UID, "pv-a").verdict is verdict


@pytest.mark.parametrize(
    "pod,verdict",
    [
        (None, Verdict.PASS),
        (mount_pod(targets=[]), Verdict.FAIL),  # alive without reason, whatever its deletionTimestamp field looks like
        (mount_pod(targets=[], deleting=True), Verdict.NOT_READY),
        (mount_pod(), Verdict.PASS),
        (mount_pod(targets=[], annotations=delayed_until(NOW + timedelta(hours=1))), Verdict.PASS),
        (mount_pod(targets=[], annotations=delayed_until(NOW - timedelta(hours=1))), Verdict.FAIL),
        (GONE, Verdict.ERROR),
    ],
)
def test_mount_pod_gone(pod, verdict):
    assert shutdown.mount_pod_gone(pod, "mp", NOW).verdict is verdict


@pytest.mark.parametrize(
    "log,code,verdict",
    [
        (["<INFO>: The juicefs mount process exit successfully"], None, Verdict.PASS),
        (["<INFO>: close session 3: <nil>"], None, Verdict.PASS),
        (["<ERROR>: close session 3: connection refused"], None, Verdict.FAIL),
        (["<WARNING>: umount does not finish in 30 seconds, force exit"], 0, Verdict.FAIL),
        (["<INFO>: close session 3: <nil>"], 1, Verdict.FAIL),
        ([], 0, Verdict.WARN),  # not a word: nobody knows whether it was flushed
        ([], None, Verdict.WARN),
        ([], 137, Verdict.FAIL),
        (GONE, 0, Verdict.ERROR),
    ],
)
def test_client_exit(log, code, verdict):
    assert shutdown.client_exit(log, code, "mp", True).verdict is verdict


#: As a real client of 1.4.1 with JFS_SUPER_COMM wrote them; its supervisor then ended with exit code 2.
FLUSHED = "2026/11/29 11:03:44.997426 juicefs[21] <INFO>: flush buffered data in 2.294µs: <nil> [FlushAll@vfs.go:1327]"
OPENED = (
    "2026/11/29 11:03:37.429437 juicefs[21] <INFO>: Create session 50 OK with version: 1.4.1 [NewSession@base.go:796]"
)


@pytest.mark.parametrize(
    "log,sessions,verdict,words",
    [
        ([FLUSHED], None, Verdict.WARN, "no data is lost"),
        ([FLUSHED], frozenset({50}), Verdict.WARN, "no data is lost"),
        ([], frozenset({49}), Verdict.PASS, "session 50 is closed"),
        ([], frozenset({50}), Verdict.FAIL, "data may be lost"),
        ([], GONE, Verdict.WARN, "not known"),
    ],
)
def test_a_supervisor_that_ended_first_is_judged_by_what_is_known_of_the_data(log, sessions, verdict, words):
    session = shutdown.session_of([OPENED])
    found = shutdown.client_exit(log, 2, "mp", True, session=session, sessions=sessions)
    assert (session, found.verdict) == (50, verdict)
    assert words in found.reason and any(e.value == "2" for e in found.evidence)


def test_a_client_that_goes_on_has_no_end_to_judge():
    found = shutdown.client_exit([], None, "mp", True, stays="delete delay: it stays until noon")
    assert found.verdict is Verdict.NA and "noon" in found.reason


def test_references_of_pods_that_are_gone_keep_no_mount_pod():
    assert shutdown.mount_pod_gone(mount_pod(), "mp", NOW, {UID}).verdict is Verdict.FAIL


def test_a_lower_tier_never_passes_what_needs_a_data_path():
    good = [result(c, Verdict.PASS, "fine") for c in (smoke.NONCE, client.RUNNING, client.SPEC, configured.IN_FORCE)]
    bad = [result(smoke.NONCE, Verdict.FAIL, "wrong")]
    assert tier.labelled(good, "full") == tier.labelled(good, "") == tuple(good)
    lower = tier.labelled([*good, *bad], "namespaces")
    assert [r.verdict for r in lower] == [Verdict.NA, Verdict.NA, Verdict.PASS, Verdict.PASS, Verdict.FAIL]
    assert "tier namespaces" in lower[0].reason


def test_the_tier_is_told():
    assert tier.real_data_path("").verdict is tier.real_data_path("full").verdict is Verdict.PASS
    assert tier.real_data_path("recorded", "no /dev/fuse").verdict is Verdict.WARN


def test_preflight():
    world = healthy()
    deployment = Deployment.from_object(world.daemon_set)
    assert preflight.driver_installed({}, world.daemon_set).verdict is Verdict.PASS
    assert preflight.driver_installed({}, None).verdict is Verdict.FAIL
    assert preflight.driver_installed(None, world.daemon_set).verdict is Verdict.FAIL
    assert preflight.driver_installed(GONE, None).verdict is Verdict.ERROR
    assert preflight.mount_pod_mode(deployment).verdict is Verdict.PASS
    assert preflight.config_known(deployment).verdict is Verdict.PASS


READY = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
CSI_POD = {"metadata": {"name": "csi-x"}, **READY}
PLAIN = {"spec": {"containers": [{"image": "a/b:1"}]}}


def node(**spec):
    images = [{"names": ["docker.io/a/b:1"]}]
    return {"metadata": {"name": "n1", "labels": {}}, "spec": spec, "status": {**READY["status"], "images": images}}


@pytest.mark.parametrize(
    "facts,words",
    [
        ((node(), PLAIN, CSI_POD, True), ""),
        ((node(), PLAIN, None, True, "taint gpu:NoSchedule is not tolerated"), "no CSI node Pod: taint gpu"),
        ((node(), PLAIN, {"metadata": {"name": "csi-x"}}, True), "csi-x is not ready"),
        ((node(), PLAIN, CSI_POD, False), "not registered"),
        ((node(taints=[{"key": "a", "value": "b", "effect": "NoExecute"}]), PLAIN, CSI_POD, True), "a=b:NoExecute"),
        ((node(), {"spec": {"nodeSelector": {"disk": "ssd"}}}, CSI_POD, True), "disk=ssd"),
        (({**node(), "status": {}}, PLAIN, CSI_POD, True), "the node is not Ready"),
    ],
)
def test_where_a_smoke_pod_may_be_put(facts, words):
    found = preflight.landing(*facts)
    assert bool(found.problem) == bool(words) and words in found.problem


def test_every_node_that_is_left_out_is_named():
    good, bad = preflight.Landing("n1"), preflight.Landing("n2", "no CSI node Pod")
    some = preflight.csi_nodes_ready([good, bad])
    assert some.verdict is Verdict.PASS and "n2" in some.reason and len(some.evidence) == 2
    none = preflight.csi_nodes_ready([bad, preflight.Landing("n3", "the node is not Ready")])
    assert none.verdict is Verdict.FAIL and "n2: no CSI node Pod; n3: the node is not Ready" in none.reason
    assert preflight.csi_nodes_ready(GONE).verdict is Verdict.ERROR
    told = [preflight.landing(node(), PLAIN, CSI_POD, True, image=i).image for i in ("a/b:1", "a/b:2")]
    assert told == ["the image is there", "the image must be pulled"]


def test_a_mount_pod_from_before_the_patch_proves_no_patch():
    assert made_after_patch(mount_pod(), {"uid-other"}).verdict is Verdict.PASS
    reused = made_after_patch(mount_pod(), {"uid-mp"})
    assert reused.verdict is Verdict.WARN and "not exercised" in reused.reason
    assert made_after_patch(GONE, {"uid-mp"}).verdict is made_after_patch(mount_pod(), GONE).verdict is Verdict.ERROR


@pytest.mark.parametrize(
    "tag,scope,verdict",
    [
        ("v0.24.3", "canary", Verdict.PASS),
        ("v0.24.0", "canary", Verdict.FAIL),
        ("v0.24.0", "global", Verdict.PASS),
        ("v0.23.9", "global", Verdict.FAIL),
        ("nightly", "canary", Verdict.PASS),
    ],
)
def test_driver_versions(tag, scope, verdict):
    daemon_set = healthy().daemon_set
    daemon_set["spec"]["template"]["spec"]["containers"][0]["image"] = f"juicedata/juicefs-csi-driver:{tag}"
    assert preflight.config_known(Deployment.from_object(daemon_set), scope).verdict is verdict


@pytest.mark.parametrize(
    "text,verdict",
    [
        ("mountPodPatch:\n", Verdict.PASS),
        ("{}", Verdict.PASS),
        ("mountPodPatch: [{lables: {}}]", Verdict.WARN),
        ("a: [", Verdict.FAIL),
        (None, Verdict.FAIL),
        (GONE, Verdict.ERROR),
    ],
)
def test_config_loads(text, verdict):
    assert preflight.config_loads(text).verdict is verdict


def test_permissions():
    assert preflight.permissions({"get pods": True}).verdict is Verdict.PASS
    missing = preflight.permissions({"get pods": True, "patch configmaps": False})
    assert missing.verdict is Verdict.FAIL and "patch configmaps" in missing.reason
    unknown = preflight.permissions({"get pods": True, "patch configmaps": None})
    assert unknown.verdict is Verdict.ERROR and "patch configmaps" in unknown.reason
