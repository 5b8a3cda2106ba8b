"""Controllers in detail: deployments, stateful sets, jobs, daemon sets; and what every cluster has from the start."""
import pytest

pytestmark = pytest.mark.pods


def apps(ns, kind):
    return f"/apis/apps/v1/namespaces/{ns}/{kind}"


def workload(k, kind, name, script="sleep 600", replicas=1, spec=None, **pod_spec):
    body = k.daemonset(name, script, node_selector={}, **pod_spec)
    body["kind"] = kind
    body["spec"] |= {"replicas": replicas, **(spec or {})}
    return body


def pods_of(k, ns, label):
    items = k.get(f"/api/v1/namespaces/{ns}/pods", 200, labelSelector=f"app={label}").json()["items"]
    return [p for p in items if not p["metadata"].get("deletionTimestamp")]


def until(k, path, check, timeout=45):
    def attempt():
        obj = k.get(path, 200).json()
        return obj if check(obj) else None
    return k.wait(attempt, timeout, path)


def conditions(obj):
    return {c["type"]: (c["status"], c.get("reason")) for c in obj["status"].get("conditions", [])}


def test_deployment_status_and_its_replica_set(k, ns):
    path = apps(ns, "deployments")
    k.post(path, workload(k, "Deployment", "d", replicas=2), 201)
    d = until(k, path + "/d", lambda d: d["status"].get("availableReplicas") == 2)
    until(k, path + "/d", lambda d: conditions(d).get("Progressing") == ("True", "NewReplicaSetAvailable"))
    assert conditions(d)["Available"] == ("True", "MinimumReplicasAvailable")
    status = k.get(path + "/d", 200).json()["status"]
    assert (status["replicas"], status["readyReplicas"], status["updatedReplicas"], status["observedGeneration"]) == (2, 2, 2, 1)
    assert d["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    rs = k.get(apps(ns, "replicasets"), 200).json()["items"][0]
    digest = rs["metadata"]["labels"]["pod-template-hash"]
    assert rs["metadata"]["name"] == f"d-{digest}" and rs["metadata"]["ownerReferences"][0]["controller"] is True
    assert all(p["metadata"]["name"].startswith(f"d-{digest}-") and p["metadata"]["labels"]["pod-template-hash"] == digest for p in pods_of(k, ns, "d"))


def test_deployment_that_cannot_progress(k, ns):
    path = apps(ns, "deployments")
    body = workload(k, "Deployment", "d", spec={"progressDeadlineSeconds": 2}, container={"image": "registry.invalid/x:1"})
    k.post(path, body, 201)
    d = until(k, path + "/d", lambda d: conditions(d).get("Progressing") == ("False", "ProgressDeadlineExceeded"))
    assert conditions(d)["Available"] == ("False", "MinimumReplicasUnavailable") and d["status"]["unavailableReplicas"] == 1


def test_deployment_recreate_and_replaced_pods(k, ns):
    path = apps(ns, "deployments")
    k.post(path, workload(k, "Deployment", "d", spec={"strategy": {"type": "Recreate"}}), 201)
    until(k, path + "/d", lambda d: d["status"].get("availableReplicas") == 1)
    old = pods_of(k, ns, "d")[0]["metadata"]
    k.delete(f"/api/v1/namespaces/{ns}/pods/{old['name']}", expect=200)
    k.wait(lambda: [p for p in pods_of(k, ns, "d") if p["metadata"]["uid"] != old["uid"]], 30, "another pod")
    k.kubectl("set", "env", "deployment/d", "A=1", ns=ns)
    k.kubectl("rollout", "status", "deployment/d", "--timeout=60s", ns=ns)
    assert len(k.get(apps(ns, "replicasets"), 200).json()["items"]) == 2


def test_stateful_set_names_order_and_claims(k, ns):
    path = apps(ns, "statefulsets")
    claim = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "", "resources": {"requests": {"storage": "1Mi"}}}}
    k.post(path, workload(k, "StatefulSet", "s", replicas=2, spec={"serviceName": "s", "volumeClaimTemplates": [claim]}), 201)
    first = k.wait(lambda: pods_of(k, ns, "s"), 30, "the first pod")
    assert [p["metadata"]["name"] for p in first] == ["s-0"]  # waits for its claim, so there is no s-1
    labels = first[0]["metadata"]["labels"]
    assert labels["statefulset.kubernetes.io/pod-name"] == "s-0" and labels["apps.kubernetes.io/pod-index"] == "0"
    assert k.get(f"/api/v1/namespaces/{ns}/persistentvolumeclaims/data-s-0", 200).json()["spec"]["storageClassName"] == ""


