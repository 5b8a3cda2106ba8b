"""Reads in detail: resourceVersion of lists, continue tokens, metadata-only and table views, watch parameters."""
import base64
import json

import pytest

pytestmark = pytest.mark.api

PARTIAL = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
PARTIALS = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"


def status(r, code, reason):
    body = r.json()
    assert r.status_code == code, r.text
    assert (body["kind"], body["status"], body["code"], body.get("reason")) == ("Status", "Failure", code, reason)
    return body


def names(body):
    return [i["metadata"]["name"] for i in body["items"]]


@pytest.fixture
def abc(k, cms):
    """Three labelled config maps, then `b` changed, `c` deleted and `d` made; the version before that."""
    for name in "abc":
        k.post(cms, k.cm(name, labels={"t": "1"}), 201)
    rv = k.get(cms, 200).json()["metadata"]["resourceVersion"]
    k.patch("merge", cms + "/b", {"data": {"a": "changed"}}, 200)
    k.delete(cms + "/c", expect=200)
    k.post(cms, k.cm("d", labels={"t": "1"}), 201)
    return rv


def test_exact_resource_version_shows_the_past(k, cms, abc):
    body = k.get(cms, 200, labelSelector="t=1", resourceVersion=abc, resourceVersionMatch="Exact").json()
    assert names(body) == ["a", "b", "c"] and body["metadata"]["resourceVersion"] == abc
    assert body["items"][1]["data"] == {"a": "1"}


def test_not_older_than_shows_the_present(k, cms, abc):
    for params in ({"resourceVersion": abc, "resourceVersionMatch": "NotOlderThan"}, {"resourceVersion": abc}, {}):
        body = k.get(cms, 200, labelSelector="t=1", **params).json()
        assert names(body) == ["a", "b", "d"] and int(body["metadata"]["resourceVersion"]) >= int(abc)


def test_resource_version_match_needs_a_version(k, cms):
    body = status(k.get(cms, resourceVersionMatch="Exact"), 422, "Invalid")
    assert "resourceVersionMatch is forbidden unless resourceVersion is provided" in body["message"]
    body = status(k.get(cms, resourceVersionMatch="Exact", resourceVersion="0"), 422, "Invalid")
    assert 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"' in body["message"].replace("Exact", "exact")
    status(k.get(cms, resourceVersionMatch="Newest", resourceVersion="1"), 422, "Invalid")


def test_bad_list_parameters(k, cms):
    for params in ({"limit": "many"}, {"resourceVersion": "new"}, {"continue": "!?"}, {"fieldSelector": "metadata.name"},
                   {"labelSelector": "a=b=c"}, {"labelSelector": "=x"}, {"timeoutSeconds": "x"}):
        r = k.get(cms, **params)
        assert r.status_code in (400, 422) and r.json()["kind"] == "Status", params


def test_continue_and_resource_version_exclude_each_other(k, cms):
    for name in "abc":
        k.post(cms, k.cm(name), 201)
    meta = k.get(cms, 200, limit=1).json()["metadata"]
    r = k.get(cms, limit=1, resourceVersion=meta["resourceVersion"], **{"continue": meta["continue"]})
    assert status(r, 400, "BadRequest")["message"] == "specifying resource version is not allowed when using continue"


def test_continue_token_names_the_last_key(k, cms):
    for name in "abc":
        k.post(cms, k.cm(name), 201)
    token = k.get(cms, 200, limit=1).json()["metadata"]["continue"]
    body = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    assert body["v"] == "meta.k8s.io/v1" and isinstance(body["rv"], int) and "start" in body


def test_paging_through_a_selection(k, cms):
    for n in range(7):
        k.post(cms, k.cm(f"n{n}", labels={"odd": str(n % 2)}), 201)
    seen, params = [], {}
    while True:
        page = k.get(cms, 200, limit=2, labelSelector="odd=1", **params).json()
        seen += names(page)
        if not page["metadata"].get("continue"):
            break
        params = {"continue": page["metadata"]["continue"]}
    assert seen == ["n1", "n3", "n5"]


def test_limit_over_all_namespaces(k, cms):
    k.post(cms, k.cm("one"), 201)
    page = k.get("/api/v1/configmaps", 200, limit=1).json()
    assert len(page["items"]) == 1 and page["metadata"]["continue"] and page["metadata"]["remainingItemCount"] >= 1


