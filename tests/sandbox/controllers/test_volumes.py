"""Which volume a claim gets, from plain objects."""

import pytest

from jfsnb.sandbox.controllers.storage.volumes import find_volume, mismatch, refers_to, waits_for_consumer


def pv(name, storage="1Gi", cls="", modes=("ReadWriteOnce",), phase="Available", labels=None, **spec):
    body = {"capacity": {"storage": storage}, "accessModes": list(modes), "storageClassName": cls, **spec}
    return {"metadata": {"name": name, "labels": labels or {}}, "spec": body, "status": {"phase": phase}}


def pvc(storage="1Gi", cls="", modes=("ReadWriteOnce",), **spec):
    body = {"accessModes": list(modes), "storageClassName": cls, "resources": {"requests": {"storage": storage}}}
    return {"metadata": {"name": "c", "namespace": "ns", "uid": "u1"}, "spec": {**body, **spec}}


def name_of(volume):
    return volume and volume["metadata"]["name"]


def test_the_smallest_volume_that_fits_wins():
    volumes = [pv("big", "10Pi"), pv("small", "500Mi"), pv("fits", "2Gi")]
    assert name_of(find_volume(pvc(), volumes)) == "fits"


@pytest.mark.parametrize(
    "volume",
    [
        pv("class", cls="other"),
        pv("modes", modes=("ReadOnlyMany",)),
        pv("block", volumeMode="Block"),
        pv("released", phase="Released"),
        pv("fresh", phase="Pending"),
        pv("reserved", claimRef={"namespace": "ns", "name": "other"}),
        pv("other-uid", claimRef={"namespace": "ns", "name": "c", "uid": "older"}),
        pv("small", "1Mi"),
    ],
    ids=lambda v: v["metadata"]["name"],
)
def test_volumes_that_do_not_fit(volume):
    assert find_volume(pvc(), [volume]) is None


def test_a_selector_narrows_the_choice():
    volumes = [pv("a"), pv("b", labels={"pick": "me"})]
    assert name_of(find_volume(pvc(selector={"matchLabels": {"pick": "me"}}), volumes)) == "b"


def test_a_volume_reserved_for_the_claim_is_preferred_even_while_it_waits_for_its_consumer():
    reserved = pv("mine", "9Gi", claimRef={"namespace": "ns", "name": "c"})
    assert name_of(find_volume(pvc(), [pv("a"), reserved])) == "mine"
    assert name_of(find_volume(pvc(), [pv("a"), reserved], reserved_only=True)) == "mine"
    assert find_volume(pvc(), [pv("a")], reserved_only=True) is None


def test_a_node_limits_the_choice():
    here = {
        "required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "z", "operator": "In", "values": ["1"]}]}]}
    }
    volumes = [pv("local", nodeAffinity=here)]
    assert find_volume(pvc(), volumes, node={"metadata": {"name": "n", "labels": {"z": "2"}}}) is None
    assert name_of(find_volume(pvc(), volumes, node={"metadata": {"name": "n", "labels": {"z": "1"}}})) == "local"


def test_why_a_named_volume_cannot_serve():
    assert mismatch(pv("v"), pvc()) == ""
    assert mismatch(pv("v"), pvc("2Gi")) == "requested PV is too small"
    assert mismatch(pv("v", cls="x"), pvc()) == "storageClassName does not match"
    assert mismatch(pv("v", volumeMode="Block"), pvc()) == "incompatible volumeMode"
    assert mismatch(pv("v"), pvc(modes=("ReadWriteMany",))) == "incompatible accessMode"


def test_references_by_name_and_by_uid():
    assert refers_to(pv("v", claimRef={"namespace": "ns", "name": "c"}), pvc())
    assert refers_to(pv("v", claimRef={"namespace": "ns", "name": "c", "uid": "u1"}), pvc())
    assert not refers_to(pv("v", claimRef={"namespace": "ns", "name": "c", "uid": "u0"}), pvc())
    assert not refers_to(pv("v"), pvc())


def test_a_claim_waits_for_its_consumer_until_a_node_is_selected():
    late = {"volumeBindingMode": "WaitForFirstConsumer"}
    claim = pvc()
    assert waits_for_consumer(claim, late) and not waits_for_consumer(claim, None)
    claim["metadata"]["annotations"] = {"volume.kubernetes.io/selected-node": "n1"}
    assert not waits_for_consumer(claim, late)
