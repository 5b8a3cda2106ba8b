"""Who may do what: tokens, RBAC, reviews, impersonation."""

from __future__ import annotations

import contextlib

import pytest
from api_harness import Requests


@contextlib.contextmanager
def account(http, ns, rules=None, cluster_rules=None):
    """Requests as a service account with these rules."""
    http.post(f"/api/v1/namespaces/{ns}/serviceaccounts", {"metadata": {"name": "robot"}})
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    subject = {"kind": "ServiceAccount", "name": "robot", "namespace": ns}
    if rules:
        http.post(f"{rbac}/namespaces/{ns}/roles", {"metadata": {"name": "r"}, "rules": rules})
        ref = {"kind": "Role", "name": "r"}
        binding = {"metadata": {"name": "r"}, "roleRef": ref, "subjects": [subject]}
        assert http.post(f"{rbac}/namespaces/{ns}/rolebindings", binding).status_code == 201
    if cluster_rules:
        http.post(f"{rbac}/clusterroles", {"metadata": {"name": ns}, "rules": cluster_rules})
        ref = {"kind": "ClusterRole", "name": ns}
        binding = {"metadata": {"name": ns}, "roleRef": ref, "subjects": [subject]}
        assert http.post(f"{rbac}/clusterrolebindings", binding).status_code == 201
    with Requests(http.api, issue(http, ns)) as requests:
        yield requests


def issue(http, ns, **spec):
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    answer = http.post(f"/api/v1/namespaces/{ns}/serviceaccounts/robot/token", body)
    assert answer.status_code == 201, answer.text
    return answer.json()["status"]["token"]


def can(requests, **attributes):
    body = {"spec": {"resourceAttributes": attributes}}
    answer = requests.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
    assert answer.status_code == 201
    return answer.json()["status"]["allowed"]


READ_PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}


def test_nobody_is_forbidden_in_the_words_of_a_real_server(http, ns):
    with account(http, ns) as robot:
        body = robot.get(f"/api/v1/namespaces/{ns}/pods/x").json()
        who = f'User "system:serviceaccount:{ns}:robot"'
        assert (
            body["message"]
            == f'pods "x" is forbidden: {who} cannot get resource "pods" in API group "" in the namespace "{ns}"'
        )
        assert (body["code"], body["reason"]) == (403, "Forbidden")
        assert body["details"] == {"name": "x", "kind": "pods"}
        body = robot.get("/apis/storage.k8s.io/v1/storageclasses").json()
        assert body["message"].endswith('in API group "storage.k8s.io" at the cluster scope')


def test_a_role_allows_what_it_names_and_no_more(http, ns):
    with account(http, ns, [READ_PODS]) as robot:
        pods = f"/api/v1/namespaces/{ns}/pods"
        assert robot.get(pods).status_code == 200
        assert robot.get(pods, watch="1").status_code == 403
        assert robot.get(pods + "/x/log").status_code == 403
        assert robot.get("/api/v1/pods").status_code == 403
        assert robot.post(pods, {}).status_code == 403
        assert can(robot, verb="list", resource="pods", namespace=ns)
        assert not can(robot, verb="delete", resource="pods", namespace=ns)
        assert not can(robot, verb="get", resource="pods", subresource="log", namespace=ns)


