"""Preview and warnings of an edit; prediction of the next mount; the driver's deployment."""

import copy

import pytest

from jfsnb.driver.config.edit import plan_canary, plan_global
from jfsnb.driver.config.effects import Mount, alike, edit_warnings, preview
from jfsnb.driver.config.merging import effective_image, load, merge
from jfsnb.driver.deployment import Deployment, managed_by
from jfsnb.driver.mountpods.mount_pods import is_mount_pod
from jfsnb.driver.settings.prediction import predict
from jfsnb.sandbox import world

CLAIM = "songlin-test-pvc"
IMAGE = world.NEW_IMAGE

WORLD = world.objects()


def by_kind(kind):
    return copy.deepcopy([o for o in WORLD if o["kind"] == kind])


def config_map(text=None, applied=None, **meta):
    notes = meta.pop("annotations", {})
    if applied is not None:
        notes["kubectl.kubernetes.io/last-applied-configuration"] = applied
    return {
        "metadata": {"name": "cm", "annotations": notes, **meta},
        "data": {"config.yaml": text or world.config_text()},
    }


def mounts():
    volumes = {p["metadata"]["name"]: p for p in by_kind("PersistentVolume")}
    return [Mount(c, volumes.get(c["spec"].get("volumeName", ""))) for c in by_kind("PersistentVolumeClaim")]


def smoke():
    return next(m for m in mounts() if m.pvc["metadata"]["name"] == CLAIM)


def test_a_canary_changes_one_claim_and_a_global_edit_all():
    text = world.config_text()
    canary = preview(text, plan_canary(text, CLAIM, IMAGE).after, mounts())
    assert [a.claim for a in canary if a.changes] == [CLAIM]
    everybody = preview(text, plan_global(text, IMAGE).after, mounts())
    assert len(everybody) > 2 and all(a.changes and a.image_then == IMAGE for a in everybody)


def test_nodes_for_which_the_configuration_decides_alike_are_one_group():
    nodes = [{"metadata": {"name": n, "labels": {"disk": d}}} for n, d in (("a", "ssd"), ("b", "hdd"), ("c", "ssd"))]
    before = "mountPodPatch:\n- nodeSelector: {matchLabels: {disk: ssd}}\n  ceMountImage: a/b:v1\n"
    after = plan_global(before, IMAGE).after
    groups = [[n["metadata"]["name"] for n in group] for group in alike(before, after, nodes)]
    assert groups == [["a", "c"], ["b"]]
    reached = preview(
        before, after, [Mount(smoke().pvc, smoke().pv, group[0]) for group in alike(before, after, nodes)]
    )
    assert [(a.node, a.changes) for a in reached] == [("a", False), ("b", True)]
    assert len(alike("{}", "{}", nodes)) == 1


def test_no_warning_where_all_is_well():
    assert edit_warnings(plan_canary(world.config_text(), CLAIM, IMAGE), config_map(), smoke()) == ()


def warnings(text, image=IMAGE, plan=plan_canary, cm=None, others=()):
    edit = plan(text, CLAIM, image) if plan is plan_canary else plan(text, image)
    return " / ".join(edit_warnings(edit, cm or config_map(text), smoke(), others))


def test_an_entry_that_wins_over_a_global_edit():
    text = f"mountPodPatch:\n- ceMountImage: a/b:v1\n- pvcSelector: {{matchName: {CLAIM}}}\n  ceMountImage: a/c:v1\n"
    assert "still get a/c:v1: entry 2 of mountPodPatch" in warnings(text, plan=plan_global)


@pytest.mark.parametrize("image", ["a/b", "a/b:latest", "a/b:ce-nightly", "a/b:mine"])
def test_mutable_tags(image):
    assert "the image can change under its name" in warnings("mountPodPatch:\n", image)


def test_owners_and_drift():
    applied = next(c for c in by_kind("ConfigMap") if c["metadata"]["name"] == "juicefs-csi-driver-config")
    assert "next apply" in warnings(world.config_text(), cm=applied)
    helm = config_map(labels={"app.kubernetes.io/managed-by": "Helm"}, annotations={"meta.helm.sh/release-name": "jfs"})
    assert "Helm (release jfs) manages" in warnings(world.config_text(), cm=helm)


@pytest.mark.parametrize(
    "labels,notes,owner",
    [
        ({}, {"argocd.argoproj.io/tracking-id": "x"}, "Argo CD"),
        ({"kustomize.toolkit.fluxcd.io/name": "x"}, {}, "Flux"),
        ({"app.kubernetes.io/managed-by": "kustomize"}, {}, ""),
    ],
)
def test_gitops_owners(labels, notes, owner):
    assert managed_by({"metadata": {"labels": labels, "annotations": notes}}) == owner


