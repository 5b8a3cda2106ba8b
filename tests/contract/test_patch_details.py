"""Patches in detail: operations, directives, ordering; server-side apply and the owners of fields."""
import json

import pytest

pytestmark = pytest.mark.api


def status(r, code, reason):
    body = r.json()
    assert r.status_code == code, r.text
    assert (body["status"], body["code"], body.get("reason")) == ("Failure", code, reason)
    return body


@pytest.fixture
def one(k, cms):
    k.post(cms, k.cm("one", {"a": "1", "d": "3"}, labels={"l": "1"}), 201)
    return cms + "/one"


@pytest.fixture
def daemonset(k, ns):
    """A daemon set that runs nowhere; the patch function answers its pod template's spec."""
    path = f"/apis/apps/v1/namespaces/{ns}/daemonsets"
    body = k.daemonset("d", container={"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                                       "ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 81}]},
                       volumes=[{"name": "v1", "emptyDir": {}}, {"name": "v2", "configMap": {"name": "x"}}],
                       tolerations=[{"key": "a", "operator": "Exists"}])
    k.post(path, body, 201)

    def patch(spec, expect=200):
        r = k.patch("strategic", path + "/d", {"spec": {"template": {"spec": spec}}}, expect)
        return r.json()["spec"]["template"]["spec"]
    return patch


def test_json_patch_operations(k, one):
    ops = [{"op": "test", "path": "/data/a", "value": "1"}, {"op": "copy", "from": "/data/a", "path": "/data/e"},
           {"op": "move", "from": "/data/d", "path": "/data/f"}, {"op": "replace", "path": "/data/a", "value": "9"},
           {"op": "remove", "path": "/metadata/labels/l"}, {"op": "add", "path": "/metadata/annotations", "value": {"x.io/y": "1"}},
           {"op": "replace", "path": "/metadata/annotations/x.io~1y", "value": "2"}]
    body = k.patch("json", one, ops, 200).json()
    assert body["data"] == {"a": "9", "e": "1", "f": "3"} and "labels" not in body["metadata"]
    assert body["metadata"]["annotations"] == {"x.io/y": "2"}


def test_json_patch_lists(k, cms):
    k.post(cms, k.cm("one", finalizers=["x.io/a", "x.io/b"]), 201)
    ops = [{"op": "add", "path": "/metadata/finalizers/-", "value": "x.io/d"}, {"op": "add", "path": "/metadata/finalizers/1", "value": "x.io/c"},
           {"op": "remove", "path": "/metadata/finalizers/0"}]
    assert k.patch("json", cms + "/one", ops, 200).json()["metadata"]["finalizers"] == ["x.io/c", "x.io/b", "x.io/d"]
    status(k.patch("json", cms + "/one", [{"op": "remove", "path": "/metadata/finalizers/7"}]), 422, "Invalid")
    k.patch("json", cms + "/one", [{"op": "remove", "path": "/metadata/finalizers"}], 200)


def test_json_patch_is_all_or_nothing(k, one):
    before = k.get(one, 200).json()
    ops = [{"op": "add", "path": "/data/x", "value": "1"}, {"op": "test", "path": "/data/a", "value": "no"}]
    status(k.patch("json", one, ops), 422, "Invalid")
    assert k.get(one, 200).json() == before


def test_broken_patches(k, one):
    status(k.patch("json", one, {"op": "add"}), 400, "BadRequest")
    status(k.patch("merge", one, "{broken"), 400, "BadRequest")
    body = status(k.patch("merge", one, {"data": {"a": 1}}), 422, "Invalid")
    assert "cannot unmarshal number into Go struct field ConfigMap.data of type string" in body["message"]
    body = status(k.patch("strategic", one, {"data": "text"}), 422, "Invalid")
    assert "cannot restore map from string" in body["message"]
    body = status(k.patch("strategic", one, {"data": {"a": 1}}), 422, "Invalid")
    assert "cannot convert int64 to string" in body["message"]
    status(k.patch("merge", one, {"metadata": {"name": "two"}}), 400, "BadRequest")
    status(k.patch("merge", one, {"metadata": {"namespace": "default"}}), 400, "BadRequest")


