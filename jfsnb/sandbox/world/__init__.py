"""What the sandbox's cluster contains at start: the article's cluster, as plain objects.

Objects of other tenants (their nodes, Mount Pods and app Pods) are *recorded*: they carry the annotation
``sandbox.jfsnb.io/recorded`` and no process stands behind them.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import json
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from jfsnb.driver.config.merging import load, merge
from jfsnb.driver.names import reference_key

Obj = dict[str, Any]
HERE = Path(__file__).parent
NAMESPACE = "juicefs-system"
RECORDED = "sandbox.jfsnb.io/recorded"
ARTICLE_NODE = "svr28176de740"
#: What article.yaml has.
METAURL = "sqlite3:///var/lib/jfsnb-store/meta/myjfs.db"
#: The article goes from ce-v1.2.0 to ce-v1.3.0. There is no client 1.2.0 to fetch, and a tag must not claim a version
#: that its binary does not have: here the article's newer one serves everybody, and the newest one is to be tested.
ARTICLE_IMAGE = "juicedata/mount:ce-v1.2.0"
OLD_IMAGE, NEW_IMAGE = "juicedata/mount:ce-v1.3.0", "juicedata/mount:ce-v1.4.2"
AGE = re.compile(r"(?:(\d+)y)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$")


@dataclass(frozen=True)
class ListedMountPod:
    """One line of mount-pods.txt."""

    name: str
    node: str
    volume: str
    age: timedelta


def parse_age(text: str) -> timedelta:
    """kubectl's ages: ``5d1h``, ``6m20s``, ``532d``, ``3y194d``."""
    match = AGE.match(text)
    if match is None or not text:
        raise ValueError(f"not an age as kubectl prints it: {text!r}")
    years, days, hours, minutes, seconds = (int(g or 0) for g in match.groups())
    return timedelta(days=365 * years + days, hours=hours, minutes=minutes, seconds=seconds)


def listed_mount_pods() -> tuple[ListedMountPod, ...]:
    """The article's listing. A Mount Pod is named juicefs-<node>-<volume>-<6 letters>; its node names have no dash."""
    rows = [line.split() for line in (HERE / "mount-pods.txt").read_text(encoding="utf-8").splitlines()]
    found = []
    for row in rows:
        if row and row[0].startswith("juicefs-"):
            _, node, rest = row[0].split("-", 2)
            found.append(ListedMountPod(row[0], node, rest.rpartition("-")[0], parse_age(row[4])))
    return tuple(found)


def objects(
    now: datetime | None = None,
    live_nodes: Iterable[str] = (ARTICLE_NODE,),
    tier: Mapping[str, str] | None = None,
    baseline: str = OLD_IMAGE,
    tested: str = NEW_IMAGE,
    image_id: Callable[[str], str] = lambda reference: "",
    metaurl: str = METAURL,
) -> list[Obj]:
    """Everything that is in the cluster when it starts, in an order in which it can be loaded.

    Args:
        now: ages of the article count back from here.
        live_nodes: nodes that a kubelet runs; all other nodes are recorded.
        tier: what the sandbox can do on this machine; kept in ConfigMap kube-system/jfsnb-sandbox, which also
            names the image to test when none is given.
        baseline: the image that serves everybody, in place of the usual one.
        tested: the image to test when none is given; empty when none is known.
        image_id: what a kubelet here would report for an image; empty for one that is not there.
        metaurl: where the article's file system keeps its metadata.
    """
    now = now or datetime.now(UTC)
    live = list(live_nodes)
    mount_pods = listed_mount_pods()
    names = list(dict.fromkeys([*live, *(m.node for m in mount_pods)]))
    result = [
        _namespace(n, now)
        for n in ("default", "kube-system", "kube-public", "kube-node-lease", NAMESPACE, "infer", "zmctest")
    ]
    result += [_node(n, n in live, now) for n in names]
    result += [_csi_node(n, now) for n in names if n not in live]
    result += _documents("driver.yaml", now) + _documents("article.yaml", now)
    result += [_driver_config(now), _stale_driver_config(now), _about(tier or {}, now)]
    result += [obj for n, m in enumerate(mount_pods) for obj in _recorded(m, n, now)]
    result += [_csi_pod(n, now, i) for i, n in enumerate(names) if n not in live]
    renamed = _renamed(result, {OLD_IMAGE: baseline, NEW_IMAGE: tested, METAURL: metaurl})
    return _with_image_ids(renamed, image_id)