def test_a_claim_of_the_same_name_elsewhere():
    twin = Mount({"metadata": {"name": CLAIM, "namespace": "elsewhere"}, "spec": {}})
    text = world.config_text()
    others = preview(text, plan_canary(text, CLAIM, IMAGE).after, [*mounts(), twin])
    assert f"elsewhere/{CLAIM} get the image too" in warnings(text, others=others)
    assert "get the image too" not in warnings(text, others=others[:-1])


def mount_pods(text):
    return [p for p in by_kind("Pod") if is_mount_pod(p) and p["metadata"]["name"].endswith(text)]


def predicted(pods, text, claim=None):
    config, pvc = load(text), claim or smoke().pvc
    return predict(pods, merge(config, pvc, None), effective_image(config, pvc, None))


BARE = f"mountPodPatch:\n- ceMountImage: {world.OLD_IMAGE}\n"


def test_same_settings_are_reused():
    found = predicted(mount_pods("yorllp"), BARE)
    assert found.reuse.name.endswith("yorllp") and not found.differences


def test_another_image_makes_a_second_mount_pod():
    found = predicted(mount_pods("yorllp"), plan_canary(BARE, CLAIM, IMAGE).after)
    assert found.reuse is None
    (difference,) = found.differences
    assert (difference.field, difference.running, difference.wanted) == ("image", world.OLD_IMAGE, IMAGE)
    assert "entry 2 of mountPodPatch, pvcSelector.matchName" in difference.provenance


@pytest.mark.parametrize(
    "more,field",
    [
        ("labels: {team: a}", "labels team"),
        ("hostNetwork: true", "hostNetwork"),
        ("mountOptions: [cache-size=1]", "mountOptions cache-size"),
        ("env: [{name: SECRET, value: hush}]", "env SECRET"),
        ("resources: {limits: {cpu: 1}}", "resources"),
    ],
)
def test_other_differences_are_named(more, field):
    found = predicted(mount_pods("yorllp"), BARE + f"  {more}\n")
    assert [d.field for d in found.differences] == [field]
    assert "hush" not in str(found)


@pytest.mark.parametrize("hash_for", [lambda _: None, lambda pod: pod.settings_hash])
def test_requests_that_the_driver_itself_set_to_0_make_no_difference(hash_for):
    """After a rejection for resources the Mount Pod is made again with requests 0 and the same hash (§3.3)."""
    text = BARE + "  resources: {requests: {cpu: 2, memory: 1Gi}, limits: {cpu: 4, memory: 2Gi}}\n"
    (pod,) = mount_pods("yorllp")
    pod["spec"]["containers"][0]["resources"] = {
        "requests": {"cpu": "0", "memory": "0"},
        "limits": {"cpu": "4", "memory": "2048Mi"},
    }
    config = load(text)
    merged = merge(config, smoke().pvc, None)
    found = predict([pod], merged, effective_image(config, smoke().pvc, None), hash_for)
    assert found.reuse.name.endswith("yorllp") and "set its requests to 0" in found.reason
    assert found.exact is (hash_for(found.reuse) is not None)


def test_of_two_that_look_alike_the_next_mount_takes_the_newer():
    (older,) = mount_pods("yorllp")
    newer = {**older, "metadata": {**older["metadata"], "name": "newer", "creationTimestamp": "2030-01-01T00:00:00Z"}}
    for pods in ([older, newer], [newer, older]):
        found = predicted(pods, BARE)
        assert (found.reuse.name, found.exact, found.unseen) == ("newer", False, ("what the volume's Secret says",))


def test_deleting_mount_pods_are_not_reused():
    (pod,) = mount_pods("yorllp")
    pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert predicted([pod], BARE).reuse is None
    assert "there is none" in predicted([], BARE).reason


def test_the_deployment_is_read_from_the_daemon_set():
    found = Deployment.from_object(by_kind("DaemonSet")[0])
    assert (found.namespace, found.config_map) == (world.NAMESPACE, "juicefs-csi-driver-config")
    assert found.version == (0, 32, 4) and not found.process_mode
    assert found.env["JUICEFS_CE_MOUNT_IMAGE"] == world.OLD_IMAGE


def test_process_mode_and_another_kubelet_directory():
    daemon_set = by_kind("DaemonSet")[0]
    pod = daemon_set["spec"]["template"]["spec"]
    pod["containers"][0]["args"].append("--by-process=true")
    pod["volumes"][0]["hostPath"]["path"] = "/data/kubelet"
    found = Deployment.from_object(daemon_set)
    assert found.process_mode and found.kubelet_root == "/data/kubelet"
