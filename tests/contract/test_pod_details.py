"""Pods in detail: environment, volumes, security, init containers and sidecars, endings, what may not change."""
import pytest

pytestmark = pytest.mark.pods


def path_of(ns, name="p"):
    return f"/api/v1/namespaces/{ns}/pods/{name}"


def env_of(text):
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def test_environment_precedence(k, ns, cms):
    """env wins over envFrom, a later source over an earlier one; references see what stands before them."""
    k.post(cms, k.cm("one", {"A": "one", "B": "one", "C": "one"}), 201)
    k.post(cms, k.cm("two", {"B": "two", "C": "two"}), 201)
    env = [{"name": "C", "value": "mine"}, {"name": "D", "value": "$(B)-$(C)-$(E)"}, {"name": "E", "value": "late"}]
    got = env_of(k.output(ns, k.pod("p", "env", container={"env": env, "envFrom": [
        {"configMapRef": {"name": "one"}}, {"configMapRef": {"name": "two"}}, {"configMapRef": {"name": "none", "optional": True}}]})))
    assert (got["A"], got["B"], got["C"], got["D"]) == ("one", "two", "mine", "two-mine-$(E)")


def test_env_from_prefix(k, ns, cms):
    k.post(cms, k.cm("one", {"A": "1", "b.c": "2"}), 201)
    text = k.output(ns, k.pod("p", "env", container={"envFrom": [{"prefix": "P_", "configMapRef": {"name": "one"}}]}))
    assert "P_A=1" in text and "\nA=1" not in text


def test_resource_fields(k, ns):
    field = lambda name, resource, **kw: {"name": name, "valueFrom": {"resourceFieldRef": {"resource": resource, **kw}}}
    env = [field("CPU", "limits.cpu"), field("MILLI", "requests.cpu", divisor="1m"), field("MEM", "limits.memory"),
           field("MI", "limits.memory", divisor="1Mi"), field("FREE", "limits.ephemeral-storage")]
    resources = {"limits": {"cpu": "1500m", "memory": "64Mi"}, "requests": {"cpu": "10m", "memory": "1Mi"}}
    got = env_of(k.output(ns, k.pod("p", "env", container={"env": env, "resources": resources})))
    assert (got["CPU"], got["MILLI"], got["MEM"], got["MI"]) == ("2", "10", "67108864", "64")
    assert int(got["FREE"]) > 0  # without a limit, what the node has


def test_more_downward_fields(k, ns):
    field = lambda name, path: {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
    env = [field("UID", "metadata.uid"), field("SA", "spec.serviceAccountName"), field("NOTE", "metadata.annotations['example.com/n']"),
           field("NONE", "metadata.labels['none']"), field("IPS", "status.podIPs")]
    body = k.pod("p", "env", container={"env": env})
    body["metadata"]["annotations"] = {"example.com/n": "a note"}
    got = env_of(k.output(ns, body))
    pod = k.get_pod(ns, "p")
    assert (got["UID"], got["SA"], got["NOTE"], got["NONE"]) == (pod["metadata"]["uid"], "default", "a note", "")
    assert got["IPS"].split(",")[0] == pod["status"]["podIP"]


def test_missing_key_and_missing_secret(k, ns, cms):
    k.post(cms, k.cm("one"), 201)
    env = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "one", "key": "none"}}}]
    k.create_pod(ns, k.pod("p", container={"env": env}))
    pod = k.wait_pod(ns, "p", lambda p: k.waiting_reason(p) == "CreateContainerConfigError")
    assert k.container(pod)["state"]["waiting"]["message"] == f"couldn't find key none in ConfigMap {ns}/one"
    env = [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "none", "key": "a"}}}]
    k.create_pod(ns, k.pod("q", container={"env": env}))
    pod = k.wait_pod(ns, "q", lambda p: k.waiting_reason(p) == "CreateContainerConfigError")
    assert k.container(pod)["state"]["waiting"]["message"] == 'secret "none" not found'
    assert 'Error: secret "none" not found' in k.wait_event(ns, "q", "Failed")["message"]


