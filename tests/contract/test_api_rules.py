"""Writes in detail: names, generations, subresources, dry run, field validation, what may not change."""
import json

import pytest

pytestmark = pytest.mark.api


def status(r, code, reason):
    body = r.json()
    assert r.status_code == code, r.text
    assert (body["kind"], body["status"], body["code"], body.get("reason")) == ("Status", "Failure", code, reason)
    return body


def causes(body):
    return {(c.get("reason"), c.get("field")) for c in body["details"]["causes"]}


def test_generated_names(k, cms):
    made = [k.post(cms, {"metadata": {"generateName": "gen-"}}, 201).json()["metadata"] for _ in range(3)]
    assert len({m["name"] for m in made}) == 3
    assert all(m["name"].startswith("gen-") and len(m["name"]) == 9 and m["generateName"] == "gen-" for m in made)
    long = k.post(cms, {"metadata": {"generateName": "x" * 70}}, 201).json()["metadata"]["name"]
    assert len(long) == 63 and long.startswith("x" * 58)


def test_a_name_wins_over_generate_name(k, cms):
    assert k.post(cms, k.cm("one", generateName="gen-"), 201).json()["metadata"]["name"] == "one"


def test_create_without_any_name(k, cms):
    body = status(k.post(cms, {"data": {}}), 422, "Invalid")
    assert ("FieldValueRequired", "metadata.name") in causes(body)
    assert "name or generateName is required" in body["message"]


def test_create_with_resource_version_is_an_error(k, cms):
    assert k.post(cms, k.cm("one", resourceVersion="1")).status_code >= 400
    k.get(cms + "/one", 404)


def test_create_in_a_missing_namespace(k):
    none = k.name("none")
    body = status(k.post(f"/api/v1/namespaces/{none}/configmaps", k.cm("one")), 404, "NotFound")
    assert body["message"] == f'namespaces "{none}" not found' and body["details"] == {"name": none, "kind": "namespaces"}


def test_namespace_of_body_and_path_must_agree(k, cms):
    body = status(k.post(cms, k.cm("one", namespace="other")), 400, "BadRequest")
    assert body["message"] == "the namespace of the provided object does not match the namespace sent on the request"


def test_put_checks_the_name(k, cms):
    k.post(cms, k.cm("one"), 201)
    body = status(k.put(cms + "/one", k.cm("two")), 400, "BadRequest")
    assert body["message"] == "the name of the object (two) does not match the name on the URL (one)"


def test_put_of_a_missing_object(k, ns, cms):
    status(k.put(cms + "/none", k.cm("none")), 404, "NotFound")
    lease = {"metadata": {"name": "l"}, "spec": {"holderIdentity": "me"}}  # some kinds may be created by PUT
    path = f"/apis/coordination.k8s.io/v1/namespaces/{ns}/leases/l"
    made = k.put(path, lease, 201).json()["metadata"]
    body = status(k.put(path, lease), 422, "Invalid")  # of these a PUT must say what it replaces
    assert "metadata.resourceVersion: Invalid value: 0: must be specified for an update" in body["message"]
    lease["metadata"]["resourceVersion"] = made["resourceVersion"]
    k.put(path, lease, 200)


def test_put_with_another_uid_conflicts(k, cms):
    k.post(cms, k.cm("one"), 201)
    body = status(k.put(cms + "/one", k.cm("one", uid="00000000-0000-0000-0000-000000000000")), 409, "Conflict")
    assert "Precondition failed: UID in precondition" in body["message"]


def test_put_without_resource_version_is_unconditional(k, cms):
    k.post(cms, k.cm("one"), 201)
    k.patch("merge", cms + "/one", {"data": {"b": "2"}}, 200)
    body = k.put(cms + "/one", k.cm("one", {"c": "3"}), 200).json()
    assert body["data"] == {"c": "3"} and body["metadata"]["creationTimestamp"]