def _with_image_ids(objs: list[Obj], image_id: Callable[[str], str]) -> list[Obj]:
    """Recorded Pods report for an image what live ones report: one reference is one image."""
    for obj in objs:
        for status in (obj.get("status") or {}).get("containerStatuses") or ():
            status["imageID"] = image_id(status["image"]) or status["imageID"]
    return objs


def _renamed(objs: list[Obj], names: Mapping[str, str]) -> list[Obj]:
    """The same world with other images, or another address, in the parts of the usual ones, wherever they are named."""
    if all(usual == name for usual, name in names.items()):
        return objs
    changed: list[Obj] = json.loads(re.sub("|".join(map(re.escape, names)), lambda m: names[m[0]], json.dumps(objs)))
    return changed


def config_text() -> str:
    """config.yaml of the article's ConfigMap, with the image that serves everybody here."""
    text = (HERE / "driver-config.yaml").read_text(encoding="utf-8")
    body = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    return body.replace(ARTICLE_IMAGE, OLD_IMAGE)


def _meta(name: str, created: datetime, namespace: str | None = None, **more: Any) -> Obj:
    meta: Obj = {"name": name, "creationTimestamp": _stamp(created), **more}
    if namespace:
        meta["namespace"] = namespace
    return meta


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _namespace(name: str, now: datetime) -> Obj:
    meta = _meta(name, now - timedelta(days=1290), labels={"kubernetes.io/metadata.name": name})
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": meta,
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }


def _documents(file: str, now: datetime) -> list[Obj]:
    ages = {"updatedb-config": 134, "mount.juicefs.com": 407, "istio-ca-root-cert": 3 * 365 + 194}
    docs = list(yaml.safe_load_all((HERE / file).read_text(encoding="utf-8")))
    for doc in docs:
        doc["metadata"]["creationTimestamp"] = _stamp(now - timedelta(days=ages.get(doc["metadata"]["name"], 407)))
    return docs


def _driver_config(now: datetime) -> Obj:
    """The ConfigMap with the article's drift: last-applied names the newer image, data the older one."""
    text = config_text()
    applied = {
        "apiVersion": "v1",
        "data": {"config.yaml": text.replace(OLD_IMAGE, NEW_IMAGE)},
        "kind": "ConfigMap",
        "metadata": {"annotations": {}, "name": "juicefs-csi-driver-config", "namespace": NAMESPACE},
    }
    note = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(applied, separators=(",", ":")) + "\n"}
    meta = _meta("juicefs-csi-driver-config", now - timedelta(days=388), NAMESPACE, annotations=note)
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"config.yaml": text}}


def _stale_driver_config(now: datetime) -> Obj:
    meta = _meta("juicefs-csi-driver-config-km94mfbt82", now - timedelta(days=407), NAMESPACE)
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"config.yaml": "mountPodPatch:\n"}}


def _about(tier: Mapping[str, str], now: datetime) -> Obj:
    meta = _meta("jfsnb-sandbox", now, "kube-system")
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"image": NEW_IMAGE, **tier}}


def _node(name: str, live: bool, now: datetime) -> Obj:
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    meta = _meta(name, now - timedelta(days=700), labels=labels)
    if live:
        return {"apiVersion": "v1", "kind": "Node", "metadata": meta, "spec": {}, "status": {}}
    meta["annotations"] = {RECORDED: "true"}
    size = {"cpu": "64", "memory": "256Gi", "pods": "110"}
    unknown = {
        "type": "Ready",
        "status": "Unknown",
        "reason": "NodeStatusUnknown",
        "message": "Kubelet stopped posting node status.",
        "lastHeartbeatTime": _stamp(now - timedelta(minutes=5)),
        "lastTransitionTime": _stamp(now - timedelta(minutes=4)),
    }
    status = {
        "capacity": size,
        "allocatable": {**size, "pods": "0"},
        "conditions": [unknown],
        "addresses": _addresses(name),
    }
    status["nodeInfo"] = {
        "kubeletVersion": "v1.36.2",
        "osImage": "recorded",
        "kernelVersion": "recorded",
        "containerRuntimeVersion": "recorded://",
        "operatingSystem": "linux",
        "architecture": "amd64",
    }
    since = _stamp(now - timedelta(minutes=4))
    key = "node.kubernetes.io/unreachable"  # as the node controller taints nodes that it does not hear of
    taints = [{"key": key, "effect": effect, "timeAdded": since} for effect in ("NoSchedule", "NoExecute")]
    return {"apiVersion": "v1", "kind": "Node", "metadata": meta, "spec": {"taints": taints}, "status": status}


