"""Whatever is sent, the server answers as a server: never with a 500, always with a Status or plain text."""

from __future__ import annotations

import json
import socket
import ssl

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jfsnb.sandbox.apiserver.http import request
from jfsnb.sandbox.apiserver.schema.resources import table

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
MAPS = "/api/v1/namespaces/default/configmaps"
SETTINGS = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def one_of(text, *more):
    return st.sampled_from((*text.split(), *more))


WORDS = one_of(
    """api apis v1 namespaces default pods configmaps x log status exec scale apps deployments binding eviction token
    serviceaccounts finalize .. %2e%2e %00 %ff % events nodes openapi v3 persistentvolumeclaims tokenreviews""",
    "",
    "\u00e9",
    "a" * 300,
)
PATHS = st.lists(WORDS, max_size=7).map(lambda words: "/" + "/".join(words))
COLLECTIONS = one_of(
    """/api/v1/namespaces/default/pods /api/v1/namespaces/default/configmaps /api/v1/namespaces/default/secrets
    /apis/apps/v1/namespaces/default/daemonsets /apis/batch/v1/namespaces/default/jobs /api/v1/nodes
    /api/v1/namespaces/default/persistentvolumeclaims /api/v1/persistentvolumes /api/v1/namespaces/default/events
    /apis/storage.k8s.io/v1/storageclasses /apis/storage.k8s.io/v1/csidrivers /api/v1/namespaces/default/services
    /apis/rbac.authorization.k8s.io/v1/clusterrolebindings /apis/policy/v1/namespaces/default/poddisruptionbudgets
    /apis/authentication.k8s.io/v1/tokenreviews /apis/authorization.k8s.io/v1/subjectaccessreviews /api/v1/namespaces
    /api/v1/namespaces/default/serviceaccounts/default/token /apis/apps/v1/namespaces/default/deployments
    /apis/discovery.k8s.io/v1/namespaces/default/endpointslices
    /apis/coordination.k8s.io/v1/namespaces/default/leases"""
)
KEYS = one_of(
    """metadata name spec status data labels annotations containers template selector matchLabels matchExpressions
    finalizers ownerReferences kind apiVersion volumes image env resources requests limits accessModes managedFields
    fieldsV1 f:data roleRef subjects ports initContainers securityContext token user groups generateName uid key
    resourceVersion $patch $retainKeys $setElementOrder/containers deletionTimestamp op path value from tolerations
    volumeMounts livenessProbe httpGet jobTemplate resourceAttributes boundObjectRef terminationGracePeriodSeconds
    storageClassName capacity replicas provisioner involvedObject"""
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    one_of("x a=b 1Gi Always default v1 Pod 2024-01-01T00:00:00Z /data/a", ""),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=25
)
TYPES = st.sampled_from([*request.BODY_TYPES, *request.PATCH_TYPES, "text/html", ""])
PARAMETERS = one_of(
    """limit continue resourceVersion resourceVersionMatch labelSelector fieldSelector dryRun force fieldManager pretty
    fieldValidation gracePeriodSeconds propagationPolicy tailLines container sendInitialEvents includeObject
    orphanDependents"""
)
ARGUMENTS = one_of("1 -1 0 x a=b,!c metadata.name=x true All Exact 99999999999 \u00e9", "", "a in (")
QUERY = st.dictionaries(PARAMETERS, ARGUMENTS | st.text(max_size=6), max_size=3)
METHODS = one_of("GET POST PUT PATCH DELETE HEAD OPTIONS")
ACCEPTS = one_of("*/* application/json application/yaml a/b ;;,=,", "", TABLE)


def answered(http, method, path, body=None, content_type="application/json", query=None, accept=""):
    headers = {"Accept": accept} if accept else {}
    if body is not None:
        headers["Content-Type"] = content_type
    answer = http.client.request(method, path, content=body, headers=headers, params=query or None)
    assert answer.status_code < 500 or answer.status_code in (503, 504), (
        f"{method} {path} {query} {content_type} {body!r}: {answer.text}"
    )
    return answer


@SETTINGS
@given(METHODS, PATHS, QUERY, ACCEPTS)
def test_paths_and_parameters(http, method, path, query, accept):
    if method == "DELETE" and path.rstrip("/").endswith(("/namespaces/default", "serviceaccounts/default")):
        return  # the other tests need them
    answered(http, method, path, query=query, accept=accept)


@SETTINGS
@given(COLLECTIONS, VALUES, TYPES, QUERY)
def test_creates(http, path, value, content_type, query):
    answered(http, "POST", path, json.dumps(value).encode(), content_type, query)


