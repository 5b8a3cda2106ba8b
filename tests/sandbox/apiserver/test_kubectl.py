"""Commands of the real kubectl that need nothing but the API server."""

from __future__ import annotations

import json

import pytest

CREATES = [
    ("configmap x --from-literal=a=1", "configmap/x", "data", {"a": "1"}),
    ("secret generic x --from-literal=a=b", "secret/x", "data", {"a": "Yg=="}),
    ("serviceaccount x", "serviceaccount/x", "kind", "ServiceAccount"),
    ("role x --verb=get,list --resource=pods,pods/log", "role/x", "kind", "Role"),
    ("deployment x --image=i:1 --replicas=0", "deployment/x", "kind", "Deployment"),
    ("job x --image=i:1", "job/x", "kind", "Job"),
    ("cronjob x --image=i:1 --schedule=*/5*", "cronjob/x", "kind", "CronJob"),
    ("service clusterip x --tcp=80:8080", "service/x", "kind", "Service"),
    ("quota x --hard=pods=1", "quota/x", "spec", {"hard": {"pods": "1"}}),
    ("poddisruptionbudget x --selector=a=b --min-available=50%", "pdb/x", "kind", "PodDisruptionBudget"),
]


@pytest.mark.parametrize("command,name,field,value", CREATES)
def test_create(http, ns, command, name, field, value):
    """These send protobuf."""
    done = http.kubectl("create", *command.split(" "), "-n", ns)
    assert done.returncode == 0 and done.stdout.endswith(" created\n"), done.stderr
    body = json.loads(http.kubectl("get", name, "-n", ns, "-o", "json").stdout)
    assert body[field] == value


def test_replicas_of_zero_survive_protobuf(http, ns):
    http.kubectl("create", "deployment", "x", "--image=i", "--replicas=0", "-n", ns)
    assert http.kubectl("get", "deploy", "x", "-n", ns, "--no-headers").stdout.split()[1] == "0/0"


def test_scale_rollout_and_set(http, ns):
    http.kubectl("create", "deployment", "x", "--image=i", "-n", ns)
    assert http.kubectl("scale", "deploy/x", "--replicas=3", "-n", ns).stdout == "deployment.apps/x scaled\n"
    assert http.kubectl("rollout", "restart", "deploy/x", "-n", ns).stdout == "deployment.apps/x restarted\n"
    assert http.kubectl("set", "image", "deploy/x", "i=j", "-n", ns).stdout == "deployment.apps/x image updated\n"
    assert http.kubectl("rollout", "pause", "deploy/x", "-n", ns).stdout == "deployment.apps/x paused\n"


def test_explain_goes_deep(http):
    out = http.kubectl("explain", "ds.spec.template.spec.volumes.csi.nodePublishSecretRef").stdout
    assert "KIND:       DaemonSet" in out and "name" in out
    out = http.kubectl("explain", "storageclass", "--recursive").stdout
    assert "volumeBindingMode" in out and "required" in http.kubectl("explain", "sc").stdout


def test_taint_cordon_and_annotate_nodes(http):
    http.post("/api/v1/nodes", {"metadata": {"name": "n1"}})
    assert http.kubectl("taint", "node", "n1", "a=b:NoSchedule").stdout == "node/n1 tainted\n"
    assert http.kubectl("cordon", "n1").stdout == "node/n1 cordoned\n"
    assert "Unknown,SchedulingDisabled" in http.kubectl("get", "node", "n1").stdout
    assert http.kubectl("uncordon", "n1").stdout == "node/n1 uncordoned\n"
    assert "NoSchedule" in http.kubectl("describe", "node", "n1").stdout
    http.delete("/api/v1/nodes/n1")


def test_replace_and_server_side_dry_run(http, ns):
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": ns}, "data": {"a": "1"}}
    http.kubectl("create", "-f", "-", stdin=body)
    done = http.kubectl("replace", "-f", "-", stdin={**body, "data": {"a": "2"}})
    assert done.stdout == "configmap/x replaced\n"
    done = http.kubectl("apply", "--dry-run=server", "-f", "-", stdin={**body, "data": {"a": "3"}})
    assert done.stdout == "configmap/x configured (server dry run)\n"
    assert http.kubectl("get", "cm", "x", "-n", ns, "-o", "jsonpath={.data.a}").stdout == "2"


def test_wait_for_a_field(http, ns):
    http.kubectl("create", "cm", "x", "--from-literal=a=1", "-n", ns)
    done = http.kubectl("wait", "cm/x", "--for=jsonpath={.data.a}=1", "-n", ns, "--timeout=5s")
    assert done.stdout == "configmap/x condition met\n"


def test_get_all_and_everywhere(http, ns):
    http.kubectl("create", "deployment", "x", "--image=i", "-n", ns)
    assert "deployment.apps/x" in http.kubectl("get", "all", "-n", ns).stdout
    assert ns in http.kubectl("get", "deploy", "-A").stdout
    assert http.kubectl("get", "deploy", "x", "-n", ns, "-o", "wide").stdout.split()[5:8] == [
        "CONTAINERS",
        "IMAGES",
        "SELECTOR",
    ]


def test_api_resources_have_their_short_names(http):
    rows = {r.split()[0]: r.split() for r in http.kubectl("api-resources", "--no-headers").stdout.splitlines()}
    for name, short in (
        ("configmaps", "cm"),
        ("daemonsets", "ds"),
        ("persistentvolumeclaims", "pvc"),
        ("jobs", "batch/v1"),
    ):
        assert rows[name][1] == short
