"""Controllers: Deployments, StatefulSets, DaemonSets, Jobs, Services, budgets, and the scheduler's words."""

import pytest

pytestmark = pytest.mark.pods

FAST = "trap 'exit 0' TERM; sleep 600 & wait"


def workload(k, kind, name, script=FAST, version="apps/v1", **spec):
    pod = k.pod("x", script)["spec"]
    pod["restartPolicy"] = "Always"
    template = {"metadata": {"labels": {"app": name}}, "spec": pod}
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name},
            "spec": {"selector": {"matchLabels": {"app": name}}, "template": template, **spec}}


def pods_of(k, ns, app):
    return k.get(f"/api/v1/namespaces/{ns}/pods", 200, labelSelector=f"app={app}").json()["items"]


def test_deployment_rolls_out_and_back(k, ns):
    k.kubectl("create", "-f", "-", ns=ns, stdin=workload(k, "Deployment", "d", replicas=2))
    out = k.kubectl("rollout", "status", "deploy/d", "--timeout=60s", ns=ns).stdout
    assert 'deployment "d" successfully rolled out' in out
    path = f"/apis/apps/v1/namespaces/{ns}/deployments/d"
    body = k.get(path, 200).json()
    assert body["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    conditions = {c["type"]: c["reason"] for c in body["status"]["conditions"]}
    assert conditions == {"Available": "MinimumReplicasAvailable", "Progressing": "NewReplicaSetAvailable"}
    k.kubectl("set", "env", "deploy/d", "A=1", ns=ns)
    k.kubectl("rollout", "status", "deploy/d", "--timeout=60s", ns=ns)
    sets = k.get(f"/apis/apps/v1/namespaces/{ns}/replicasets", 200).json()["items"]
    assert sorted(s["spec"]["replicas"] for s in sets) == [0, 2]
    for s in sets:
        assert s["metadata"]["name"] == "d-" + s["metadata"]["labels"]["pod-template-hash"]
    k.kubectl("rollout", "undo", "deploy/d", ns=ns)
    k.kubectl("rollout", "status", "deploy/d", "--timeout=60s", ns=ns)
    body = k.get(path, 200).json()
    assert body["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
    assert "env" not in body["spec"]["template"]["spec"]["containers"][0]
    assert len(k.get(f"/apis/apps/v1/namespaces/{ns}/replicasets", 200).json()["items"]) == 2
    assert k.wait_event(ns, "d", "ScalingReplicaSet")["source"]["component"] == "deployment-controller"


def test_deployment_deletion_takes_its_pods(k, ns):
    k.kubectl("create", "-f", "-", ns=ns, stdin=workload(k, "Deployment", "d", replicas=2))
    k.kubectl("rollout", "status", "deploy/d", "--timeout=60s", ns=ns)
    pod = pods_of(k, ns, "d")[0]
    assert pod["metadata"]["ownerReferences"][0]["kind"] == "ReplicaSet" and pod["metadata"]["generateName"]
    k.kubectl("delete", "deploy", "d", ns=ns)
    k.wait(lambda: not pods_of(k, ns, "d"), 30, "pods to be gone")


def test_orphaned_replicaset_survives_and_is_adopted_again(k, ns):
    body = workload(k, "Deployment", "d", replicas=1)
    k.kubectl("create", "-f", "-", ns=ns, stdin=body)
    k.kubectl("rollout", "status", "deploy/d", "--timeout=60s", ns=ns)
    name = pods_of(k, ns, "d")[0]["metadata"]["name"]
    k.kubectl("delete", "deploy", "d", "--cascade=orphan", ns=ns)
    sets = k.get(f"/apis/apps/v1/namespaces/{ns}/replicasets", 200).json()["items"]
    assert len(sets) == 1 and "ownerReferences" not in sets[0]["metadata"]
    k.kubectl("create", "-f", "-", ns=ns, stdin=body)
    k.kubectl("rollout", "status", "deploy/d", "--timeout=60s", ns=ns)
    assert [p["metadata"]["name"] for p in pods_of(k, ns, "d")] == [name]


def test_deleted_pod_of_a_replicaset_is_replaced(k, ns):
    k.kubectl("create", "-f", "-", ns=ns, stdin=workload(k, "ReplicaSet", "r", replicas=1))
    first = k.wait(lambda: pods_of(k, ns, "r"), 15, "a pod")[0]["metadata"]["name"]
    assert first.startswith("r-")
    k.kubectl("delete", "pod", first, ns=ns)
    k.wait(lambda: [p for p in pods_of(k, ns, "r") if p["metadata"]["name"] != first], 30, "another pod")
    assert k.wait_event(ns, "r", "SuccessfulCreate")["message"].startswith("Created pod: r-")


def test_statefulset_starts_in_order(k, ns):
    k.kubectl("create", "-f", "-", ns=ns, stdin=workload(k, "StatefulSet", "s", serviceName="s", replicas=2))
    k.kubectl("rollout", "status", "sts/s", "--timeout=90s", ns=ns)
    first, second = (k.get_pod(ns, f"s-{n}") for n in (0, 1))
    ready = next(c for c in first["status"]["conditions"] if c["type"] == "Ready")
    assert ready["lastTransitionTime"] <= second["metadata"]["creationTimestamp"]
    assert second["spec"]["hostname"] == "s-1" and second["spec"]["subdomain"] == "s"
    assert second["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] == "s-1"
    k.kubectl("scale", "sts/s", "--replicas=1", ns=ns)
    k.wait_gone(f"/api/v1/namespaces/{ns}/pods/s-1", 30)
    assert k.get_pod(ns, "s-0")["metadata"]["uid"] == first["metadata"]["uid"]


@pytest.mark.storage
def test_statefulset_makes_its_claims(k, ns):
    claim = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": k.name("none"),
             "resources": {"requests": {"storage": "1Mi"}}}}
    body = workload(k, "StatefulSet", "s", serviceName="s", replicas=1, volumeClaimTemplates=[claim])
    body["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    k.kubectl("create", "-f", "-", ns=ns, stdin=body)
    k.wait_event(ns, "s-0", "FailedScheduling")  # the claim has no volume
    assert k.get(f"/api/v1/namespaces/{ns}/persistentvolumeclaims/data-s-0", 200).json()["metadata"]["labels"] == {"app": "s"}
    volumes = k.get_pod(ns, "s-0")["spec"]["volumes"]
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "data-s-0"}} in volumes
    k.kubectl("delete", "sts", "s", ns=ns)
    assert k.get(f"/api/v1/namespaces/{ns}/persistentvolumeclaims/data-s-0").status_code == 200  # claims are kept