@SETTINGS
@given(COLLECTIONS, st.dictionaries(KEYS, VALUES, max_size=6), st.dictionaries(KEYS, VALUES, max_size=6))
def test_creates_of_nearly_good_objects(http, path, spec, more):
    containers = [{**more, "name": "c", "image": "i"}]
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": containers, **spec}}
    body = {
        "metadata": {"generateName": "f-", **({"labels": more} if "labels" in more else {})},
        "spec": {"template": template, "selector": {"matchLabels": {"a": "b"}}, "containers": containers, **spec},
    }
    answered(http, "POST", path, json.dumps(body).encode())


@SETTINGS
@given(TYPES, VALUES | st.lists(st.dictionaries(KEYS, SCALARS, max_size=4), max_size=3), QUERY)
def test_patches(http, content_type, value, query):
    base = "/api/v1/namespaces/default/pods"
    pod = {"metadata": {"name": "fuzz"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    answered(http, "POST", base, json.dumps(pod).encode())
    for path in (base + "/fuzz", base + "/fuzz/status"):
        answered(http, "PATCH", path, json.dumps(value).encode(), content_type, query)


DIRECTIVES = one_of("replace delete merge x", "", None, 7)
ELEMENTS = st.dictionaries(
    one_of("$patch name image value key containerPort $retainKeys"), DIRECTIVES | SCALARS, max_size=3
)
LISTS = one_of(
    """containers initContainers volumes tolerations imagePullSecrets hostAliases topologySpreadConstraints
    $setElementOrder/containers $deleteFromPrimitiveList/finalizers $setElementOrder/tolerations"""
)


@SETTINGS
@given(
    st.dictionaries(LISTS, st.lists(ELEMENTS | SCALARS, max_size=4) | SCALARS | ELEMENTS, max_size=3),
    st.dictionaries(
        one_of("finalizers ownerReferences $patch labels"), st.lists(ELEMENTS | SCALARS, max_size=3), max_size=2
    ),
)
def test_directives_of_strategic_patches(http, spec, meta):
    base = "/api/v1/namespaces/default/pods"
    pod = {
        "metadata": {"name": "fuzz"},
        "spec": {"containers": [{"name": "c", "image": "i"}, {"name": "d", "image": "i"}]},
    }
    answered(http, "POST", base, json.dumps(pod).encode())
    body = json.dumps({"spec": spec, "metadata": meta}).encode()
    answered(http, "PATCH", base + "/fuzz", body, "application/strategic-merge-patch+json")


@SETTINGS
@given(ELEMENTS | SCALARS, st.dictionaries(one_of("requests limits claims"), VALUES, max_size=2) | SCALARS)
def test_claims_that_ask_for_nothing(http, name, resources):
    base = "/api/v1/namespaces/default/persistentvolumeclaims"
    answered(
        http, "POST", base, json.dumps({"metadata": {"generateName": "f-"}, "spec": {"resources": resources}}).encode()
    )
    claim = {
        "metadata": {"name": "fuzz"},
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    answered(http, "POST", base, json.dumps(claim).encode())
    for content_type in ("application/merge-patch+json", "application/strategic-merge-patch+json"):
        body = json.dumps({"spec": {"resources": resources}}).encode()
        answered(http, "PATCH", base + "/fuzz", body, content_type)
        answered(http, "PATCH", base + "/fuzz/status", body, content_type)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "identity", "x", "gzip, gzip", ""])
@pytest.mark.parametrize("body", [b"{}", b"", b"\x1f\x8b\x08\0broken", bytes(40)], ids=range(4))
def test_a_body_that_is_not_encoded_as_it_says(http, encoding, body):
    headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
    for method, path in (("POST", MAPS), ("PATCH", MAPS + "/x"), ("DELETE", MAPS)):
        answer = http.client.request(method, path, content=body, headers=headers)
        assert answer.status_code < 500, answer.text


@SETTINGS
@given(COLLECTIONS, st.binary(max_size=60), TYPES)
def test_bodies_that_are_noise(http, path, body, content_type):
    answered(http, "POST", path, body, content_type)
    answered(http, "POST", path, b"k8s\x00" + body, "application/vnd.kubernetes.protobuf")


def test_whatever_is_stored_can_be_printed(http):
    """After the other tests, if they ran, there is much that is odd."""
    for row in table().values():
        if "list" in row.verbs:
            answer = answered(http, "GET", f"/{row.path}/{row.plural}", accept=TABLE)
            assert answer.json()["kind"] == "Table"


BROKEN = [
    b"{",
    b"[" * 50_000,
    b'{"a":' * 50_000,
    b"\xff\xfe",
    b'{"metadata":{"name":"\xff"}}',
    b"nul",
    b"\0",
    b'"x"',
    b"1",
]


@pytest.mark.parametrize("body", BROKEN, ids=range(len(BROKEN)))
@pytest.mark.parametrize("content_type", ["application/json", "application/yaml"])
def test_broken_bodies_are_bad_requests(http, body, content_type):
    answer = answered(http, "POST", MAPS, body, content_type)
    assert answer.status_code == 400 and answer.json()["kind"] == "Status"


def test_yaml_bombs_are_refused(http):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    for body in ("\n".join(lines).encode(), b"a: &a [*a]"):
        assert answered(http, "POST", MAPS, body, "application/yaml").status_code == 400


@pytest.mark.parametrize("credentials", ["Bearer", "Basic YTpi", "Bearer a.b.c", "Bearer ..", "x" * 4000])
def test_wrong_credentials(http, credentials):
    answer = http.client.get("/api/v1/nodes", headers={"Authorization": credentials})
    assert answer.status_code == 401 and answer.json()["reason"] == "Unauthorized"


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"GET //////etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/v1/../../x HTTP/1.0\r\n\r\n",
    ],
    ids=range(6),
)
def test_broken_http(api, raw):
    tls = ssl.create_default_context(cafile=str(api.state / "pki/ca.crt"))
    host, _, port = api.server.removeprefix("https://").partition(":")
    plain = socket.create_connection((host, int(port)), 5)
    with tls.wrap_socket(plain, server_hostname=host) as secure:
        secure.sendall(raw)
        answer = secure.recv(4096)
    assert not answer or int(answer.split()[1]) in (400, 401, 403, 404)


