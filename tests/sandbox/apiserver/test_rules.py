"""Rules of the API that a real server keeps and that are easy to get wrong."""

from __future__ import annotations

import json

import pytest

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@pytest.fixture
def cms(ns):
    return f"/api/v1/namespaces/{ns}/configmaps"


def config_map(name, data=None, **meta):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **meta}, "data": data or {"a": "1"}}


def pod(name, **spec):
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "x:1"}], **spec}}


@pytest.mark.parametrize(
    "operation,code",
    [
        ({"op": "replace", "path": "/data/new", "value": "x"}, 200),
        ({"op": "replace", "path": "/binaryData/new", "value": "eA=="}, 422),
        ({"op": "remove", "path": "/data/none"}, 422),
        ({"op": "add", "path": "/metadata/none/x", "value": "y"}, 422),
        ({"op": "copy", "from": "/data/a", "path": "/data/b"}, 200),
        ({"op": "move", "from": "/data/none", "path": "/data/b"}, 422),
        ({"op": "test", "path": "/data/a", "value": "2"}, 422),
    ],
)
def test_json_patch_answers(http, cms, operation, code):
    http.post(cms, config_map("one"))
    assert http.patch("json", cms + "/one", [operation]).status_code == code


def test_json_patch_that_is_no_patch(http, cms):
    http.post(cms, config_map("one"))
    assert http.patch("json", cms + "/one", {"op": "add"}).status_code == 400


def test_writes_that_change_nothing_keep_the_version(http, cms):
    http.patch("apply", cms + "/one", config_map("one"), fieldManager="me")
    before = http.get(cms + "/one").json()
    assert http.patch("apply", cms + "/one", config_map("one"), fieldManager="me").json() == before
    assert http.patch("strategic", cms + "/one", {"data": {"a": "1"}}).json() == before
    assert http.patch("json", cms + "/one", []).json() == before
    assert http.put(cms + "/one", {**config_map("one"), "metadata": before["metadata"]}).json() == before


def test_apply_without_manager_is_refused(http, cms):
    answer = http.patch("apply", cms + "/one", config_map("one"))
    assert answer.status_code == 422 and "fieldManager" in answer.json()["message"]


def test_apply_removes_what_its_manager_leaves_out(http, cms):
    http.patch("apply", cms + "/one", config_map("one", {"a": "1", "b": "2"}), fieldManager="me")
    http.patch("merge", cms + "/one", {"data": {"other": "kept"}})
    body = http.patch("apply", cms + "/one", config_map("one", {"a": "1"}), fieldManager="me").json()
    assert body["data"] == {"a": "1", "other": "kept"}


def test_apply_keeps_what_another_manager_owns_too(http, cms):
    for manager in ("one", "two"):
        http.patch("apply", cms + "/x", config_map("x", {"a": "1"}), fieldManager=manager)
    body = http.patch("apply", cms + "/x", config_map("x", {"b": "1"}), fieldManager="one").json()
    assert body["data"] == {"a": "1", "b": "1"}


def test_an_update_takes_a_field_over(http, cms):
    http.patch("apply", cms + "/x", config_map("x", {"a": "1"}), fieldManager="applier")
    http.patch("merge", cms + "/x", {"data": {"a": "2"}}, fieldManager="editor")
    answer = http.patch("apply", cms + "/x", config_map("x", {"a": "3"}), fieldManager="applier")
    assert answer.status_code == 409 and 'conflict with "editor" using v1: .data.a' in answer.json()["message"]
    assert http.patch("apply", cms + "/x", config_map("x", {"a": "2"}), fieldManager="applier").status_code == 200


def test_apply_merges_keyed_lists(http, ns):
    path = f"/apis/apps/v1/namespaces/{ns}/daemonsets/d"

    def daemon_set(container):
        template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}}
        spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
        return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "d"}, "spec": spec}

    first = {"name": "c", "image": "x:1", "env": [{"name": "A", "value": "1"}]}
    assert http.patch("apply", path, daemon_set(first), fieldManager="one").status_code == 201
    second = {"name": "c", "env": [{"name": "B", "value": "2"}]}
    body = http.patch("apply", path, daemon_set(second), fieldManager="two").json()
    env = body["spec"]["template"]["spec"]["containers"][0]["env"]
    assert env == [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    without = {"name": "c", "image": "x:1"}
    body = http.patch("apply", path, daemon_set(without), fieldManager="one").json()
    assert body["spec"]["template"]["spec"]["containers"][0]["env"] == [{"name": "B", "value": "2"}]


def test_a_wrong_uid(http, cms):
    http.post(cms, config_map("one"))
    assert http.patch("merge", cms + "/one", {"metadata": {"uid": "0"}}).status_code == 422
    assert http.delete(cms + "/one", {"preconditions": {"uid": "0"}}).status_code == 409
    assert http.delete(cms + "/one", {"preconditions": {"resourceVersion": "1"}}).status_code == 409


def test_media_types(http, cms):
    http.post(cms, config_map("one"))
    assert http.patch("application/json", cms + "/one", {}).status_code == 415
    assert http.get(cms, accept="image/png").status_code == 406
    assert http.get(cms, accept="image/png, */*;q=0.1").status_code == 200
    answer = http.get(cms + "/one", accept="application/yaml")
    assert answer.headers["content-type"] == "application/yaml" and "kind: ConfigMap" in answer.text
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: two}\ndata: {when: '2024-01-01'}\n"
    assert http.send("POST", cms, text, "application/yaml").status_code == 201