def test_daemonset_runs_on_the_node_and_rolls(k, ns):
    node = k.node()
    body = k.daemonset("d", FAST, node_selector={"kubernetes.io/hostname": k.get(f"/api/v1/nodes/{node}").json()["metadata"]["labels"]["kubernetes.io/hostname"]})
    k.kubectl("create", "-f", "-", ns=ns, stdin=body)
    k.kubectl("rollout", "status", "ds/d", "--timeout=60s", ns=ns)
    pod = pods_of(k, ns, "d")[0]
    assert pod["spec"]["nodeName"] == node and pod["metadata"]["labels"]["controller-revision-hash"]
    keys = {t["key"] for t in pod["spec"]["tolerations"]}
    assert {"node.kubernetes.io/not-ready", "node.kubernetes.io/unschedulable"} <= keys
    status = k.get(f"/apis/apps/v1/namespaces/{ns}/daemonsets/d", 200).json()["status"]
    assert (status["desiredNumberScheduled"], status["numberReady"], status["numberMisscheduled"]) == (1, 1, 0)
    k.kubectl("set", "env", "ds/d", "A=1", ns=ns)
    k.kubectl("rollout", "status", "ds/d", "--timeout=60s", ns=ns)
    assert pods_of(k, ns, "d")[0]["metadata"]["uid"] != pod["metadata"]["uid"]
    history = k.kubectl("rollout", "history", "ds/d", ns=ns).stdout.split()
    assert history[-4::2] == ["1", "2"]


def job(k, name, script, **spec):
    template = {"spec": k.pod("x", script)["spec"]}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": template, **spec}}