def test_get_of_one_as_metadata_and_as_table(k, cms):
    k.post(cms, k.cm("one", labels={"a": "b"}), 201)
    body = k.get(cms + "/one", 200, headers={"Accept": PARTIAL}).json()
    assert (body["kind"], body["apiVersion"]) == ("PartialObjectMetadata", "meta.k8s.io/v1")
    assert body["metadata"]["labels"] == {"a": "b"} and set(body) == {"kind", "apiVersion", "metadata"}
    table = k.get(cms + "/one", 200, headers={"Accept": k.TABLE}).json()
    assert table["kind"] == "Table" and table["rows"][0]["cells"][0] == "one" and len(table["rows"]) == 1
    body = k.patch("merge", cms + "/one", {"data": {"b": "2"}}, 200).json()
    assert body["kind"] == "ConfigMap"


def test_include_object_of_tables(k, cms):
    k.post(cms, k.cm("one"), 201)
    row = lambda how: k.get(cms, 200, headers={"Accept": k.TABLE}, fieldSelector="metadata.name=one", includeObject=how).json()["rows"][0]
    assert row("None").get("object") is None
    assert row("Metadata")["object"]["kind"] == "PartialObjectMetadata"
    assert row("Object")["object"]["kind"] == "ConfigMap" and row("Object")["object"]["data"] == {"a": "1"}


def test_items_of_metadata_lists(k, cms):
    k.post(cms, k.cm("one"), 201)
    body = k.get(cms, 200, headers={"Accept": PARTIALS}, limit=1).json()
    assert body["items"][0].get("kind") in (None, "PartialObjectMetadata") and body["metadata"]["resourceVersion"]


def test_accept_falls_back_in_order(k, cms):
    k.post(cms, k.cm("one"), 201)
    accept = "application/vnd.example+x;q=1, application/json;as=Table;v=v1;g=meta.k8s.io, application/json"
    assert k.get(cms, 200, headers={"Accept": accept}).json()["kind"] == "Table"
    assert status(k.get(cms, headers={"Accept": "text/csv"}), 406, "NotAcceptable")
    assert status(k.get(cms, headers={"Accept": "application/json;as=Chart;v=v1;g=meta.k8s.io"}), 406, "NotAcceptable")


def test_set_based_selectors(k, cms):
    for name, value in (("a", "1"), ("b", "22"), ("c", "x")):
        k.post(cms, k.cm(name, labels={"n": value, "example.com/k": name}), 201)
    for selector, want in (("n>1", ["b"]), ("n<22", ["a"]), ("example.com/k in (a, b)", ["a", "b"]), ("n,n!=x", ["a", "b"]),
                           ("n notin (x,1)", ["b"]), ("n=", []), ("example.com/k", ["a", "b", "c"])):
        found = [n for n in names(k.get(cms, 200, labelSelector=selector).json()) if n in "abc"]
        assert found == want, selector


def test_events_by_field(k, ns):
    k.create_pod(ns, k.pod("p", nodeSelector={"contract": "nowhere"}))
    k.wait_event(ns, "p", "FailedScheduling")
    path = f"/api/v1/namespaces/{ns}/events"
    for selector, count in (("type=Warning,reason=FailedScheduling", 1), ("involvedObject.kind=Pod", 1), ("type!=Warning", 0),
                            ("involvedObject.namespace=" + ns, 1), ("reason=Nothing", 0)):
        assert len(k.get(path, 200, fieldSelector=selector).json()["items"]) == count, selector


# ---- watch -------------------------------------------------------------------


def test_watch_of_one_name_is_by_field_and_not_by_path(k, cms):
    k.post(cms, k.cm("one"), 201)
    k.post(cms, k.cm("two"), 201)
    event = next(k.watch(cms, seconds=2, fieldSelector="metadata.name=one"))
    assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "one")
    assert k.get(cms + "/one", 200, watch="1").json()["metadata"]["name"] == "one"


def test_watch_from_zero_and_from_the_present(k, cms):
    k.post(cms, k.cm("one", labels={"t": "1"}), 201)
    assert [e["type"] for e in k.watch(cms, seconds=1, labelSelector="t=1", resourceVersion="0")] == ["ADDED"]
    rv = k.get(cms, 200).json()["metadata"]["resourceVersion"]
    assert list(k.watch(cms, seconds=1, labelSelector="t=1", resourceVersion=rv)) == []


def test_watch_without_initial_events(k, cms):
    k.post(cms, k.cm("one", labels={"t": "1"}), 201)
    params = dict(sendInitialEvents="false", resourceVersionMatch="NotOlderThan", labelSelector="t=1")
    assert list(k.watch(cms, seconds=1, **params)) == []


