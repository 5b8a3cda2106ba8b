"""Where Pods may run, from plain objects."""

import pytest

from jfsnb.sandbox.controllers.scheduling.placement import (
    NodeState,
    failure_message,
    refuse,
    refuse_neighbours,
    rejected_before_nodes,
    requests_of,
    score,
    tolerates,
)


def node(name="n1", labels=None, taints=(), cpu="4", pods="110", **spec):
    meta = {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}}
    allocatable = {"cpu": cpu, "memory": "8Gi", "pods": pods}
    return {"metadata": meta, "spec": {"taints": list(taints), **spec}, "status": {"allocatable": allocatable}}


def pod(name="p", cpu=None, labels=None, **spec):
    container = {"name": "c", "resources": {"requests": {"cpu": cpu}} if cpu else {}}
    meta = {"name": name, "namespace": "ns", "uid": name, "labels": labels or {}}
    return {"metadata": meta, "spec": {"containers": [container], **spec}}


def reasons(a_pod, a_node, *there):
    refusal = refuse(a_pod, NodeState(a_node, list(there)))
    return refusal.reasons if refusal else ()


def test_a_node_with_room_takes_a_pod():
    assert reasons(pod(cpu="1"), node()) == ()


def test_resources_of_the_pods_there_count():
    assert reasons(pod(cpu="3"), node(), pod("q", cpu="1500m")) == ("Insufficient cpu",)
    assert reasons(pod(cpu="2500m"), node(), pod("q", cpu="1500m")) == ()


def test_the_number_of_pods_is_limited():
    assert reasons(pod(), node(pods="1"), pod("q")) == ("Too many pods",)


def test_a_recorded_node_takes_nothing_whatever_it_claims_to_have():
    recorded = node()
    recorded["metadata"]["annotations"] = {"sandbox.jfsnb.io/recorded": "true"}
    assert reasons(pod(tolerations=[{"operator": "Exists"}]), recorded) == ("Too many pods",)


def test_a_taint_keeps_a_pod_away_unless_it_is_tolerated():
    tainted = node(taints=[{"key": "a", "value": "b", "effect": "NoSchedule"}])
    assert reasons(pod(), tainted) == ("node(s) had untolerated taint(s)",)
    assert reasons(pod(tolerations=[{"key": "a", "value": "b"}]), tainted) == ()
    assert reasons(pod(), node(taints=[{"key": "a", "effect": "PreferNoSchedule"}])) == ()


def test_a_cordoned_node_takes_only_pods_that_tolerate_it():
    cordoned = node(unschedulable=True)
    assert reasons(pod(), cordoned) == ("node(s) were unschedulable",)
    assert reasons(pod(tolerations=[{"operator": "Exists"}]), cordoned) == ()


@pytest.mark.parametrize(
    "toleration,expected",
    [
        ({"operator": "Exists"}, True),
        ({"key": "k", "operator": "Exists"}, True),
        ({"key": "k", "value": "v", "effect": "NoSchedule"}, True),
        ({"key": "k", "value": "v", "effect": "NoExecute"}, False),
        ({"key": "k", "value": "other"}, False),
        ({"key": "other", "operator": "Exists"}, False),
    ],
)
def test_tolerations(toleration, expected):
    assert tolerates([toleration], {"key": "k", "value": "v", "effect": "NoSchedule"}) is expected


def affinity(**term):
    required = {"nodeSelectorTerms": [term]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def test_node_selector_and_affinity():
    elsewhere = ("node(s) didn't match Pod's node affinity/selector",)
    ssd = node(labels={"disk": "ssd", "size": "7"})
    assert reasons(pod(nodeSelector={"disk": "ssd"}), ssd) == ()
    assert reasons(pod(nodeSelector={"disk": "hdd"}), ssd) == elsewhere
    wants = [{"key": "disk", "operator": "In", "values": ["ssd"]}, {"key": "size", "operator": "Gt", "values": ["5"]}]
    assert reasons(pod(affinity=affinity(matchExpressions=wants)), ssd) == ()
    wants[1]["values"] = ["9"]
    assert reasons(pod(affinity=affinity(matchExpressions=wants)), ssd) == elsewhere
    here = [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]
    assert reasons(pod(affinity=affinity(matchFields=here)), ssd) == ()
    assert reasons(pod(affinity=affinity(matchFields=here)), node("n2")) == elsewhere
    assert reasons(pod(affinity=affinity()), ssd) == elsewhere  # an empty term matches nothing


def test_a_host_port_is_given_once():
    web = pod("a", containers=[{"ports": [{"containerPort": 80, "hostPort": 8080}]}])
    assert reasons(web, node(), pod("b", containers=[{"ports": [{"containerPort": 1, "hostPort": 8080}]}])) == (
        "node(s) didn't have free ports for the requested pod ports",
    )


def test_requests_of_init_containers_and_sidecars():
    def asking(cpu, **more):
        return {"resources": {"requests": {"cpu": cpu}}, **more}

    spec = {
        "initContainers": [asking("1", restartPolicy="Always"), asking("3")],
        "containers": [asking("500m"), {"resources": {"limits": {"cpu": "1"}}}],
    }
    assert requests_of({"metadata": {}, "spec": spec})["cpu"] == 4  # the init container beside the sidecar
    spec["initContainers"][1] = asking("100m")
    assert float(requests_of({"metadata": {}, "spec": spec})["cpu"]) == 2.5  # the containers beside the sidecar


def test_pods_that_avoid_each_other():
    apart = {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "x"}}}
            ]
        }
    }
    first, second = (pod(n, labels={"app": "x"}, affinity=apart) for n in "ab")
    states = [NodeState(node("n1"), [first]), NodeState(node("n2"))]
    assert refuse_neighbours(second, states[0], states).reasons == ("node(s) didn't match pod anti-affinity rules",)
    assert refuse_neighbours(second, states[1], states) is None
    plain = pod("c", labels={"app": "x"})
    assert refuse_neighbours(plain, states[0], states).reasons == (
        "node(s) didn't satisfy existing pods anti-affinity rules",
    )


def test_the_emptier_node_scores_higher():
    busy, idle = NodeState(node("n1"), [pod("q", cpu="3")]), NodeState(node("n2"))
    assert score(pod(), idle) > score(pod(), busy)


def test_failure_message_counts_reasons_as_the_scheduler_does():
    selector = pod(nodeSelector={"contract": "nowhere"})
    refusals = {n: refuse(selector, NodeState(node(n))) for n in ("a", "b")}
    refusals["c"] = refuse(pod(cpu="3"), NodeState(node("c"), [pod("q", cpu="2")]))
    assert failure_message(refusals, 3) == (
        "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't match Pod's node affinity/selector. "
        "no new claims to deallocate, preemption: 0/3 nodes are available: "
        "1 No preemption victims found for incoming pod, 2 Preemption is not helpful for scheduling."
    )


def test_message_when_claims_are_unbound_is_the_recorded_one():
    assert rejected_before_nodes(1, "pod has unbound immediate PersistentVolumeClaims") == (
        "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"
    )
