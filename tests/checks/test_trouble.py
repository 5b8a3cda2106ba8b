"""Trouble is never passed over: known causes are named, unknown ones quoted; newest first, and history is history."""

from dataclasses import replace
from datetime import timedelta

import pytest
from check_builders import NOW, healthy
from real_cluster import STAGES, recorded
from test_diagnosis import event, first, stamp, user_of, waiting

from jfsnb.checks.diagnosis.pod_state import Stage, trouble_of
from jfsnb.checks.diagnosis.rules import examine
from jfsnb.checks.model import Verdict

SETUP = 'MountVolume.SetUp failed for volume "pv-a" : rpc error: code = Internal desc = '
UNREGISTERED = (
    'MountVolume.SetUp failed for volume "pv-a" : kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: '
    "driver name csi.juicefs.com not found in the list of registered CSI drivers"
)
NO_IMAGE = SETUP + (
    "Could not mount juicefs: mount pod is not running in 60s, reason: ImagePullBackOff, please check its event, "
    "mountpod: m"
)
#: What users of the driver have reported, and a word of the cause; empty: nobody has told the cause.
REPORTED = {
    'pods "juicefs-n-pv-a" is forbidden: the string value of PreemptionPolicy (PreemptLowerPriority) must not be '
    "provided in pod spec; priority admission controller computed Never from the given PriorityClass name": "priority",
    'admission webhook "validate.policy.svc" denied the request: blocked due to the following policies': "webhook",
    'pods "juicefs-n-pv-a-abcdef" is forbidden: exceeded quota: q, requested: requests.cpu=1': "ResourceQuota",
    'pods "juicefs-n-pv-a-abcdef" is forbidden: violates PodSecurity "baseline:latest": privileged': "Pod Security",
    "mount juicefs at /jfs/pv-a-znjvaa failed: Configuration file: /root/.juicefs/myjfs.conf not exist.": "enterprise",
    'could not make directory for meta "/jfs/pv-a-sduqef/pv-a": mkdir /jfs/pv-a-sduqef/pv-a: no such file': "directory",
    "mount failed: exit status 77": "",
    'parse "mysql://u:p#w@(db:3306)/j": invalid port: exit status 1': "metaurl",
    "can't parse delay time 1d": "delete delay",
    "genAndValidOptions error: buffer-size 10240 MiB is greater than pod memory limit 5Gi": "buffer-size",
    'genCacheDirs error: cacheDirs: Ephemeral entry requires a non-zero "storage" value': "cacheDirs",
    'Pod "juicefs-n-pv-a-abcdef" is invalid: spec.containers[0].volumeMounts[4].mountPath: must be unique': "refuses",
    "quantities must match the regular expression '^([+-]?[0-9.]+)'": "quantity",
    'secrets "juicefs-secret" not found': "Secret",
}


def app_stuck(*events, **status):
    """The healthy world with one app Pod that was never mounted."""
    s = healthy()
    mount_pod = first(s)
    user = user_of(s, mount_pod)
    user["status"] = {"phase": "Pending", "conditions": [], **status}
    about = [event(user, *e[:2], **(e[2] if len(e) > 2 else {})) for e in events]
    others = [m for m in s.mount_pods if m is not mount_pod]
    return replace(s, mount_pods=others, mount_logs={}, events=about, nodes=[]), user


def only(found):
    (one,) = found
    return one


@pytest.mark.parametrize("text,cause", REPORTED.items())
def test_what_the_driver_said_is_quoted_and_its_cause_named(text, cause):
    s, _ = app_stuck(("FailedMount", f"{SETUP}Could not mount juicefs: {text}", {"lastTimestamp": stamp(seconds=5)}))
    found = only(examine(s))
    assert (found.code, found.verdict) == ("JFS-MNT-119", Verdict.FAIL)
    assert text in found.reason and "(5 s ago)" in found.reason
    assert cause in found.reason if cause else "no known cause" in found.reason
    assert found.next_action


@pytest.mark.parametrize("newest_last", [True, False])
def test_the_newest_event_counts_wherever_it_stands_in_the_list(newest_last):
    events = [
        ("FailedMount", UNREGISTERED, {"lastTimestamp": stamp(minutes=50)}),
        ("FailedMount", NO_IMAGE, {"lastTimestamp": stamp(minutes=1), "count": 9}),
    ]
    s, _ = app_stuck(*(events if newest_last else reversed(events)))
    assert "the Mount Pod's image cannot be pulled" in only(examine(s)).reason


def test_an_old_event_does_not_lend_its_cause_to_a_new_one():
    s, _ = app_stuck(
        ("FailedMount", UNREGISTERED, {"lastTimestamp": stamp(minutes=50)}),
        ("FailedMount", SETUP + "something unheard of", {"lastTimestamp": stamp(minutes=1)}),
    )
    found = only(examine(s))
    assert "something unheard of" in found.reason and "no known cause" in found.reason


