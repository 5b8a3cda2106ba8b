"""More of the kubectl command line: output options, create, apply, rollout, drain, cp, logs, describe."""
import json
import threading

import pytest
import yaml

pytestmark = pytest.mark.kubectl


@pytest.fixture
def kc(k, ns):
    return lambda *args, **kw: k.kubectl(*args, ns=ns, **kw)


@pytest.fixture
def deployment(k, ns, kc):
    """A deployment of one pod, available."""
    body = k.daemonset("d", node_selector={})
    body["kind"], body["spec"]["replicas"] = "Deployment", 1
    kc("create", "-f", "-", stdin=body)
    kc("rollout", "status", "deployment/d", "--timeout=60s")
    return "deployment/d"


def test_output_formats(k, kc):
    kc("create", "-f", "-", stdin=k.cm("one", {"a": "1"}, labels={"app": "x"}))
    assert kc("get", "cm/one", "-o", "jsonpath={.data.a}").stdout == "1"
    assert kc("get", "cm", "one", "-o", "go-template={{.metadata.name}}").stdout == "one"
    assert kc("get", "cm", "-l", "app=x", "-L", "app").stdout.split()[:4] == ["NAME", "DATA", "AGE", "APP"]
    assert kc("get", "cm", "one", "--show-kind", "--no-headers").stdout.startswith("configmap/one ")
    assert "managedFields" not in kc("get", "cm", "one", "-o", "yaml").stdout
    assert "managedFields" in kc("get", "cm", "one", "-o", "yaml", "--show-managed-fields").stdout
    assert kc("get", "cm,secrets", "-l", "app=x", "-o", "name").stdout == "configmap/one\n"
    text = kc("get", "cm", "one", "-o", "jsonpath={range .metadata.labels}{@}{end}").stdout
    assert "app" in text


def test_errors_of_get(kc):
    assert kc("get", "pods", "none", rc=1).stderr == 'Error from server (NotFound): pods "none" not found\n'
    assert "the server doesn't have a resource type" in kc("get", "nothings", rc=1).stderr
    assert kc("get", "pods").stderr.startswith("No resources found in ")
    assert kc("get", "pods", "none", "--ignore-not-found").stdout == ""


def test_raw_paths(k):
    assert k.kubectl("get", "--raw", "/healthz").stdout == "ok"
    assert "readyz check passed" in k.kubectl("get", "--raw", "/readyz?verbose").stdout
    assert json.loads(k.kubectl("get", "--raw", "/api/v1/namespaces/default").stdout)["metadata"]["name"] == "default"
    assert "404" in k.kubectl("get", "--raw", "/nothing", rc=1).stderr or "NotFound" in k.kubectl("get", "--raw", "/nothing", rc=1).stderr


def test_create_subcommands(k, ns, kc):
    assert kc("create", "cm", "c", "--from-literal=a=1", "--from-literal=b=2").stdout == "configmap/c created\n"
    assert kc("create", "secret", "generic", "s", "--from-literal=a=1").stdout == "secret/s created\n"
    assert kc("create", "sa", "robot").stdout == "serviceaccount/robot created\n"
    assert kc("create", "role", "r", "--verb=get", "--resource=pods").stdout == "role.rbac.authorization.k8s.io/r created\n"
    assert kc("create", "rolebinding", "b", "--role=r", "--serviceaccount=" + ns + ":robot").stdout == "rolebinding.rbac.authorization.k8s.io/b created\n"
    assert kc("create", "deployment", "d", "--image=" + k.image, "--replicas=0").stdout == "deployment.apps/d created\n"
    assert kc("create", "job", "j", "--image=" + k.image, "--", "true").stdout == "job.batch/j created\n"
    assert kc("create", "cronjob", "cj", "--image=" + k.image, "--schedule=0 0 1 1 *", "--", "true").stdout == "cronjob.batch/cj created\n"
    assert kc("create", "quota", "q", "--hard=pods=100").stdout == "resourcequota/q created\n"
    assert kc("create", "service", "clusterip", "svc", "--tcp=80:80").stdout == "service/svc created\n"
    assert kc("create", "pdb", "p", "--selector=a=b", "--min-available=1").stdout == "poddisruptionbudget.policy/p created\n"
    assert kc("auth", "can-i", "get", "pods", "--as", f"system:serviceaccount:{ns}:robot").stdout == "yes\n"
    assert kc("auth", "can-i", "delete", "pods", "--as", f"system:serviceaccount:{ns}:robot", rc=1).stdout == "no\n"
    token = kc("create", "token", "robot").stdout
    assert token.count(".") == 2