def test_a_version_yet_to_come(http, cms):
    body = http.get(cms, resourceVersion="99999999").json()
    assert (body["code"], body["reason"]) == (504, "Timeout") and "Too large resource version" in body["message"]


def test_a_list_as_it_was(http, cms):
    version = http.post(cms, config_map("one")).json()["metadata"]["resourceVersion"]
    http.post(cms, config_map("two"))
    http.delete(cms + "/one")
    body = http.get(cms, resourceVersion=version, resourceVersionMatch="Exact").json()
    assert [i["metadata"]["name"] for i in body["items"]] == ["one"]
    assert body["metadata"]["resourceVersion"] == version


def test_pages_of_a_selection_are_one_snapshot(http, cms):
    for number in range(5):
        http.post(cms, config_map(f"n{number}", labels={"on": "1"}))
    first = http.get(cms, labelSelector="on=1", limit=2).json()
    http.patch("merge", cms + "/n3", {"metadata": {"labels": None}})
    http.delete(cms + "/n4")
    names, page = [i["metadata"]["name"] for i in first["items"]], first
    while page["metadata"].get("continue"):
        page = http.get(cms, labelSelector="on=1", limit=2, **{"continue": page["metadata"]["continue"]}).json()
        names += [i["metadata"]["name"] for i in page["items"]]
    assert names == ["n0", "n1", "n2", "n3", "n4"]


def test_bad_continue_token(http, cms):
    assert http.get(cms, **{"continue": "nonsense"}).status_code == 400


def test_table_watch_sends_columns_once(http, cms):
    http.post(cms, config_map("one"))
    http.post(cms, config_map("two", {"a": "1", "b": "2"}))
    events = http.watch(cms, seconds=1, accept=TABLE)
    assert ["columnDefinitions" in e["object"] for e in events] == [True, False]
    assert [e["object"]["rows"][0]["cells"][:2] for e in events] == [["one", 1], ["two", 2]]


def test_unknown_paths(http, ns):
    body = http.get(f"/api/v1/namespaces/{ns}/gizmos").json()
    assert body["details"] == {} and body["code"] == 404
    for path in ("/apis/none.example.com/v1/things", "/nonsense"):
        answer = http.get(path)
        assert answer.status_code == 404 and answer.text == "404 page not found\n"


def test_wrong_methods(http, cms):
    for method, path in (("POST", "/api/v1/pods"), ("DELETE", "/api/v1/pods"), ("PUT", cms), ("POST", cms + "/x")):
        assert http.send(method, path, {"metadata": {"name": "x"}}).status_code == 405, (method, path)


def test_shorter_grace_moves_the_end_of_a_deletion(http, ns):
    pods = f"/api/v1/namespaces/{ns}/pods"
    http.post(pods, pod("p", nodeName="n", terminationGracePeriodSeconds=60))
    first = http.delete(pods + "/p").json()["metadata"]
    again = http.delete(pods + "/p", gracePeriodSeconds=90).json()["metadata"]
    assert again["deletionTimestamp"] == first["deletionTimestamp"] and again["deletionGracePeriodSeconds"] == 60
    shorter = http.delete(pods + "/p", gracePeriodSeconds=10).json()["metadata"]
    assert shorter["deletionTimestamp"] < first["deletionTimestamp"] and shorter["deletionGracePeriodSeconds"] == 10
    body = http.post(pods, pod("p")).json()
    assert body["reason"] == "AlreadyExists" and body["message"].startswith("object is being deleted")
    http.delete(pods + "/p", gracePeriodSeconds=0)
    assert http.get(pods + "/p").status_code == 404


def test_negative_grace_becomes_one(http, ns):
    body = http.post(f"/api/v1/namespaces/{ns}/pods", pod("p", terminationGracePeriodSeconds=-5)).json()
    assert body["spec"]["terminationGracePeriodSeconds"] == 1