def test_stateful_set_scales_in_order(k, ns):
    path = apps(ns, "statefulsets")
    k.post(path, workload(k, "StatefulSet", "s", replicas=2, spec={"serviceName": "s"}), 201)
    until(k, path + "/s", lambda s: s["status"].get("readyReplicas") == 2)
    zero = k.get_pod(ns, "s-0")["metadata"]["uid"]
    k.patch("merge", path + "/s", {"spec": {"replicas": 1}}, 200)
    k.wait_gone(f"/api/v1/namespaces/{ns}/pods/s-1", 30)
    assert k.get_pod(ns, "s-0")["metadata"]["uid"] == zero
    k.delete(f"/api/v1/namespaces/{ns}/pods/s-0", expect=200)
    k.wait(lambda: (r := k.get(f"/api/v1/namespaces/{ns}/pods/s-0")).status_code == 200 and r.json()["metadata"]["uid"] != zero, 30, "a new s-0")


def test_replica_set_adopts_and_releases(k, ns):
    k.create_pod(ns, k.pod("lonely", labels={"app": "r"}))
    k.post(apps(ns, "replicasets"), workload(k, "ReplicaSet", "r"), 201)
    k.wait_pod(ns, "lonely", lambda p: p["metadata"].get("ownerReferences"), 20)
    assert len(pods_of(k, ns, "r")) == 1
    k.patch("merge", f"/api/v1/namespaces/{ns}/pods/lonely", {"metadata": {"labels": {"app": "free"}}}, 200)
    k.wait_pod(ns, "lonely", lambda p: not p["metadata"].get("ownerReferences"), 20)
    k.wait(lambda: pods_of(k, ns, "r"), 20, "a replacement")