def test_merge_patch_replaces_lists_and_removes_nulls(k, cms):
    k.post(cms, k.cm("one", {"a": "1", "b": "2"}, finalizers=["x.io/a"]), 201)
    body = k.patch("merge", cms + "/one", {"data": {"a": None, "none": None}, "metadata": {"finalizers": ["x.io/b"]}}, 200).json()
    assert body["data"] == {"b": "2"} and body["metadata"]["finalizers"] == ["x.io/b"]
    k.patch("merge", cms + "/one", {"data": None, "metadata": {"finalizers": []}}, 200)
    assert "data" not in k.get(cms + "/one", 200).json()


def test_strategic_merge_puts_new_elements_first(k, daemonset):
    """Elements of the patch that the list does not have come before those that it has, as kubectl users see."""
    spec = daemonset({"containers": [{"name": "c", "env": [{"name": "N", "value": "new"}]}]})
    assert [e["name"] for e in spec["containers"][0]["env"]] == ["N", "A", "B"]
    spec = daemonset({"containers": [{"name": "second", "image": "x:1"}]})
    assert [c["name"] for c in spec["containers"]] == ["second", "c"]


def test_strategic_merge_by_port(k, daemonset):
    spec = daemonset({"containers": [{"name": "c", "ports": [{"containerPort": 80, "hostIP": "127.0.0.1"}]}]})
    ports = {p["containerPort"]: p for p in spec["containers"][0]["ports"]}
    assert len(ports) == 2 and ports[80]["name"] == "http" and ports[80]["hostIP"] == "127.0.0.1"


def test_strategic_merge_replaces_atomic_lists(k, daemonset):
    spec = daemonset({"tolerations": [{"key": "b", "operator": "Exists"}], "containers": [{"name": "c", "command": ["true"]}]})
    assert spec["tolerations"] == [{"key": "b", "operator": "Exists"}] and spec["containers"][0]["command"] == ["true"]


def test_strategic_replace_directives(k, daemonset, one):
    spec = daemonset({"containers": [{"name": "c", "env": [{"$patch": "replace"}, {"name": "C", "value": "3"}]}]})
    assert spec["containers"][0]["env"] == [{"name": "C", "value": "3"}]
    body = k.patch("strategic", one, {"data": {"$patch": "replace", "z": "1"}}, 200).json()
    assert body["data"] == {"z": "1"}
    assert "data" not in k.patch("strategic", one, {"data": {"$patch": "delete"}}, 200).json()


def test_strategic_delete_directives(k, daemonset):
    spec = daemonset({"volumes": [{"name": "v2", "$patch": "delete"}, {"name": "none", "$patch": "delete"}],
                      "containers": [{"name": "c", "env": None}]})
    assert [v["name"] for v in spec["volumes"]] == ["v1"] and "env" not in spec["containers"][0]


def test_strategic_element_order(k, daemonset):
    change = {"name": "c", "$setElementOrder/env": [{"name": "B"}, {"name": "N"}, {"name": "A"}], "env": [{"name": "N", "value": "n"}]}
    spec = daemonset({"$setElementOrder/containers": [{"name": "c"}], "containers": [change]})
    assert [e["name"] for e in spec["containers"][0]["env"]] == ["B", "N", "A"]
    spec = daemonset({"containers": [{"name": "c", "$setElementOrder/env": [{"name": "A"}, {"name": "B"}]}]})
    assert [e["name"] for e in spec["containers"][0]["env"] if e["name"] != "N"] == ["A", "B"]


def test_strategic_retain_keys(k, daemonset):
    spec = daemonset({"volumes": [{"name": "v1", "$retainKeys": ["name", "secret"], "secret": {"secretName": "s"}}]})
    assert next(v for v in spec["volumes"] if v["name"] == "v1") == {"name": "v1", "secret": {"secretName": "s", "defaultMode": 420}}


def test_strategic_primitive_lists(k, cms):
    k.post(cms, k.cm("one", finalizers=["x.io/a", "x.io/b"]), 201)
    patch = lambda body: k.patch("strategic", cms + "/one", {"metadata": body}, 200).json()["metadata"].get("finalizers")
    assert patch({"$deleteFromPrimitiveList/finalizers": ["x.io/a"]}) == ["x.io/b"]
    assert set(patch({"finalizers": ["x.io/c"]})) == {"x.io/b", "x.io/c"}
    assert patch({"$setElementOrder/finalizers": ["x.io/c", "x.io/b"], "finalizers": ["x.io/c"]}) == ["x.io/c", "x.io/b"]
    assert patch({"finalizers": None}) is None


