"""Garbage collection and namespaces against the API server."""

import pytest


@pytest.fixture
def cms(ns):
    return f"/api/v1/namespaces/{ns}/configmaps"


def cm(name, *owners, finalizers=(), block=False):
    references = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": o["metadata"]["name"], "uid": o["metadata"]["uid"]}
        | ({"blockOwnerDeletion": True} if block else {})
        for o in owners
    ]
    return {"metadata": {"name": name, "ownerReferences": references, "finalizers": list(finalizers)}}


GONE = {"metadata": {"name": "ghost", "uid": "00000000-0000-0000-0000-00000000beef"}}


def test_dependents_follow_their_owner_generation_by_generation(plane, cms):
    owner = plane.post(cms, cm("owner"))
    child = plane.post(cms, cm("child", owner))
    plane.post(cms, cm("grandchild", child))
    plane.delete(f"{cms}/owner")
    plane.until_gone(f"{cms}/grandchild")
    assert not plane.exists(f"{cms}/child")


def test_a_dependent_of_an_owner_that_never_existed_goes(plane, cms):
    plane.post(cms, cm("stray", GONE))
    plane.until_gone(f"{cms}/stray")


def test_a_second_owner_keeps_a_dependent_and_the_dead_reference_goes(plane, cms):
    owner = plane.post(cms, cm("owner"))
    plane.post(cms, cm("child", owner, GONE))
    child = plane.until_one(f"{cms}/child", lambda o: len(o["metadata"]["ownerReferences"]) == 1)
    assert child["metadata"]["ownerReferences"][0]["name"] == "owner"


def test_foreground_deletion_waits_for_blocking_dependents(plane, cms):
    owner = plane.post(cms, cm("owner"))
    plane.post(cms, cm("child", owner, finalizers=["example.com/hold"], block=True))
    plane.delete(f"{cms}/owner", propagationPolicy="Foreground")
    plane.until_one(f"{cms}/child", lambda o: o["metadata"].get("deletionTimestamp"))
    assert plane.get(f"{cms}/owner")["metadata"]["finalizers"] == ["foregroundDeletion"]
    plane.patch(f"{cms}/child", {"metadata": {"finalizers": None}})
    plane.until_gone(f"{cms}/owner")


def test_orphans_lose_the_reference_and_stay(plane, cms):
    owner = plane.post(cms, cm("owner"))
    plane.post(cms, cm("child", owner))
    plane.delete(f"{cms}/owner", propagationPolicy="Orphan")
    plane.until_gone(f"{cms}/owner")
    assert "ownerReferences" not in plane.get(f"{cms}/child")["metadata"]


def test_a_recreated_owner_is_another_owner(plane, cms):
    owner = plane.post(cms, cm("owner"))
    plane.post(cms, cm("child", owner))
    plane.delete(f"{cms}/owner")
    plane.post(cms, cm("owner"))
    plane.until_gone(f"{cms}/child")
    assert plane.exists(f"{cms}/owner")


def test_an_owner_in_another_namespace_does_not_count(plane, ns, cms):
    elsewhere = plane.namespace()
    owner = plane.post(f"/api/v1/namespaces/{elsewhere}/configmaps", cm("owner"))
    plane.post(cms, cm("child", owner))
    plane.until_gone(f"{cms}/child")
    assert 'does not exist in namespace "' in plane.event(ns, "child", "OwnerRefInvalidNamespace")["message"]
    plane.delete(f"/api/v1/namespaces/{elsewhere}")


def test_a_cluster_scoped_object_outlives_a_namespaced_owner(plane, ns, cms):
    owner = plane.post(cms, cm("owner"))
    volume = cm(f"pv-{ns}", owner)
    volume["spec"] = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/tmp"}}
    plane.post("/api/v1/persistentvolumes", volume)
    plane.delete(f"{cms}/owner")
    plane.post(cms, cm("stray", GONE))
    plane.until_gone(f"{cms}/stray")  # the collector has been at work since
    assert "deletionTimestamp" not in plane.get(f"/api/v1/persistentvolumes/pv-{ns}")["metadata"]
    plane.delete(f"/api/v1/persistentvolumes/pv-{ns}")


def test_a_namespace_waits_for_what_has_finalizers_and_says_so(plane):
    name = plane.namespace()
    path, cms = f"/api/v1/namespaces/{name}", f"/api/v1/namespaces/{name}/configmaps"
    plane.post(cms, cm("held", finalizers=["example.com/hold"]))
    plane.post(cms, cm("free"))
    plane.delete(path)

    def explained(namespace):
        conditions = {c["type"]: c for c in namespace["status"].get("conditions", [])}
        content = conditions.get("NamespaceContentRemaining", {}).get("message", "")
        return content == "Some resources are remaining: configmaps. has 1 resource instances"

    namespace = plane.until_one(path, explained)
    words = next(c["message"] for c in namespace["status"]["conditions"] if c["type"] == "NamespaceFinalizersRemaining")
    assert words == "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
    plane.patch(f"{cms}/held", {"metadata": {"finalizers": None}})
    plane.until_gone(path)


def test_every_namespace_has_its_account_and_the_clusters_certificate_again_when_deleted(plane, ns):
    path = f"/api/v1/namespaces/{ns}"
    certificate = plane.until_one(f"{path}/configmaps/kube-root-ca.crt", bool)
    assert certificate["data"]["ca.crt"].startswith("-----BEGIN CERTIFICATE-----")
    uid = plane.get(f"{path}/serviceaccounts/default")["metadata"]["uid"]
    plane.delete(f"{path}/serviceaccounts/default")
    plane.until_one(f"{path}/serviceaccounts/default", lambda a: a["metadata"]["uid"] != uid)
