"""Deployments, StatefulSets, DaemonSets, Jobs on a node that pretends to run their Pods."""

import pytest


def template(labels, image="one", restart="Always", **spec):
    containers = [{"name": "c", "image": image}]
    return {"metadata": {"labels": labels}, "spec": {"containers": containers, "restartPolicy": restart, **spec}}


def workload(name, replicas=2, image="one", **spec):
    labels = {"app": name}
    body = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template(labels, image), **spec}
    return {"metadata": {"name": name}, "spec": body}


@pytest.fixture
def apps(ns):
    return f"/apis/apps/v1/namespaces/{ns}"


@pytest.fixture
def pods(ns):
    return f"/api/v1/namespaces/{ns}/pods"


def images(objects):
    return sorted(o["spec"]["containers"][0]["image"] for o in objects if "deletionTimestamp" not in o["metadata"])


def rolled_out(deployment):
    status, wanted = deployment["status"], deployment["spec"]["replicas"]
    counts = [status.get(k, 0) for k in ("replicas", "updatedReplicas", "availableReplicas")]
    return status.get("observedGeneration") == deployment["metadata"]["generation"] and counts == [wanted] * 3


def test_a_deployment_gets_its_pods_and_says_so(plane, ns, apps, pods):
    plane.post(f"{apps}/deployments", workload("d", 3))
    done = plane.until_one(f"{apps}/deployments/d", rolled_out)
    assert done["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    reasons = {c["type"]: (c["status"], c["reason"]) for c in done["status"]["conditions"]}
    assert reasons == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }
    assert len(plane.items(pods)) == 3
    name = plane.items(f"{apps}/replicasets")[0]["metadata"]["name"]
    words = plane.event(ns, "d", "ScalingReplicaSet")["message"]
    assert words == f"Scaled up replica set {name} from 0 to 3"


