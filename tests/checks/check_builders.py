"""Objects for tests of checks: the article's world as a healthy snapshot, and Mount Pods made to order."""

import copy
from datetime import UTC, datetime

from jfsnb.checks.client import CONFIG_FILE
from jfsnb.checks.snapshot import Snapshot
from jfsnb.driver import names
from jfsnb.driver.mountpods.mount_pods import MountPod, is_mount_pod
from jfsnb.sandbox import world

NOW = datetime.now(UTC)
WORLD = world.objects(NOW)
UID = "app-uid"
TARGET = names.target_path(UID, "pv-a")
DIGEST, OTHER_DIGEST = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def healthy(**changes):
    """The article's world, its drift mended and its driver running everywhere."""
    objects = copy.deepcopy(WORLD)
    kinds = {}
    for o in objects:
        kinds.setdefault(o["kind"], []).append(o)
    pods = kinds["Pod"]
    csi = [p for p in pods if p["metadata"]["name"].startswith("juicefs-csi-node")]
    mounts = [p for p in pods if is_mount_pod(p)]
    for pod in mounts:
        pod["spec"]["containers"][0]["image"] = world.OLD_IMAGE
        pod["status"]["containerStatuses"][0]["imageID"] = f"x@{DIGEST}"
    live = copy.deepcopy(csi[0])
    live["metadata"]["name"] = "juicefs-csi-node-live"
    live["spec"]["nodeName"] = world.ARTICLE_NODE
    live_node = copy.deepcopy(kinds["CSINode"][0])
    live_node["metadata"]["name"] = world.ARTICLE_NODE
    config_map = next(c for c in kinds["ConfigMap"] if c["metadata"]["name"] == names.CONFIG_MAP)
    config_map["metadata"]["annotations"] = {}
    for pvc in kinds["PersistentVolumeClaim"]:
        pvc["status"] = {"phase": "Bound"}
    for pv in kinds["PersistentVolume"]:
        pv["spec"].setdefault("claimRef", {"namespace": world.NAMESPACE, "name": "songlin-test-pvc"})
    facts = {
        "now": NOW,
        "mount_pods": mounts,
        "app_pods": [p for p in pods if p not in mounts and p not in csi],
        "pvs": kinds["PersistentVolume"],
        "pvcs": kinds["PersistentVolumeClaim"],
        "storage_classes": kinds["StorageClass"],
        "nodes": kinds["Node"],
        "csi_nodes": [*kinds["CSINode"], live_node],
        "csi_pods": [*csi, live],
        "daemon_set": kinds["DaemonSet"][0],
        "config_map": config_map,
        "csi_files": {live["metadata"]["name"]: config_map["data"]["config.yaml"]},
        "csi_logs": {live["metadata"]["name"]: ['I1 "juicefs volume mounted" volumeId="x"']},
        "mount_logs": {mounts[0]["metadata"]["name"]: ["<INFO>: OK, myjfs is ready at /jfs/x"]},
        "clients": {m["metadata"]["name"]: {CONFIG_FILE: "1.3.0+2025-07-03.30190ca"} for m in mounts},
        "csi_driver": kinds["CSIDriver"][0],
        "events": [],
        "controller_pods": [_controller(csi[0])],
        "controllers": [{"kind": "StatefulSet", "metadata": {"name": "c"}, "spec": {"replicas": 1}}],
        "jobs": [],
        "job_pods": [],
        "run_pods": [],
        "foreign_pvs": [],
        "secret_keys": {},
        "csi_file_times": {},
        "next_hashes": {},
    }
    return Snapshot(**{**facts, **changes})


def _controller(csi_node):
    pod = copy.deepcopy(csi_node)
    pod["metadata"]["name"] = "juicefs-csi-controller-0"
    return pod


def mount_pod(name="mp", targets=(TARGET,), image="a/b:ce-v1.3.0", image_id=f"x@{DIGEST}", uid="", **more):
    meta = {
        "name": name,
        "namespace": "kube-system",
        "uid": uid or f"uid-{name}",
        "labels": {names.APP_NAME: names.MOUNT_POD_APP, names.VOLUME_ID: "pv-a", names.HASH: more.get("hash", "h")}
        | {names.UPGRADE_UUID: more.get("upgrade", f"uuid-{name}")},
        "annotations": {names.reference_key(t): t for t in targets} | more.get("annotations", {}),
        "finalizers": [names.FINALIZER],
    }
    if more.get("deleting"):
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    state = {"name": "jfs-mount", "imageID": image_id, "restartCount": more.get("restarts", 0), **more.get("state", {})}
    ready = "True" if more.get("ready", True) else "False"
    return MountPod.from_object(
        {
            "metadata": meta,
            "spec": {"nodeName": "n1", "containers": [{"name": "jfs-mount", "image": image}]},
            "status": {
                "phase": more.get("phase", "Running"),
                "conditions": [{"type": t, "status": ready} for t in ("Ready", "ContainersReady")],
                "containerStatuses": [state],
            },
        }
    )


def claim(name="claim", phase="Bound", volume="pv-a"):
    return {
        "metadata": {"name": name, "namespace": "ns"},
        "spec": {"volumeName": volume},
        "status": {"phase": phase},
    }


def volume(name="pv-a", handle=None, driver=names.DRIVER):
    return {"metadata": {"name": name}, "spec": {"csi": {"driver": driver, "volumeHandle": handle or name}}}


def app_pod(uid=UID, claim_name="claim"):
    return {
        "metadata": {"name": "app", "namespace": "ns", "uid": uid},
        "spec": {"nodeName": "n1", "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim_name}}]},
    }