def test_no_new_finalizers_while_being_deleted(http, cms):
    http.post(cms, config_map("one", finalizers=["example.com/a"]))
    http.delete(cms + "/one")
    assert http.patch("merge", cms + "/one", {"data": {"b": "2"}}).status_code == 200
    body = http.patch("json", cms + "/one", [{"op": "add", "path": "/metadata/finalizers/-", "value": "example.com/b"}])
    assert body.status_code == 422 and "no new finalizers can be added" in body.json()["message"]


def test_propagation_leaves_its_finalizer(http, cms):
    for policy, finalizer in (("Foreground", "foregroundDeletion"), ("Orphan", "orphan")):
        name = policy.lower()
        http.post(cms, config_map(name))
        body = http.delete(cms + "/" + name, {"propagationPolicy": policy}).json()
        assert body["metadata"]["finalizers"] == [finalizer] and body["metadata"]["deletionTimestamp"]


def test_status_and_spec_are_written_apart(http, ns):
    pods = f"/api/v1/namespaces/{ns}/pods"
    created = http.post(pods, pod("p")).json()
    assert (
        created["status"] == {"phase": "Pending", "qosClass": "BestEffort"} and created["metadata"]["generation"] == 1
    )
    body = http.patch("merge", pods + "/p", {"status": {"phase": "Running"}}).json()
    assert body["status"]["phase"] == "Pending"
    change = {"status": {"phase": "Running"}, "spec": {"hostNetwork": True}}
    body = http.patch("strategic", pods + "/p/status", change).json()
    assert body["status"]["phase"] == "Running" and "hostNetwork" not in body["spec"]


def test_a_sent_status_is_ignored(http, ns):
    claims = f"/api/v1/namespaces/{ns}/persistentvolumeclaims"
    spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": "", "resources": {"requests": {"storage": "1Gi"}}}
    body = http.post(claims, {"metadata": {"name": "c"}, "spec": spec, "status": {"phase": "Bound"}}).json()
    assert body["status"] == {"phase": "Pending"}
    assert body["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]


def test_default_class(http, ns):
    note = {"storageclass.kubernetes.io/is-default-class": "true"}
    classes = "/apis/storage.k8s.io/v1/storageclasses"
    http.post(classes, {"metadata": {"name": "standard", "annotations": note}, "provisioner": "example.com/x"})
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}}
    body = http.post(
        f"/api/v1/namespaces/{ns}/persistentvolumeclaims", {"metadata": {"name": "c"}, "spec": spec}
    ).json()
    assert body["spec"]["storageClassName"] == "standard"
    assert body["spec"]["resources"]["requests"]["storage"] == "1Gi"
    http.delete(classes + "/standard")


def test_secrets_fold_their_text(http, ns):
    body = http.post(
        f"/api/v1/namespaces/{ns}/secrets", {"metadata": {"name": "s"}, "stringData": {"a": "hush"}}
    ).json()
    assert body["data"] == {"a": "aHVzaA=="} and body["type"] == "Opaque" and "stringData" not in body


def test_unsupported_values_name_the_supported_ones(http, ns):
    body = http.post(f"/api/v1/namespaces/{ns}/pods", pod("p", restartPolicy="Sometimes")).json()
    cause = body["details"]["causes"][0]
    assert (cause["reason"], cause["field"]) == ("FieldValueNotSupported", "spec.restartPolicy")
    assert cause["message"] == 'Unsupported value: "Sometimes": supported values: "Always", "Never", "OnFailure"'


def test_wrong_types_are_bad_requests(http, cms):
    body = http.post(cms, {"metadata": {"name": "x"}, "data": {"a": 1}}).json()
    assert body["code"] == 400 and "cannot unmarshal number" in body["message"]


def test_identity_in_body_and_path_must_agree(http, cms):
    assert http.post(cms, config_map("x", namespace="other")).status_code == 400
    http.post(cms, config_map("x"))
    assert http.put(cms + "/x", config_map("y")).status_code == 400
    assert http.post(cms, {**config_map("z"), "kind": "Secret"}).status_code == 400
    assert http.post(cms, {**config_map("z"), "apiVersion": "apps/v1"}).status_code == 400


def test_quantities_are_canonical(http, ns):
    resources = {"limits": {"cpu": "1000m", "memory": "1024Mi"}}
    containers = [{"name": "c", "image": "x:1", "resources": resources}]
    body = http.post(
        f"/api/v1/namespaces/{ns}/pods", {"metadata": {"name": "p"}, "spec": {"containers": containers}}
    ).json()
    assert body["spec"]["containers"][0]["resources"] == {
        "limits": {"cpu": "1", "memory": "1Gi"},
        "requests": {"cpu": "1", "memory": "1Gi"},
    }
    assert body["status"]["qosClass"] == "Guaranteed"