def test_system_metadata_is_the_servers(k, cms):
    sent = k.cm("one", uid="my-uid", creationTimestamp="2001-01-01T00:00:00Z", generation=7, selfLink="/x",
                deletionTimestamp="2001-01-01T00:00:00Z", deletionGracePeriodSeconds=5)
    meta = k.post(cms, sent, 201).json()["metadata"]
    assert meta["uid"] != "my-uid" and not meta["creationTimestamp"].startswith("2001")
    assert not {"deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"} & set(meta)
    assert meta["generation"] == 7  # of kinds for which it counts nothing


def test_generation_counts_changes_of_the_spec_only(k, ns):
    path = f"/apis/apps/v1/namespaces/{ns}/daemonsets"
    generation = lambda r: r.json()["metadata"]["generation"]
    assert generation(k.post(path, k.daemonset("d"), 201)) == 1
    assert generation(k.patch("merge", path + "/d", {"metadata": {"labels": {"a": "b"}}}, 200)) == 1
    assert generation(k.patch("merge", path + "/d", {"metadata": {"annotations": {"a": "b"}}}, 200)) == 1
    assert generation(k.patch("merge", path + "/d", {"spec": {"minReadySeconds": 1}}, 200)) == 2
    assert generation(k.patch("merge", path + "/d/status", {"status": {"observedGeneration": 1}}, 200)) == 2