def test_a_rolling_update_replaces_all_pods_and_keeps_the_old_revision(plane, apps, pods):
    plane.post(f"{apps}/deployments", workload("d", 3))
    plane.until_one(f"{apps}/deployments/d", rolled_out)
    plane.patch(f"{apps}/deployments/d", {"spec": {"template": template({"app": "d"}, "two")}})
    done = plane.until_one(f"{apps}/deployments/d", rolled_out)
    assert done["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
    assert plane.until(pods, lambda ps: images(ps) == ["two"] * 3 and len(ps) == 3)
    sizes = {s["spec"]["template"]["spec"]["containers"][0]["image"]: s["spec"]["replicas"] for s in sets(plane, apps)}
    assert sizes == {"one": 0, "two": 3}
    plane.patch(f"{apps}/deployments/d", {"spec": {"template": template({"app": "d"}, "one")}})
    done = plane.until_one(f"{apps}/deployments/d", rolled_out)
    assert done["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
    assert len(sets(plane, apps)) == 2  # the first revision's set is used again


def sets(plane, apps):
    return plane.items(f"{apps}/replicasets")


def settled(plane, apps, name="other"):
    """Wait until the controllers have dealt with something that came later."""
    plane.post(f"{apps}/deployments", workload(name, 1))
    plane.until_one(f"{apps}/deployments/{name}", rolled_out)
    plane.post(f"{apps}/statefulsets", workload(name, 1))
    plane.until_one(f"{apps}/statefulsets/{name}", lambda s: s["status"].get("readyReplicas") == 1)


def test_recreate_starts_nothing_new_before_the_last_old_pod_is_gone(plane, apps, pods):
    body = workload("d", 1, strategy={"type": "Recreate"})
    body["spec"]["template"]["metadata"]["finalizers"] = ["example.com/hold"]
    plane.post(f"{apps}/deployments", body)
    plane.until_one(f"{apps}/deployments/d", rolled_out)
    plane.patch(f"{apps}/deployments/d", {"spec": {"template": template({"app": "d"}, "two")}})
    leaving = plane.until(
        pods, lambda ps: next((p for p in ps if p["metadata"].get("deletionTimestamp")), None), labelSelector="app=d"
    )
    settled(plane, apps)
    assert [p["metadata"]["name"] for p in plane.items(pods, labelSelector="app=d")] == [leaving["metadata"]["name"]]
    plane.patch(f"{pods}/{leaving['metadata']['name']}", {"metadata": {"finalizers": None}})
    plane.until(pods, lambda ps: images(ps) == ["two"], labelSelector="app=d")
    new = plane.items(pods, labelSelector="app=d")[0]["metadata"]
    plane.patch(f"{pods}/{new['name']}", {"metadata": {"finalizers": None}})


def test_a_rollout_that_makes_no_progress_is_given_up_but_goes_on_when_it_can(plane, apps, pods):
    body = workload("d", 1, progressDeadlineSeconds=1)
    body["spec"]["template"]["metadata"] = {"labels": {"app": "d", "pretend": "Pending"}}
    plane.post(f"{apps}/deployments", body)

    def given_up(deployment):
        conditions = {c["type"]: (c["status"], c["reason"]) for c in deployment["status"].get("conditions", [])}
        return conditions.get("Progressing") == ("False", "ProgressDeadlineExceeded")

    plane.until_one(f"{apps}/deployments/d", given_up)
    plane.patch(f"{apps}/deployments/d", {"spec": {"template": {"metadata": {"labels": {"pretend": "Running"}}}}})
    done = plane.until_one(f"{apps}/deployments/d", rolled_out)
    assert not given_up(done)


def test_a_forgotten_event_is_written_again(plane, ns, pods):
    spec = template({}, nodeSelector={"event": ns})["spec"]
    plane.post(pods, {"metadata": {"name": "p"}, "spec": spec})
    event = plane.event(ns, "p", "FailedScheduling")
    plane.delete(f"/api/v1/namespaces/{ns}/events/{event['metadata']['name']}")
    plane.patch("/api/v1/nodes/live", {"metadata": {"labels": {"other": ns}}})
    again = plane.event(ns, "p", "FailedScheduling")
    assert again["message"] == event["message"] and again["series"]["count"] == 2


def test_scaling_down_and_deleting_takes_the_pods_away(plane, apps, pods):
    plane.post(f"{apps}/deployments", workload("d", 3))
    plane.until_one(f"{apps}/deployments/d", rolled_out)
    plane.patch(f"{apps}/deployments/d", {"spec": {"replicas": 1}})
    plane.until_one(f"{apps}/deployments/d", rolled_out)
    plane.until(pods, lambda ps: len(ps) == 1)
    plane.delete(f"{apps}/deployments/d")
    plane.until(pods, lambda ps: not ps)
    assert not sets(plane, apps)


def test_a_deleted_pod_is_replaced(plane, apps, pods):
    plane.post(f"{apps}/deployments", workload("d", 1))
    plane.until_one(f"{apps}/deployments/d", rolled_out)
    name = plane.items(pods)[0]["metadata"]["name"]
    plane.delete(f"{pods}/{name}")
    plane.until(pods, lambda ps: [p["metadata"]["name"] for p in ps] != [name] and len(ps) == 1)


def test_a_stateful_set_starts_in_order_with_claims_of_its_own(plane, ns, apps, pods):
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "late",
            "resources": {"requests": {"storage": "1"}},
        },
    }
    body = workload("s", 2, serviceName="s")
    plane.post(f"{apps}/statefulsets", body)
    done = plane.until_one(f"{apps}/statefulsets/s", lambda s: s["status"].get("readyReplicas") == 2)
    first, second = sorted(plane.items(pods), key=lambda p: p["metadata"]["name"])
    assert [p["metadata"]["name"] for p in (first, second)] == ["s-0", "s-1"]
    assert first["spec"]["hostname"] == "s-0" and first["spec"]["subdomain"] == "s"
    assert int(first["metadata"]["resourceVersion"]) < int(second["metadata"]["resourceVersion"])
    assert done["status"]["currentRevision"] == done["status"]["updateRevision"]
    plane.post(f"{apps}/statefulsets", {**workload("c", 1, volumeClaimTemplates=[claim]), "metadata": {"name": "c"}})
    path = f"/api/v1/namespaces/{ns}/persistentvolumeclaims/data-c-0"
    assert plane.until_one(path, bool)["metadata"]["labels"] == {"app": "c"}
    pod = plane.until_one(f"{pods}/c-0", bool)
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "data-c-0"}} in pod["spec"]["volumes"]


def test_a_stateful_set_waits_for_each_pod(plane, apps, pods):
    body = workload("s", 2)
    body["spec"]["template"]["metadata"] = {"labels": {"app": "s", "pretend": "Pending"}}
    plane.post(f"{apps}/statefulsets", body)
    plane.until_one(f"{pods}/s-0", lambda p: p["status"].get("podIP"))
    settled(plane, apps)
    assert not plane.exists(f"{pods}/s-1")