def test_too_large_a_body(http, cms):
    body = json.dumps(config_map("big", {"a": "x" * 4_000_000}))
    answer = http.send("POST", cms, body)
    assert answer.status_code == 413 and answer.json()["reason"] == "RequestEntityTooLarge"


def test_scale(http, ns):
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x:1"}]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    http.post(path, {"metadata": {"name": "d"}, "spec": spec})
    scale = http.get(path + "/d/scale").json()
    assert (scale["kind"], scale["spec"], scale["status"]["selector"]) == ("Scale", {"replicas": 1}, "a=b")
    assert http.patch("merge", path + "/d/scale", {"spec": {"replicas": 4}}).json()["spec"] == {"replicas": 4}
    body = http.get(path + "/d").json()
    assert body["spec"]["replicas"] == 4 and body["metadata"]["generation"] == 2
    assert http.put(path + "/d/scale", {**scale, "spec": {"replicas": 2}}).status_code == 409


def test_binding(http, ns):
    pods = f"/api/v1/namespaces/{ns}/pods"
    http.post(pods, pod("p"))
    target = {"target": {"kind": "Node", "name": "n1"}}
    assert http.post(pods + "/p/binding", target).status_code == 201
    body = http.get(pods + "/p").json()
    assert body["spec"]["nodeName"] == "n1" and body["status"]["conditions"][0]["type"] == "PodScheduled"
    assert body["metadata"]["generation"] == 1
    assert http.post(pods + "/p/binding", target).status_code == 409


def test_events_have_two_forms(http, ns):
    about = {"kind": "Pod", "name": "p", "namespace": ns}
    core = {
        "metadata": {"name": "p.1"},
        "involvedObject": about,
        "reason": "Started",
        "message": "hello",
        "type": "Normal",
    }
    http.post(f"/api/v1/namespaces/{ns}/events", core)
    body = http.get(f"/apis/events.k8s.io/v1/namespaces/{ns}/events/p.1").json()
    assert (body["note"], body["regarding"]["name"], body["apiVersion"]) == ("hello", "p", "events.k8s.io/v1")
    found = http.get(f"/api/v1/namespaces/{ns}/events", fieldSelector="involvedObject.name=p,reason=Started").json()
    assert len(found["items"]) == 1


