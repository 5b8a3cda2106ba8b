"""Dynamic volumes: placeholders, parameters, the PV (reference §4.5)."""

import pytest

from jfsnb.sandbox.csi.rules.provisioned_volume import NotProvisioned, parameters_of, secret_reference, volume_of
from jfsnb.sandbox.csi.rules.templates import resolve, resolve_secret

PVC = {
    "metadata": {
        "name": "data",
        "namespace": "team",
        "uid": "0000",
        "labels": {"tier": "gold"},
        "annotations": {"who": "me", "a.b/c": "d"},
    },
    "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "2Gi"}}},
}
NODE = {"metadata": {"name": "n1", "labels": {"zone": "z"}}}
CLASS = {
    "metadata": {"name": "juicefs-sc"},
    "reclaimPolicy": "Delete",
    "mountOptions": ["cache-size=1"],
    "parameters": {
        "csi.storage.k8s.io/node-publish-secret-name": "secret-${pvc.namespace}",
        "csi.storage.k8s.io/node-publish-secret-namespace": "juicefs-system",
        "juicefs/host-path": "/store",
    },
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${.pvc.namespace}-${.PVC.name}", "team-data"),
        ("${.pvc.labels.tier}/${.pvc.annotations.a.b/c}", "gold/d"),
        ("${.node.name}:${.node.labels.zone}", "n1:z"),
        ("${.pvc.labels.none}x", "x"),
        ("plain ${pvc.name}", "plain ${pvc.name}"),
    ],
)
def test_placeholders(text, expected):
    assert resolve(text, PVC, NODE) == expected


def test_placeholders_of_secrets():
    assert resolve_secret("${pv.name}-${pvc.annotations['who']}", PVC, "pvc-1") == "pvc-1-me"
    with pytest.raises(ValueError, match="unknown placeholder"):
        resolve_secret("${pod.name}", PVC, "pvc-1")


def test_a_volume_of_its_own():
    parameters = parameters_of(CLASS, PVC, None)
    pv = volume_of(CLASS, PVC, None, parameters)
    csi = pv["spec"]["csi"]
    assert pv["metadata"]["name"] == csi["volumeHandle"] == "pvc-0000"
    assert csi["volumeAttributes"]["subPath"] == "pvc-0000"
    assert csi["volumeAttributes"]["capacity"] == str(2 << 30)
    assert csi["nodePublishSecretRef"] == {"name": "secret-team", "namespace": "juicefs-system"}
    assert pv["spec"]["mountOptions"] == ["cache-size=1"]
    assert pv["spec"]["claimRef"]["uid"] == "0000"
    assert pv["spec"]["persistentVolumeReclaimPolicy"] == "Delete"
    assert secret_reference(parameters, "csi.storage.k8s.io/provisioner-secret") is None


def test_a_directory_by_pattern():
    pattern = {**CLASS, "parameters": {**CLASS["parameters"], "pathPattern": "${.pvc.namespace}-${.pvc.name}"}}
    assert parameters_of(pattern, PVC, None)["subPath"] == "team-data"


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"selector": {"matchLabels": {}, "x": 1}}, "claim Selector is not supported"),
        ({"accessModes": ["ReadOnlyMany"]}, "read-only mode cannot be used"),
    ],
)
def test_what_is_not_provisioned(spec, text):
    with pytest.raises(NotProvisioned, match=text):
        parameters_of(CLASS, {**PVC, "spec": {**PVC["spec"], **spec}}, None)
