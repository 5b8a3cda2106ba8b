"""Claims and volumes against the API server: phases, events, protection."""

import secrets

import pytest

PVS = "/api/v1/persistentvolumes"


def pvc(name, cls="", storage="1Gi", **spec):
    body = {"accessModes": ["ReadWriteMany"], "storageClassName": cls, "resources": {"requests": {"storage": storage}}}
    return {"metadata": {"name": name}, "spec": {**body, **spec}}


@pytest.fixture
def make_pv(plane):
    made = []

    def make(cls, storage="1Gi", **spec):
        name = f"pv-{secrets.token_hex(4)}"
        body = {"capacity": {"storage": storage}, "accessModes": ["ReadWriteMany"], "storageClassName": cls}
        body |= {"hostPath": {"path": f"/tmp/{name}"}, "persistentVolumeReclaimPolicy": "Retain", **spec}
        plane.post(PVS, {"metadata": {"name": name}, "spec": body})
        made.append(f"{PVS}/{name}")
        return name

    yield make
    for path in made:
        plane.http.delete(path)


@pytest.fixture
def claims(ns):
    return f"/api/v1/namespaces/{ns}/persistentvolumeclaims"


@pytest.fixture
def cls():
    return f"class-{secrets.token_hex(4)}"


def phase(wanted):
    return lambda obj: obj["status"].get("phase") == wanted


def test_a_class_that_exists_only_as_a_name_binds_the_smallest_volume(plane, claims, make_pv, cls):
    make_pv(cls, "9Gi")
    small = make_pv(cls, "2Gi")
    plane.until_one(f"{PVS}/{small}", phase("Available"))
    plane.post(claims, pvc("c", cls))
    claim = plane.until_one(f"{claims}/c", phase("Bound"))
    assert claim["spec"]["volumeName"] == small and claim["status"]["capacity"] == {"storage": "2Gi"}
    notes = claim["metadata"]["annotations"]
    assert notes["pv.kubernetes.io/bind-completed"] == notes["pv.kubernetes.io/bound-by-controller"] == "yes"
    volume = plane.get(f"{PVS}/{small}")
    assert volume["status"]["phase"] == "Bound" and volume["spec"]["claimRef"]["uid"] == claim["metadata"]["uid"]


def test_an_unmatched_claim_says_why(plane, ns, claims, cls):
    plane.post(claims, pvc("named", cls))
    event = plane.event(ns, "named", "ProvisioningFailed")
    assert (event["type"], event["message"]) == ("Warning", f'storageclass.storage.k8s.io "{cls}" not found')
    plane.post(claims, pvc("empty", "", selector={"matchLabels": {"no": "such"}}))
    event = plane.event(ns, "empty", "FailedBinding")
    assert (event["type"], event["source"]["component"]) == ("Normal", "persistentvolume-controller")
    assert event["message"] == "no persistent volumes available for this claim and no storage class is set"


def test_a_claim_waits_for_its_volume_and_binds_when_it_comes(plane, claims, make_pv, cls):
    plane.post(claims, pvc("c", cls))
    name = make_pv(cls)
    assert plane.until_one(f"{claims}/c", phase("Bound"))["spec"]["volumeName"] == name


def test_two_claims_never_get_one_volume(plane, claims, make_pv, cls):
    names = {make_pv(cls) for _ in range(3)}
    for number in range(6):
        plane.post(claims, pvc(f"c{number}", cls))
    bound = plane.until(claims, lambda cs: (b := [c for c in cs if phase("Bound")(c)]) and len(b) == 3 and b)
    assert {c["spec"]["volumeName"] for c in bound} == names


def test_a_reserved_volume_waits_for_its_claim(plane, ns, claims, make_pv):
    name = make_pv("", claimRef={"namespace": ns, "name": "c"})
    plane.until_one(f"{PVS}/{name}", phase("Available"))
    plane.post(claims, pvc("other", "", volumeName=name))
    assert "already bound to a different claim" in plane.event(ns, "other", "FailedBinding")["message"]
    plane.post(claims, pvc("c", ""))
    assert plane.until_one(f"{claims}/c", phase("Bound"))["spec"]["volumeName"] == name


def test_a_volume_too_small_for_the_claim_that_names_it(plane, ns, claims, make_pv, cls):
    name = make_pv(cls, "1Gi")
    plane.post(claims, pvc("c", cls, "5Gi", volumeName=name))
    event = plane.event(ns, "c", "VolumeMismatch")
    assert event["message"] == f'Cannot bind to requested volume "{name}": requested PV is too small'


