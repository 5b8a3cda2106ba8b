"""Mount Pods: identity, exact pairing in both directions, reuse, deletion."""

from datetime import UTC, datetime, timedelta

import pytest

from jfsnb.driver import names
from jfsnb.driver.mountpods.deletion import delete_at, reason_to_stay
from jfsnb.driver.mountpods.mount_pods import MountPod, is_mount_pod, pair, users, would_reuse
from jfsnb.sandbox import world

NOW = datetime(2026, 1, 1, tzinfo=UTC)
UID = "11111111-2222-3333-4444-555555555555"


def pv(name="pv-a", handle=None, driver=names.DRIVER):
    csi = {"driver": driver, "volumeHandle": handle or name}
    return {"metadata": {"name": name}, "spec": {"csi": csi, "claimRef": {"namespace": "ns", "name": "claim"}}}


def pvc(name="claim", volume="pv-a", namespace="ns"):
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"volumeName": volume}}


def app(*claims, uid=UID, node="n1", namespace="ns", labels=None, containers=None):
    volumes = [{"name": f"v{n}", "persistentVolumeClaim": {"claimName": c}} for n, c in enumerate(claims or ["claim"])]
    meta = {"name": "app", "namespace": namespace, "uid": uid, "labels": labels or {}}
    return {
        "metadata": meta,
        "spec": {"nodeName": node, "volumes": volumes, "containers": containers or [{"name": "c"}]},
    }


def mount_pod(name="mp", targets=(), node="n1", unique="pv-a", deleting=False, digest="h", phase="Running", notes=None):
    annotations = {names.reference_key(t): t for t in targets} | (notes or {})
    meta = {
        "name": name,
        "namespace": "kube-system",
        "uid": f"uid-{name}",
        "annotations": annotations,
        "labels": {names.APP_NAME: "juicefs-mount", names.VOLUME_ID: unique, names.HASH: digest},
    }
    if deleting:
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    container = {
        "name": "jfs-mount",
        "image": "a:b",
        "command": ["sh", "-c", f"exec /bin/mount.juicefs m /jfs/{unique}-x"],
    }
    return MountPod.from_object(
        {"metadata": meta, "spec": {"nodeName": node, "containers": [container]}, "status": {"phase": phase}}
    )


def target(uid=UID, volume="pv-a", root="/var/lib/kubelet"):
    return names.target_path(uid, volume, root)


def served(pods, pod=None, pvs=None, pvcs=None):
    found = pair(pod or app(), pvcs or [pvc()], pvs or [pv()], pods)
    return found.volumes[0]


def test_the_reference_decides_not_name_age_or_volume_id():
    old, new = mount_pod("juicefs-n1-pv-a-zzzzzz", [target("other")]), mount_pod("x", [target()], unique="odd")
    found = served([new, old])
    assert found.mount_pod == new and found.beside == (old,)


@pytest.mark.parametrize(
    "other",
    [
        mount_pod("prefix-uid", [target(UID[:-1])]),
        mount_pod("longer-uid", [target(UID + "0")]),
        mount_pod("prefix-pv", [target(volume="pv-a-2")]),
        mount_pod("other-node", [target()], node="n2"),
        mount_pod("deleting", [target()], deleting=True),
        mount_pod("wrong-key", notes={"juicefs-" + "0" * 55: target()}),
        mount_pod("uid-in-another-annotation", notes={"note": f"serves {UID} pv-a"}),
    ],
    ids=lambda p: p.name,
)
def test_near_misses_serve_nobody(other):
    found = served([other])
    assert found.mount_pod is None and found.problem


@pytest.mark.parametrize(
    "pods,words",
    [
        ([], "no Mount Pod on n1"),
        ([mount_pod("a", [target()]), mount_pod("b", [target()])], "2 Mount Pods carry its reference: a, b"),
        ([mount_pod("a", [target()], deleting=True)], "being deleted"),
        ([mount_pod("a", [target()], node="n2")], "another node (n2)"),
    ],
)
def test_the_problem_is_named(pods, words):
    assert words in served(pods).problem


def test_a_deleting_mount_pod_beside_its_replacement_does_no_harm():
    assert served([mount_pod("a", [target()], deleting=True), mount_pod("b", [target()])]).mount_pod.name == "b"


def test_static_handle_other_than_the_pv_name():
    found = served([mount_pod("a", [target()], unique="handle-7")], pvs=[pv(handle="handle-7")])
    assert found.mount_pod.name == "a" and found.unique_id_hint == "handle-7"


def test_another_kubelet_directory():
    assert served([mount_pod("a", [target(root="/var/snap/microk8s/common/var/lib/kubelet")])]).mount_pod.name == "a"


def test_a_shared_mount_pod_serves_two_volumes_of_one_pod():
    shared = mount_pod("a", [target(), target(volume="pv-b")], unique="juicefs-sc")
    found = pair(app("claim", "claim-b"), [pvc(), pvc("claim-b", "pv-b")], [pv(), pv("pv-b")], [shared])
    assert [v.mount_pod.name for v in found.volumes] == ["a", "a"]
    assert found.volume_of("claim-b").pv == "pv-b"