def test_projected_volume(k, ns, cms):
    k.post(cms, k.cm("one", {"a": "A", "b": "B"}), 201)
    k.post(f"/api/v1/namespaces/{ns}/secrets", {"metadata": {"name": "s"}, "stringData": {"pw": "hush"}}, 201)
    sources = [{"configMap": {"name": "one", "items": [{"key": "a", "path": "x/a", "mode": 0o440}]}}, {"secret": {"name": "s"}},
               {"serviceAccountToken": {"path": "token", "expirationSeconds": 600}},
               {"downwardAPI": {"items": [{"path": "cpu", "resourceFieldRef": {"containerName": "c", "resource": "requests.cpu", "divisor": "1m"}}]}}]
    body = k.pod("p", "cd /v; cat x/a pw cpu; stat -Lc ' %a' x/a pw; grep -c . token", container={
        "resources": {"requests": {"cpu": "7m"}}, "volumeMounts": [{"name": "v", "mountPath": "/v"}]},
        volumes=[{"name": "v", "projected": {"sources": sources, "defaultMode": 0o400}}])
    assert k.output(ns, body).split() == ["Ahush7", "440", "400", "1"]


def test_optional_volumes_are_empty(k, ns):
    volumes = [{"name": "c", "configMap": {"name": "none", "optional": True}}, {"name": "s", "secret": {"secretName": "none", "optional": True}}]
    mounts = [{"name": "c", "mountPath": "/c"}, {"name": "s", "mountPath": "/s"}]
    assert k.output(ns, k.pod("p", "ls /c /s", volumes=volumes, container={"volumeMounts": mounts})).split() == ["/c:", "/s:"]


def test_volume_items_must_exist(k, ns, cms):
    k.post(cms, k.cm("one"), 201)
    k.create_pod(ns, k.pod("p", volumes=[{"name": "v", "configMap": {"name": "one", "items": [{"key": "none", "path": "x"}]}}],
                           container={"volumeMounts": [{"name": "v", "mountPath": "/v"}]}))
    message = k.wait_event(ns, "p", "FailedMount")["message"]
    assert 'MountVolume.SetUp failed for volume "v"' in message and "references non-existent config key: none" in message