def test_an_echo_does_not_hide_the_failure_that_it_repeats():
    s, _ = app_stuck(
        ("FailedMount", SETUP + "Empty name", {"lastTimestamp": stamp(seconds=90)}),
        ("FailedMount", "Unable to attach: timed out waiting for the condition", {"lastTimestamp": stamp(seconds=10)}),
    )
    assert "no key name" in only(examine(s)).reason


def test_a_registered_csi_node_is_truer_than_an_old_event():
    s, user = app_stuck(("FailedMount", UNREGISTERED, {"lastTimestamp": stamp(minutes=2)}))
    registered = {"metadata": {"name": user["spec"]["nodeName"]}, "spec": {"drivers": [{"name": "csi.juicefs.com"}]}}
    found = examine(replace(s, csi_nodes=[*s.csi_nodes, registered]))
    assert ["registered now" in f.reason for f in found if f.code == "JFS-MNT-119"] == [True]


def test_events_about_an_earlier_pod_of_the_name_do_not_count():
    s, user = app_stuck()
    user["status"] = healthy().app_pods[0]["status"]
    old = event(user, "FailedMount", "long ago")
    old["involvedObject"]["uid"] = "another"
    assert [r for r in examine(replace(s, events=[old])) if "long ago" in r.reason] == []


def test_a_pod_that_waits_without_a_word_is_reported_once_a_start_would_be_over():
    s, user = app_stuck()
    user["metadata"]["creationTimestamp"] = stamp(seconds=10)
    assert examine(s) == ()
    user["metadata"]["creationTimestamp"] = stamp(minutes=10)
    found = only(examine(s))
    assert found.verdict is Verdict.FAIL and "10 min" in found.reason


def test_a_volume_of_another_driver_is_not_ours():
    s, user = app_stuck(("FailedMount", 'MountVolume.SetUp failed for volume "settings" : configmap "x" not found'))
    user["spec"]["volumes"].append({"name": "settings", "configMap": {"name": "x"}})
    found = only(examine(s))
    assert (found.code, found.verdict) == ("JFS-POD-101", Verdict.WARN)
    assert "settings is not JuiceFS's" in found.reason


PENDING = {
    "1 Too many pods": "full",
    "1 node(s) had untolerated taint {dedicated: gpu}": "taint",
    "1 node(s) were unschedulable": "cordoned",
    "1 Insufficient ephemeral-storage": "not enough",
    "1 node(s) had a mood": "no known cause",
}


@pytest.mark.parametrize("text,cause", PENDING.items())
def test_a_mount_pod_that_finds_no_place(text, cause):
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": f"0/10 nodes: {text}"}
    s = healthy(mount_logs={}, nodes=[])
    first(s)["status"] = {"phase": "Pending", "conditions": [condition]}
    found = only(examine(s))
    assert (found.code, found.verdict) == ("JFS-MNT-111", Verdict.FAIL)
    assert text in found.reason and cause in found.reason


SAID_OF_MOUNT_PODS = [
    ("FailedMount", 'volume "updatedb" : open /etc/updatedb.conf: read-only file system', "JFS-MNT-112", "IMMUTABLE"),
    ("FailedAttachVolume", 'Multi-Attach error for volume "pvc-x"', "JFS-MNT-112", "ReadWriteOnce"),
    ("FailedMount", 'persistentvolumeclaim "cache" not found', "JFS-MNT-112", "cacheDirs"),
    ("FailedCreatePodSandBox", "failed (add): no IP addresses available in range set", "JFS-MNT-114", "range"),
    ("Strange", "never heard of", "JFS-MNT-114", "describe pod"),
]


@pytest.mark.parametrize("reason,message,code,fix", SAID_OF_MOUNT_PODS)
def test_each_cause_has_its_own_fix(reason, message, code, fix):
    s = waiting(healthy(mount_logs={}, nodes=[]), "ContainerCreating", phase="Pending")
    found = only(examine(replace(s, events=[event(first(s), reason, message, lastTimestamp=stamp(seconds=9))])))
    assert found.code == code and message in found.reason
    assert fix in found.next_action


@pytest.mark.parametrize(
    "reason,message",
    [
        ("CreateContainerConfigError", "couldn't find key metaurl in Secret kube-system/x"),
        ("CreateContainerError", "failed to reserve container name"),
        ("PostStartHookError", "command exited with 1"),
        ("NeverHeardOf", "x"),
    ],
)
def test_a_container_that_cannot_be_started(reason, message):
    found = only(examine(waiting(healthy(mount_logs={}), reason, message, phase="Pending")))
    assert (found.code, found.verdict) == ("JFS-MNT-114", Verdict.FAIL)
    assert reason in found.reason and message in found.reason