def test_spec_and_status_are_written_apart(k, ns):
    path = f"/apis/batch/v1/namespaces/{ns}/cronjobs"
    template = {"spec": {"template": {"spec": {**k.pod("x")["spec"]}}}}
    k.post(path, {"metadata": {"name": "c"}, "spec": {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": template}}, 201)
    when = "2026-01-01T00:00:00Z"
    both = {"spec": {"schedule": "1 0 1 1 *"}, "status": {"lastScheduleTime": when}}
    body = k.patch("merge", path + "/c/status", both, 200).json()
    assert body["spec"]["schedule"] == "0 0 1 1 *" and body["status"]["lastScheduleTime"] == when
    both["status"]["lastScheduleTime"] = "2027-01-01T00:00:00Z"
    body = k.patch("merge", path + "/c", both, 200).json()
    assert body["spec"]["schedule"] == "1 0 1 1 *" and body["status"]["lastScheduleTime"] == when
    assert k.get(path + "/c/status", 200).json()["kind"] == "CronJob"


def test_status_sent_with_a_create_is_dropped(k, ns):
    body = k.pod("p", nodeSelector={"contract": "nowhere"})
    body["status"] = {"phase": "Running", "podIP": "1.2.3.4"}
    made = k.create_pod(ns, body)
    assert made["status"]["phase"] == "Pending" and "podIP" not in made["status"]


def test_dry_run_changes_nothing(k, cms):
    dry = {"dryRun": "All"}
    made = k.post(cms, k.cm("one"), 201, **dry).json()
    assert made["metadata"]["uid"] and "resourceVersion" not in made["metadata"]
    k.get(cms + "/one", 404)
    rv = k.post(cms, k.cm("one"), 201).json()["metadata"]["resourceVersion"]
    assert k.put(cms + "/one", k.cm("one", {"b": "2"}), 200, **dry).json()["data"] == {"b": "2"}
    assert k.patch("merge", cms + "/one", {"data": {"b": "2"}}, 200, **dry).json()["data"] == {"a": "1", "b": "2"}
    assert k.patch("apply", cms + "/one", k.cm("one", {"c": "3"}), 200, fieldManager="x", **dry).json()["data"]["c"] == "3"
    assert k.delete(cms + "/one", expect=200, **dry).json()["status"] == "Success"
    assert k.delete(cms + "/one", {"dryRun": ["All"]}, expect=200).json()["status"] == "Success"
    k.delete(cms, expect=200, **dry)
    body = k.get(cms + "/one", 200).json()
    assert body["metadata"]["resourceVersion"] == rv and body["data"] == {"a": "1"}


def test_dry_run_still_validates(k, cms):
    status(k.post(cms, k.cm("Bad_Name"), dryRun="All"), 422, "Invalid")
    k.post(cms, k.cm("one"), 201)
    status(k.post(cms, k.cm("one"), dryRun="All"), 409, "AlreadyExists")
    body = status(k.post(cms, k.cm("two"), dryRun="yes"), 422, "Invalid")
    assert body["message"].startswith('CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["yes"]')
    assert '"All"' in body["message"]
    body = status(k.patch("merge", cms + "/one", {"data": {"b": "1"}}, dryRun="yes"), 422, "Invalid")
    assert body["message"].startswith("PatchOptions.meta.k8s.io")


def test_field_validation(k, cms):
    wrong = {**k.cm("one"), "dta": {}, "metadata": {"name": "one", "lables": {}}}
    body = status(k.post(cms, wrong, fieldValidation="Strict"), 400, "BadRequest")
    assert "strict decoding error" in body["message"]
    assert 'unknown field "dta"' in body["message"] and 'unknown field "metadata.lables"' in body["message"]
    r = k.post(cms, wrong, 201, fieldValidation="Warn")
    texts = r.headers.get_list("warning")
    assert {t.split(" ", 2)[2] for t in texts} == {'"unknown field \\"dta\\""', '"unknown field \\"metadata.lables\\""'}
    assert all(t.startswith("299 - ") for t in texts) and "dta" not in r.json()
    r = k.put(cms + "/one", wrong, 200, fieldValidation="Ignore")
    assert "warning" not in r.headers
    body = status(k.post(cms, k.cm("two"), fieldValidation="Loud"), 422, "Invalid")
    assert "fieldValidation" in body["message"]


def test_patches_are_validated_too(k, cms):
    k.post(cms, k.cm("one"), 201)
    for kind in ("merge", "strategic"):
        body = status(k.patch(kind, cms + "/one", {"dta": {"a": "1"}}, fieldValidation="Strict"), 422, "Invalid")
        assert body["message"].startswith(' "" is invalid: patch: Invalid value: "')
        assert 'strict decoding error: unknown field "dta"' in body["message"] and "kind" not in body["details"]
    r = k.patch("merge", cms + "/one", {"dta": {"a": "1"}}, 200)
    assert "unknown field" in r.headers["warning"]


def test_duplicate_fields(k, cms):
    text = '{"metadata": {"name": "one"}, "data": {"a": "1", "a": "2"}}'
    body = status(k.post(cms, text, fieldValidation="Strict"), 400, "BadRequest")
    assert 'duplicate field "data.a"' in body["message"]
    r = k.post(cms, text, 201)
    assert 'duplicate field' in r.headers["warning"] and r.json()["data"] == {"a": "2"}


@pytest.mark.parametrize("data,binary", [({"a b": "1"}, None), ({"..": "1"}, None), ({"a": "1"}, {"a": "AA=="}), ({"x" * 254: "1"}, None)])
def test_keys_of_a_configmap(k, cms, data, binary):
    body = status(k.post(cms, {"metadata": {"name": "one"}, "data": data, "binaryData": binary}), 422, "Invalid")
    assert body["details"]["kind"] == "ConfigMap"


def test_configmap_size_limit(k, cms):
    status(k.post(cms, k.cm("one", {"a": "x" * 1_048_577})), 422, "Invalid")
    k.post(cms, k.cm("two", {"a": "x" * 1_048_000}), 201)


def test_binary_data(k, cms):
    k.post(cms, {"metadata": {"name": "one"}, "binaryData": {"a": "AAEC"}}, 201)
    assert k.get(cms + "/one", 200).json()["binaryData"] == {"a": "AAEC"}
    status(k.post(cms, {"metadata": {"name": "two"}, "binaryData": {"a": "!!"}}), 400, "BadRequest")


def test_immutable_configmap(k, cms):
    k.post(cms, {**k.cm("one"), "immutable": True}, 201)
    body = status(k.patch("merge", cms + "/one", {"data": {"a": "2"}}), 422, "Invalid")
    assert "field is immutable when `immutable` is set" in body["message"]
    assert status(k.patch("merge", cms + "/one", {"immutable": False}), 422, "Invalid")
    k.patch("merge", cms + "/one", {"metadata": {"labels": {"still": "allowed"}}}, 200)


def test_secret_type_is_immutable(k, ns):
    path = f"/api/v1/namespaces/{ns}/secrets"
    made = k.post(path, {"metadata": {"name": "s"}, "stringData": {"a": "new"}, "data": {"a": "b2xk", "b": "Yg=="}}, 201).json()
    assert made["type"] == "Opaque" and made["data"] == {"a": "bmV3", "b": "Yg=="} and "stringData" not in made
    body = status(k.patch("merge", path + "/s", {"type": "example.com/x"}), 422, "Invalid")
    assert "field is immutable" in body["message"]
    status(k.post(path, {"metadata": {"name": "t"}, "type": "kubernetes.io/dockerconfigjson", "data": {}}), 422, "Invalid")


@pytest.mark.parametrize("labels", [{"a": "no spaces"}, {"-a": "1"}, {"a/b/c": "1"}, {"a": "x" * 64}, {"x" * 64: "1"}])
def test_bad_labels(k, cms, labels):
    body = status(k.post(cms, k.cm("one", labels=labels)), 422, "Invalid")
    assert body["details"]["causes"][0]["field"] == "metadata.labels"


def test_bad_annotations(k, cms):
    status(k.post(cms, k.cm("one", annotations={"a b": "1"})), 422, "Invalid")
    status(k.post(cms, k.cm("one", annotations={"a": "x" * 262_145})), 422, "Invalid")
    k.post(cms, k.cm("one", annotations={"a": "any text: ok!"}), 201)


def test_bad_finalizer_name(k, cms):
    status(k.post(cms, k.cm("one", finalizers=["not good"])), 422, "Invalid")
    body = status(k.post(cms, k.cm("one", finalizers=["plain"])), 422, "Invalid")
    assert "name is neither a standard finalizer name nor is it fully qualified" in body["message"]


def test_owner_references_are_checked(k, cms):
    ref = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": "11111111-1111-1111-1111-111111111111"}
    status(k.post(cms, k.cm("one", ownerReferences=[{**ref, "uid": ""}])), 422, "Invalid")
    status(k.post(cms, k.cm("one", ownerReferences=[{**ref, "name": ""}])), 422, "Invalid")
    two = [{**ref, "controller": True}, {**ref, "controller": True, "uid": "21111111-1111-1111-1111-111111111111"}]
    body = status(k.post(cms, k.cm("one", ownerReferences=two)), 422, "Invalid")
    assert "Only one reference can have Controller set to true" in body["message"]


@pytest.mark.parametrize("name", ["Upper", "under_score", "-dash", "dash-", "a..b", "x" * 254, "sp ace"])
def test_bad_names(k, cms, name):
    body = status(k.post(cms, k.cm(name)), 422, "Invalid")
    assert body["details"]["causes"][0] | {"message": ""} == {"reason": "FieldValueInvalid", "message": "", "field": "metadata.name"}


def test_wrong_types_are_400(k, cms):
    body = status(k.post(cms, {"metadata": {"name": "one"}, "data": {"a": 1}}), 400, "BadRequest")
    assert "cannot unmarshal number into Go struct field ConfigMap.data of type string" in body["message"]
    status(k.post(cms, {"metadata": {"name": "one", "labels": ["a"]}}), 400, "BadRequest")
    status(k.post(cms, "[1, 2]"), 400, "BadRequest")
    status(k.post(cms, "{broken"), 400, "BadRequest")
    status(k.post(cms, {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "one"}}), 400, "BadRequest")
    status(k.post(cms, {"kind": "ConfigMap", "apiVersion": "v2", "metadata": {"name": "one"}}), 400, "BadRequest")


def test_methods_that_do_not_exist(k, ns, cms):
    k.post(cms, k.cm("one"), 201)
    status(k.post(cms + "/one", k.cm("one")), 405, "MethodNotAllowed")
    status(k.put(cms, k.cm("one")), 405, "MethodNotAllowed")
    status(k.post("/api/v1/configmaps", k.cm("one")), 405, "MethodNotAllowed")
    status(k.delete("/api/v1/namespaces"), 405, "MethodNotAllowed")


def test_yaml_in_and_out(k, cms):
    import yaml
    head = {"Content-Type": "application/yaml", "Accept": "application/yaml"}
    r = k.post(cms, "metadata: {name: one}\ndata:\n  a: |\n    x\n    y\n", 201, headers=head)
    assert r.headers["content-type"].startswith("application/yaml") and yaml.safe_load(r.text)["data"] == {"a": "x\ny\n"}


def test_namespaces(k, ns):
    body = k.get(f"/api/v1/namespaces/{ns}", 200).json()
    assert body["metadata"]["labels"]["kubernetes.io/metadata.name"] == ns and body["status"] == {"phase": "Active"}
    for name in ("default", "kube-system"):
        r = status(k.delete(f"/api/v1/namespaces/{name}"), 403, "Forbidden")
        assert "this namespace may not be deleted" in r["message"]


def test_service_defaults(k, ns):
    path = f"/api/v1/namespaces/{ns}/services"
    spec = k.post(path, {"metadata": {"name": "web"}, "spec": {"selector": {"a": "b"}, "ports": [{"port": 80}]}}, 201).json()["spec"]
    assert spec["ports"] == [{"protocol": "TCP", "port": 80, "targetPort": 80}]
    assert spec["type"] == "ClusterIP" and spec["sessionAffinity"] == "None" and spec["clusterIPs"] == [spec["clusterIP"]]
    assert spec["clusterIP"].count(".") == 3 or ":" in spec["clusterIP"]
    status(k.patch("merge", path + "/web", {"spec": {"clusterIP": "10.255.255.254", "clusterIPs": ["10.255.255.254"]}}), 422, "Invalid")
    head = k.post(path, {"metadata": {"name": "head"}, "spec": {"clusterIP": "None", "ports": [{"port": 80}]}}, 201).json()["spec"]
    assert head["clusterIP"] == "None" and head["clusterIPs"] == ["None"]
    node = k.post(path, {"metadata": {"name": "n"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}}, 201).json()["spec"]
    assert 30000 <= node["ports"][0]["nodePort"] <= 32767
    status(k.post(path, {"metadata": {"name": "none"}, "spec": {"ports": []}}), 422, "Invalid")
    body = status(k.post(path, {"metadata": {"name": "two"}, "spec": {"ports": [{"port": 80}, {"port": 81}]}}), 422, "Invalid")
    assert ("FieldValueRequired", "spec.ports[0].name") in causes(body)


def test_quantities_are_canonical(k, ns):
    limits = {"cpu": "1000m", "memory": "1024Mi"}
    c = k.create_pod(ns, k.pod("p", nodeSelector={"contract": "nowhere"}, container={"resources": {"limits": limits}}))["spec"]["containers"][0]
    assert c["resources"] == {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}}


def test_health_in_detail(k):
    text = k.get("/readyz", 200, verbose="").text
    assert "[+]ping ok" in text and text.endswith("readyz check passed\n")
    assert k.get("/livez/ping", 200).text == "ok"


def test_paths_of_the_root(k):
    paths = k.get("/", 200).json()["paths"]
    assert {"/api", "/api/v1", "/apis", "/apis/apps/v1", "/healthz", "/version"} <= set(paths)


def test_aggregated_discovery(k):
    r = k.get("/apis", 200, headers={"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"})
    body = r.json()
    assert body["kind"] == "APIGroupDiscoveryList" and "as=APIGroupDiscoveryList" in r.headers["content-type"]
    apps = next(i for i in body["items"] if i["metadata"]["name"] == "apps")["versions"][0]
    daemonsets = next(r for r in apps["resources"] if r["resource"] == "daemonsets")
    assert daemonsets["scope"] == "Namespaced" and daemonsets["responseKind"]["kind"] == "DaemonSet"
    assert {s["subresource"] for s in daemonsets["subresources"]} == {"status"}


def test_openapi(k):
    paths = k.get("/openapi/v3", 200).json()["paths"]
    assert {"api/v1", "apis/apps/v1", "apis/storage.k8s.io/v1"} <= set(paths)
    body = k.get(paths["api/v1"]["serverRelativeURL"], 200).json()
    assert "io.k8s.api.core.v1.Pod" in body["components"]["schemas"]


def test_who_am_i_and_may_i(k):
    me = k.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}, 201).json()
    assert me["status"]["userInfo"]["username"] and "system:authenticated" in me["status"]["userInfo"]["groups"]
    ask = {"spec": {"resourceAttributes": {"verb": "delete", "resource": "nodes"}}}
    assert k.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", ask, 201).json()["status"]["allowed"] is True