def test_sub_path_expression(k, ns):
    body = k.pod("p", "echo x > /v/f; ls /all", volumes=[{"name": "v", "emptyDir": {}}], container={
        "env": [{"name": "ME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "volumeMounts": [{"name": "v", "mountPath": "/v", "subPathExpr": "dir-$(ME)"}, {"name": "v", "mountPath": "/all"}]})
    assert k.output(ns, body) == "dir-p\n"


def test_empty_dir_in_memory(k, ns):
    body = k.pod("p", "stat -fc %T /m; df --output=size -BK /m | tail -1", volumes=[{"name": "m", "emptyDir": {"medium": "Memory", "sizeLimit": "8Mi"}}],
                 container={"volumeMounts": [{"name": "m", "mountPath": "/m"}]})
    assert k.output(ns, body).split() == ["tmpfs", "8192K"]


def test_host_path_types(k, ns):
    volume = lambda kind: [{"name": "h", "hostPath": {"path": f"/tmp/contract-data/none-{ns}", "type": kind}}]
    mount = {"volumeMounts": [{"name": "h", "mountPath": "/h"}]}
    k.create_pod(ns, k.pod("p", volumes=volume("Directory"), container=mount))
    assert "hostPath type check failed" in k.wait_event(ns, "p", "FailedMount")["message"]


def test_service_account_is_mounted(k, ns):
    script = "cd /var/run/secrets/kubernetes.io/serviceaccount; ls; cat namespace; grep -c BEGIN ca.crt"
    out = k.output(ns, k.pod("p", script)).split()
    assert out == ["ca.crt", "namespace", "token", ns + "1"] or out[:3] == ["ca.crt", "namespace", "token"]
    body = k.pod("q", "ls /var/run/secrets/kubernetes.io/serviceaccount || echo none", automountServiceAccountToken=False)
    assert k.output(ns, body).endswith("none\n")


def test_termination_message(k, ns):
    k.run_pod(ns, k.pod("p", "printf 'last words' > /dev/termination-log; exit 3"), "Failed")
    assert k.container(k.get_pod(ns, "p"))["state"]["terminated"]["message"] == "last words"
    body = k.pod("q", "echo to the log; exit 4", container={"terminationMessagePolicy": "FallbackToLogsOnError"})
    k.run_pod(ns, body, "Failed")
    assert k.container(k.get_pod(ns, "q"))["state"]["terminated"]["message"] == "to the log\n"
    body = k.pod("r", "echo fine", container={"terminationMessagePolicy": "FallbackToLogsOnError"})
    k.run_pod(ns, body, "Succeeded")
    assert "message" not in k.container(k.get_pod(ns, "r"))["state"]["terminated"]


def test_exit_code_of_the_last_command(k, ns):
    pod = k.run_pod(ns, k.pod("p", "(exit 143)"), "Failed")
    assert k.container(pod)["state"]["terminated"]["exitCode"] == 143


def test_start_error(k, ns):
    k.create_pod(ns, k.pod("p", container={"command": ["/no/such/program"]}))
    pod = k.wait_phase(ns, "p", "Failed")
    done = k.container(pod)["state"]["terminated"]
    assert (done["reason"], done["exitCode"]) == ("StartError", 128) and "no such file or directory" in done["message"]


def test_run_as_user_and_groups(k, ns):
    context = {"runAsUser": 1234, "runAsGroup": 2345, "fsGroup": 3456, "supplementalGroups": [4567]}
    body = k.pod("p", "id -u; id -g; id -G; touch /v/f && stat -c %g /v/f", securityContext=context, volumes=[{"name": "v", "emptyDir": {}}],
                 container={"volumeMounts": [{"name": "v", "mountPath": "/v"}]})
    out = k.output(ns, body).splitlines()
    assert out[:2] == ["1234", "2345"] and set(out[2].split()) == {"2345", "3456", "4567"} and out[3] == "3456"


def test_read_only_root(k, ns):
    body = k.pod("p", "touch /x 2>&1; touch /v/x && echo ok", volumes=[{"name": "v", "emptyDir": {}}], container={
        "securityContext": {"readOnlyRootFilesystem": True}, "volumeMounts": [{"name": "v", "mountPath": "/v"}]})
    out = k.output(ns, body)
    assert "Read-only file system" in out and out.endswith("ok\n")


def test_run_as_non_root_is_enforced(k, ns):
    k.create_pod(ns, k.pod("p", container={"securityContext": {"runAsNonRoot": True, "runAsUser": 0}}))
    pod = k.wait_pod(ns, "p", lambda p: k.waiting_reason(p) == "CreateContainerConfigError")
    assert "container's runAsUser breaks non-root policy" in k.container(pod)["state"]["waiting"]["message"]


def test_failing_init_container(k, ns):
    init = {"name": "i", "image": k.image, "imagePullPolicy": "IfNotPresent", "command": ["bash", "-c", "exit 2"]}
    pod = k.run_pod(ns, k.pod("p", initContainers=[init]), "Failed")
    assert k.container(pod, "i", "initContainerStatuses")["state"]["terminated"]["exitCode"] == 2
    assert k.waiting_reason(pod) == "PodInitializing" and k.condition(pod, "Initialized") == "False"
    cond = next(c for c in pod["status"]["conditions"] if c["type"] == "Initialized")
    assert cond["reason"] == "ContainersNotInitialized" and cond["message"] == "containers with incomplete status: [i]"


def test_init_container_is_retried(k, ns):
    script = "echo x >> /d/n; [ $(wc -l < /d/n) -ge 2 ]"
    init = {"name": "i", "image": k.image, "imagePullPolicy": "IfNotPresent", "command": ["bash", "-c", script],
            "volumeMounts": [{"name": "d", "mountPath": "/d"}]}
    body = k.pod("p", "true", initContainers=[init], restartPolicy="OnFailure", volumes=[{"name": "d", "emptyDir": {}}])
    pod = k.run_pod(ns, body, "Succeeded")
    assert k.container(pod, "i", "initContainerStatuses")["restartCount"] == 1


def test_sidecar_runs_beside_and_ends_after(k, ns):
    side = {"name": "s", "image": k.image, "imagePullPolicy": "IfNotPresent", "restartPolicy": "Always",
            "command": ["bash", "-c", "trap 'echo side done; exit 0' TERM; echo side up > /d/s; sleep 600 & wait"],
            "volumeMounts": [{"name": "d", "mountPath": "/d"}]}
    body = k.pod("p", "until [ -f /d/s ]; do sleep 0.1; done; cat /d/s; sleep 1", initContainers=[side], volumes=[{"name": "d", "emptyDir": {}}],
                 container={"volumeMounts": [{"name": "d", "mountPath": "/d"}]}, terminationGracePeriodSeconds=10)
    pod = k.run_pod(ns, body, "Succeeded")
    assert k.logs(ns, "p", container="c") == "side up\n" and k.logs(ns, "p", container="s") == "side done\n"
    assert "terminated" in k.container(pod, "s", "initContainerStatuses")["state"]


def test_one_of_two_containers_fails(k, ns):
    body = k.pod("p", "exit 1")
    body["spec"]["containers"].append({**body["spec"]["containers"][0], "name": "d", "command": ["bash", "-c", "sleep 2"]})
    k.create_pod(ns, body)
    ended = lambda p: "terminated" in k.container(p).get("state", {}) and "running" in k.container(p, "d").get("state", {})
    assert k.wait_pod(ns, "p", ended)["status"]["phase"] == "Running"  # as long as one runs
    k.wait_phase(ns, "p", "Failed")


def test_http_and_tcp_probes(k, ns):
    server = "import http.server as h; h.HTTPServer(('', 8080), h.SimpleHTTPRequestHandler).serve_forever()"
    probes = {"readinessProbe": {"httpGet": {"path": "/", "port": "web"}, "periodSeconds": 1},
              "livenessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1, "initialDelaySeconds": 2}}
    body = k.pod("p", container={"command": ["python3", "-c", server], "ports": [{"containerPort": 8080, "name": "web"}], **probes})
    k.create_pod(ns, body)
    pod = k.wait_pod(ns, "p", lambda p: k.condition(p, "Ready") == "True" or p["status"]["phase"] == "Failed")
    if pod["status"]["phase"] == "Failed":
        pytest.skip("the image has no python3")
    body = k.pod("q", container={"readinessProbe": {"httpGet": {"path": "/", "port": 8099}, "periodSeconds": 1}})
    k.create_pod(ns, body)
    message = k.wait_event(ns, "q", "Unhealthy")["message"]
    assert message.startswith('Readiness probe failed: Get "http://') and "connection refused" in message


def test_probe_success_threshold_and_timeout(k, ns):
    probe = {"exec": {"command": ["bash", "-c", "sleep 5"]}, "periodSeconds": 1, "timeoutSeconds": 1, "failureThreshold": 1}
    k.run_pod(ns, k.pod("p", container={"readinessProbe": probe}), "Running")
    assert "timed out" in k.wait_event(ns, "p", "Unhealthy")["message"]
    probe = {"exec": {"command": ["true"]}, "periodSeconds": 1, "successThreshold": 2}
    k.create_pod(ns, k.pod("q", container={"readinessProbe": probe}))
    k.wait_ready(ns, "q")
    assert k.post(f"/api/v1/namespaces/{ns}/pods", k.pod("r", container={"livenessProbe": probe}), 422).json()["reason"] == "Invalid"


def test_pod_updates_are_limited(k, ns):
    path = path_of(ns)
    k.run_pod(ns, k.pod("p"), "Running")
    for change in ({"nodeName": "other"}, {"restartPolicy": "Always"}, {"hostname": "x"}, {"terminationGracePeriodSeconds": 5}):
        body = k.patch("strategic", path, {"spec": change}, 422).json()
        assert body["reason"] == "Invalid" and "pod updates may not change fields other than `spec.containers[*].image`" in body["message"]
    body = k.patch("strategic", path, {"spec": {"containers": [{"name": "c", "command": ["true"]}]}}, 422).json()
    assert "pod updates may not change fields other than" in body["message"]
    k.patch("merge", path, {"metadata": {"labels": {"new": "label"}}}, 200)
    k.patch("strategic", path, {"spec": {"activeDeadlineSeconds": 500}}, 200)
    k.patch("json", path, [{"op": "add", "path": "/spec/tolerations/-", "value": {"key": "x", "operator": "Exists"}}], 200)
    before = k.get(path, 200).json()["spec"]["tolerations"]
    assert [t["key"].rpartition("/")[2] for t in before] == ["not-ready", "unreachable", "x"]
    k.patch("json", path, [{"op": "remove", "path": "/spec/tolerations/0"}], 200)  # one of the server's own comes back
    after = k.get(path, 200).json()["spec"]["tolerations"]
    assert [t["key"].rpartition("/")[2] for t in after] == ["unreachable", "x", "not-ready"]
    body = k.patch("json", path, [{"op": "remove", "path": "/spec/tolerations/1"}], 422).json()
    assert "existing toleration can not be modified except its tolerationSeconds" in body["message"]
    assert k.patch("strategic", path, {"spec": {"activeDeadlineSeconds": 900}}, 422)


def test_binding(k, ns):
    path = path_of(ns)
    k.create_pod(ns, k.pod("p", schedulerName="nobody"))
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"apiVersion": "v1", "kind": "Node", "name": k.node()}}
    assert k.post(path + "/binding", binding, 201).json()["status"] == "Success"
    body = k.post(path + "/binding", binding, 409).json()
    assert body["reason"] == "Conflict" and f'pod p is already assigned to node "{k.node()}"' in body["message"]
    k.wait_phase(ns, "p", "Running")
    assert k.condition(k.get_pod(ns, "p"), "PodScheduled") == "True"


def test_eviction(k, ns):
    k.run_pod(ns, k.pod("p"), "Running")
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p", "namespace": ns}}
    assert k.post(path_of(ns) + "/eviction", body, 201).json()["status"] == "Success"
    k.wait_gone(path_of(ns), 30)


@pytest.mark.parametrize("spec", [
    {"containers": []}, {"restartPolicy": "Sometimes"}, {"volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/x"}}]},
    {"containers": [{"name": "Bad_Name", "image": "x"}]}, {"containers": [{"name": "a", "image": "x"}, {"name": "a", "image": "x"}]},
    {"containers": [{"name": "a", "image": "x", "volumeMounts": [{"name": "none", "mountPath": "/x"}]}]},
    {"containers": [{"name": "a", "image": "x", "ports": [{"containerPort": 70000}]}]},
    {"containers": [{"name": "a", "image": "x", "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}}]},
    {"containers": [{"name": "a", "image": "x", "env": [{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}]},
    {"containers": [{"name": "a", "image": "x", "imagePullPolicy": "Maybe"}]}, {"terminationGracePeriodSeconds": "soon"},
    {"containers": [{"name": "a", "image": "x", "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.nothing"}}}]}]},
    {"containers": [{"name": "a"}]}, {"activeDeadlineSeconds": 0},
])
def test_invalid_pods(k, ns, spec):
    body = k.pod("p")
    body["spec"] |= spec
    r = k.wait(lambda: (a := k.post(f"/api/v1/namespaces/{ns}/pods", body)).status_code != 403 and a, 15)
    assert r.status_code in (400, 422) and r.json()["reason"] in ("Invalid", "BadRequest"), r.text


def test_previous_log(k, ns):
    script = "echo x >> /d/n; echo run $(wc -l < /d/n); [ $(wc -l < /d/n) -ge 2 ] && sleep 600"
    body = k.pod("p", script, restartPolicy="Always", volumes=[{"name": "d", "emptyDir": {}}],
                 container={"volumeMounts": [{"name": "d", "mountPath": "/d"}]})
    k.create_pod(ns, body)
    r = k.get(path_of(ns) + "/log", previous="true")
    assert r.status_code in (204, 400)
    k.wait_pod(ns, "p", lambda p: k.container(p).get("restartCount") == 1 and "running" in k.container(p)["state"])
    assert k.logs(ns, "p", previous="true") == "run 1\n"
    k.wait(lambda: k.logs(ns, "p") == "run 2\n", 10)


def test_log_of_several_containers_needs_a_name(k, ns):
    body = k.pod("p", "echo c")
    body["spec"]["containers"].append({**body["spec"]["containers"][0], "name": "d", "command": ["bash", "-c", "echo d"]})
    k.run_pod(ns, body, "Succeeded")
    message = k.get(path_of(ns) + "/log", 400).json()["message"]
    assert message == "a container name must be specified for pod p, choose one of: [c d]"
    assert k.logs(ns, "p", container="d") == "d\n"


def test_log_since_time_and_bad_options(k, ns):
    k.run_pod(ns, k.pod("p", "echo one; sleep 1.5; echo two"), "Succeeded")
    stamp = k.logs(ns, "p", timestamps="true").splitlines()[1].split()[0]
    assert k.logs(ns, "p", sinceTime=stamp[:19] + "Z").endswith("two\n")
    assert k.logs(ns, "p", sinceTime="2099-01-01T00:00:00Z") == ""
    for params in ({"tailLines": -1}, {"limitBytes": 0}, {"sinceSeconds": 0}, {"sinceSeconds": 1, "sinceTime": "2099-01-01T00:00:00Z"}):
        assert k.get(path_of(ns) + "/log", **params).status_code == 422, params
    assert k.get(path_of(ns) + "/log", tailLines="x").status_code == 400


def test_exec_problems(k, ns):
    k.run_pod(ns, k.pod("p"), "Running")
    out = k.kubectl("exec", "p", "--", "no-such-command", ns=ns, rc=None)
    assert out.returncode != 0 and "no-such-command" in out.stderr and "executable file not found in $PATH" in out.stderr
    err = k.kubectl("exec", "p", "-c", "none", "--", "true", ns=ns, rc=1).stderr
    assert "container none is not valid for pod p" in err or 'container not found ("none")' in err
    err = k.kubectl("exec", "none", "--", "true", ns=ns, rc=1).stderr
    assert 'pods "none" not found' in err
    k.run_pod(ns, k.pod("q", "true"), "Succeeded")
    err = k.kubectl("exec", "q", "--", "true", ns=ns, rc=1).stderr
    assert "cannot exec into a container in a completed pod; current phase is Succeeded" in err


def test_a_finished_pod_keeps_its_address(k, ns):
    """A pod that ended keeps its IP and its times."""
    pod = k.run_pod(ns, k.pod("p", "true"), "Succeeded")
    assert pod["status"]["podIP"] and pod["status"]["startTime"] and pod["status"]["hostIP"]


def test_host_network_and_hostname(k, ns):
    pod = k.run_pod(ns, k.pod("p", "hostname", hostNetwork=True), "Succeeded")
    assert pod["status"]["podIP"] == pod["status"]["hostIP"] and k.logs(ns, "p").strip() == pod["spec"]["nodeName"]
    assert k.output(ns, k.pod("q", "hostname; grep -c q1 /etc/hosts", hostname="q1")) == "q1\n1\n"


def test_shared_process_namespace(k, ns):
    body = k.pod("p", "sleep 1; ls /proc | grep -c '^[0-9]'", shareProcessNamespace=True)
    body["spec"]["containers"].append({**body["spec"]["containers"][0], "name": "d", "command": ["bash", "-c", "exec -a marker sleep 3"]})
    k.run_pod(ns, body, "Succeeded")
    assert int(k.logs(ns, "p", container="c")) >= 3


def test_node_name_of_no_node(k, ns):
    k.create_pod(ns, k.pod("p", nodeName="no-such-node"))
    assert k.get_pod(ns, "p")["status"]["phase"] == "Pending"


def test_restarts_after_an_image_change(k, ns):
    k.run_pod(ns, k.pod("p", restartPolicy="Always"), "Running")
    k.patch("strategic", path_of(ns), {"spec": {"containers": [{"name": "c", "image": "registry.invalid/other:1"}]}}, 200)
    event = k.wait_event(ns, "p", "Killing", timeout=45)
    assert "Container c definition changed, will be restarted" in event["message"]