@pytest.mark.parametrize("where", ["initContainerStatuses", "containerStatuses"])
def test_init_containers_and_sidecars_count_too(where):
    s = healthy(mount_logs={})
    state = {"name": "prepare", "restartCount": 6, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    first(s)["status"].update(phase="Pending", conditions=[], **{where: [state]})
    assert "prepare" in only(examine(s)).reason


def test_findings_about_one_object_are_one_finding():
    s = waiting(healthy(mount_logs={}), "CrashLoopBackOff")
    ended = {"reason": "OOMKilled", "exitCode": 137, "finishedAt": stamp(minutes=1)}
    first(s)["status"]["containerStatuses"][0]["lastState"] = {"terminated": ended}
    first(s)["metadata"]["annotations"] = {}
    user = user_of(healthy(), first(healthy()))
    without = [p for p in s.app_pods if p["metadata"]["uid"] != user["metadata"]["uid"]]
    found = only(examine(replace(s, app_pods=without)))
    assert found.code == "JFS-MNT-116" and "serves nobody" in found.reason


CLAIMS = [
    ({"status": {"phase": "Lost"}}, "JFS-PVC-102", "is gone"),
    ({"status": {"phase": "Pending"}, "metadata": {"creationTimestamp": "2020-01-01T00:00:00Z"}}, "JFS-PVC-102", ""),
    ({"metadata": {"deletionTimestamp": "2020-01-01T00:00:00Z", "finalizers": ["f"]}}, "JFS-PVC-103", "still uses it"),
    (
        {
            "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}},
            "spec": {"resources": {"requests": {"storage": "2Gi"}}},
        },
        "JFS-PVC-104",
        "asks for 2Gi and has 1Gi",
    ),
]


@pytest.mark.parametrize("change,code,words", CLAIMS)
def test_a_claim_that_is_not_bound_not_deleted_or_not_enlarged(change, code, words):
    s = healthy()
    pvc = s.pvcs[0]
    for part, values in change.items():
        pvc.setdefault(part, {}).update(values)
    user = {
        "metadata": {"name": "user", "namespace": pvc["metadata"]["namespace"], "uid": "u"},
        "spec": {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": pvc["metadata"]["name"]}}]},
        "status": {"phase": "Succeeded"},
    }
    found = only(examine(replace(s, app_pods=[*s.app_pods, user])))
    assert found.code == code and words in found.reason
    assert found.verdict in (Verdict.FAIL, Verdict.NOT_READY)


def test_a_warning_about_what_is_well_is_a_warning_unless_it_is_history():
    pod = first(healthy())
    since = pod["status"]["conditions"][-1]["lastTransitionTime"]
    late, early = stamp(minutes=5), (NOW - timedelta(days=90)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert since > early
    assert trouble_of(pod, [event(pod, "Unhealthy", "x", lastTimestamp=early)], NOW) is None
    found = trouble_of(pod, [event(pod, "Unhealthy", "x", lastTimestamp=late)], NOW)
    assert found is not None and found.stage is Stage.WARNED


#: What is wrong on the real cluster at each moment: verdict, code, a word.
REAL = {
    "1-first-mounts": [("FAIL", "JFS-CSI-101", "csi-resizer")],
    "5-delete-delay": [("WARN", "JFS-MNT-118", "liveness probe")],
    "6-mount-pod-deleted": [("WARN", "JFS-MNT-121", "followed a Mount Pod that was deleted")],
    "9-final": [("WARN", "JFS-CSI-101", "137"), ("WARN", "JFS-MNT-118", "137"), ("WARN", "JFS-MNT-114", "restarted")],
}


@pytest.mark.parametrize("stage", STAGES)
def test_on_a_real_cluster_what_is_wrong_is_said_and_nothing_else(stage):
    states = [r for r in examine(recorded(stage)) if r.code.split("-")[1] in ("MNT", "POD", "CSI", "PVC")]
    wanted = REAL.get(stage, [])
    for verdict, code, word in wanted:
        assert [r for r in states if (r.verdict, r.code) == (verdict, code) and word in r.reason], (code, states)
    assert {r.code for r in states} == {code for _, code, _ in wanted}
    assert all("ago" in e.value for r in states for e in r.evidence if e.field.startswith("event "))


@pytest.mark.parametrize("where", ["initContainerStatuses", "containerStatuses"])
def test_a_client_in_the_app_pod_itself_is_a_client(where):
    s, user = app_stuck()
    state = {"name": "jfs-mount", "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    ended = {"terminated": {"reason": "Error", "exitCode": 1, "message": "NOAUTH Authentication required."}}
    user["status"][where] = [{**state, "lastState": ended}]
    found = only(examine(s))
    assert (found.code, found.verdict) == ("JFS-POD-103", Verdict.FAIL)
    assert "refuses user or password" in found.reason