def test_dry_runs(k, kc):
    out = kc("create", "cm", "c", "--from-literal=a=1", "--dry-run=client", "-o", "yaml").stdout
    assert yaml.safe_load(out)["data"] == {"a": "1"}
    assert kc("create", "cm", "c", "--from-literal=a=1", "--dry-run=server").stdout == "configmap/c created (server dry run)\n"
    assert kc("apply", "-f", "-", "--dry-run=server", stdin=k.cm("c")).stdout == "configmap/c created (server dry run)\n"
    kc("get", "cm", "c", rc=1)


def test_replace(k, kc):
    assert "NotFound" in kc("replace", "-f", "-", stdin=k.cm("one"), rc=1).stderr
    kc("create", "-f", "-", stdin=k.cm("one"))
    assert kc("replace", "-f", "-", stdin=k.cm("one", {"b": "2"})).stdout == "configmap/one replaced\n"
    out = kc("replace", "--force", "-f", "-", stdin=k.cm("one", {"c": "3"})).stdout
    assert 'configmap "one" deleted' in out and "configmap/one replaced" in out
    assert kc("get", "cm", "one", "-o", "jsonpath={.data}").stdout == '{"c":"3"}'


def test_apply_replaces_only_its_own_list_elements(k, ns, kc):
    body = k.daemonset("d", container={"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]})
    kc("apply", "-f", "-", stdin=body)
    kc("set", "env", "ds/d", "C=3")
    body["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "B", "value": "4"}]
    assert kc("apply", "-f", "-", stdin=body).stdout == "daemonset.apps/d configured\n"
    env = json.loads(kc("get", "ds", "d", "-o", "jsonpath={.spec.template.spec.containers[0].env}").stdout)
    assert {e["name"]: e["value"] for e in env} == {"B": "4", "C": "3"}


def test_apply_to_a_created_object_warns(k, kc):
    kc("create", "-f", "-", stdin=k.cm("one"))
    done = kc("apply", "-f", "-", stdin=k.cm("one", {"a": "2"}))
    assert "missing the kubectl.kubernetes.io/last-applied-configuration annotation" in done.stderr and done.stdout == "configmap/one configured\n"


def test_apply_prune_of_fields_and_view_last_applied(k, kc):
    kc("apply", "-f", "-", stdin=k.cm("one", {"a": "1", "b": "2"}))
    kc("apply", "-f", "-", stdin=k.cm("one", {"a": "1"}))
    assert kc("get", "cm", "one", "-o", "jsonpath={.data}").stdout == '{"a":"1"}'
    assert yaml.safe_load(kc("apply", "view-last-applied", "cm", "one").stdout)["data"] == {"a": "1"}


def test_server_side_apply_conflict_text(k, kc):
    kc("apply", "--server-side", "-f", "-", stdin=k.cm("one"))
    err = kc("apply", "--server-side", "--field-manager=other", "-f", "-", stdin=k.cm("one", {"a": "2"}), rc=1).stderr
    assert err.startswith('error: Apply failed with 1 conflict: conflict with "kubectl": .data.a')
    out = kc("apply", "--server-side", "-f", "-", stdin={**k.cm("one"), "dta": {}}, rc=1)
    assert "dta" in out.stderr


def test_unknown_and_duplicate_fields_with_validate_warn(k, kc):
    done = kc("apply", "--validate=warn", "-f", "-", stdin={**k.cm("one"), "dta": {}})
    assert 'Warning: unknown field "dta"' in done.stderr and done.stdout == "configmap/one created\n"


def test_label_and_annotation_errors(k, kc):
    kc("create", "-f", "-", stdin=k.cm("one", labels={"a": "1"}))
    assert "'a' already has a value (1), and --overwrite is false" in kc("label", "cm", "one", "a=2", rc=1).stderr
    assert kc("label", "cm", "one", "a=1").stdout == "configmap/one not labeled\n"
    assert 'label "none" not found.' in kc("label", "cm", "one", "none-").stdout
    assert kc("label", "cm", "--all", "x=y").stdout.splitlines()[-1].endswith("labeled")
    assert "Invalid value" in kc("label", "cm", "one", "b=no good", rc=1).stderr or "invalid label value" in kc("label", "cm", "one", "b=no good", rc=1).stderr


def test_patch_a_subresource(k, ns, kc):
    kc("create", "-f", "-", stdin=k.daemonset("d"))
    kc("patch", "ds", "d", "--subresource=status", "--type=merge", "-p", '{"status":{"observedGeneration":1}}')
    assert "status" in kc("get", "ds", "d", "--subresource=status", "-o", "yaml").stdout
    err = kc("patch", "ds", "d", "-p", '{"spec":{"selector":{"matchLabels":{"other":"x"}}}}', rc=1).stderr
    assert "field is immutable" in err and 'The DaemonSet "d" is invalid' in err


def test_edit_that_fails_and_edit_that_changes_nothing(k, kc):
    kc("create", "-f", "-", stdin=k.cm("one", {"colour": "blue"}))
    same = kc("edit", "cm", "one", env={"EDITOR": "true", "KUBE_EDITOR": ""})
    assert "no changes made" in same.stderr + same.stdout


def test_wait_for_jsonpath_and_create(k, kc):
    kc("create", "-f", "-", stdin=k.cm("one"))
    kc("wait", "--for=jsonpath={.data.a}=1", "cm/one", "--timeout=5s")
    threading.Timer(1, lambda: kc("patch", "cm", "one", "-p", '{"data":{"a":"2"}}')).start()
    assert kc("wait", "--for=jsonpath={.data.a}=2", "cm/one", "--timeout=20s").stdout == "configmap/one condition met\n"
    threading.Timer(1, lambda: kc("create", "cm", "late")).start()
    kc("wait", "--for=create", "cm/late", "--timeout=20s")
    err = kc("wait", "--for=delete", "cm/one", "--timeout=1s", rc=1).stderr
    assert "timed out waiting for the condition on configmaps/one" in err


@pytest.mark.pods
def test_rollout(k, ns, kc, deployment):
    assert kc("rollout", "status", deployment).stdout == 'deployment "d" successfully rolled out\n'
    assert kc("rollout", "restart", deployment).stdout == "deployment.apps/d restarted\n"
    kc("rollout", "status", deployment, "--timeout=60s")
    assert kc("rollout", "history", deployment).stdout.split()[-4::2] == ["1", "2"]
    assert kc("rollout", "undo", deployment).stdout == "deployment.apps/d rolled back\n"
    kc("rollout", "status", deployment, "--timeout=60s")
    assert kc("rollout", "pause", deployment).stdout == "deployment.apps/d paused\n"
    assert kc("rollout", "resume", deployment).stdout == "deployment.apps/d resumed\n"
    assert kc("scale", deployment, "--replicas=2").stdout == "deployment.apps/d scaled\n"
    kc("wait", "--for=jsonpath={.status.readyReplicas}=2", deployment, "--timeout=30s")
    head, row = kc("get", deployment).stdout.splitlines()
    assert head.split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"] and row.split()[:4] == ["d", "2/2", "2", "2"]
    out = kc("describe", deployment).stdout
    assert "StrategyType:           RollingUpdate" in out and "ScalingReplicaSet" in out and "deployment-controller" in out
    assert kc("logs", deployment, "--tail=1").stdout == ""
    assert "replicaset.apps/d-" in kc("get", "all", "-o", "name").stdout


@pytest.mark.pods
def test_describe_of_many_kinds(k, ns, kc, deployment):
    kc("create", "-f", "-", stdin=k.pvc("claim", cls="none"))
    kc("create", "service", "clusterip", "svc", "--tcp=80:80")
    kc("create", "secret", "generic", "s", "--from-literal=a=secret")
    assert "a:  6 bytes" in kc("describe", "secret", "s").stdout
    assert "Status:        Pending" in kc("describe", "pvc", "claim").stdout
    assert "TargetPort" in kc("describe", "svc", "svc").stdout
    assert "Status:       Active" in kc("describe", "ns", ns).stdout
    out = kc("describe", "node", k.node()).stdout
    for words in ("Conditions:", "Allocatable:", "System Info:", "Non-terminated Pods:", "Allocated resources:", ns):
        assert words in out
    assert "Controlled By:  Deployment/d" in kc("describe", "rs").stdout
    assert "Mountable secrets" in kc("describe", "sa", "default").stdout
    pod = kc("get", "pods", "-l", "app=d", "-o", "jsonpath={.items[0].metadata.name}").stdout
    out = kc("describe", "pod", pod).stdout
    for words in ("Controlled By:  ReplicaSet/d-", "Container ID:", "QoS Class:", "PodReadyToStartContainers   True", "kube-api-access-", "Tolerations:"):
        assert words in out


@pytest.mark.pods
def test_cp_both_ways(k, ns, kc, tmp_path):
    k.run_pod(ns, k.pod("p"), "Running")
    (tmp_path / "f").write_text("to the pod")
    kc("cp", str(tmp_path / "f"), "p:/tmp/g")
    assert k.exec(ns, "p", "cat", "/tmp/g")[0] == "to the pod"
    k.exec(ns, "p", "bash", "-c", "mkdir -p /tmp/d/e; echo deep > /tmp/d/e/f")
    kc("cp", "p:/tmp/d", str(tmp_path / "back"))
    assert (tmp_path / "back/e/f").read_text() == "deep\n"
    done = kc("cp", "p:/tmp/none", str(tmp_path / "x"), rc=None)
    assert "no such file or directory" in (done.stdout + done.stderr).lower()


@pytest.mark.pods
def test_run_to_completion(k, kc):
    done = kc("run", "r", "--image=" + k.image, "--restart=Never", "--rm", "-i", "--command", "--", "bash", "-c", "sleep 1; echo ran")
    assert "ran" in done.stdout and 'pod "r" deleted' in done.stdout
    done = kc("run", "r2", "--image=" + k.image, "--restart=Never", "--rm", "-i", "--command", "--", "bash", "-c", "sleep 1; exit 5", rc=5)
    assert "terminated (Error)" in done.stderr


@pytest.mark.pods
def test_attach(k, ns, kc):
    k.run_pod(ns, k.pod("p", "while read line; do echo got $line; [ $line = end ] && exit; done", container={"stdin": True}), "Running")
    out = kc("attach", "-i", "p", stdin="one\nend\n").stdout
    assert "got one" in out and "got end" in out


@pytest.mark.pods
def test_logs_options(k, ns, kc):
    body = k.pod("p", "echo one; echo two", labels={"app": "x"})
    body["spec"]["containers"].append({**body["spec"]["containers"][0], "name": "d", "command": ["bash", "-c", "echo three"]})
    k.run_pod(ns, body, "Succeeded")
    assert kc("logs", "p", "-c", "d").stdout == "three\n"
    assert sorted(kc("logs", "p", "--all-containers").stdout.split()) == ["one", "three", "two"]
    assert "[pod/p/d] three" in kc("logs", "-l", "app=x", "--all-containers", "--prefix").stdout
    done = kc("logs", "p")
    assert "Defaulted container" in done.stderr and done.stdout == "one\ntwo\n"
    assert kc("logs", "p", "-c", "c", "--since=1h", "--tail=1").stdout == "two\n"
    assert kc("logs", "p", "-c", "c", "--limit-bytes=3").stdout == "one"
    assert "container none is not valid for pod p" in kc("logs", "p", "-c", "none", rc=1).stderr
    assert 'previous terminated container "c" in pod "p" not found' in kc("logs", "p", "-c", "c", "-p", rc=1).stderr


@pytest.mark.pods
def test_port_forward(k, ns, kc):
    import urllib.request
    server = "import http.server as h; h.HTTPServer(('', 8080), h.SimpleHTTPRequestHandler).serve_forever()"
    k.create_pod(ns, k.pod("p", container={"command": ["python3", "-c", server], "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1}}))
    pod = k.wait_pod(ns, "p", lambda p: k.condition(p, "Ready") == "True" or p["status"]["phase"] == "Failed")
    if pod["status"]["phase"] == "Failed":
        pytest.skip("the image has no python3")
    forward = k.kubectl_start("port-forward", "p", ":8080", ns=ns)
    try:
        line = forward.stdout.readline()
        assert line.startswith("Forwarding from 127.0.0.1:") and line.endswith("-> 8080\n")
        port = line.split(":")[1].split(" ")[0]
        assert urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10).status == 200
    finally:
        forward.terminate()
        forward.communicate()


@pytest.mark.pods
def test_cordon_drain_and_taint(k, ns, kc, deployment):
    node = k.node()
    pod = kc("get", "pods", "-o", "jsonpath={.items[0].metadata.name}").stdout
    try:
        assert kc("cordon", node).stdout == f"node/{node} cordoned\n"
        assert "Ready,SchedulingDisabled" in kc("get", "node", node).stdout
        k.create_pod(ns, k.pod("waits", nodeSelector={"kubernetes.io/hostname": node}))
        assert "were unschedulable" in k.wait_event(ns, "waits", "FailedScheduling")["message"]
        out = kc("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--pod-selector=app=d", "--timeout=60s").stdout
        assert f"pod/{pod} evicted" in out and f"node/{node} drained" in out
    finally:
        assert kc("uncordon", node).stdout == f"node/{node} uncordoned\n"
    k.wait_phase(ns, "waits", "Running", timeout=30)
    key = k.name("t")
    assert kc("taint", "node", node, f"{key}=v:NoSchedule").stdout == f"node/{node} tainted\n"
    try:
        k.create_pod(ns, k.pod("tainted"))
        assert "had untolerated taint" in k.wait_event(ns, "tainted", "FailedScheduling")["message"]
    finally:
        assert kc("taint", "node", node, f"{key}-").stdout == f"node/{node} untainted\n"


def test_explain_details(k):
    out = k.kubectl("explain", "pods", "--recursive").stdout
    assert "hostNetwork" in out and "mountPropagation" in out
    out = k.kubectl("explain", "ds.spec.updateStrategy.type").stdout
    assert "FIELD: type" in out and "RollingUpdate" in out and "VERSION:    v1" in out and "GROUP:      apps" in out
    assert 'field "nothing" does not exist' in k.kubectl("explain", "pod.spec.nothing", rc=1).stderr


def test_cluster_info_and_whoami(k):
    assert "Kubernetes control plane" in k.kubectl("cluster-info").stdout
    assert "Username" in k.kubectl("auth", "whoami").stdout
    assert "Server Version: v1." in k.kubectl("version").stdout
    assert "Resources" in k.kubectl("auth", "can-i", "--list").stdout
    out = k.kubectl("api-resources", "--namespaced=false", "--api-group=storage.k8s.io", "-o", "name").stdout
    assert "storageclasses.storage.k8s.io" in out
    assert "delete" in k.kubectl("api-resources", "-o", "wide", "--api-group=apps").stdout


def test_top_says_that_there_are_no_metrics(k):
    done = k.kubectl("top", "pods", rc=None)
    assert done.returncode == 0 or "Metrics API not available" in done.stderr


@pytest.mark.pods
def test_events_command(k, ns, kc):
    k.run_pod(ns, k.pod("p"), "Running")
    k.wait_event(ns, "p", "Started")
    out = kc("events", "--for", "pod/p").stdout
    assert out.split()[:5] == ["LAST", "SEEN", "TYPE", "REASON", "OBJECT"] and "Started" in out and "Pod/p" in out
    assert "Scheduled" in kc("events", "--types=Normal").stdout
    assert "Started" not in kc("events", "--types=Warning").stdout


@pytest.mark.pods
def test_delete_variants(k, ns, kc):
    for name in ("a", "b", "c"):
        k.create_pod(ns, k.pod(name, labels={"t": "1"}))
    assert kc("delete", "pod", "a", "--now").stdout.startswith('pod "a" deleted')
    done = kc("delete", "pod", "b", "--force", "--grace-period=0")
    assert "Immediate deletion does not wait" in done.stderr and 'pod "b" force deleted' in done.stdout
    assert 'pod "c" deleted' in kc("delete", "pods", "-l", "t=1").stdout
    assert "No resources found" in kc("delete", "pods", "-l", "t=1").stdout + kc("delete", "pods", "-l", "t=1").stderr
    kc("create", "cm", "x")
    assert "configmap \"x\" deleted" in kc("delete", "cm", "x", "--dry-run=server").stdout.replace(" (server dry run)", "")
    kc("get", "cm", "x")
    kc("delete", "cm", "--all")


@pytest.mark.pods
def test_watch_of_a_pods_life(k, ns, kc):
    k.create_pod(ns, k.pod("first"))
    watch = k.kubectl_start("get", "pods", "-w", "--output-watch-events", "--request-timeout=60s", ns=ns)
    lines = (line.split() for line in watch.stdout)
    next(line for line in lines if line[1] == "first")  # from here on the watch sees everything
    k.run_pod(ns, k.pod("p", "true"), "Succeeded")
    k.delete(f"/api/v1/namespaces/{ns}/pods/p", expect=200)
    kinds = []
    for line in lines:
        if line[1] == "p":
            kinds.append(line[0])
        if kinds[-1:] == ["DELETED"]:
            break
    watch.terminate()
    watch.communicate(timeout=10)
    assert kinds[0] == "ADDED" and kinds[-1] == "DELETED" and "MODIFIED" in kinds


def test_kustomize_directory(k, kc, tmp_path):
    (tmp_path / "cm.yaml").write_text(yaml.safe_dump(k.cm("one")))
    (tmp_path / "kustomization.yaml").write_text("resources: [cm.yaml]\nnamePrefix: pre-\n")
    assert kc("apply", "-k", str(tmp_path)).stdout == "configmap/pre-one created\n"
    kc("diff", "-k", str(tmp_path))
    assert kc("delete", "-k", str(tmp_path)).stdout.startswith('configmap "pre-one" deleted')


def test_expose_and_autoscale_objects(k, ns, kc):
    body = k.daemonset("d")
    body["kind"], body["spec"]["replicas"] = "Deployment", 0
    kc("create", "-f", "-", stdin=body)
    assert kc("expose", "deployment", "d", "--port=80").stdout == "service/d exposed\n"
    head, row = kc("get", "svc", "d").stdout.splitlines()
    assert head.split() == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"]
    assert row.split()[1] == "ClusterIP" and row.split()[3:5] == ["<none>", "80/TCP"]


def test_set_commands(k, ns, kc):
    kc("create", "-f", "-", stdin=k.daemonset("d"))
    assert kc("set", "resources", "ds/d", "--limits=cpu=100m").stdout == "daemonset.apps/d resource requirements updated\n"
    assert kc("set", "serviceaccount", "ds/d", "default").stdout == "daemonset.apps/d serviceaccount updated\n"
    assert "A=1" in kc("set", "env", "ds/d", "A=1", "--list").stdout