def _addresses(node: str) -> list[Obj]:
    digest = hashlib.sha256(node.encode()).digest()
    address = f"127.120.{digest[0]}.{digest[1] or 1}"
    return [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": node}]


def _csi_node(name: str, now: datetime) -> Obj:
    driver = {"name": "csi.juicefs.com", "nodeID": name, "topologyKeys": None}
    meta = _meta(name, now - timedelta(days=407), annotations={RECORDED: "true"})
    return {"apiVersion": "storage.k8s.io/v1", "kind": "CSINode", "metadata": meta, "spec": {"drivers": [driver]}}


def _recorded(pod: ListedMountPod, number: int, now: datetime) -> list[Obj]:
    """A recorded Mount Pod and the recorded app Pod that it serves; PV and PVC come with a volume's first one."""
    namespace = NAMESPACE if pod.volume == "songlin-test-pv" else "zmctest" if "zmctest" in pod.volume else "infer"
    claim = "songlin-test-pvc" if pod.volume == "songlin-test-pv" else pod.volume.replace("pv-", "pvc-")
    created = now - pod.age
    app_uid = str(uuid.uuid5(uuid.NAMESPACE_DNS, pod.name))
    target = f"/var/lib/kubelet/pods/{app_uid}/volumes/kubernetes.io~csi/{pod.volume}/mount"
    result: list[Obj] = []
    first = next(m for m in listed_mount_pods() if m.volume == pod.volume)
    if first == pod and pod.volume != "songlin-test-pv":
        result += _volume(pod.volume, claim, namespace, created)
    app = f"{pod.volume.removeprefix('pv-').removeprefix('juicefs-')}-{pod.name[-6:]}"
    result.append(_app_pod(app, namespace, app_uid, claim, pod, created))
    result.append(_mount_pod(pod, number, target, created))
    return result


def _volume(volume: str, claim: str, namespace: str, created: datetime) -> list[Obj]:
    pv_uid, pvc_uid = (str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{kind}/{volume}")) for kind in ("pv", "pvc"))
    size = {"storage": "10Pi"}
    ref = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace, "name": claim, "uid": pvc_uid}
    secret = {"name": "juicefs-secret", "namespace": NAMESPACE}
    csi = {"driver": "csi.juicefs.com", "volumeHandle": volume, "fsType": "juicefs", "nodePublishSecretRef": secret}
    spec = {
        "capacity": size,
        "accessModes": ["ReadWriteMany"],
        "persistentVolumeReclaimPolicy": "Retain",
        "volumeMode": "Filesystem",
        "storageClassName": "",
        "csi": csi,
        "claimRef": ref,
    }
    bound = {"pv.kubernetes.io/bind-completed": "yes"}
    pv_meta = _meta(volume, created, uid=pv_uid, finalizers=["kubernetes.io/pv-protection"])
    pvc_meta = _meta(
        claim, created, namespace, uid=pvc_uid, annotations=bound, finalizers=["kubernetes.io/pvc-protection"]
    )
    claim_spec = {
        "accessModes": ["ReadWriteMany"],
        "resources": {"requests": size},
        "storageClassName": "",
        "volumeName": volume,
        "volumeMode": "Filesystem",
    }
    status = {"phase": "Bound", "accessModes": ["ReadWriteMany"], "capacity": size}
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": pv_meta,
            "spec": spec,
            "status": {"phase": "Bound"},
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": pvc_meta,
            "spec": claim_spec,
            "status": status,
        },
    ]


