"""The driver's Jobs as objects (reference §1.11, §3.8, §4.5)."""

from jfsnb.driver.names import job_stem
from jfsnb.driver.settings.host import Host
from jfsnb.driver.settings.publication import Volume, settings_of
from jfsnb.sandbox.csi.rules import job

from .test_mount_pod import CSI_POD, NEW, SECRETS, make

CSI_NODE = {
    "spec": {**CSI_POD["spec"], "nodeSelector": {"disk": "ssd"}, "tolerations": [{"key": "k", "operator": "Exists"}]}
}


def removal(patch=None, context=None, options=(), secrets=SECRETS):
    context = {"subPath": "pvc-AAAA", "juicefs/host-path": "/srv", **(context or {})}
    volume = Volume("pvc-AAAA", "pvc-AAAA", secrets, context, options)
    host = Host("", "kube-system", CSI_NODE, NEW)
    return job.delete_volume(settings_of(volume, host, patch or {}), patch or {}, host)


def test_the_job_that_removes_a_volume_mounts_for_itself():
    made = removal(options=("ro", "cache-size=1"), patch={"livenessProbe": {"exec": {"command": ["true"]}}})
    assert made["metadata"] == {
        "name": job_stem("pvc-AAAA") + "-delvol",
        "namespace": "kube-system",
        "labels": {"app.kubernetes.io/name": "juicefs-job"},
    }
    spec = made["spec"]["template"]["spec"]
    assert spec["nodeSelector"] == {"disk": "ssd"} and spec["tolerations"][0]["key"] == "k"
    assert spec["restartPolicy"] == "OnFailure" and made["spec"]["ttlSecondsAfterFinished"] == 5
    assert not {"nodeName", "priorityClassName", "initContainers"} & set(spec)
    (container,) = spec["containers"]
    *_, last = container["command"][2].splitlines()
    assert last == (
        "/bin/mount.juicefs ${metaurl} /mnt/jfs -o cache-size=1 && if [ -d /mnt/jfs/pvc-AAAA ]; then "
        "/usr/local/bin/juicefs rmr /mnt/jfs/pvc-AAAA; fi;"
    )
    assert [v["name"] for v in spec["volumes"]] == [m["name"] for m in container["volumeMounts"]] == ["hostpath-0"]
    assert "JFS_FOREGROUND" not in {e["name"] for e in container["env"]}
    assert "livenessProbe" not in container


def test_a_hostile_sub_path_stays_one_word():
    (container,) = removal(context={"subPath": "a; rm -rf /"})["spec"]["template"]["spec"]["containers"]
    assert container["command"][2].endswith("rmr /mnt/jfs/$'a; rm -rf /'; fi;")


def test_ee_removes_with_its_own_client():
    secrets = {"name": "ee", "token": "t"}
    (container,) = removal(secrets=secrets)["spec"]["template"]["spec"]["containers"]
    *_, last = container["command"][2].splitlines()
    assert last.startswith("/sbin/mount.juicefs ee /mnt/jfs -o background && ")
    assert "/usr/bin/juicefs rmr /mnt/jfs/pvc-AAAA" in last


def test_where_a_volume_is_in_its_file_system():
    assert job.volume_directory({"Options": ["subdir=/team", "ro"], "SubPath": "pvc-1"}) == "/team/pvc-1"
    assert job.volume_directory({"Options": [], "SubPath": "pvc-1"}) == "/pvc-1"
    assert job.volume_directory({"Options": [], "SubPath": ""}) == "/"


def mount_pod(**annotations):
    pod = make(patch={"cacheDirs": [{"type": "HostPath", "path": "/a"}, {"type": "EmptyDir", "sizeLimit": "1Gi"}]})
    pod["metadata"]["annotations"] |= {key.replace("_", "-"): value for key, value in annotations.items()}
    return pod


def test_only_host_paths_are_cleaned_and_only_when_asked():
    assert job.clean_cache(mount_pod(juicefs_uuid="u-1"), "abcdef") is None
    made = job.clean_cache(mount_pod(juicefs_uuid="u-1", juicefs_clean_cache="true"), "abcdef")
    assert made["metadata"]["name"] == job_stem("pvc-AAAA") + "-cleancache-abcdef"
    spec = made["spec"]["template"]["spec"]
    assert spec["volumes"] == [{"name": "cachedir-0", "hostPath": {"path": "/a/u-1/raw", "type": "DirectoryOrCreate"}}]
    assert spec["containers"][0]["volumeMounts"] == [{"name": "cachedir-0", "mountPath": "/var/jfsCache/cachedir-0"}]
    assert (spec["nodeName"], spec["restartPolicy"]) == ("node-1", "Never")


def test_a_canary_fetches_the_client_unless_the_pod_is_made_anew():
    pod = mount_pod()
    fetching, proving = (job.canary(pod, "juicedata/mount:ce-v9.9.9", recreate) for recreate in (False, True))
    name = job_stem("pvc-AAAA-node-1") + "-canary"
    for made, command in ((fetching, "cp /usr/local/bin/juicefs /tmp/juicefs"), (proving, "")):
        template = made["spec"]["template"]
        assert made["metadata"]["name"] == name == template["metadata"]["labels"]["juicefs-canary-job"]
        (container,) = template["spec"]["containers"]
        assert (container["image"], container["command"][2]) == ("juicedata/mount:ce-v9.9.9", command)
        assert [m["mountPath"] for m in container["volumeMounts"]] == ["/tmp"]
        assert (made["spec"]["backoffLimit"], made["spec"]["ttlSecondsAfterFinished"]) == (0, 1800)
