"""Which Pods a node refuses."""

import pytest

from jfsnb.sandbox.kubelet.admission import Rejection, rejection

NODE = {"cpu": "2", "memory": "1Gi", "pods": "3"}


def asking(cpu="0", memory="0", inits=()):
    containers = [{"name": "c", "resources": {"requests": {"cpu": cpu, "memory": memory}}}]
    return {"spec": {"containers": containers, "initContainers": list(inits)}}


def test_a_pod_that_fits_exactly_is_taken():
    assert rejection(asking("1", "512Mi"), [asking("1", "512Mi")], NODE) is None


@pytest.mark.parametrize(
    ("pod", "others", "expected"),
    [
        (asking("1001m"), [asking("1")], ("OutOfcpu", "cpu, requested: 1001, used: 1000, capacity: 2000")),
        (
            asking("0", "1Gi"),
            [asking("0", "1")],
            ("OutOfmemory", "memory, requested: 1073741824, used: 1, capacity: 1073741824"),
        ),
        (asking(), [asking()] * 3, ("OutOfpods", "pods, requested: 1, used: 3, capacity: 3")),
    ],
)
def test_what_does_not_fit_is_refused_in_kubelets_words(pod, others, expected):
    reason, rest = expected
    assert rejection(pod, others, NODE) == Rejection(reason, f"Node didn't have enough resource: {rest}")


def test_a_pod_without_requests_is_taken_by_a_full_node():
    assert rejection(asking(), [asking("9")], NODE) is None


def test_init_containers_count_one_by_one_and_sidecars_all_the_time():
    greedy = {"name": "i", "resources": {"requests": {"cpu": "2"}}}
    assert rejection(asking("1", inits=[greedy]), [], NODE) is None
    assert rejection(asking("1", inits=[{**greedy, "restartPolicy": "Always"}]), [], NODE) is not None