def test_a_stateful_set_is_updated_from_its_end(plane, apps, pods):
    plane.post(f"{apps}/statefulsets", workload("s", 2))
    plane.until_one(f"{apps}/statefulsets/s", lambda s: s["status"].get("readyReplicas") == 2)
    change = {
        "spec": {"template": template({"app": "s"}, "two"), "updateStrategy": {"rollingUpdate": {"partition": 1}}}
    }
    plane.patch(f"{apps}/statefulsets/s", change)
    plane.until_one(f"{pods}/s-1", lambda p: images([p]) == ["two"])
    plane.until_one(f"{apps}/statefulsets/s", lambda s: s["status"].get("updatedReplicas") == 1)
    assert images([plane.get(f"{pods}/s-0")]) == ["one"]
    plane.patch(f"{apps}/statefulsets/s", {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}})
    done = plane.until_one(
        f"{apps}/statefulsets/s",
        lambda s: s["status"].get("currentReplicas") == 2 == s["status"].get("updatedReplicas"),
    )
    assert done["status"]["currentRevision"] == done["status"]["updateRevision"]
    assert images(plane.items(pods)) == ["two", "two"]


def daemons_ready(generation):
    def check(d):
        s = d["status"]
        return s.get("observedGeneration") == generation and s.get("updatedNumberScheduled") == 1 == s.get(
            "numberAvailable"
        )

    return check


def test_a_daemon_set_runs_on_the_live_node_and_rolls(plane, ns, apps, pods):
    body = workload("ds")
    del body["spec"]["replicas"]
    plane.post(f"{apps}/daemonsets", body)
    plane.until_one(f"{apps}/daemonsets/ds", daemons_ready(1))
    pod = plane.items(pods)[0]
    assert pod["spec"]["nodeName"] == "live"
    effects = {t["key"].removeprefix("node.kubernetes.io/"): t["effect"] for t in pod["spec"]["tolerations"]}
    assert effects["unschedulable"] == "NoSchedule" and effects["not-ready"] == "NoExecute"
    assert plane.event(ns, "ds", "SuccessfulCreate")["message"] == f"Created pod: {pod['metadata']['name']}"
    plane.patch(f"{apps}/daemonsets/ds", {"spec": {"template": template({"app": "ds"}, "two")}})
    plane.until_one(f"{apps}/daemonsets/ds", daemons_ready(2))
    assert images(plane.items(pods)) == ["two"]
    assert [r["revision"] for r in sorted(plane.items(f"{apps}/controllerrevisions"), key=lambda r: r["revision"])] == [
        1,
        2,
    ]


def test_a_daemon_set_that_wants_no_node_has_no_pods(plane, apps, pods):
    body = workload("ds")
    body["spec"]["template"]["spec"]["nodeSelector"] = {"no": "where"}
    plane.post(f"{apps}/daemonsets", body)
    plane.until_one(f"{apps}/daemonsets/ds", lambda d: d["status"].get("observedGeneration") == 1)
    assert not plane.items(pods)


def job(name, outcome, **spec):
    return {
        "metadata": {"name": name},
        "spec": {"template": template({"pretend": outcome}, restart="Never"), **spec},
    }


def ended(kind):
    return lambda j: any(c["type"] == kind and c["status"] == "True" for c in j["status"].get("conditions", []))


def test_a_job_runs_to_its_end(plane, ns):
    jobs = f"/apis/batch/v1/namespaces/{ns}/jobs"
    plane.post(jobs, job("j", "Succeeded", completions=3, parallelism=2))
    done = plane.until_one(f"{jobs}/j", ended("Complete"))
    assert done["status"]["succeeded"] == 3 and done["status"]["completionTime"]
    assert plane.event(ns, "j", "Completed")["message"] == "Job completed"


def test_a_job_gives_up_at_its_limit(plane, ns):
    jobs = f"/apis/batch/v1/namespaces/{ns}/jobs"
    plane.post(jobs, job("j", "Failed", backoffLimit=0))
    done = plane.until_one(f"{jobs}/j", ended("Failed"))
    condition = next(c for c in done["status"]["conditions"] if c["type"] == "Failed")
    assert condition["reason"] == "BackoffLimitExceeded"
    assert condition["message"] == "Job has reached the specified backoff limit"


def test_a_finished_job_goes_after_its_time_to_live(plane, ns):
    jobs = f"/apis/batch/v1/namespaces/{ns}/jobs"
    plane.post(jobs, job("j", "Succeeded", ttlSecondsAfterFinished=1))
    plane.until_one(f"{jobs}/j", bool)
    plane.until_gone(f"{jobs}/j")