def test_names_and_subresources(http, ns):
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["mine"], "verbs": ["get"]}]
    rules += [{"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]}]
    with account(http, ns, rules) as robot:
        maps = f"/api/v1/namespaces/{ns}/configmaps"
        assert robot.get(maps + "/mine").status_code == 404
        assert robot.get(maps + "/other").status_code == 403
        assert robot.get(maps).status_code == 403
        assert robot.get(f"/api/v1/namespaces/{ns}/pods/x/log").status_code == 404


def test_cluster_roles_and_withdrawal(http, ns):
    rule = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["*"]}
    with account(http, ns, cluster_rules=[rule]) as robot:
        assert robot.get("/api/v1/nodes").status_code == 200
        http.delete(f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{ns}")
        assert robot.get("/api/v1/nodes").status_code == 403


def test_discovery_is_for_everybody_who_is_known(http, ns):
    with account(http, ns) as robot:
        for path in ("/api", "/apis", "/apis/apps/v1", "/openapi/v3", "/version", "/readyz"):
            assert robot.get(path).status_code == 200, path
    with Requests(http.api, "") as stranger:
        assert stranger.get("/version").status_code == 200
        assert stranger.get("/apis").status_code == 403
        body = stranger.get("/api/v1/nodes").json()
        assert 'User "system:anonymous" cannot list resource "nodes"' in body["message"]


def test_a_token_dies_with_its_account(http, ns):
    with account(http, ns) as robot:
        assert robot.get("/apis").status_code == 200
        http.delete(f"/api/v1/namespaces/{ns}/serviceaccounts/robot")
        assert robot.get("/apis").status_code == 401


def test_a_bound_token_dies_with_its_pod(http, ns):
    http.post(f"/api/v1/namespaces/{ns}/serviceaccounts", {"metadata": {"name": "robot"}})
    pods = f"/api/v1/namespaces/{ns}/pods"
    spec = {"serviceAccountName": "robot", "containers": [{"name": "c", "image": "x"}]}
    http.post(pods, {"metadata": {"name": "p"}, "spec": spec})
    token = issue(http, ns, boundObjectRef={"kind": "Pod", "apiVersion": "v1", "name": "p"})
    with Requests(http.api, token) as robot:
        assert robot.get("/apis").status_code == 200
        http.delete(pods + "/p")
        assert robot.get("/apis").status_code == 401


@pytest.mark.parametrize("change", [lambda t: t[:-4] + "AAAA", lambda t: t + "x", lambda t: t.replace(".", "", 1)])
def test_forged_tokens(http, ns, change):
    http.post(f"/api/v1/namespaces/{ns}/serviceaccounts", {"metadata": {"name": "robot"}})
    with Requests(http.api, change(issue(http, ns))) as forger:
        assert forger.get("/apis").status_code == 401


def test_token_review(http, ns):
    http.post(f"/api/v1/namespaces/{ns}/serviceaccounts", {"metadata": {"name": "robot"}})
    path = "/apis/authentication.k8s.io/v1/tokenreviews"
    status = http.post(path, {"spec": {"token": issue(http, ns)}}).json()["status"]
    assert status["authenticated"] and status["user"]["username"] == f"system:serviceaccount:{ns}:robot"
    other = issue(http, ns, audiences=["vault"])
    assert not http.post(path, {"spec": {"token": other}}).json()["status"].get("authenticated")
    assert http.post(path, {"spec": {"token": other, "audiences": ["vault"]}}).json()["status"]["authenticated"]
    with Requests(http.api, other) as robot:
        assert robot.get("/apis").status_code == 401  # it is not for the API server


def test_short_tokens_are_refused(http, ns):
    http.post(f"/api/v1/namespaces/{ns}/serviceaccounts", {"metadata": {"name": "robot"}})
    path = f"/api/v1/namespaces/{ns}/serviceaccounts/robot/token"
    assert http.post(path, {"spec": {"expirationSeconds": 60}}).status_code == 422


def test_kubectl_auth(http, ns):
    with account(http, ns, [READ_PODS]):
        robot = f"--as=system:serviceaccount:{ns}:robot"
        assert http.kubectl("auth", "can-i", "create", "pods").stdout == "yes\n"
        assert http.kubectl("auth", "can-i", "list", "pods", "-n", ns, robot).stdout == "yes\n"
        assert http.kubectl("auth", "can-i", "list", "pods", "-n", "default", robot).stdout == "no\n"
        assert "pods" in http.kubectl("auth", "can-i", "--list", "-n", ns, robot).stdout
        assert http.kubectl("get", "nodes", robot).stderr.startswith(
            "Error from server (Forbidden): nodes is forbidden"
        )
        token = http.kubectl("create", "token", "robot", "-n", ns).stdout.strip()
        assert "robot" in http.kubectl("auth", "whoami", "--token", token).stdout


def test_impersonation_needs_permission(http, ns):
    with account(http, ns) as robot:
        answer = robot.client.get("/apis", headers={"Impersonate-User": "admin"})
        assert answer.status_code == 403 and "cannot impersonate" in answer.json()["message"]
