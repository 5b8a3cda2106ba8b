"""The control loops go on after all their connections to the API server were cut."""

APPS = "/apis/apps/v1/namespaces/{}/deployments"


def deployment(name, replicas):
    labels = {"app": name}
    spec = {"containers": [{"name": "c", "image": "x:1"}]}
    template = {"metadata": {"labels": labels}, "spec": spec}
    selector = {"matchLabels": labels}
    return {"metadata": {"name": name}, "spec": {"replicas": replicas, "selector": selector, "template": template}}


def ready(count):
    return lambda d: (d.get("status") or {}).get("readyReplicas", 0) == count


def test_what_changes_around_a_cut_is_not_lost(plane, ns):
    path = APPS.format(ns)
    plane.post(path, deployment("a", 1))
    plane.until_one(f"{path}/a", ready(1))
    for replicas in (2, 3, 4):
        plane.cut()
        plane.patch(f"{path}/a", {"spec": {"replicas": replicas}})
        plane.post(path, deployment(f"b{replicas}", 1))
        plane.cut()
        plane.until_one(f"{path}/a", ready(replicas))
        plane.until_one(f"{path}/b{replicas}", ready(1))


def test_a_deletion_during_a_cut_is_seen(plane, ns):
    path = APPS.format(ns)
    plane.post(path, deployment("a", 2))
    plane.until_one(f"{path}/a", ready(2))
    plane.delete(f"{path}/a", propagationPolicy="Background")
    plane.cut()
    plane.until(f"/api/v1/namespaces/{ns}/pods", lambda pods: not pods)


def test_many_cuts_leave_the_loops_quick(plane, ns):
    path = APPS.format(ns)
    for _ in range(5):
        plane.cut()
    plane.post(path, deployment("a", 1))
    plane.until_one(f"{path}/a", ready(1), seconds=15)