def _app_pod(name: str, namespace: str, uid: str, claim: str, pod: ListedMountPod, created: datetime) -> Obj:
    image = "local/debian:bookworm"
    container = {
        "name": "app",
        "image": image,
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    spec = {
        "nodeName": pod.node,
        "containers": [container],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}],
        "tolerations": [{"operator": "Exists"}],
    }
    meta = _meta(name, created, namespace, uid=uid, labels={"juicefs-uniqueid": ""}, annotations={RECORDED: "true"})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": spec,
        "status": _running(pod.node, created, "app", image),
    }


def _mount_pod(pod: ListedMountPod, number: int, target: str, created: datetime) -> Obj:
    image = NEW_IMAGE if pod.name.endswith("-wslvif") else OLD_IMAGE
    mount_path = f"/jfs/{pod.volume}{pod.name[-7:]}"
    configured = _configured()
    options = ",".join(["metrics=0.0.0.0:9567", *configured.get("mountOptions", ())])
    container = {
        "name": "jfs-mount",
        "image": image,
        "command": ["sh", "-c", f"exec /bin/mount.juicefs ${{metaurl}} {mount_path} -o {options}"],
        "securityContext": {"privileged": True, "runAsUser": 0},
        "env": configured.get("env", []),
        "resources": configured.get("resources", {}),
    }
    labels = {
        "app.kubernetes.io/name": "juicefs-mount",
        "volume-id": pod.volume,
        "juicefs-hash": hashlib.sha256(pod.name.encode()).hexdigest()[:63],
        "juicefs-upgrade-uuid": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"upgrade/{pod.name}")),
    }
    notes = {"juicefs-uniqueid": pod.volume, "juicefs-uuid": "", reference_key(target): target, RECORDED: "true"}
    notes |= configured.get("annotations", {})
    meta = _meta(pod.name, created, NAMESPACE, labels=labels, annotations=notes, finalizers=["juicefs.com/finalizer"])
    spec = {
        "nodeName": pod.node,
        "restartPolicy": "OnFailure",
        "containers": [container],
        "tolerations": [{"operator": "Exists"}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": spec,
        "status": _running(pod.node, created, "jfs-mount", image, number),
    }


@functools.cache
def _configured() -> Mapping[str, Any]:
    """What config.yaml gives to every Mount Pod, but for the image."""
    return merge(load(config_text()), None, None).fields


def _csi_pod(node: str, now: datetime, number: int) -> Obj:
    """The recorded CSI node Pod of a recorded node."""
    daemon_set = next(d for d in _documents("driver.yaml", now) if d["kind"] == "DaemonSet")
    template = copy.deepcopy(daemon_set["spec"]["template"])
    created = now - timedelta(days=30)
    suffix = hashlib.sha256(node.encode()).hexdigest()[:5]
    meta = _meta(
        f"juicefs-csi-node-{suffix}",
        created,
        NAMESPACE,
        labels=template["metadata"]["labels"],
        annotations={RECORDED: "true"},
    )
    spec = {**template["spec"], "nodeName": node, "tolerations": [{"operator": "Exists"}]}
    container = spec["containers"][0]
    status = _running(node, created, container["name"], container["image"], number)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": status}


def _running(node: str, since: datetime, container: str, image: str, number: int = 0) -> Obj:
    started = _stamp(since)
    conditions = [
        {"type": t, "status": "True", "lastTransitionTime": started}
        for t in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    ]
    digest = "sha256:" + hashlib.sha256(image.encode()).hexdigest()
    state = {
        "name": container,
        "image": image,
        "imageID": f"recorded://{digest}",
        "containerID": f"recorded://{hashlib.sha256(f'{node}{container}{number}'.encode()).hexdigest()}",
        "ready": True,
        "started": True,
        "restartCount": 0,
        "state": {"running": {"startedAt": started}},
        "lastState": {},
    }
    address = _addresses(node)[0]["address"]
    return {
        "phase": "Running",
        "conditions": conditions,
        "hostIP": address,
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": started,
        "containerStatuses": [state],
        "qosClass": "BestEffort",
    }