def test_strategic_owner_references_merge_by_uid(k, cms):
    owner = k.post(cms, k.cm("owner"), 201).json()["metadata"]["uid"]
    ref = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner}
    k.post(cms, k.cm("one", ownerReferences=[ref]), 201)
    body = k.patch("strategic", cms + "/one", {"metadata": {"ownerReferences": [{"uid": owner, "blockOwnerDeletion": True}]}}, 200).json()
    assert body["metadata"]["ownerReferences"] == [{**ref, "blockOwnerDeletion": True}]
    body = k.patch("strategic", cms + "/one", {"metadata": {"ownerReferences": [{"uid": owner, "$patch": "delete"}]}}, 200).json()
    assert "ownerReferences" not in body["metadata"]


# ---- server-side apply -------------------------------------------------------


def apply(k, path, body, manager, expect=200, **params):
    return k.patch("apply", path, body, expect, fieldManager=manager, **params).json()


def owned(obj, manager, operation="Apply"):
    return next((e["fieldsV1"] for e in obj["metadata"]["managedFields"] if (e["manager"], e["operation"]) == (manager, operation)), None)


def test_update_and_patch_own_what_they_change(k, cms):
    body = k.post(cms, k.cm("one", {"a": "1", "b": "1"}), 201, fieldManager="maker").json()
    assert owned(body, "maker", "Update") == {"f:data": {".": {}, "f:a": {}, "f:b": {}}}
    body = k.patch("merge", cms + "/one", {"data": {"a": "2"}}, 200, fieldManager="changer").json()
    assert owned(body, "maker", "Update") == {"f:data": {".": {}, "f:b": {}}}
    assert owned(body, "changer", "Update") == {"f:data": {"f:a": {}}}
    entry = body["metadata"]["managedFields"][0]
    assert entry["apiVersion"] == "v1" and entry["fieldsType"] == "FieldsV1" and entry["time"].endswith("Z")


def test_owned_parts_of_a_new_pod(k, ns):
    body = k.pod("p", labels={"a": "b"}, nodeSelector={"contract": "nowhere"}, container={"env": [{"name": "A", "value": "1"}]})
    fields = owned(k.create_pod(ns, body), "python-httpx", "Update")
    assert fields["f:metadata"] == {"f:labels": {".": {}, "f:a": {}}} and fields["f:spec"]["f:nodeSelector"] == {}
    assert "." not in fields["f:spec"]["f:containers"] and "." not in fields["f:spec"]
    c = fields["f:spec"]["f:containers"]['k:{"name":"c"}']
    assert c["f:env"] == {".": {}, 'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}}}
    assert c["."] == {} and c["f:resources"] == {} and c["f:command"] == {}


def test_apply_conflicts_with_updates(k, cms):
    k.post(cms, k.cm("one", {"a": "1"}), 201, fieldManager="maker")
    body = status(k.patch("apply", cms + "/one", k.cm("one", {"a": "2"}), fieldManager="me"), 409, "Conflict")
    assert body["message"] == 'Apply failed with 1 conflict: conflict with "maker" using v1: .data.a'
    assert body["details"]["causes"] == [{"reason": "FieldManagerConflict", "message": 'conflict with "maker" using v1', "field": ".data.a"}]


def test_apply_conflicts_are_counted(k, cms):
    apply(k, cms + "/one", k.cm("one", {"a": "1", "b": "1"}), "alice", 201)
    body = status(k.patch("apply", cms + "/one", k.cm("one", {"a": "2", "b": "2"}), fieldManager="bob"), 409, "Conflict")
    assert body["message"] == 'Apply failed with 2 conflicts: conflicts with "alice":\n- .data.a\n- .data.b'
    assert len(body["details"]["causes"]) == 2


def test_forced_apply_takes_the_field_over(k, cms):
    apply(k, cms + "/one", k.cm("one", {"a": "1", "b": "1"}), "alice", 201)
    body = apply(k, cms + "/one", k.cm("one", {"a": "2"}), "bob", force="true")
    assert owned(body, "alice") == {"f:data": {"f:b": {}}} and owned(body, "bob") == {"f:data": {"f:a": {}}}


def test_shared_fields_stay_until_the_last_owner_leaves(k, cms):
    apply(k, cms + "/one", k.cm("one", {"a": "1", "b": "1"}), "alice", 201)
    apply(k, cms + "/one", k.cm("one", {"a": "1"}), "bob")
    assert apply(k, cms + "/one", k.cm("one", {"b": "1"}), "alice")["data"] == {"a": "1", "b": "1"}
    assert apply(k, cms + "/one", {**k.cm("one"), "data": {"b": "1"}}, "bob")["data"] == {"b": "1"}


def test_apply_of_the_same_changes_nothing(k, cms):
    first = apply(k, cms + "/one", k.cm("one", {"a": "1"}), "me", 201)
    again = apply(k, cms + "/one", k.cm("one", {"a": "1"}), "me")
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert again["metadata"]["managedFields"] == first["metadata"]["managedFields"]


def test_apply_keys_have_defaults(k, ns):
    path = f"/apis/apps/v1/namespaces/{ns}/daemonsets"
    body = k.daemonset("d", container={"ports": [{"containerPort": 80}], "env": [{"name": "A", "value": "1"}]})
    made = apply(k, path + "/d", body, "me", 201)
    fields = owned(made, "me")["f:spec"]["f:template"]["f:spec"]["f:containers"]['k:{"name":"c"}']
    assert '.' in fields and 'k:{"containerPort":80,"protocol":"TCP"}' in fields["f:ports"] and 'k:{"name":"A"}' in fields["f:env"]
    container = body["spec"]["template"]["spec"]["containers"][0]
    container["ports"], container["env"] = [{"containerPort": 81}], [{"name": "B", "value": "1"}]
    c = apply(k, path + "/d", body, "me")["spec"]["template"]["spec"]["containers"][0]
    assert [p["containerPort"] for p in c["ports"]] == [81] and [e["name"] for e in c["env"]] == ["B"]


def test_apply_merges_with_elements_of_others(k, ns):
    path = f"/apis/apps/v1/namespaces/{ns}/daemonsets"
    k.post(path, k.daemonset("d", container={"env": [{"name": "A", "value": "1"}]}), 201)
    mine = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "d"}, "spec": {"template": {"spec": {
        "containers": [{"name": "c", "env": [{"name": "B", "value": "2"}]}]}}}}
    c = apply(k, path + "/d", mine, "me")["spec"]["template"]["spec"]["containers"]
    assert [e["name"] for e in c[0]["env"]] == ["A", "B"]
    mine["spec"]["template"]["spec"]["containers"][0]["env"] = []
    c = apply(k, path + "/d", mine, "me")["spec"]["template"]["spec"]["containers"]
    assert [e["name"] for e in c[0]["env"]] == ["A"]