def nested(levels):
    return "{" + '"a":{' * levels + "}" * levels + "}"


@pytest.mark.parametrize("levels", [90, 250, 900])
def test_deep_nesting(http, levels):
    revision = '{"metadata":{"generateName":"r-"},"revision":1,"data":' + nested(levels) + "}"
    path = "/apis/apps/v1/namespaces/default/controllerrevisions"
    assert answered(http, "POST", path, revision).status_code == (201 if levels < 100 else 400)
    answered(http, "POST", MAPS, '{"metadata":{"name":"deep"}}')
    for content_type in request.PATCH_TYPES[1:]:
        answered(http, "PATCH", MAPS + "/deep", nested(levels), content_type)
    owned = '{"metadata":{"managedFields":[{"manager":"m","fieldsV1":' + nested(levels) + "}]}}"
    answered(http, "PATCH", MAPS + "/deep", owned, "application/merge-patch+json")
    answered(http, "PATCH", MAPS + "/deep", '{"data":{"a":"b"}}', "application/merge-patch+json")


@pytest.mark.parametrize(
    "text",
    [r'"\uD800"', "99999999999999999999999", ".nan", "-.inf", "2024-01-01", "!!binary eA==", "!!set {a}", "0x1F", "~"],
)
def test_values_that_only_yaml_has(http, text):
    for before, after in (("data: {a: ", "}"), ("metadata: {name: x, annotations: {a: ", "}}")):
        answered(http, "POST", MAPS, f"{before}{text}{after}", "application/yaml")
    body = "metadata: {generateName: s-}\nspec: {ports: [{port: 1, targetPort: " + text + "}]}"
    answered(http, "POST", "/api/v1/namespaces/default/services", body, "application/yaml")


@pytest.mark.parametrize("name", ["a\nb", "é\r\nX: y", '"\\', "x" * 9000])
def test_warnings_stay_in_their_header(http, name):
    body = {"metadata": {"generateName": "w-"}, name: 1, **{f"unknown{n}": 1 for n in range(500)}}
    answer = answered(http, "POST", MAPS, json.dumps(body).encode())
    assert answer.status_code == 201 and "x" not in answer.headers
    assert len(answer.headers.get("warning", "")) < 8000


GOOD = {"manager": "m", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1"}
ENTRIES = [
    {},
    {"fieldsV1": {}},
    {**GOOD, "fieldsV1": "x"},
    {**GOOD, "fieldsV1": {"f:data": 1}},
    {**GOOD, "fieldsV1": {"": {}}},
]
ENTRIES += [{**GOOD, "fieldsV1": {"f:data": {"k:nonsense": {}}}}, {**GOOD, "operation": "x", "fieldsV1": {}}]


@pytest.mark.parametrize("entry", ENTRIES)
def test_field_owners_that_are_nonsense(http, entry):
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owned"}, "data": {"a": "1"}}
    answered(http, "POST", MAPS, json.dumps(body))
    odd = json.dumps({"metadata": {"managedFields": [entry]}, "data": {"b": "2"}})
    answered(http, "PATCH", MAPS + "/owned", odd, "application/merge-patch+json")
    for manager in ("one", "two"):
        query = {"fieldManager": manager, "force": "true"}
        done = answered(http, "PATCH", MAPS + "/owned", json.dumps(body), "application/apply-patch+yaml", query)
        assert done.status_code == 200
    answered(http, "DELETE", MAPS + "/owned")
