"""The Mount Pod against the reference's worked example (§1.7a) and the article's ConfigMap."""

import pytest

from jfsnb.driver.config.merging import load, merge
from jfsnb.driver.mountpods.building import Identity, build, placed_by_selector, without_requests
from jfsnb.driver.mountpods.mount_pods import MountPod
from jfsnb.driver.settings.errors import SettingsError
from jfsnb.driver.settings.hash import settings_hash
from jfsnb.driver.settings.host import Host
from jfsnb.driver.settings.publication import Volume, settings_of
from jfsnb.sandbox.world import config_text

TARGET = "/var/lib/kubelet/pods/u-1/volumes/kubernetes.io~csi/pvc-AAAA/mount"
SECRETS = {
    "name": "myfs",
    "metaurl": "redis://h/1",
    "storage": "s3",
    "bucket": "B",
    "access-key": "A",
    "secret-key": "S",
}
CSI_POD = {"spec": {"serviceAccountName": "juicefs-csi-node-sa", "dnsPolicy": "ClusterFirstWithHostNet"}}
NEW = {"JUICEFS_CE_MOUNT_IMAGE": "juicedata/mount:ce-v1.3.0"}
OLD = {"JUICEFS_CE_MOUNT_IMAGE": "juicedata/mount:ce-v1.1.0"}


def make(patch=None, secrets=SECRETS, context=None, options=(), env=NEW, share_mode=""):
    patch = patch or {}
    volume = Volume("pvc-AAAA", "pvc-AAAA", secrets, {"subPath": "pvc-AAAA", **(context or {})}, options)
    host = Host("node-1", "kube-system", CSI_POD, env)
    settings = settings_of(volume, host, patch)
    who = Identity(
        "juicefs-node-1-pvc-AAAA-abcdef",
        "/jfs/pvc-AAAA-abcdef",
        settings_hash(settings),
        "uuid-4",
        (TARGET,),
        share_mode,
    )
    return build(settings, patch, who, host)


def container(pod):
    return pod["spec"]["containers"][0]


def test_worked_example():
    pod = make()
    meta, spec = pod["metadata"], pod["spec"]
    assert meta["finalizers"] == ["juicefs.com/finalizer"]
    assert meta["labels"]["volume-id"] == "pvc-AAAA"
    assert len(meta["labels"]["juicefs-hash"]) == 63
    assert meta["annotations"]["juicefs-uniqueid"] == "pvc-AAAA"
    assert [r.target for r in MountPod.from_object(pod).references] == [TARGET]
    assert (spec["nodeName"], spec["hostname"], spec["restartPolicy"]) == ("node-1", "pvc-AAAA", "OnFailure")
    assert spec["terminationGracePeriodSeconds"] == 10
    assert container(pod)["command"] == [
        "sh",
        "-c",
        "/usr/local/bin/juicefs format --storage=s3 --bucket=B --access-key=A --secret-key=${secretkey} "
        "${metaurl} myfs\n"
        "exec /bin/mount.juicefs ${metaurl} /jfs/pvc-AAAA-abcdef -o subdir=pvc-AAAA,metrics=0.0.0.0:9567",
    ]
    names = ["JFS_INSIDE_CONTAINER", "metaurl", "secretkey", "JFS_FOREGROUND", "JFS_SUPER_COMM"]
    assert [e["name"] for e in container(pod)["env"]] == names
    assert container(pod)["ports"] == [{"name": "metrics", "containerPort": 9567}]
    assert container(pod)["resources"] == {
        "limits": {"cpu": "5", "memory": "5Gi"},
        "requests": {"cpu": "1", "memory": "1Gi"},
    }
    assert [v["name"] for v in spec["volumes"]] == ["jfs-dir", "jfs-fuse-fd", "updatedb", "cachedir-0"]
    assert "lifecycle" not in container(pod)


