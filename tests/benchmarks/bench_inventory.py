"""How long the inventory of a big cluster takes, beside kubectl on the same data. Prints figures; asserts nothing.

python tests/benchmarks/bench_inventory.py [Mount Pods [app Pods]]

The data have the shape of the sandbox's recorded ones plus what real Pods carry besides (managed fields, environment,
probes, a token volume), behind a real API server with TLS; nodes are not Ready, so no time is spent on asking Pods.
"""

from __future__ import annotations

import asyncio
import copy
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from jfsnb.driver.names import reference_key, target_path
from jfsnb.sandbox import world
from jfsnb.sandbox.pki import make_pki

Obj = dict[str, Any]
NODES, VOLUMES = 500, 2000
#: As the API server writes them for a kubelet's and a controller's part of a Pod.
FIELDS = {
    f"f:{a}": {f"f:{b}": {} for b in "bcdefgh"} for a in ("metadata", "spec", "status", "conditions", "containers")
}


def big_cluster(mount_pods: int, app_pods: int) -> Iterator[Obj]:
    """The article's world, with many more of everything."""
    objs = world.objects()
    yield from objs
    first = {kind: next(o for o in objs if o["kind"] == kind) for kind in ("Node", "PersistentVolume")}
    node, pv = next(o for o in objs if o["kind"] == "Node" and o["status"]), first["PersistentVolume"]
    claim = next(o for o in objs if o["kind"] == "PersistentVolumeClaim")
    pods = [o for o in objs if o["kind"] == "Pod"]
    served = next(p for p in pods if p["metadata"]["labels"].get("app.kubernetes.io/name") == "juicefs-mount")
    app = next(p for p in pods if "juicefs-uniqueid" in p["metadata"]["labels"])
    for number in range(NODES):
        yield renamed(node, f"node-{number:04}")
    for number in range(VOLUMES):
        one = renamed(pv, f"pvc-{number:04}", uid=str(uuid.uuid4()))
        one["spec"]["csi"]["volumeHandle"] = f"pvc-{number:04}"
        one["spec"]["claimRef"] = {"namespace": "infer", "name": f"claim-{number:04}", "kind": "PersistentVolumeClaim"}
        bound = renamed(claim, f"claim-{number:04}", namespace="infer", uid=str(uuid.uuid4()))
        bound["spec"]["volumeName"] = f"pvc-{number:04}"
        yield from (one, bound)
    each = max(1, app_pods // mount_pods)
    for number in range(mount_pods):
        host, volume = f"node-{number % NODES:04}", f"pvc-{number % VOLUMES:04}"
        uids = [str(uuid.uuid4()) for _ in range(each)]
        targets = [target_path(uid, volume) for uid in uids]
        notes = {"juicefs-uniqueid": volume, world.RECORDED: "true"} | {reference_key(t): t for t in targets}
        one = full(renamed(served, f"juicefs-{host}-{volume}-{number:06}", annotations=notes, uid=str(uuid.uuid4())))
        one["metadata"]["labels"]["volume-id"] = volume
        one["spec"]["nodeName"] = host
        yield one
        for uid in uids:
            user = full(renamed(app, f"app-{uid[:13]}", namespace="infer", uid=uid))
            user["spec"]["nodeName"] = host
            user["spec"]["volumes"][0]["persistentVolumeClaim"] = {"claimName": f"claim-{number % VOLUMES:04}"}
            yield user


def renamed(obj: Obj, name: str, **meta: Any) -> Obj:
    one = copy.deepcopy(obj)
    one["metadata"] |= {"name": name, **meta}
    return one


def full(pod: Obj) -> Obj:
    """What real Pods carry besides."""
    managers = ("kube-controller-manager", "kubelet")
    pod["metadata"]["managedFields"] = [
        {"manager": m, "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": FIELDS}
        for m in managers
    ]
    container = pod["spec"]["containers"][0]
    container["env"] = [{"name": f"SETTING_{n}", "value": f"value-of-setting-{n}"} for n in range(12)]
    container["readinessProbe"] = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 5}
    container["resources"] = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}}
    token = {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}
    pod["spec"].setdefault("volumes", []).append({"name": "kube-api-access", "projected": {"sources": [token]}})
    return pod


def measured(what: str, command: list[str]) -> tuple[float, float]:
    """(seconds, MB at most) of a program whose output nobody reads."""
    begun = time.perf_counter()
    with open(os.devnull, "wb") as nowhere:
        child = subprocess.Popen(command, stdout=nowhere)
        _, status, usage = os.wait4(child.pid, 0)
    seconds, megabytes = time.perf_counter() - begun, usage.ru_maxrss / 1024
    told = f"exit code {os.waitstatus_to_exitcode(status)}, {usage.ru_utime + usage.ru_stime:.1f} s of it its own CPU"
    print(f"{what:45} {seconds:7.2f} s   {megabytes:5.0f} MB   ({told})", flush=True)
    return seconds, megabytes


def main(mount_pods: int, app_pods: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        state = Path(directory)
        make_pki(state)
        (state / "tokens.csv").write_text('admin-token,admin,admin,"system:masters"\n', encoding="utf-8")
        reading, writing = os.pipe()
        words = [sys.executable, __file__, "serve", str(state), str(writing), str(mount_pods), str(app_pods)]
        server = subprocess.Popen(words, pass_fds=[writing])
        os.close(writing)
        try:
            with os.fdopen(reading) as pipe:
                port = pipe.readline().strip()
            print(f"{mount_pods} Mount Pods, {app_pods} app Pods, {VOLUMES} volumes, {NODES} nodes")
            compare(write_kubeconfig(state, port))
        finally:
            server.terminate()
            server.wait(10)


def compare(kubeconfig: Path) -> None:
    where = ["--cluster", "big", "--kubeconfig", str(kubeconfig)]
    jfsnb = [sys.executable, "-m", "jfsnb"]
    ours, _ = measured("jfsnb mounts -o json", [*jfsnb, "mounts", "-o", "json", *where])
    measured("jfsnb doctor -o json", [*jfsnb, "doctor", "-o", "json", *where])
    file = kubeconfig.parent / "all.zip"
    collected, _ = measured("jfsnb collect", [*jfsnb, "collect", "-o", str(file), *where])
    print(f"{'the file':45} {file.stat().st_size / 1e6:7.1f} MB; collect takes, times mounts {collected / ours:.1f}")
    for question in ("mounts", "doctor"):
        measured(f"jfsnb {question} -o json --from FILE", [*jfsnb, question, "-o", "json", "--from", str(file)])
    if shutil.which("kubectl"):
        theirs, _ = measured(
            "kubectl get pods -A -o json",
            ["kubectl", "--kubeconfig", str(kubeconfig), "get", "pods", "-A", "-o", "json"],
        )
        print(f"{'kubectl takes, times jfsnb mounts':45} {theirs / ours:7.1f}")


def write_kubeconfig(state: Path, port: str) -> Path:
    cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(state / "pki/ca.crt")}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": "admin-token"}}],
        "contexts": [{"name": "big", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "big",
    }
    path = state / "kubeconfig"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def serve_it(state: Path, pipe: int, mount_pods: int, app_pods: int) -> None:
    from jfsnb.sandbox.apiserver.http.server import serve

    def ready(port: int) -> None:
        os.write(pipe, f"{port}\n".encode())
        os.close(pipe)

    asyncio.run(serve(state, 0, ready, big_cluster(mount_pods, app_pods)))


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve_it(Path(sys.argv[2]), *map(int, sys.argv[3:]))
    else:
        main(*map(int, sys.argv[1:] or (10_000, 50_000)))
