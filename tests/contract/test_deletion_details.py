"""Deletion in detail: propagation, preconditions, finalizers, collections, namespaces."""
import pytest

pytestmark = pytest.mark.api


def owner_and_child(k, cms, **ref):
    uid = k.post(cms, k.cm("owner"), 201).json()["metadata"]["uid"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid, **ref}
    k.post(cms, k.cm("child", ownerReferences=[reference]), 201)
    return reference


def test_orphans_lose_their_owner(k, cms):
    owner_and_child(k, cms)
    k.delete(cms + "/owner", {"propagationPolicy": "Orphan"}, 200)
    k.wait_gone(cms + "/owner", 30)
    k.wait(lambda: "ownerReferences" not in k.get(cms + "/child", 200).json()["metadata"], 15)


def test_propagation_policy_by_query(k, cms):
    owner_and_child(k, cms)
    k.delete(cms + "/owner", expect=200, propagationPolicy="Orphan")
    k.wait_gone(cms + "/owner", 30)
    k.get(cms + "/child", 200)


def test_unknown_propagation_policy(k, cms):
    k.post(cms, k.cm("one"), 201)
    body = k.delete(cms + "/one", {"propagationPolicy": "Sideways"}, 422).json()
    assert body["reason"] == "Invalid" and "propagationPolicy" in body["message"]
    k.get(cms + "/one", 200)


def test_dependent_of_two_owners_lives_until_both_are_gone(k, cms):
    first = owner_and_child(k, cms)
    uid = k.post(cms, k.cm("other"), 201).json()["metadata"]["uid"]
    k.patch("merge", cms + "/child", {"metadata": {"ownerReferences": [first, {**first, "name": "other", "uid": uid}]}}, 200)
    k.delete(cms + "/owner", expect=200)
    k.wait(lambda: len(k.get(cms + "/child", 200).json()["metadata"]["ownerReferences"]) == 1, 30, "one owner left")
    k.delete(cms + "/other", expect=200)
    k.wait_gone(cms + "/child", 30)


def test_resource_version_precondition(k, cms):
    old = k.post(cms, k.cm("one"), 201).json()["metadata"]["resourceVersion"]
    new = k.patch("merge", cms + "/one", {"data": {"b": "2"}}, 200).json()["metadata"]["resourceVersion"]
    body = k.delete(cms + "/one", {"preconditions": {"resourceVersion": old}}, 409).json()
    assert body["reason"] == "Conflict" and "the ResourceVersion in the precondition" in body["message"]
    k.delete(cms + "/one", {"preconditions": {"resourceVersion": new}}, 200)


def test_two_finalizers_and_a_second_delete(k, cms):
    k.post(cms, k.cm("one", finalizers=["example.com/a", "example.com/b"]), 201)
    first = k.delete(cms + "/one", expect=200).json()["metadata"]
    again = k.delete(cms + "/one", expect=200).json()["metadata"]
    assert again["deletionTimestamp"] == first["deletionTimestamp"] and again["resourceVersion"] == first["resourceVersion"]
    k.patch("json", cms + "/one", [{"op": "remove", "path": "/metadata/finalizers/0"}], 200)
    k.get(cms + "/one", 200)
    r = k.patch("merge", cms + "/one", {"metadata": {"finalizers": ["example.com/b", "example.com/c"]}}, 422).json()
    assert "no new finalizers can be added if the object is being deleted" in r["message"]
    k.patch("json", cms + "/one", [{"op": "remove", "path": "/metadata/finalizers"}], 200)
    k.get(cms + "/one", 404)


def test_a_deletion_cannot_be_taken_back(k, cms):
    k.post(cms, k.cm("one", finalizers=["example.com/a"]), 201)
    k.delete(cms + "/one", expect=200)
    body = k.get(cms + "/one", 200).json()
    del body["metadata"]["deletionTimestamp"]
    assert k.put(cms + "/one", body, 200).json()["metadata"]["deletionTimestamp"]
    again = k.post(cms, k.cm("one"), 409).json()
    assert again["reason"] == "AlreadyExists" and "object is being deleted" in again["message"]
    k.patch("merge", cms + "/one", {"metadata": {"finalizers": None}}, 200)


def test_deletecollection_by_field_and_of_everything(k, cms):
    for name in "abc":
        k.post(cms, k.cm(name), 201)
    body = k.delete(cms, expect=200, fieldSelector="metadata.name=b").json()
    assert body["kind"] in ("ConfigMapList", "Status")
    left = lambda: {i["metadata"]["name"] for i in k.get(cms, 200).json()["items"]} & set("abc")
    assert left() == {"a", "c"}
    k.delete(cms, expect=200)
    assert left() == set()


