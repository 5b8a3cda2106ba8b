"""What a CSI node's log tells of one volume of one app Pod, among other people's lines."""

import json

from jfsnb.driver.trace.csi_sequence import calls_about, sequence

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