def test_released_stays_until_its_reference_is_cleared(plane, ns, claims, make_pv, cls):
    name = make_pv(cls)
    plane.post(claims, pvc("c", cls))
    plane.until_one(f"{claims}/c", phase("Bound"))
    plane.delete(f"{claims}/c")
    plane.until_gone(f"{claims}/c")
    plane.until_one(f"{PVS}/{name}", phase("Released"))
    plane.post(claims, pvc("again", cls))
    plane.event(ns, "again", "ProvisioningFailed")
    assert plane.get(f"{PVS}/{name}")["status"]["phase"] == "Released"
    plane.patch(f"{PVS}/{name}", {"spec": {"claimRef": None}})
    plane.until_one(f"{claims}/again", phase("Bound"))


def test_a_claim_of_the_same_name_is_another_claim(plane, ns, claims, make_pv, cls):
    name = make_pv(cls)
    plane.post(claims, pvc("c", cls))
    plane.until_one(f"{claims}/c", phase("Bound"))
    plane.delete(f"{claims}/c")
    plane.until_gone(f"{claims}/c")
    plane.post(claims, pvc("c", cls))
    plane.until_one(f"{PVS}/{name}", phase("Released"))
    plane.event(ns, "c", "ProvisioningFailed")
    assert plane.get(f"{claims}/c")["status"]["phase"] == "Pending"


def test_a_volume_of_an_earlier_claim_of_that_name_is_released(plane, ns, claims, make_pv, cls):
    plane.post(claims, pvc("c", cls))
    earlier = {
        "kind": "PersistentVolumeClaim",
        "namespace": ns,
        "name": "c",
        "uid": "00000000-0000-0000-0000-00000000beef",
    }
    plane.until_one(f"{PVS}/{make_pv(cls, claimRef=earlier)}", phase("Released"))
    assert plane.get(f"{claims}/c")["status"]["phase"] == "Pending"


def test_a_claim_whose_volume_is_gone_is_lost(plane, ns, claims, make_pv, cls):
    name = make_pv(cls)
    plane.post(claims, pvc("c", cls))
    plane.until_one(f"{PVS}/{name}", phase("Bound"))
    plane.delete(f"{PVS}/{name}")
    assert plane.get(f"{PVS}/{name}")["metadata"]["deletionTimestamp"]  # protected while bound
    plane.patch(f"{PVS}/{name}", {"metadata": {"finalizers": None}})
    plane.until_one(f"{claims}/c", phase("Lost"))
    assert plane.event(ns, "c", "ClaimLost")["message"].startswith("Bound claim has lost its PersistentVolume")


def test_an_available_volume_goes_when_it_is_deleted(plane, make_pv, cls):
    name = make_pv(cls)
    plane.until_one(f"{PVS}/{name}", phase("Available"))
    plane.delete(f"{PVS}/{name}")
    plane.until_gone(f"{PVS}/{name}")


def test_a_claim_with_a_driver_is_handed_to_its_provisioner(plane, ns, claims, cls):
    plane.post("/apis/storage.k8s.io/v1/storageclasses", {"metadata": {"name": cls}, "provisioner": "csi.example.com"})
    plane.post(claims, pvc("c", cls))
    event = plane.event(ns, "c", "ExternalProvisioning")
    assert event["message"].startswith(
        "Waiting for a volume to be created either by the external provisioner 'csi.example.com' or manually"
    )
    assert plane.get(f"{claims}/c")["metadata"]["annotations"] == {
        "volume.beta.kubernetes.io/storage-provisioner": "csi.example.com",
        "volume.kubernetes.io/storage-provisioner": "csi.example.com",
    }


def test_a_provisioned_volume_binds_to_the_claim_that_it_was_made_for(plane, ns, claims, make_pv, cls):
    plane.post("/apis/storage.k8s.io/v1/storageclasses", {"metadata": {"name": cls}, "provisioner": "csi.example.com"})
    uid = plane.post(claims, pvc("c", cls))["metadata"]["uid"]
    ref = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": ns, "name": "c", "uid": uid}
    name = make_pv(cls, claimRef=ref)
    assert plane.until_one(f"{claims}/c", phase("Bound"))["spec"]["volumeName"] == name


def test_a_claim_that_waits_for_its_first_consumer(plane, ns, claims, cls):
    late = {"provisioner": "csi.example.com", "volumeBindingMode": "WaitForFirstConsumer"}
    plane.post("/apis/storage.k8s.io/v1/storageclasses", {"metadata": {"name": cls}, **late})
    plane.post(claims, pvc("c", cls))
    words = plane.event(ns, "c", "WaitForFirstConsumer")["message"]
    assert words == "waiting for first consumer to be created before binding"
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    pod["spec"]["volumes"] = [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]
    plane.post(f"/api/v1/namespaces/{ns}/pods", pod)
    note = "volume.kubernetes.io/selected-node"
    claim = plane.until_one(f"{claims}/c", lambda c: note in c["metadata"].get("annotations", {}))
    assert claim["metadata"]["annotations"][note] == "live"
    plane.event(ns, "c", "ExternalProvisioning")