def test_apply_refusals(k, cms):
    path = cms + "/one"
    body = status(k.patch("apply", path, k.cm("one")), 422, "Invalid")
    assert "fieldManager" in body["message"] and "is required for apply patch" in body["message"]
    status(k.patch("apply", path, k.cm("two"), fieldManager="me"), 400, "BadRequest")
    status(k.patch("apply", path, {"metadata": {"name": "one"}}, fieldManager="me"), 400, "BadRequest")
    status(k.patch("apply", path, k.cm("one", managedFields=[{"manager": "x"}]), fieldManager="me"), 400, "BadRequest")
    wrong = {**k.cm("one"), "dta": {}}
    r = k.patch("apply", path, wrong, fieldManager="me")
    assert r.status_code in (400, 500) and "dta" in r.text  # apply never ignores unknown fields
    k.get(path, 404)


def test_apply_to_status(k, ns):
    path = f"/apis/apps/v1/namespaces/{ns}/daemonsets"
    k.post(path, k.daemonset("d"), 201)
    condition = {"type": "Fine", "status": "True", "reason": "Because"}
    status_only = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "d"}, "status": {"conditions": [condition]}}
    body = apply(k, path + "/d/status", status_only, "me")
    assert [c["type"] for c in body["status"]["conditions"]] == ["Fine"]
    entry = next(e for e in body["metadata"]["managedFields"] if e["manager"] == "me")
    assert entry["subresource"] == "status" and 'k:{"type":"Fine"}' in entry["fieldsV1"]["f:status"]["f:conditions"]


def test_managed_fields_can_be_dropped(k, cms):
    apply(k, cms + "/one", k.cm("one"), "me", 201)
    body = k.patch("merge", cms + "/one", {"metadata": {"managedFields": [{}]}}, 200).json()
    assert "managedFields" not in body["metadata"]


def test_apply_takes_yaml(k, cms):
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: one\ndata:\n  a: |\n    1\n"
    assert k.patch("apply", cms + "/one", text, 201, fieldManager="me").json()["data"] == {"a": "1\n"}
    assert json.loads(k.get(cms + "/one", 200).text)["metadata"]["managedFields"][0]["operation"] == "Apply"
