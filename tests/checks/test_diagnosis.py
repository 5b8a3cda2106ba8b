"""Every diagnosis rule: silent in the healthy world, right in a world with exactly its fault."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from check_builders import NOW, OTHER_DIGEST, healthy

from jfsnb.checks.codes import REGISTER, Unreadable
from jfsnb.checks.diagnosis.rules import examine
from jfsnb.checks.diagnosis.snapshot import RULES, diagnose
from jfsnb.checks.model import Verdict
from jfsnb.checks.page import page
from jfsnb.checks.parts import NotRead
from jfsnb.checks.snapshot import PARTS, LogLine, Snapshot
from jfsnb.driver import names
from jfsnb.sandbox import world

CSI = "juicefs-csi-node-live"


def stamp(**ago):
    return (NOW - timedelta(**ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def controller_down(s):
    pod = s.controller_pods[0]
    pod["status"]["conditions"] = []
    state = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container"}}
    pod["status"]["containerStatuses"] = [{"name": "csi-provisioner", "restartCount": 9, "state": state}]
    return s


def canary_failed(s):
    job = {
        "metadata": {"name": "juicefs-0123abcd-canary", "namespace": "kube-system"},
        "status": {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]},
    }
    return replace(s, jobs=[job])


def leftover_run(s):
    s.config_map["metadata"]["annotations"]["undo.jfsnb.io/dead1"] = "{}"
    pod = {"kind": "Pod", "metadata": {"name": "smoke-x", "labels": {"jfsnb.io/run": "dead1"}}}
    return replace(s, run_pods=[pod])


def volume_failed(s):
    s.pvs[0]["status"] = {"phase": "Failed", "message": "Could not delVol in juicefs"}
    return s


def first(snapshot):
    return snapshot.mount_pods[0]


def reference_of(pod):
    return next((k, v) for k, v in pod["metadata"]["annotations"].items() if names.is_reference(k, v))


def user_of(snapshot, pod):
    uid = names.parse_target(reference_of(pod)[1])[0]
    return next(p for p in snapshot.app_pods if p["metadata"]["uid"] == uid)


def waiting(snapshot, reason, message="", **status):
    pod = first(snapshot)
    pod["status"]["conditions"] = status.pop("conditions", [])
    state = {"name": "jfs-mount", "state": {"waiting": {"reason": reason, "message": message}}, "restartCount": 4}
    pod["status"].update(status, containerStatuses=[state])
    return snapshot


def event(pod, reason, message, **more):
    meta = pod["metadata"]
    about = {k: meta.get(k, "") for k in ("namespace", "name", "uid")} | {"kind": pod.get("kind", "Pod")}
    return {"reason": reason, "message": message, "type": "Warning", "involvedObject": about, **more}


def config(snapshot, text):
    snapshot.config_map["data"]["config.yaml"] = text
    return replace(snapshot, csi_files={CSI: text})


def edited(change):
    """A scenario that edits the first Mount Pod."""

    def scenario(snapshot):
        change(first(snapshot))
        return snapshot

    return scenario


def invalid_config(s):
    return replace(config(s, "a: ["), csi_files={})


def csi_node_behind(s):
    return replace(s, csi_files={CSI: "mountPodPatch:\n"})


def csi_node_rejects(s):
    return replace(s, csi_logs={CSI: ['"fail to reload config" err="yaml: line 3"']})


def misspelt(s):
    return config(s, s.config_text + "\nmountPodPatches: []\n")


def swallowed(s):
    return replace(s, csi_logs={CSI: ['E1 "apply config patch error, will ignore" err="x"']})


def helm(s):
    s.config_map["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "Helm"}
    return s


def class_options(s):
    pv = s.pvs[0]
    pv["spec"]["storageClassName"] = "juicefs-sc"
    s.storage_classes[0]["mountOptions"] = ["cache-size=1"]
    return s


def delay_in_days(s):
    s.pvs[0]["spec"]["csi"]["volumeAttributes"] = {"juicefs/mount-delete-delay": "1d"}
    return s


def newer_configuration(s):
    return config(s, s.config_text.replace(world.OLD_IMAGE, world.NEW_IMAGE))


def tag_pushed_again(pod):
    pod["status"]["containerStatuses"][0]["imageID"] = f"x@{OTHER_DIGEST}"


def false_tag(s):
    return replace(s, clients={first(s)["metadata"]["name"]: {".config": "juicefs version 1.2.0+2024-06-18.6b6b9a0"}})


def looks_old(s):
    first(s)["spec"]["containers"][0]["image"] = "a/b:ce-ours-on-ce-v1.1.0"
    return s


def killed(s):
    lines = ["<ERROR>: mount process 21: signal: killed, will restart in 1 second"]
    return replace(s, mount_logs={first(s)["metadata"]["name"]: lines})


def followed_a_deleted_one(s):
    first(s)["metadata"] |= {"name": "juicefs-n-pv-abcdef", "creationTimestamp": stamp(minutes=1)}
    s.app_pods[0]["metadata"]["creationTimestamp"] = stamp(minutes=9)
    return replace(s, mount_logs={"juicefs-n-pv-abcdef": ["<INFO>: Create session 65 OK with version: 1.4.1"]})


def not_asked(s):
    told = "dial /tmp/fuse_fd_csi_comm.sock: dial unix: connect: connection refused [getFuseFd@passfd.go:183]"
    return replace(s, mount_logs={first(s)["metadata"]["name"]: [f"<WARNING>: {told}"]})


def not_kept(s):
    told = "send fd to /tmp/fuse_fd_csi_comm.sock: dial unix: connect: no such file or directory"
    return replace(s, mount_logs={first(s)["metadata"]["name"]: [f"<WARNING>: {told}"]})


def binary_upgrade(s):
    return replace(s, events=[event(first(s), "Upgrade", "[x] Upgrade binary in jfs-mount", type="Normal")])


def busy(s):
    return replace(s, mount_logs={"mp": ["<WARNING>: FUSE session is busy, don't restart"]})


def upgrading(ago):
    return lambda pod: pod["metadata"]["annotations"].update(
        {names.UPGRADE_PROCESS: (NOW - ago).strftime("%Y-%m-%d %H:%M:%S")}
    )


def sidecar(s):
    pod = s.app_pods[-1]
    pod["metadata"]["labels"][names.SIDECAR_DONE] = "true"
    return s


def without_references(pod):
    del pod["metadata"]["annotations"][reference_of(pod)[0]]


def leaked(s):
    pod = first(s)
    user = user_of(s, pod)
    without_references(pod)
    return replace(s, app_pods=[p for p in s.app_pods if p is not user])


def shared_but_different(s):
    for pod, digest in zip(s.mount_pods, ("a", "b"), strict=False):
        pod["metadata"]["annotations"][names.SHARE_MODE] = names.SHARE_BY_STORAGE_CLASS
        pod["metadata"]["labels"].update({names.VOLUME_ID: "juicefs-sc", names.HASH: digest})
        pod["spec"]["nodeName"] = world.ARTICLE_NODE
    return s


def user_gone(s):
    user = user_of(s, first(s))
    return replace(s, app_pods=[p for p in s.app_pods if p is not user])


def on_a_deleting_one(s):
    first(s)["metadata"]["deletionTimestamp"] = stamp(seconds=5)
    return s


def doubled(s):
    key, value = reference_of(first(s))
    s.mount_pods[1]["metadata"]["annotations"][key] = value
    return s


def broken_key(pod):
    _, value = reference_of(pod)
    pod["metadata"]["annotations"]["juicefs-" + "0" * 55] = value


def unserved(s):
    without_references(first(s))
    first(s)["metadata"]["creationTimestamp"] = stamp(minutes=1)
    return s


def twins(s):
    s.pvs[1]["spec"]["csi"]["volumeHandle"] = s.pvs[0]["spec"]["csi"]["volumeHandle"]
    return s


def unbound(s):
    pvc = s.pvcs[0]
    pvc["status"]["phase"] = "Pending"
    return replace(s, events=[event(pvc, "ProvisioningFailed", "no such secret")])


def no_room(s):
    conditions = [{"type": "PodScheduled", "status": "False", "message": "0/10 nodes: 1 Insufficient cpu"}]
    return waiting(s, "ContainerCreating", phase="Pending", conditions=conditions)


def no_cache_claim(s):
    s = waiting(s, "ContainerCreating", phase="Pending")
    return replace(s, events=[event(first(s), "FailedMount", 'persistentvolumeclaim "cache" not found')])


def unknown_tag(s):
    return waiting(s, "ImagePullBackOff", "rpc error: a/b:x: not found", phase="Pending")


def crash_loop(s):
    s = waiting(s, "CrashLoopBackOff")
    log = ["<INFO>: Meta address: redis://x", "<FATAL>: dial tcp 10.0.0.1:6379: connect: connection refused"]
    return replace(s, mount_logs={first(s)["metadata"]["name"]: log})


def completed(pod):
    pod["status"]["containerStatuses"][0]["state"] = {"terminated": {"reason": "Completed", "exitCode": 0}}


def out_of_memory(pod):
    pod["status"]["containerStatuses"][0]["lastState"] = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}


MADE = 'I1 "Mount pod is running" podName="juicefs-n-songlin-test-pv-abcdef"'
REFUSED = MADE.replace("Mount pod is running", "Create pod err, stop fuse fd server")


def test_what_the_api_refused_is_quoted_and_forgotten_when_a_later_try_went_well():
    line = (
        r'E1 "GRPC error" err="… Pod \"juicefs-n-songlin-test-pv-abcdef\" is invalid: env: \"A=B\": no" logger="driver"'
    )
    (found,) = examine(replace(healthy(), csi_logs={CSI: [line]}))
    assert (found.code, found.reason) == (
        "JFS-MNT-117",
        'Pod "juicefs-n-songlin-test-pv-abcdef" is invalid: env: "A=B": no',
    )
    assert examine(replace(healthy(), csi_logs={CSI: [line, MADE]})) == ()


def refused(s):
    return replace(s, csi_logs={CSI: [MADE, REFUSED]})


def no_csi_node(s):
    return replace(s, csi_pods=s.csi_pods[:-1])


def not_registered(s):
    return replace(s, csi_nodes=s.csi_nodes[:-1])


def mount_fails(s):
    pod = user_of(s, first(s))
    pod["status"]["conditions"] = []
    text = "MountVolume.SetUp failed: driver name csi.juicefs.com not found in the list of registered CSI drivers"
    return replace(s, events=[event(pod, "FailedMount", text)])


def stuck(s):
    pod = first(s)
    pod["metadata"]["deletionTimestamp"] = stamp(minutes=9)
    user_of(s, pod)["metadata"]["deletionTimestamp"] = stamp(seconds=30)
    return s


def evicted(pod):
    pod["status"].update(phase="Failed", reason="Evicted")


def dead_mount(s):
    return replace(s, events=[event(s.app_pods[0], "Unhealthy", "stat /jfs: transport endpoint is not connected")])


def lost_data(s):
    return replace(s, mount_logs={"mp": ["<ERROR>: flush buffered data failed: timeout"]})


def delay_lost(s):
    return config(
        s, f"mountPodPatch:\n- ceMountImage: {world.OLD_IMAGE}\n  annotations: {{juicefs-delete-delay: 30m}}\n"
    )


def dead_inside(s):
    uid = s.app_pods[0]["metadata"]["uid"]
    return replace(s, inside={uid: {"/data": "stat: cannot statx '/data': Transport endpoint is not connected"}})


SCENARIOS = [
    ("JFS-CFG-101", invalid_config, Verdict.FAIL),
    ("JFS-CFG-102", csi_node_behind, Verdict.NOT_READY),
    ("JFS-CFG-102", csi_node_rejects, Verdict.FAIL),
    ("JFS-CFG-103", misspelt, Verdict.WARN),
    ("JFS-CFG-104", swallowed, Verdict.FAIL),
    ("JFS-CFG-105", helm, Verdict.WARN),
    ("JFS-CFG-106", class_options, Verdict.WARN),
    ("JFS-CFG-107", delay_in_days, Verdict.FAIL),
    ("JFS-IMG-101", newer_configuration, Verdict.WARN),
    ("JFS-IMG-102", edited(tag_pushed_again), Verdict.WARN),
    ("JFS-IMG-103", false_tag, Verdict.FAIL),
    ("JFS-IMG-104", binary_upgrade, Verdict.WARN),
    ("JFS-IMG-105", busy, Verdict.FAIL),
    ("JFS-IMG-106", edited(upgrading(timedelta(minutes=2))), Verdict.NOT_READY),
    ("JFS-IMG-106", edited(upgrading(timedelta(minutes=20))), Verdict.WARN),
    ("JFS-IMG-107", edited(lambda pod: pod["metadata"]["labels"].pop(names.HASH)), Verdict.WARN),
    ("JFS-IMG-108", sidecar, Verdict.NA),
    ("JFS-IMG-109", looks_old, Verdict.WARN),
    ("JFS-MNT-101", leaked, Verdict.WARN),
    ("JFS-MNT-102", shared_but_different, Verdict.WARN),
    ("JFS-MNT-103", user_gone, Verdict.WARN),
    ("JFS-MNT-104", on_a_deleting_one, Verdict.FAIL),
    ("JFS-MNT-104", doubled, Verdict.FAIL),
    ("JFS-MNT-105", edited(broken_key), Verdict.WARN),
    ("JFS-MNT-106", unserved, Verdict.FAIL),
    ("JFS-MNT-111", no_room, Verdict.FAIL),
    ("JFS-MNT-112", no_cache_claim, Verdict.FAIL),
    ("JFS-MNT-113", unknown_tag, Verdict.FAIL),
    ("JFS-MNT-114", crash_loop, Verdict.FAIL),
    ("JFS-MNT-115", edited(completed), Verdict.FAIL),
    ("JFS-MNT-116", edited(out_of_memory), Verdict.FAIL),
    ("JFS-MNT-117", refused, Verdict.FAIL),
    ("JFS-MNT-118", no_csi_node, Verdict.FAIL),
    ("JFS-MNT-118", not_registered, Verdict.FAIL),
    ("JFS-MNT-119", mount_fails, Verdict.FAIL),
    ("JFS-CSI-101", controller_down, Verdict.FAIL),
    ("JFS-CSI-102", canary_failed, Verdict.FAIL),
    ("JFS-MNT-121", killed, Verdict.WARN),
    ("JFS-MNT-121", followed_a_deleted_one, Verdict.WARN),
    ("JFS-MNT-122", not_asked, Verdict.WARN),
    ("JFS-MNT-122", not_kept, Verdict.WARN),
    ("JFS-RUN-101", leftover_run, Verdict.WARN),
    ("JFS-CSI-103", lambda s: s.but(clock_offset=-60.0), Verdict.WARN),
    ("JFS-CSI-103", lambda s: s.but(clock_offset=-60.0, node_clocks={"n": -60.0}), Verdict.WARN),
    ("JFS-CSI-103", lambda s: s.but(node_clocks={"n": 8.0}), Verdict.WARN),
    ("JFS-PVC-101", twins, Verdict.WARN),
    ("JFS-PVC-105", volume_failed, Verdict.FAIL),
    ("JFS-PVC-102", unbound, Verdict.FAIL),
    ("JFS-END-101", stuck, Verdict.FAIL),
    ("JFS-END-102", edited(evicted), Verdict.FAIL),
    ("JFS-END-103", dead_mount, Verdict.FAIL),
    ("JFS-IO-101", dead_inside, Verdict.FAIL),
    ("JFS-END-104", lost_data, Verdict.FAIL),
    ("JFS-END-105", delay_lost, Verdict.WARN),
]


def test_silent_in_the_healthy_world():
    assert examine(healthy()) == ()


@pytest.mark.parametrize("code,scenario,verdict", SCENARIOS)
def test_each_fault_is_named(code, scenario, verdict):
    found = examine(scenario(healthy()))
    assert {(r.code, r.verdict) for r in found} == {(code, verdict)}
    assert all(r.reason and r.evidence and (r.next_action or verdict is Verdict.NA) for r in found)


def at(line, **ago):
    """A line of a log, stamped."""
    return LogLine.stamped(f"{stamp(**ago)} {line}")


def test_a_client_that_was_told_to_restart_hands_its_open_files_on():
    lines = ["<INFO>: Received signal hangup, exiting...", "mount process 19: exit status 1, will restart in 1 second"]
    name = first(healthy())["metadata"]["name"]
    assert examine(healthy(mount_logs={name: lines})) == ()


def test_apps_that_came_after_a_client_had_been_killed_have_lost_nothing():
    snapshot = killed(healthy())
    name = first(snapshot)["metadata"]["name"]
    user_of(snapshot, first(snapshot))["metadata"]["creationTimestamp"] = stamp(minutes=1)
    assert examine(replace(snapshot, mount_logs={name: [at(snapshot.mount_logs[name][0], minutes=2)]})) == ()


def test_a_session_that_was_lost_is_a_failure_where_an_app_tells_of_it():
    snapshot = not_asked(healthy())
    user = user_of(snapshot, first(snapshot))
    told = event(user, "Unhealthy", "Readiness probe failed: ls: /data: Transport endpoint is not connected")
    found = examine(replace(snapshot, events=[told]))
    assert {(r.code, r.verdict) for r in found} == {
        ("JFS-END-103", Verdict.FAIL),
        ("JFS-MNT-122", Verdict.FAIL),
    }


def test_what_a_csi_node_that_just_started_was_not_told_it_asks_for_itself():
    snapshot = not_kept(healthy())
    name = first(snapshot)["metadata"]["name"]
    (csi,) = [p for p in snapshot.csi_pods if p["spec"]["nodeName"] == first(snapshot)["spec"]["nodeName"]]
    csi["status"]["containerStatuses"][0]["state"]["running"]["startedAt"] = stamp(minutes=5)
    for ago, codes in ((timedelta(minutes=5), []), (timedelta(minutes=1), ["JFS-MNT-122"])):
        line = at(snapshot.mount_logs[name][0], seconds=ago.seconds)
        assert [r.code for r in examine(replace(snapshot, mount_logs={name: [line]}))] == codes


def test_image_ids_of_different_runtimes_are_not_compared():
    snapshot = healthy()
    first(snapshot)["status"]["containerStatuses"][0]["imageID"] = OTHER_DIGEST
    assert examine(snapshot) == ()


def test_every_rule_has_a_scenario():
    assert {r.code for r in RULES} <= {code for code, _, _ in SCENARIOS}


@pytest.mark.parametrize(
    "message,words",
    [
        (
            "pull access denied, repository does not exist or may require authorization",
            "refuses the node's credentials",
        ),
        ("no match for platform in manifest", "architecture"),
        ("x509: certificate signed by unknown authority", "does not trust"),
        ("dial tcp: i/o timeout", "cannot reach the registry"),
        ("manifest unknown", "no such image or tag"),
    ],
)
def test_why_an_image_cannot_be_pulled(message, words):
    found = examine(waiting(healthy(), "ErrImagePull", message, phase="Pending"))
    assert [words in r.reason for r in found] == [True]


def test_what_could_not_be_read_is_an_error_never_silence():
    for name in sorted({need for entry in RULES for need in (*entry.needs, *entry.wants)}):
        found = examine(healthy(**{name: Unreadable("403")}))
        assert {r.code for r in found} >= {e.code for e in RULES if name in (*e.needs, *e.wants)}
        assert {r.verdict for r in found} == {Verdict.ERROR}


def test_what_could_be_read_in_part_is_an_error_beside_what_is_found_in_the_rest():
    told = {"a": ["<WARNING>: FUSE session is busy, don't restart"], "b": Unreadable("timeout"), "c": Unreadable("403")}
    found = [r for r in examine(healthy(mount_logs=told)) if r.code == "JFS-IMG-105"]
    assert {r.verdict for r in found} == {Verdict.ERROR, Verdict.FAIL}
    assert [r.reason for r in found if r.verdict is Verdict.ERROR] == [
        "could not look: mount_logs: b: timeout (and 1 more)"
    ]


@pytest.mark.parametrize("name", PARTS)
def test_a_rule_that_meets_what_it_did_not_say_that_it_needs_is_an_error_too(name):
    unheard = healthy(**{name: Unreadable("403")})
    assert {r.verdict for r in diagnose(unheard)} <= {Verdict.ERROR}
    with pytest.raises(NotRead, match="403"):
        getattr(unheard, name)


def test_what_nobody_has_read_is_never_an_empty_list():
    found = diagnose(Snapshot())
    assert {r.code for r in found} == {entry.code for entry in RULES if entry.needs} and found
    assert {r.verdict for r in found} == {Verdict.ERROR}


def test_an_object_that_no_rule_understands_is_an_error_of_those_rules_alone():
    found = diagnose(healthy(storage_classes=[{"provisioner": names.DRIVER}]))
    assert {r.verdict for r in found} == {Verdict.ERROR}
    assert {r.code for r in found} == {"JFS-CFG-106", "JFS-PVC-102"}


def test_the_page_of_codes_is_in_step():
    """Else: python -m jfsnb.checks.page > docs/check-codes.md"""
    text = (Path(__file__).parents[2] / "docs" / "check-codes.md").read_text(encoding="utf-8")
    assert text == page()
    assert all(f"| {code} |" in text for code in REGISTER)