def test_grace_can_be_shortened(k, ns):
    path = f"/api/v1/namespaces/{ns}/pods/p"
    k.run_pod(ns, k.pod("p", "trap '' TERM; while :; do sleep 1; done", terminationGracePeriodSeconds=60), "Running")
    first = k.delete(path, expect=200).json()["metadata"]
    assert first["deletionGracePeriodSeconds"] == 60
    second = k.delete(path, {"gracePeriodSeconds": 5}, 200).json()["metadata"]
    assert second["deletionGracePeriodSeconds"] == 5 and second["deletionTimestamp"] < first["deletionTimestamp"]
    longer = k.delete(path, {"gracePeriodSeconds": 100}, 200).json()["metadata"]
    assert longer["deletionGracePeriodSeconds"] == 5
    k.delete(path, {"gracePeriodSeconds": 0}, 200)
    k.get(path, 404)


def test_grace_by_query_and_negative_grace(k, ns):
    path = f"/api/v1/namespaces/{ns}/pods/p"
    k.run_pod(ns, k.pod("p", "trap '' TERM; while :; do sleep 1; done", terminationGracePeriodSeconds=60), "Running")
    assert k.delete(path, expect=200, gracePeriodSeconds=3).json()["metadata"]["deletionGracePeriodSeconds"] == 3
    k.wait_gone(path, 20)


def test_finished_pod_goes_at_once(k, ns):
    path = f"/api/v1/namespaces/{ns}/pods/p"
    k.run_pod(ns, k.pod("p", "true", terminationGracePeriodSeconds=60), "Succeeded")
    k.delete(path, expect=200)
    k.wait_gone(path, 10)


def test_namespace_says_what_holds_it(k, cms, ns):
    k.post(cms, k.cm("one", finalizers=["example.com/hold"]), 201)
    k.delete(f"/api/v1/namespaces/{ns}", expect=200)
    path = f"/api/v1/namespaces/{ns}"

    def told():
        found = {c["type"]: c for c in k.get(path, 200).json()["status"].get("conditions", [])}
        return found if found.get("NamespaceFinalizersRemaining", {}).get("status") == "True" else None
    found = k.wait(told, 30, "the condition")
    assert found["NamespaceFinalizersRemaining"]["reason"] == "SomeFinalizersRemain"
    assert "example.com/hold in 1 resource instances" in found["NamespaceFinalizersRemaining"]["message"]
    assert "configmaps. has 1 resource instances" in found["NamespaceContentRemaining"]["message"]
    k.patch("merge", cms + "/one", {"metadata": {"finalizers": None}}, 200)
    k.wait_gone(path, 60)
    k.post("/api/v1/namespaces", {"metadata": {"name": ns}}, 201)  # the name is free again


def test_namespace_with_a_finalizer_of_its_own(k):
    name = k.name()
    made = k.post("/api/v1/namespaces", {"metadata": {"name": name}, "spec": {"finalizers": ["example.com/mine"]}}, 201).json()
    assert set(made["spec"]["finalizers"]) == {"kubernetes", "example.com/mine"}
    path = f"/api/v1/namespaces/{name}"
    k.delete(path, expect=200)
    k.wait(lambda: k.get(path, 200).json()["spec"].get("finalizers") == ["example.com/mine"], 30, "Kubernetes' own part")
    body = k.get(path, 200).json()
    body["spec"]["finalizers"] = []
    k.put(path + "/finalize", body, 200)
    k.wait_gone(path, 15)


def test_deployment_takes_its_replica_sets_and_pods_along(k, ns):
    apps = f"/apis/apps/v1/namespaces/{ns}"
    body = k.daemonset("d")
    body["kind"], body["spec"]["replicas"] = "Deployment", 1
    k.post(apps + "/deployments", body, 201)
    k.wait(lambda: k.get(f"/api/v1/namespaces/{ns}/pods", 200).json()["items"], 30, "a pod")
    k.delete(apps + "/deployments/d", {"propagationPolicy": "Foreground"}, 200)
    k.wait_gone(apps + "/deployments/d", 40)
    assert not k.get(apps + "/replicasets", 200).json()["items"]
    assert not k.get(f"/api/v1/namespaces/{ns}/pods", 200).json()["items"]