def test_daemon_set_status(k, ns):
    path = apps(ns, "daemonsets")
    k.post(path, k.daemonset("d", node_selector={"kubernetes.io/hostname": k.node()}), 201)
    status = until(k, path + "/d", lambda d: d["status"].get("numberAvailable") == 1)["status"]
    assert (status["desiredNumberScheduled"], status["currentNumberScheduled"], status["numberReady"], status["numberMisscheduled"]) == (1, 1, 1, 0)
    pod = pods_of(k, ns, "d")[0]
    assert {"controller-revision-hash", "pod-template-generation"} <= set(pod["metadata"]["labels"])
    keys = {t["key"] for t in pod["spec"]["tolerations"]}
    assert {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable", "node.kubernetes.io/unschedulable", "node.kubernetes.io/disk-pressure"} <= keys
    k.patch("merge", path + "/d", {"spec": {"template": {"spec": {"nodeSelector": {"contract": "nowhere"}}}}}, 200)
    k.wait(lambda: not pods_of(k, ns, "d"), 30, "its pod to go")


def job(k, name, script, **spec):
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": {"spec": k.pod("x", script)["spec"]}, **spec}}


def test_indexed_job(k, ns):
    path = f"/apis/batch/v1/namespaces/{ns}/jobs"
    k.post(path, job(k, "j", "echo index $JOB_COMPLETION_INDEX", completions=2, parallelism=2, completionMode="Indexed"), 201)
    status = until(k, path + "/j", lambda j: conditions(j).get("Complete", ("",))[0] == "True")["status"]
    assert status["completedIndexes"] == "0,1" and status["succeeded"] == 2
    pods = k.get(f"/api/v1/namespaces/{ns}/pods", 200, labelSelector="job-name=j").json()["items"]
    assert {p["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] for p in pods} == {"0", "1"}
    assert sorted(k.logs(ns, p["metadata"]["name"]) for p in pods) == ["index 0\n", "index 1\n"]


def test_job_deadline_and_suspension(k, ns):
    path = f"/apis/batch/v1/namespaces/{ns}/jobs"
    k.post(path, job(k, "late", "sleep 600", activeDeadlineSeconds=1), 201)
    until(k, path + "/late", lambda j: conditions(j).get("Failed") == ("True", "DeadlineExceeded"))
    k.post(path, job(k, "asleep", "true", suspend=True), 201)
    until(k, path + "/asleep", lambda j: conditions(j).get("Suspended", ("",))[0] == "True")
    assert not k.get(f"/api/v1/namespaces/{ns}/pods", 200, labelSelector="job-name=asleep").json()["items"]
    k.patch("merge", path + "/asleep", {"spec": {"suspend": False}}, 200)
    until(k, path + "/asleep", lambda j: conditions(j).get("Complete", ("",))[0] == "True")


def test_job_template_is_immutable(k, ns):
    path = f"/apis/batch/v1/namespaces/{ns}/jobs"
    k.post(path, job(k, "j", "sleep 600"), 201)
    body = k.patch("merge", path + "/j", {"spec": {"template": {"spec": {"restartPolicy": "OnFailure"}}}}, 422).json()
    assert "field is immutable" in body["message"]
    bad = job(k, "k", "true")
    bad["spec"]["template"]["spec"]["restartPolicy"] = "Always"
    assert 'restartPolicy: Required value: valid values: "OnFailure", "Never"' in k.post(path, bad, 422).json()["message"]
    bad["spec"]["template"]["spec"]["restartPolicy"] = "Sometimes"
    assert 'Unsupported value: "Sometimes"' in k.post(path, bad, 422).json()["message"]


def test_job_from_a_cron_job(k, ns):
    k.kubectl("create", "cronjob", "c", "--image=" + k.image, "--schedule=0 0 1 1 *", "--", "true", ns=ns)
    assert k.kubectl("create", "job", "now", "--from=cronjob/c", ns=ns).stdout == "job.batch/now created\n"
    k.kubectl("wait", "--for=condition=complete", "job/now", "--timeout=40s", ns=ns)
    made = k.get(f"/apis/batch/v1/namespaces/{ns}/jobs/now", 200).json()["metadata"]
    assert made["annotations"]["cronjob.kubernetes.io/instantiate"] == "manual" and made["ownerReferences"][0]["kind"] == "CronJob"


def test_workloads_are_checked(k, ns):
    body = workload(k, "Deployment", "d")
    body["spec"]["selector"]["matchLabels"] = {"other": "label"}
    r = k.post(apps(ns, "deployments"), body, 422).json()
    assert "`selector` does not match template `labels`" in r["message"] and r["details"]["group"] == "apps"
    body = workload(k, "Deployment", "d")
    body["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    assert 'Unsupported value: "Never": supported values: "Always"' in k.post(apps(ns, "deployments"), body, 422).json()["message"]
    body = workload(k, "Deployment", "d", replicas=-1)
    assert "must be greater than or equal to 0" in k.post(apps(ns, "deployments"), body, 422).json()["message"]


@pytest.mark.api
def test_what_every_cluster_has(k):
    for path in ("/api/v1/namespaces/default/services/kubernetes", "/api/v1/namespaces/kube-system", "/api/v1/namespaces/kube-public",
                 "/api/v1/namespaces/kube-node-lease", "/apis/scheduling.k8s.io/v1/priorityclasses/system-node-critical",
                 "/apis/scheduling.k8s.io/v1/priorityclasses/system-cluster-critical", "/apis/rbac.authorization.k8s.io/v1/clusterroles/cluster-admin",
                 "/apis/rbac.authorization.k8s.io/v1/clusterroles/view", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/cluster-admin"):
        k.get(path, 200)
    lease = k.get(f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{k.node()}", 200).json()
    assert lease["spec"]["holderIdentity"] == k.node() and lease["spec"]["renewTime"]
