"""What a CSI node's log tells of one volume of one app Pod, among other people's lines."""

import json
from pathlib import Path

from jfsnb.driver.trace.csi_sequence import calls_about, sequence
from jfsnb.driver.trace.csi_trace import parse_trace

TARGET = "/var/lib/kubelet/pods/u1/volumes/kubernetes.io~csi/pv-1/mount"
OTHER = TARGET.replace("u1", "u2")
POD = "juicefs-n-pv-1-abcdef"


def line(second, message, **values):
    told = "".join(f' {key}="{value}"' for key, value in values.items())
    return f'I1125 08:00:{second:09.6f}       7 pod_mount.go:1] "{message}" logger="juicefs"{told}'


def publication(begin, target=TARGET, pod=POD, elapsed="0.5s"):
    return [
        line(begin, "get volume_capability", volumeId="pv-1"),
        line(begin + 0.1, "Need to create pod", podName=pod),
        line(begin + 0.3, "Mount pod is running", podName=pod),
        line(begin + 0.4, "binding source at target", source="/jfs/pv-1-abcdef", target=target),
        line(begin + 0.5, "juicefs volume mounted", volumeId="pv-1", target=target, elapsed=elapsed),
    ]


def trace(second, target=TARGET, **more):
    request = {"volume_id": "pv-1", "target_path": target}
    call = {"csi": "/csi.v1.Node/NodePublishVolume", "time": f"2026-11-25T08:00:{second:09.6f}Z", "caller": "kubelet"}
    return json.dumps({**call, "request": request, "response": {}, "error": None, "seconds": 0.6, **more})


def told(lines):
    return [(m.caller, m.callee) for m in sequence(lines, "pv-1", TARGET, POD)]


ORDER = [
    ("kubelet", "CSI node"),
    ("CSI node", "API server"),
    ("Mount Pod", "CSI node"),
    ("CSI node", "app Pod"),
    ("CSI node", "kubelet"),
]


def test_the_real_driver_s_log_alone_gives_the_same_order():
    assert told(publication(1)) == ORDER


def test_a_call_that_was_traced_encloses_what_was_done_in_it():
    found = sequence([*publication(1), trace(0.95)], "pv-1", TARGET, POD)
    assert [(m.caller, m.callee) for m in found] == ORDER
    assert (found[0].at, found[-1].seconds) == ("11-25 08:00:00.950000", 0.6)
    assert [m.answer for m in found] == [False] * 4 + [True]


def test_an_error_is_the_answer():
    failed = trace(1, response=None, error={"code": "Internal", "message": "no"})
    (_, answer) = sequence([failed], "pv-1", TARGET, POD)
    assert (answer.error, answer.what) == ("Internal", "Internal: no")


def test_what_was_done_for_others_does_not_count():
    others = [*publication(1, OTHER, "juicefs-n-pv-1-zzzzzz"), trace(1, OTHER)]
    assert sequence(others, "pv-1", TARGET, POD) == ()
    assert told([*others, *publication(5), trace(4.95)]) == ORDER
    assert len(calls_about([*others, trace(5)], "pv-1", TARGET)) == 1


def test_earlier_use_of_the_same_mount_pod_does_not_count():
    before = publication(1, OTHER)
    assert told([*before, trace(0.95, OTHER), *publication(5), trace(4.95)]) == ORDER
    assert told([*before, *publication(5)]) == ORDER


RECORDED = Path(__file__).parents[1] / "recorded" / "real" / "csi-node-cycle.log"


def test_a_real_driver_s_log_is_told_in_full():
    """One life, recorded on a real cluster: from the kubelet's first word to the Mount Pod's end."""
    lines = RECORDED.read_text().splitlines()
    target = (
        "/var/lib/kubelet/pods/cd76093e-c316-4f13-ad40-1f0e8f1410e7/volumes/kubernetes.io~csi/songlin-test-pv/mount"
    )
    found = sequence(lines, "songlin-test-pv", target, "juicefs-node-a-songlin-test-pv-uftlqh")
    words = [m.what for m in found]
    wanted = [
        "NodePublishVolume(songlin-test-pv) for cycle, MULTI_NODE_MULTI_WRITER",
        "make the directory of the volume",
        "volume context: csi.storage.k8s.io/ephemeral=false",
        "its Secret has the keys [bucket metaurl name secret-key storage]; mount options []",
        "/usr/local/bin/juicefs format --storage=redis",
        "label app Pod cycle with the volume's unique id",
        "create Mount Pod juicefs-node-a-songlin-test-pv-uftlqh",
        "write Secret juicefs-songlin-test-pv-secret",
        "its container runs",
        "the mount point answers",
        "redis://:****@10.244.0.1:6379/1 is mounted at /jfs/songlin-test-pv-uftlqh",
        "bind the mount point to the target path",
        "done",
        "NodeUnpublishVolume(songlin-test-pv)",
        "unmount the target path",
        "take the reference from juicefs-node-a-songlin-test-pv-uftlqh",
        "no reference is left: delete juicefs-node-a-songlin-test-pv-uftlqh",
        "done",
        "Mount Pod juicefs-node-a-songlin-test-pv-uftlqh is being deleted",
        "unmount and remove /jfs/songlin-test-pv-uftlqh",
    ]
    assert len(words) == len(wanted)
    assert all(said.startswith(begins) for said, begins in zip(words, wanted, strict=True)), words
    assert [m.seconds for m in found if m.answer] == [1.375278, 0.05539]


def test_calls_that_are_under_way_at_once_are_told_apart():
    """Two unmounts of one volume, recorded at the same moment."""
    about = [c for c in parse_trace(RECORDED.read_text().splitlines()) if c.volume_id.startswith("pvc-0fda")]
    targets = [c.request["target_path"] for c in about if c.name == "NodeUnpublishVolume"]
    assert len(targets) == 2 and len(set(targets)) == 2
    assert {c.caller for c in about} == {"kubelet"}


def test_an_error_over_several_lines_ends_its_call():
    lines = [
        *publication(1)[:2],
        'E1125 08:00:09.000000       7 driver.go:107] "GRPC error" err=<',
        "\trpc error: code = Internal desc = Could not mount juicefs: wait failed, log: sh: not found",
        ' > logger="driver"',
    ]
    (call,) = parse_trace(lines)
    assert (call.name, call.error_code) == ("NodePublishVolume", "Internal") and "sh: not found" in call.error
    assert sequence(lines, "pv-1", TARGET, POD)[-1].error
