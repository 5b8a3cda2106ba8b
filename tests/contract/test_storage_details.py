"""Binding, protection and resizing of persistent volumes in detail."""
import pytest

pytestmark = pytest.mark.storage


@pytest.fixture
def claims(ns):
    return f"/api/v1/namespaces/{ns}/persistentvolumeclaims"


@pytest.fixture
def make_pv(k, cleanup):
    def make(name=None, cls=None, **kw):
        name = name or k.name("pv")
        cleanup.append(f"/api/v1/persistentvolumes/{name}")
        return k.post("/api/v1/persistentvolumes", k.pv(name, cls=name if cls is None else cls, **kw), 201).json()["metadata"]["name"]
    return make


@pytest.fixture
def make_class(k, cleanup):
    def make(provisioner="kubernetes.io/no-provisioner", annotations=None, **kw):
        name = k.name("sc")
        cleanup.append(f"/apis/storage.k8s.io/v1/storageclasses/{name}")
        body = {"metadata": {"name": name, "annotations": annotations or {}}, "provisioner": provisioner, **kw}
        k.post("/apis/storage.k8s.io/v1/storageclasses", body, 201)
        return name
    return make


def phase(k, path, want, timeout=30):
    def check():
        obj = k.get(path, 200).json()
        return obj if obj["status"].get("phase") == want else None
    return k.wait(check, timeout, f"{path} to be {want}")


def pv_path(name):
    return f"/api/v1/persistentvolumes/{name}"


def test_volume_must_fit(k, claims, make_pv):
    """Too small, wrong access mode, wrong mode: none of them binds; the fitting one does."""
    cls = k.name("c")
    make_pv(cls=cls, storage="1Gi", modes=["ReadWriteMany"])
    make_pv(cls=cls, storage="5Gi", modes=["ReadWriteOnce"])
    make_pv(cls=cls, storage="5Gi", modes=["ReadWriteMany"], volumeMode="Block")
    k.post(claims, k.pvc("c", cls=cls, storage="2Gi", modes=["ReadWriteMany"]), 201)
    good = make_pv(cls=cls, storage="3Gi", modes=["ReadWriteMany", "ReadWriteOnce"])
    assert phase(k, claims + "/c", "Bound")["spec"]["volumeName"] == good


def test_smallest_volume_wins(k, claims, make_pv):
    cls = k.name("c")
    sizes = {make_pv(cls=cls, storage=size): size for size in ("10Gi", "2Gi", "5Gi")}
    for name in sizes:
        phase(k, pv_path(name), "Available")
    k.post(claims, k.pvc("c", cls=cls, storage="1Gi"), 201)
    bound = phase(k, claims + "/c", "Bound")
    assert sizes[bound["spec"]["volumeName"]] == "2Gi" and bound["status"]["capacity"] == {"storage": "2Gi"}


def test_reserved_volume_waits_for_its_claim(k, ns, claims, make_pv):
    cls = k.name("c")
    name = make_pv(cls=cls, claimRef={"namespace": ns, "name": "wanted"})
    phase(k, pv_path(name), "Available")
    k.post(claims, k.pvc("other", cls=cls), 201)
    k.wait_event(ns, "other", "ProvisioningFailed")
    k.post(claims, k.pvc("wanted", cls=cls), 201)
    assert phase(k, claims + "/wanted", "Bound")["spec"]["volumeName"] == name
    assert k.get(claims + "/other", 200).json()["status"]["phase"] == "Pending"
    assert k.get(pv_path(name), 200).json()["spec"]["claimRef"]["uid"]


def test_claim_names_a_volume_of_another_class(k, claims, ns, make_pv):
    name = make_pv(cls=k.name("c"))
    k.post(claims, k.pvc("c", cls=k.name("d"), volumeName=name), 201)
    event = k.wait_event(ns, "c", "VolumeMismatch")
    assert event["type"] == "Warning" and f'Cannot bind to requested volume "{name}"' in event["message"]


def test_claim_without_class_and_volume(k, ns, claims):
    k.post(claims, k.pvc("c", cls=""), 201)
    event = k.wait_event(ns, "c", "FailedBinding")
    assert event["message"] == "no persistent volumes available for this claim and no storage class is set" and event["type"] == "Normal"


def test_claim_gets_the_default_class(k, claims, make_class):
    name = make_class(annotations={"storageclass.kubernetes.io/is-default-class": "true"})
    body = k.pvc("c")
    del body["spec"]["storageClassName"]
    made = k.post(claims, body, 201).json()
    assert made["spec"]["storageClassName"] == name
    assert k.post(claims, k.pvc("d", cls=""), 201).json()["spec"]["storageClassName"] == ""


def test_external_provisioner_is_waited_for(k, ns, claims, make_class):
    cls = make_class("example.com/nobody")
    k.post(claims, k.pvc("c", cls=cls), 201)
    event = k.wait_event(ns, "c", "ExternalProvisioning")
    assert event["type"] == "Normal" and "Waiting for a volume to be created either by the external provisioner 'example.com/nobody'" in event["message"]
    notes = k.get(claims + "/c", 200).json()["metadata"]["annotations"]
    assert notes["volume.kubernetes.io/storage-provisioner"] == "example.com/nobody"