def test_the_article_s_configuration():
    pod = make(merge(load(config_text()), {"metadata": {"name": "songlin-test-pvc"}}, None).fields, env=OLD)
    assert container(pod)["image"] == "juicedata/mount:ce-v1.3.0"
    assert container(pod)["command"][2].endswith(
        "-o cache-size=10G,cache-dir=/var/lib/k8s/jfsCache,subdir=pvc-AAAA,metrics=0.0.0.0:9567"
    )
    assert pod["metadata"]["annotations"]["juicefs-clean-cache"] == "true"
    assert [v["hostPath"]["path"] for v in pod["spec"]["volumes"] if v["name"].startswith("cachedir")] == [
        "/var/lib/k8s/jfsCache"
    ]
    assert "lifecycle" not in container(pod)  # this client can hand its mount on
    assert container(pod)["resources"]["limits"] == {"cpu": "10", "memory": "10Gi"}


def test_internal_labels_win_and_templates_are_expanded_only_in_the_pod():
    patch = {
        "labels": {"volume-id": "mine", "team": "a"},
        "mountOptions": ["cache-dir=/cache/${VOLUME_ID}"],
        "readinessProbe": {"exec": {"command": ["stat", "${MOUNT_POINT}"]}},
    }
    pod = make(patch)
    assert pod["metadata"]["labels"]["volume-id"] == "pvc-AAAA"
    assert pod["metadata"]["labels"]["team"] == "a"
    assert "cache-dir=/cache/pvc-AAAA," in container(pod)["command"][2]
    assert container(pod)["readinessProbe"]["exec"]["command"] == ["stat", "/jfs/pvc-AAAA-abcdef"]
    assert [v["hostPath"]["path"] for v in pod["spec"]["volumes"] if v["name"] == "cachedir-0"] == ["/cache/pvc-AAAA"]


def test_sharing_leaves_the_sub_directory_to_the_bind():
    pod = make(share_mode="storageClassShareMount")
    assert "subdir" not in container(pod)["command"][2]
    assert pod["metadata"]["annotations"]["juicefs/mount-share-mode"] == "storageClassShareMount"


def test_host_paths_and_host_network():
    pod = make({"hostNetwork": True}, context={"juicefs/host-path": "/data, /etc/x"})
    mounted = {m["name"]: m["mountPath"] for m in container(pod)["volumeMounts"]}
    assert (mounted["hostpath-0"], mounted["hostpath-1"]) == ("/data", "/etc/x")
    assert container(pod)["command"][2].endswith("metrics=0.0.0.0:0")
    assert "ports" not in container(pod)


def test_without_storage_the_format_line_does_not_update():
    pod = make(secrets={"name": "myfs", "metaurl": "redis://h"})
    assert container(pod)["command"][2].startswith("/usr/local/bin/juicefs format --no-update ${metaurl} myfs\n")


def test_enterprise_edition():
    secrets = {"name": "ee", "token": "t", "bucket": "a b;c"}
    command = container(make(secrets=secrets, env={"JUICEFS_EE_MOUNT_IMAGE": "juicedata/mount:ee-5.1.2-x"}))["command"]
    auth, mount = command[2].split("\n")
    assert auth == "/usr/bin/juicefs auth ee --bucket=$'a b;c' --token=${token} --conf-dir=/root/.juicefs"
    assert mount.startswith("exec /sbin/mount.juicefs ee /jfs/pvc-AAAA-abcdef -o foreground,no-update,")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"secrets": {"metaurl": "redis://h"}}, "Empty name"),
        ({"options": ["a=b=c"]}, "genAndValidOptions error: invalid mount option: a=b=c"),
        ({"secrets": {**SECRETS, "format-options": "x="}}, "invalid format options: x="),
    ],
)
def test_what_cannot_be_used_is_refused_in_the_driver_s_words(change, text):
    with pytest.raises(SettingsError, match=text):
        make(**change)


def test_the_scheduler_places_it_when_asked_to():
    app = {"spec": {"tolerations": [{"key": "gpu", "operator": "Exists"}], "schedulerName": "mine"}}
    spec = placed_by_selector(make(), app)["spec"]
    assert "nodeName" not in spec
    assert spec["nodeSelector"] == {"kubernetes.io/hostname": "node-1"}
    assert (spec["schedulerName"], spec["tolerations"]) == ("mine", app["spec"]["tolerations"])


def test_redeployed_without_requests_keeps_its_limits():
    resources = container(without_requests(make()))["resources"]
    assert resources == {"limits": {"cpu": "5", "memory": "5Gi"}, "requests": {"cpu": "0", "memory": "0"}}