def test_a_suspended_job_has_no_pods_until_it_is_resumed(plane, ns, pods):
    jobs = f"/apis/batch/v1/namespaces/{ns}/jobs"
    plane.post(jobs, job("j", "Succeeded", suspend=True))
    waiting = plane.until_one(f"{jobs}/j", ended("Suspended"))
    assert "startTime" not in waiting["status"] and not plane.items(pods)
    plane.patch(f"{jobs}/j", {"spec": {"suspend": False}})
    done = plane.until_one(f"{jobs}/j", ended("Complete"))
    assert done["status"]["startTime"] and not ended("Suspended")(done)


def test_an_indexed_job_runs_each_index_once(plane, ns, pods):
    jobs = f"/apis/batch/v1/namespaces/{ns}/jobs"
    plane.post(jobs, job("j", "Succeeded", completions=3, parallelism=3, completionMode="Indexed"))
    plane.until_one(f"{jobs}/j", ended("Complete"))
    indexes = [p["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] for p in plane.items(pods)]
    assert sorted(indexes) == ["0", "1", "2"]


def test_an_ephemeral_volume_gets_a_claim_that_goes_with_its_pod(plane, ns, pods):
    claim = {"accessModes": ["ReadWriteOnce"], "storageClassName": "none", "resources": {"requests": {"storage": "1"}}}
    volume = {"name": "v", "ephemeral": {"volumeClaimTemplate": {"metadata": {"labels": {"a": "b"}}, "spec": claim}}}
    plane.post(pods, {"metadata": {"name": "p"}, "spec": {**template({})["spec"], "volumes": [volume]}})
    path = f"/api/v1/namespaces/{ns}/persistentvolumeclaims/p-v"
    made = plane.until_one(path, bool)
    assert made["metadata"]["labels"] == {"a": "b"} and made["metadata"]["ownerReferences"][0]["kind"] == "Pod"
    plane.delete(f"{pods}/p")
    plane.until_gone(path)


def test_a_service_has_the_addresses_of_its_ready_pods(plane, ns, apps):
    plane.post(
        f"/api/v1/namespaces/{ns}/services",
        {"metadata": {"name": "web"}, "spec": {"selector": {"app": "d"}, "ports": [{"port": 80, "targetPort": 8080}]}},
    )
    plane.post(f"{apps}/deployments", workload("d", 1))
    slices = f"/apis/discovery.k8s.io/v1/namespaces/{ns}/endpointslices"
    found = plane.until(
        slices,
        lambda ss: next((s for s in ss if s.get("endpoints") and s["endpoints"][0]["conditions"]["ready"]), None),
    )
    assert found["endpoints"][0]["addresses"] == ["127.9.9.9"] and found["ports"][0]["port"] == 8080
    assert found["metadata"]["labels"]["kubernetes.io/service-name"] == "web"
    plain = plane.until_one(f"/api/v1/namespaces/{ns}/endpoints/web", lambda e: e.get("subsets"))
    assert plain["subsets"][0]["addresses"][0]["ip"] == "127.9.9.9"


def test_a_pod_that_fits_nowhere_says_so_and_is_placed_when_it_fits(plane, ns, pods):
    spec = template({}, nodeSelector={"disk": ns})["spec"]
    plane.post(pods, {"metadata": {"name": "p"}, "spec": spec})
    event = plane.event(ns, "p", "FailedScheduling")
    assert event["message"] == (
        "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. no new claims to deallocate, "
        "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
    )
    assert (event["type"], event["reportingComponent"], event["source"]) == ("Warning", "default-scheduler", {})
    condition = plane.get(f"{pods}/p")["status"]["conditions"][0]
    assert (condition["type"], condition["status"], condition["reason"]) == ("PodScheduled", "False", "Unschedulable")
    plane.patch("/api/v1/nodes/live", {"metadata": {"labels": {"disk": ns}}})
    plane.until_one(f"{pods}/p", lambda p: p["spec"].get("nodeName") == "live")
    assert plane.event(ns, "p", "Scheduled")["message"] == f"Successfully assigned {ns}/p to live"


def test_a_pod_waits_for_its_claim(plane, ns, pods):
    spec = {**template({})["spec"], "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]}
    plane.post(pods, {"metadata": {"name": "p"}, "spec": spec})
    words = plane.event(ns, "p", "FailedScheduling")["message"]
    assert words == '0/1 nodes are available: persistentvolumeclaim "c" not found. not found'