def test_job_completes(k, ns):
    made = k.post(f"/apis/batch/v1/namespaces/{ns}/jobs", job(k, "j", "echo done", completions=2), 201).json()
    uid = made["metadata"]["uid"]
    assert made["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    k.kubectl("wait", "--for=condition=complete", "job/j", "--timeout=60s", ns=ns)
    status = k.get(f"/apis/batch/v1/namespaces/{ns}/jobs/j", 200).json()["status"]
    assert status["succeeded"] == 2 and status["completionTime"] and "active" not in status
    pods = k.get(f"/api/v1/namespaces/{ns}/pods", 200, labelSelector="batch.kubernetes.io/job-name=j").json()["items"]
    assert len(pods) == 2 and all(p["status"]["phase"] == "Succeeded" for p in pods)
    assert k.kubectl("logs", "job/j", ns=ns).stdout == "done\n"
    assert k.wait_event(ns, "j", "Completed")["message"] == "Job completed"


def test_job_fails_at_its_backoff_limit(k, ns):
    k.post(f"/apis/batch/v1/namespaces/{ns}/jobs", job(k, "j", "exit 3", backoffLimit=0), 201)
    k.kubectl("wait", "--for=condition=failed", "job/j", "--timeout=60s", ns=ns)
    status = k.get(f"/apis/batch/v1/namespaces/{ns}/jobs/j", 200).json()["status"]
    failed = next(c for c in status["conditions"] if c["type"] == "Failed")
    assert (failed["reason"], failed["message"]) == ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
    assert status["failed"] == 1


def test_finished_job_goes_after_its_ttl(k, ns):
    k.post(f"/apis/batch/v1/namespaces/{ns}/jobs", job(k, "j", "true", ttlSecondsAfterFinished=1), 201)
    k.wait_gone(f"/apis/batch/v1/namespaces/{ns}/jobs/j", 60)
    k.wait(lambda: not k.get(f"/api/v1/namespaces/{ns}/pods", 200).json()["items"], 30, "its pods to be gone")


def test_service_has_endpoints(k, ns):
    service = {"metadata": {"name": "web"}, "spec": {"selector": {"app": "r"}, "ports": [{"port": 80, "targetPort": 8080}]}}
    k.post(f"/api/v1/namespaces/{ns}/services", service, 201)
    k.kubectl("create", "-f", "-", ns=ns, stdin=workload(k, "ReplicaSet", "r", replicas=1))
    path = f"/apis/discovery.k8s.io/v1/namespaces/{ns}/endpointslices"

    def ready():
        for s in k.get(path, 200, labelSelector="kubernetes.io/service-name=web").json()["items"]:
            return [e for e in s.get("endpoints") or [] if e["conditions"]["ready"]] and s
    found = k.wait(ready, 45, "a ready endpoint")
    pod = pods_of(k, ns, "r")[0]
    assert found["endpoints"][0]["addresses"] == [pod["status"]["podIP"]]
    assert found["endpoints"][0]["targetRef"]["name"] == pod["metadata"]["name"]
    assert found["ports"] == [{"name": "", "port": 8080, "protocol": "TCP"}]


def test_unschedulable_pod_says_why_and_is_retried(k, ns):
    label = k.name("disk")
    k.create_pod(ns, k.pod("p", nodeSelector={label: "yes"}))
    event = k.wait_event(ns, "p", "FailedScheduling")
    assert "didn't match Pod's node affinity/selector" in event["message"] and " nodes are available: " in event["message"]
    assert event["reportingComponent"] == "default-scheduler" and event["action"] == "Scheduling"
    pod = k.get_pod(ns, "p")
    condition = next(c for c in pod["status"]["conditions"] if c["type"] == "PodScheduled")
    assert (condition["status"], condition["reason"]) == ("False", "Unschedulable")
    assert condition["message"] == event["message"]
    k.kubectl("label", "node", k.node(), f"{label}=yes")
    try:
        k.wait_phase(ns, "p", "Running")
    finally:
        k.kubectl("label", "node", k.node(), f"{label}-")


def test_pod_that_asks_for_too_much(k, ns):
    k.create_pod(ns, k.pod("p", container={"resources": {"requests": {"cpu": "1k"}}}))
    assert "Insufficient cpu" in k.wait_event(ns, "p", "FailedScheduling")["message"]


def test_foreground_deletion_waits_for_the_dependents(k, cms):
    uid = k.post(cms, k.cm("owner"), 201).json()["metadata"]["uid"]
    ref = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid, "blockOwnerDeletion": True}
    k.post(cms, k.cm("child", ownerReferences=[ref], finalizers=["example.com/hold"]), 201)
    body = k.delete(cms + "/owner", {"propagationPolicy": "Foreground"}, 200).json()
    assert body["metadata"]["finalizers"] == ["foregroundDeletion"]
    k.wait(lambda: k.get(cms + "/child", 200).json()["metadata"].get("deletionTimestamp"), 30, "the child's deletion")
    k.post(cms, k.cm("later"), 201)
    k.delete(cms + "/later", {"propagationPolicy": "Foreground"}, 200)
    k.wait_gone(cms + "/later", 30)  # the collector has been by since
    k.get(cms + "/owner", 200)
    k.patch("merge", cms + "/child", {"metadata": {"finalizers": None}}, 200)
    k.wait_gone(cms + "/owner", 30)


def test_dependent_of_a_missing_owner_is_collected(k, cms):
    ref = {"apiVersion": "v1", "kind": "ConfigMap", "name": "never", "uid": "00000000-0000-0000-0000-000000000001"}
    k.post(cms, k.cm("child", ownerReferences=[ref]), 201)
    k.wait_gone(cms + "/child", 60)


def test_namespace_gets_its_account_and_certificate(k, ns):
    k.wait(lambda: k.get(f"/api/v1/namespaces/{ns}/serviceaccounts/default").status_code == 200, 15, "the account")
    path = f"/api/v1/namespaces/{ns}/configmaps/kube-root-ca.crt"
    k.wait(lambda: k.get(path).status_code == 200, 15, "the certificate")
    assert k.get(path, 200).json()["data"]["ca.crt"].startswith("-----BEGIN CERTIFICATE-----")