def test_each_volume_has_its_own_answer():
    pods = [mount_pod("a", [target()])]
    found = pair(app("claim", "claim-b"), [pvc(), pvc("claim-b", "pv-b")], [pv(), pv("pv-b")], pods)
    assert found.volumes[0].mount_pod and not found.volumes[1].mount_pod


def test_same_claim_name_in_another_namespace_is_another_claim():
    found = pair(app(namespace="other"), [pvc()], [pv()], [mount_pod("a", [target()])])
    assert found.volumes[0].problem == "PVC claim is not there"


def test_volumes_of_other_drivers_are_passed_over():
    assert pair(app(), [pvc()], [pv(driver="nfs.csi.k8s.io")], []).volumes == ()


@pytest.mark.parametrize(
    "claims,volumes,words",
    [([], [], "PVC claim is not there"), ([pvc(volume="")], [], "not bound"), ([pvc()], [], "PV pv-a is not there")],
)
def test_a_chain_that_breaks_earlier(claims, volumes, words):
    assert words in pair(app(), claims, volumes, []).volumes[0].problem


def test_generic_ephemeral_volumes():
    pod = app()
    pod["spec"]["volumes"] = [{"name": "scratch", "ephemeral": {}}]
    found = pair(pod, [pvc("app-scratch")], [pv()], [mount_pod("a", [target()])])
    assert found.volumes[0].mount_pod.name == "a"


def test_sidecar_mode_is_told():
    container = {"name": "jfs-mount", "image": "juicedata/mount:x"}
    found = pair(app(containers=[container], labels={names.SIDECAR_DONE: "true"}), [pvc()], [pv()], [])
    assert (found.mode, found.sidecar_image) == ("sidecar", "juicedata/mount:x")
    assert not found.volumes[0].problem


def test_process_mode_is_told():
    assert pair(app(), [pvc()], [pv()], [], process_mode=True).mode == "process"


def test_the_other_direction():
    pod = app()
    found = users(mount_pod("a", [target(), target("gone")]), [pod])
    assert {r.pod_uid: p for r, p in found} == {UID: pod, "gone": None}


def test_every_mount_pod_of_the_article_s_world_pairs_with_exactly_one_app_pod():
    objects = world.objects()
    pods = [o for o in objects if o["kind"] == "Pod"]
    mounts = [MountPod.from_object(p) for p in pods if is_mount_pod(p, world.NAMESPACE)]
    volumes, claims = ([o for o in objects if o["kind"] == k] for k in ("PersistentVolume", "PersistentVolumeClaim"))
    for claim in claims:  # as the volume binder leaves them
        claim["spec"].setdefault("volumeName", "songlin-test-pv")
    assert len(mounts) == 13
    for mount in mounts:
        (uid,) = {r.pod_uid for r in mount.references}
        (served_pod,) = (p for p in pods if p["metadata"].get("uid") == uid)
        assert pair(served_pod, claims, volumes, mounts).volumes[0].mount_pod == mount


@pytest.mark.parametrize(
    "pods,expected",
    [
        ([mount_pod("a")], "a"),
        ([mount_pod("a"), mount_pod("b")], "b"),
        ([mount_pod("a", digest="other")], None),
        ([mount_pod("a", node="n2")], None),
        ([mount_pod("a", unique="pv-a-2")], None),
        ([mount_pod("a", deleting=True)], None),
        ([mount_pod("a", phase="Pending")], "a"),
        ([mount_pod("a", phase="Failed")], "a"),
        ([mount_pod("a", phase="Completed")], None),
    ],
)
def test_would_reuse(pods, expected):
    found = would_reuse(pods, unique_id="pv-a", node="n1", settings_hash="h")
    assert (found.name if found else None) == expected


@pytest.mark.parametrize(
    "notes,expected",
    [
        ({}, None),
        ({"juicefs-delete-delay": "30m"}, NOW + timedelta(minutes=30)),
        ({"juicefs-delete-delay": "soon"}, None),
        ({"juicefs-delete-delay": "30m", "juicefs-delete-at": "2026-01-01T00:05:00Z"}, NOW + timedelta(minutes=5)),
        ({"juicefs-delete-delay": "1h", "juicefs-delete-at": "2026-01-01 00:05:00"}, NOW + timedelta(minutes=5)),
        ({"juicefs-delete-at": "2026-01-01T00:05:00Z"}, None),
        ({"juicefs-delete-delay": "1h", "juicefs-delete-at": "tomorrow"}, None),
    ],
)
def test_delete_delay(notes, expected):
    assert delete_at(notes, NOW) == expected


def test_reasons_to_stay():
    assert not reason_to_stay(mount_pod(), NOW)
    assert "still serves 1" in reason_to_stay(mount_pod(targets=[target()]), NOW)
    delayed = mount_pod(notes={"juicefs-delete-delay": "1h", "juicefs-delete-at": "2026-01-01T00:05:00Z"})
    assert "delete delay" in reason_to_stay(delayed, NOW)
    assert not reason_to_stay(delayed, NOW + timedelta(minutes=6))


def test_a_pod_is_a_mount_pod_by_its_label_not_its_name():
    named = {"metadata": {"name": "juicefs-n1-pv-a-abcdef", "labels": {}}}
    assert not is_mount_pod(named)
    assert is_mount_pod({"metadata": {"name": "x", "labels": {names.APP_NAME: "juicefs-mount"}}})