def test_namespaces_go_when_they_are_finalized(http):
    name = http.namespace()
    path = f"/api/v1/namespaces/{name}"
    body = http.delete(path).json()
    assert body["status"]["phase"] == "Terminating" and "deletionGracePeriodSeconds" not in body["metadata"]
    refused = http.post(path + "/configmaps", config_map("x")).json()
    assert refused["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    body = http.get(path).json()
    http.put(path + "/finalize", {**body, "spec": {"finalizers": []}})
    assert http.get(path).status_code == 404


def container(**more):
    return {"containers": [{"name": "c", "image": "x:1", **more}]}


@pytest.mark.parametrize(
    "spec,field,text",
    [
        (container(volumeMounts=[{"name": "v", "mountPath": "/v"}]), "volumeMounts[0].name", 'Not found: "v"'),
        (container(livenessProbe={"periodSeconds": 1}), "livenessProbe", "must specify a handler type"),
        (
            container(ports=[{"containerPort": 70000}]),
            "ports[0].containerPort",
            "must be between 1 and 65535, inclusive",
        ),
        (
            container(resources={"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}),
            "resources.requests",
            'Invalid value: "2": must be less than or equal to cpu limit of 1',
        ),
        ({"containers": []}, "spec.containers", "Required value"),
        (
            {**container(), "volumes": [{"name": "v", "emptyDir": {}}] * 2},
            "spec.volumes[1].name",
            'Duplicate value: "v"',
        ),
        (
            {**container(), "volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}]},
            "spec.volumes[0].hostPath",
            "may not specify more than 1 volume type",
        ),
    ],
)
def test_pods_that_are_invalid(http, ns, spec, field, text):
    body = http.post(f"/api/v1/namespaces/{ns}/pods", {"metadata": {"name": "p"}, "spec": spec}).json()
    assert body["code"] == 422 and body["details"]["kind"] == "Pod"
    causes = [c for c in body["details"]["causes"] if c["field"].endswith(field)]
    assert len(causes) == 1 and text in causes[0]["message"]


def test_workloads_restart_always(http, ns):
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {**container(), "restartPolicy": "Never"}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    body = http.post(f"/apis/apps/v1/namespaces/{ns}/daemonsets", {"metadata": {"name": "d"}, "spec": spec}).json()
    assert body["message"].endswith(
        'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'
    )
    job = {"metadata": {"name": "j"}, "spec": {"template": {"spec": container()}}}
    body = http.post(f"/apis/batch/v1/namespaces/{ns}/jobs", job).json()
    assert 'valid values: "OnFailure", "Never"' in body["message"]


def test_selectors_are_for_ever(http, ns):
    template = {"metadata": {"labels": {"a": "b"}}, "spec": container()}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    path = f"/apis/apps/v1/namespaces/{ns}/daemonsets"
    http.post(path, {"metadata": {"name": "d"}, "spec": spec})
    other = {"spec": {"selector": {"matchLabels": {"x": "y"}}}}
    other["spec"]["template"] = {"metadata": {"labels": {"x": "y"}}}
    body = http.patch("merge", path + "/d", other).json()
    assert body["details"]["causes"][0]["field"] == "spec.selector" and "field is immutable" in body["message"]


def test_data_keys_and_sizes(http, cms):
    body = http.post(cms, config_map("x", {"a b": "1"})).json()
    assert body["details"]["causes"][0]["field"] == "data[a b]"
    body = http.post(cms, config_map("x", {"a": "x" * 1_100_000})).json()
    assert body["code"] == 422 and "Too long: may not be more than 1048576 bytes" in body["message"]


def test_claims_do_not_shrink_or_grow_at_will(http, ns):
    claims = f"/api/v1/namespaces/{ns}/persistentvolumeclaims"
    spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": "", "resources": {"requests": {"storage": "2Gi"}}}
    http.post(claims, {"metadata": {"name": "c"}, "spec": spec})
    bound = {"status": {"phase": "Bound", "capacity": {"storage": "2Gi"}, "accessModes": ["ReadWriteOnce"]}}
    http.patch("merge", claims + "/c/status", bound)

    def resize(size):
        return http.patch("merge", claims + "/c", {"spec": {"resources": {"requests": {"storage": size}}}}).json()

    assert "field can not be less than status.capacity" in resize("1Gi")["message"]
    assert "must support resize" in resize("3Gi")["message"] and resize("3Gi")["code"] == 403
    body = http.patch("merge", claims + "/c", {"spec": {"accessModes": ["ReadWriteMany"]}}).json()
    assert "spec is immutable after creation" in body["message"]


def test_volumes_need_a_source_and_keep_it(http, ns):
    path, name = "/api/v1/persistentvolumes", f"pv-{ns}"
    spec = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}}
    assert "must specify a volume type" in http.post(path, {"metadata": {"name": name}, "spec": spec}).json()["message"]
    spec["csi"] = {"driver": "csi.example.com", "volumeHandle": "v"}
    assert http.post(path, {"metadata": {"name": name}, "spec": spec}).status_code == 201
    body = http.patch("merge", f"{path}/{name}", {"spec": {"csi": {"volumeHandle": "w"}}}).json()
    assert "spec.persistentvolumesource is immutable after creation" in body["message"]
    http.delete(f"{path}/{name}")
    assert "deletionTimestamp" in http.get(f"{path}/{name}").json()["metadata"]  # protected until its controller agrees


def test_first_namespaces_stay(http):
    body = http.delete("/api/v1/namespaces/kube-system").json()
    assert body["code"] == 403 and body["message"].endswith("this namespace may not be deleted")


def test_services_get_an_address_each(http, ns):
    path = f"/api/v1/namespaces/{ns}/services"
    made = [http.post(path, {"metadata": {"name": n}, "spec": {"ports": [{"port": 80}]}}).json() for n in "ab"]
    addresses = [s["spec"]["clusterIP"] for s in made]
    assert len(set(addresses)) == 2 and all(s["spec"]["clusterIPs"] == [s["spec"]["clusterIP"]] for s in made)
    assert made[0]["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    body = http.post(path, {"metadata": {"name": "h"}, "spec": {"clusterIP": "None"}}).json()
    assert body["spec"]["clusterIPs"] == ["None"]


def test_duplicate_fields_are_found_in_strict_validation(http, cms):
    text = '{"metadata": {"name": "x", "labels": {"a": "1", "a": "2"}}, "data": {"k": "1"}, "data": {"k": "2"}}'
    body = http.send("POST", cms, text, fieldValidation="Strict").json()
    assert body["message"] == 'strict decoding error: duplicate field "metadata.labels.a", duplicate field "data"'
    assert http.send("POST", cms, text, fieldValidation="Ignore").status_code == 201