def test_bound_volume_is_protected(k, ns, claims, make_pv):
    name = make_pv()
    k.post(claims, k.pvc("c", cls=name), 201)
    phase(k, claims + "/c", "Bound")
    body = k.delete(pv_path(name), expect=200).json()
    assert body["kind"] == "PersistentVolume" and body["metadata"]["deletionTimestamp"]
    assert k.get(pv_path(name), 200).json()["status"]["phase"] == "Bound"
    k.delete(claims + "/c", expect=200)
    k.wait_gone(claims + "/c")
    k.wait_gone(pv_path(name))


def test_claim_is_lost_with_its_volume(k, ns, claims, make_pv):
    name = make_pv()
    k.post(claims, k.pvc("c", cls=name), 201)
    phase(k, claims + "/c", "Bound")
    k.delete(pv_path(name), expect=200)
    k.patch("merge", pv_path(name), {"metadata": {"finalizers": None}}, 200)
    k.wait_gone(pv_path(name))
    phase(k, claims + "/c", "Lost")
    assert "Bound claim has lost its PersistentVolume" in k.wait_event(ns, "c", "ClaimLost")["message"]


def test_claims_cannot_be_changed(k, claims, make_pv):
    name = make_pv()
    k.post(claims, k.pvc("c", cls=name), 201)
    phase(k, claims + "/c", "Bound")
    for change in ({"accessModes": ["ReadOnlyMany"]}, {"storageClassName": "other"}, {"volumeName": "other"}):
        body = k.patch("merge", claims + "/c", {"spec": change}, 422).json()
        assert body["reason"] == "Invalid" and "spec is immutable after creation except resources.requests" in body["message"]
    body = k.patch("merge", claims + "/c", {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}, 403).json()
    assert "only dynamically provisioned pvc can be resized" in body["message"]
    body = k.patch("merge", claims + "/c", {"spec": {"resources": {"requests": {"storage": "1Mi"}}}}, 422).json()
    assert "field can not be less than" in body["message"]


def test_claim_needs_modes_and_a_size(k, claims):
    body = k.pvc("c")
    body["spec"]["accessModes"] = []
    assert "at least 1 access mode is required" in k.post(claims, body, 422).json()["message"]
    body = k.pvc("c")
    del body["spec"]["resources"]
    assert "spec.resources[storage]" in k.post(claims, body, 422).json()["message"]
    assert k.post(claims, k.pvc("c", modes=["ReadSometimes"]), 422).json()["reason"] == "Invalid"


def test_class_cannot_be_changed(k, make_class):
    name = make_class("example.com/x")
    path = f"/apis/storage.k8s.io/v1/storageclasses/{name}"
    for change in ({"parameters": {"a": "b"}}, {"provisioner": "example.com/y"}, {"reclaimPolicy": "Retain"}):
        message = k.patch("merge", path, change, 422).json()["message"]
        assert f"{next(iter(change))}: Invalid value: " in message and "field is immutable" in message
    assert k.patch("merge", path, {"mountOptions": ["ro"]}, 200).json()["mountOptions"] == ["ro"]
    assert k.patch("merge", path, {"allowVolumeExpansion": True}, 200).json()["allowVolumeExpansion"] is True


def test_volume_source_cannot_be_changed(k, make_pv):
    name = make_pv()
    body = k.patch("merge", pv_path(name), {"spec": {"hostPath": {"path": "/tmp/other"}}}, 422).json()
    assert "spec.persistentvolumesource is immutable after creation" in body["message"]
    k.patch("merge", pv_path(name), {"spec": {"persistentVolumeReclaimPolicy": "Delete"}}, 200)


@pytest.mark.pods
def test_two_pods_share_a_claim_read_only_and_by_sub_path(k, ns, claims, make_pv):
    name = make_pv(modes=["ReadWriteMany"])
    k.post(claims, k.pvc("c", cls=name, modes=["ReadWriteMany"]), 201)
    volume = [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]
    body = k.pod("one", "echo x > /v/f", volumes=volume, container={"volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "sub"}]})
    k.run_pod(ns, body, "Succeeded")
    body = k.pod("two", "cat /v/sub/f; touch /v/g", volumes=volume, container={"volumeMounts": [{"name": "v", "mountPath": "/v", "readOnly": True}]})
    k.run_pod(ns, body, "Failed")
    assert k.logs(ns, "two").startswith("x\n") and "Read-only file system" in k.logs(ns, "two")


@pytest.mark.pods
def test_pod_of_a_deleted_claim(k, ns, claims, make_pv):
    name = make_pv()
    k.post(claims, k.pvc("c", cls=name), 201)
    phase(k, claims + "/c", "Bound")
    k.patch("merge", claims + "/c", {"metadata": {"finalizers": ["example.com/hold", "kubernetes.io/pvc-protection"]}}, 200)
    k.delete(claims + "/c", expect=200)
    k.create_pod(ns, k.pod("p", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}],
                           container={"volumeMounts": [{"name": "v", "mountPath": "/v"}]}))
    event = k.wait_event(ns, "p", "FailedScheduling")
    assert 'persistentvolumeclaim "c" is being deleted' in event["message"]
    k.patch("merge", claims + "/c", {"metadata": {"finalizers": None}}, 200)
