"""CSI calls read from the real driver's log, which tells less than the sandbox's."""

from jfsnb.driver.trace.csi_trace import parse_trace

MOUNTED = (
    'I1125 08:00:01.000000       7 node.go:284] "juicefs volume mounted" logger="node" volumeId="pv-1" '
    'target="/var/lib/kubelet/pods/u/volumes/kubernetes.io~csi/pv-1/mount" elapsed="1.5s"'
)
FAILED = (
    'E1125 08:00:02.000000       7 driver.go:115] "GRPC error" err="rpc error: code = Internal desc = Could not mount '
    'juicefs: mount pod is not running in 60s, reason: ImagePullBackOff" logger="driver"'
)


def test_a_mounted_volume():
    (call,) = parse_trace([MOUNTED, "something else"])
    assert (call.name, call.volume_id, call.seconds, call.complete) == ("NodePublishVolume", "pv-1", 1.5, False)


def test_an_error_with_the_api_s_timestamp_before_it():
    (call,) = parse_trace([f"2026-11-25T08:00:02.123456789Z {FAILED}"])
    assert (call.name, call.error_code) == ("NodePublishVolume", "Internal")
    assert call.error.endswith("reason: ImagePullBackOff")


def test_trace_lines_count_alone():
    line = '{"csi":"/csi.v1.Node/NodeGetInfo","time":"t","caller":"kubelet","response":{"node_id":"n"}}'
    (call,) = parse_trace([MOUNTED, line, '{"other": 1}', "{broken"])
    assert (call.service, call.name, call.caller, call.complete) == ("Node", "NodeGetInfo", "kubelet", True)
