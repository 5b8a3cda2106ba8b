"""Statuses against the life cycles that a real kubelet recorded."""

import json
from pathlib import Path

import pytest

from jfsnb.sandbox.kubelet.status import ContainerRecord, PodView, phase, pod_status, qos_class

RECORDED = Path(__file__).parents[2] / "recorded" / "watch-pods.jsonl"


def in_between(pod):
    """A real kubelet shows the conditions of the end one step before the phase; here both change at once."""
    reasons = {c.get("reason") for c in pod["status"].get("conditions", ())}
    return bool(reasons & {"PodCompleted", "PodFailed"}) and pod["status"]["phase"] in ("Pending", "Running")


def recorded():
    for number, line in enumerate(RECORDED.read_text(encoding="utf-8").splitlines()):
        pod = json.loads(line)["object"]
        conditions = {c["type"]: c for c in pod["status"].get("conditions", ())}
        if "PodReadyToStartContainers" in conditions and not in_between(pod):
            yield pytest.param(pod, id=f"{number}-{pod['metadata']['name']}")


def records(pod):
    kinds = {c["name"]: "sidecar" if c.get("restartPolicy") else "init" for c in pod["spec"].get("initContainers", ())}
    statuses = [*pod["status"].get("initContainerStatuses", ()), *pod["status"]["containerStatuses"]]
    return [
        ContainerRecord(
            name=s["name"],
            kind=kinds.get(s["name"], "main"),
            image=s["image"],
            state=s["state"],
            image_id=s["imageID"],
            container_id=s.get("containerID", ""),
            last_state=s["lastState"],
            restart_count=s["restartCount"],
            ready=s["ready"],
            started=s["started"],
        )
        for s in statuses
    ]


def summary(status):
    conditions = [(c["type"], c["status"], c.get("reason"), c.get("message")) for c in status["conditions"]]
    return status["phase"], conditions, status.get("podIP"), status["qosClass"]


@pytest.mark.parametrize("pod", list(recorded()))
def test_phase_and_conditions_are_those_of_a_real_kubelet(pod):
    status = pod["status"]
    conditions = {c["type"]: c for c in status["conditions"]}
    over = conditions["Ready"].get("reason") in ("PodCompleted", "PodFailed")
    view = PodView(
        records(pod),
        host_ip=status["hostIP"],
        start_time=status["startTime"],
        sandbox_ready=conditions["PodReadyToStartContainers"]["status"] == "True" or over,
        ip=status.get("podIP", ""),
        ended=over,
        stopped=over,
    )
    made = pod_status(pod, view, "2026-11-24T03:59:09Z")
    assert summary(made) == summary(status)


def test_container_statuses_carry_what_a_real_kubelet_reports():
    pod = next(p.values[0] for p in recorded() if "smoke" in p.id and p.values[0]["status"]["phase"] == "Running")
    view = PodView(records(pod), pod["status"]["hostIP"], pod["status"]["startTime"], True, pod["status"]["podIP"])
    made = pod_status(pod, view, "2026-11-24T03:59:10Z")
    assert made["containerStatuses"] == pod["status"]["containerStatuses"]
    assert made["startTime"] == pod["status"]["startTime"]


def test_a_condition_keeps_its_transition_time_until_it_turns():
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}}
    waiting = ContainerRecord("c", "main", "i", {"waiting": {"reason": "ContainerCreating"}})
    running = ContainerRecord("c", "main", "i", {"running": {}}, container_id="x", ready=True, started=True)
    first = pod_status(pod, PodView([waiting], "1.1.1.1", "t0", True), "t0")
    second = pod_status({**pod, "status": first}, PodView([running], "1.1.1.1", "t0", True), "t1")
    times = {c["type"]: c["lastTransitionTime"] for c in second["conditions"]}
    assert times["Ready"] == "t1" and times["PodScheduled"] == "t0"


def test_a_readiness_gate_holds_ready_back():
    pod = {
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c"}], "readinessGates": [{"conditionType": "example.com/go"}]},
    }
    running = ContainerRecord("c", "main", "i", {"running": {}}, container_id="x", ready=True, started=True)
    made = pod_status(pod, PodView([running], "1.1.1.1", "t0", True), "t0")
    ready = next(c for c in made["conditions"] if c["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "ReadinessGatesNotReady")


def test_a_restarted_pod_that_waits_is_running():
    ended = {"terminated": {"exitCode": 0}}
    record = ContainerRecord("c", "main", "i", {"waiting": {"reason": "CrashLoopBackOff"}}, last_state=ended)
    assert phase(PodView([record], "1.1.1.1", "t0", True)) == "Running"


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1m"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1m"}}, "Burstable"),
    ],
)
def test_qos_class(resources, expected):
    assert qos_class({"containers": [{"name": "c", "resources": resources}]}) == expected