def test_service_account_token_and_its_rights(k, ns):
    sa = f"/api/v1/namespaces/{ns}/serviceaccounts"
    k.post(sa, {"metadata": {"name": "reader"}}, 201)
    made = k.post(sa + "/reader/token", {"spec": {"expirationSeconds": 600}}, 201).json()
    http = k.http_client({"Authorization": "Bearer " + made["status"]["token"]})
    r = http.get(f"/api/v1/namespaces/{ns}/configmaps")
    body = status(r, 403, "Forbidden")
    user = f"system:serviceaccount:{ns}:reader"
    assert body["message"] == f'configmaps is forbidden: User "{user}" cannot list resource "configmaps" in API group "" in the namespace "{ns}"'
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/"
    k.post(rbac + "roles", {"metadata": {"name": "r"}, "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]}, 201)
    k.post(rbac + "rolebindings", {"metadata": {"name": "b"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
                                   "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": ns}]}, 201)
    k.wait(lambda: http.get(f"/api/v1/namespaces/{ns}/configmaps").status_code == 200, 10)
    assert http.get(f"/api/v1/namespaces/{ns}/configmaps/x").status_code == 403
    review = {"spec": {"user": user, "resourceAttributes": {"namespace": ns, "verb": "list", "resource": "configmaps"}}}
    assert k.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", review, 201).json()["status"]["allowed"] is True
    token = {"spec": {"token": made["status"]["token"]}}
    assert k.post("/apis/authentication.k8s.io/v1/tokenreviews", token, 201).json()["status"]["user"]["username"] == user
    k.delete(sa + "/reader", expect=200)
    k.wait(lambda: http.get(f"/api/v1/namespaces/{ns}/configmaps").status_code == 401, 20)


def test_role_reference_is_immutable(k, ns):
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/rolebindings"
    k.post(path, {"metadata": {"name": "b"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}, "subjects": []}, 201)
    body = status(k.patch("merge", path + "/b", {"roleRef": {"name": "other"}}), 422, "Invalid")
    assert "cannot change roleRef" in body["message"]


def test_scale(k, ns):
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    body = k.daemonset("d")
    body["kind"] = "Deployment"
    body["spec"]["replicas"] = 0
    k.post(path, body, 201)
    scale = k.get(path + "/d/scale", 200).json()
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1") and scale["spec"] == {}
    assert scale["status"] == {"replicas": 0, "selector": "app=d"}
    assert k.patch("merge", path + "/d/scale", {"spec": {"replicas": 2}}, 200).json()["spec"] == {"replicas": 2}
    assert k.get(path + "/d", 200).json()["spec"]["replicas"] == 2
    scale["spec"]["replicas"] = 1
    status(k.put(path + "/d/scale", scale), 409, "Conflict")
    del scale["metadata"]["resourceVersion"]
    k.put(path + "/d/scale", scale, 200)


def test_event_series_of_both_groups(k, ns):
    now = "2026-01-01T00:00:00.000000Z"
    event = {"metadata": {"name": "e", "namespace": ns}, "regarding": {"kind": "ConfigMap", "namespace": ns, "name": "x"}, "reason": "Tested",
             "note": "text", "type": "Normal", "eventTime": now, "action": "Test", "reportingController": "example.com/c", "reportingInstance": "i"}
    k.post(f"/apis/events.k8s.io/v1/namespaces/{ns}/events", event, 201)
    core = k.get(f"/api/v1/namespaces/{ns}/events/e", 200).json()
    assert core["message"] == "text" and core["involvedObject"]["name"] == "x" and core["reportingComponent"] == "example.com/c"
    assert json.dumps(k.get(f"/apis/events.k8s.io/v1/namespaces/{ns}/events/e", 200).json()["note"]) == '"text"'
