"""What is said of a config.yaml, and of a volume's values, before they hurt."""

import pytest

from jfsnb.driver.config.merging import MergedPatch, effective_image, load
from jfsnb.driver.config.traps import config_warnings
from jfsnb.driver.settings.host import Host
from jfsnb.driver.settings.prediction import predict
from jfsnb.driver.settings.refusals import Wanted, refusal
from tests.vectors.comparing import DATA, read


@pytest.mark.parametrize(
    "entry,words",
    [
        ("lables: {a: b}", "did you mean labels?"),
        ("pvcSelector: {matchStorageClassName: sc, matchLabels: {a: b}}", "never looks at the labels"),
        ("startupProbe: {exec: {command: [x]}}", "never applies startupProbe"),
        ("volumeMounts: [{name: x, mountPath: /x}]", "volumeMount x is dropped"),
        ("cacheDirs: [{type: EmptyDir}]", "the driver crashes"),
        ("cacheDirs: [{type: Ephemeral}]", 'requires a non-zero "storage"'),
        (
            "volumes: [{name: c, emptyDir: {}}], volumeMounts: [{name: c, mountPath: /c}], mountOptions: "
            "[cache-dir=/c]",
            "mountPath /c: must be unique",
        ),
        ("mountOptions: ['cache-size = 10']", "has blanks"),
        ("mountOptions: [a=b=c]", "invalid mount option: a=b=c"),
        ("cacheDirs: [{type: PVC, name: c}], mountOptions: [cache-dir=/m]", "mounted and never used"),
        ("annotations: {juicefs-delete-delay: 1d}", "ignores juicefs-delete-delay 1d"),
        ("volumes: [{name: jfs-dir, emptyDir: {}}]", "volume jfs-dir is dropped"),
        ("imagePullPolicy: always", "imagePullPolicy always"),
        ("resources: {requests: {cpu: '2'}, limits: {cpu: '1'}}", "request of cpu 2"),
        ("resourcePercentages: {limits: {cpu: '50'}}", "the percentage 50 of limits.cpu"),
        ("mountOptions: ['cache-dir=/c/${VOLUMEID}']", "${VOLUMEID} is no template"),
        ("labels: {'a b': c}", "dashboard refuses"),
        ("ceMountImage: a, ceMountImage: b", "stands there twice"),
    ],
)
def test_traps_in_silence(entry, words):
    assert words in " / ".join(config_warnings(load(f"mountPodPatch:\n- {{{entry}}}")))


def refused_by_the_dashboard():
    for vector in read(DATA / "config.jsonl.gz"):
        if vector["in"]["function"] == "validate" and vector.get("out", {}).get("valid") is False:
            yield vector


@pytest.mark.parametrize("vector", list(refused_by_the_dashboard()), ids=lambda vector: vector["id"])
def test_what_the_dashboard_would_refuse_is_said_before(vector):
    assert any(vector["out"]["message"] in text for text in config_warnings(load(vector["in"]["config"])))


@pytest.mark.parametrize(
    "attributes,words",
    [
        ({"juicefs/mount-delete-delay": "1d"}, "can't parse delay time 1d"),
        ({"mountOptions": "cache-size=1, buffer-size=10240"}, "is greater than pod memory limit 5Gi"),
        ({"juicefs/mount-cpu-limit": "two"}, "quantities must match"),
        ({"juicefs/mount-labels": "{a b: c}"}, "label a b: name part must consist of"),
        ({"juicefs/host-path": "/a,/a"}, "mountPath /a: must be unique"),
        ({"juicefs/mount-cpu-request": "6"}, "request of cpu 6: must be less than"),
        ({"juicefs/mount-cache-emptydir": "Memory:1GB"}, "quantities must match"),
        ({"juicefs/mount-delete-delay": "24h", "subPath": "x", "juicefs/mount-labels": "{a: b}"}, ""),
    ],
)
def test_values_that_a_mount_would_stumble_over(attributes, words):
    why = refusal(Wanted(attributes), {}, Host("n1", "kube-system"))
    assert words in why and bool(words) == bool(why)


def test_a_mount_that_would_fail_makes_no_new_mount_pod():
    merged = MergedPatch()
    decision = effective_image(load(""), None, None)
    found = predict([], merged, decision, refused="can't parse delay time 1d")
    assert (found.reuse, found.reason) == (None, "the mount would fail: can't parse delay time 1d")