def test_send_initial_events_needs_its_companion(k, cms):
    body = status(k.get(cms, watch="1", sendInitialEvents="true"), 422, "Invalid")
    assert "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan" in body["message"]
    body = status(k.get(cms, watch="1", resourceVersionMatch="NotOlderThan"), 422, "Invalid")
    assert "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided" in body["message"]
    status(k.get(cms, sendInitialEvents="true", resourceVersionMatch="NotOlderThan"), 422, "Invalid")


def test_streaming_list_goes_on_as_a_watch(k, cms):
    k.post(cms, k.cm("one", labels={"t": "1"}), 201)
    params = dict(sendInitialEvents="true", resourceVersionMatch="NotOlderThan", allowWatchBookmarks="true", labelSelector="t=1")
    got = []
    for event in k.watch(cms, until=lambda e: e["type"] == "DELETED", **params):
        got.append(event["type"])
        if event["type"] == "BOOKMARK" and "annotations" in event["object"]["metadata"]:
            assert event["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
            k.delete(cms + "/one", expect=200)
    assert got == ["ADDED", "BOOKMARK", "DELETED"]


def test_no_bookmarks_unless_asked(k, cms):
    rv = k.get(cms, 200).json()["metadata"]["resourceVersion"]
    assert not [e for e in k.watch(cms, seconds=3, resourceVersion=rv, fieldSelector="metadata.name=none")]


def test_watch_of_metadata(k, cms):
    k.post(cms, k.cm("one", labels={"t": "1"}), 201)
    event = next(k.watch(cms, seconds=2, labelSelector="t=1", accept=PARTIAL))
    assert event["object"]["kind"] == "PartialObjectMetadata" and "data" not in event["object"]


def test_watch_of_tables(k, cms):
    rv = k.get(cms, 200).json()["metadata"]["resourceVersion"]
    for name in ("one", "two"):
        k.post(cms, k.cm(name, labels={"t": "1"}), 201)
    events = [e["object"] for _, e in zip(range(2), k.watch(cms, seconds=5, labelSelector="t=1", resourceVersion=rv, accept=k.TABLE))]
    assert [e["rows"][0]["cells"][0] for e in events] == ["one", "two"] and events[0]["kind"] == "Table"
    assert events[0]["columnDefinitions"] and not events[1].get("columnDefinitions")


def test_watch_sees_a_graceful_end_as_changes(k, ns):
    pods = f"/api/v1/namespaces/{ns}/pods"
    k.run_pod(ns, k.pod("p", "trap 'exit 0' TERM; sleep 600 & wait"), "Running")
    rv = k.get(pods + "/p", 200).json()["metadata"]["resourceVersion"]
    k.delete(pods + "/p", expect=200)
    events = list(k.watch(pods, resourceVersion=rv, fieldSelector="metadata.name=p", until=lambda e: e["type"] == "DELETED"))
    assert events[0]["type"] == "MODIFIED" and events[-1]["type"] == "DELETED"
    assert any(e["object"]["metadata"].get("deletionTimestamp") for e in events[:-1])


def test_watch_by_field_follows_the_phase(k, ns):
    pods = f"/api/v1/namespaces/{ns}/pods"
    rv = k.get(pods, 200).json()["metadata"]["resourceVersion"]
    k.create_pod(ns, k.pod("p", "sleep 1"))
    events = list(k.watch(pods, resourceVersion=rv, fieldSelector="status.phase=Running", until=lambda e: e["type"] == "DELETED"))
    assert events[0]["type"] == "ADDED" and events[-1]["type"] == "DELETED"
    assert events[-1]["object"]["status"]["phase"] == "Running"  # the last state that matched


def test_watch_in_a_missing_namespace_is_empty(k):
    assert list(k.watch(f"/api/v1/namespaces/{k.name('none')}/configmaps", seconds=1)) == []


def test_watch_across_namespaces_sees_a_new_one(k):
    rv = k.get("/api/v1/configmaps", 200).json()["metadata"]["resourceVersion"]
    name = k.new_namespace()
    k.post(f"/api/v1/namespaces/{name}/configmaps", k.cm("one"), 201)
    for event in k.watch("/api/v1/configmaps", resourceVersion=rv, fieldSelector=f"metadata.namespace={name},metadata.name=one"):
        assert event["type"] == "ADDED"
        break
    k.delete(f"/api/v1/namespaces/{name}", expect=200)


def test_yaml_watch_is_refused_or_framed_json(k, cms):
    r = k.get(cms, watch="1", timeoutSeconds="1", headers={"Accept": "application/json"})
    assert r.headers["content-type"].startswith("application/json") and r.headers.get("transfer-encoding") == "chunked"
