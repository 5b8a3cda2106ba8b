"""The commands of the article and of the driver's troubleshooting pages, typed into the real kubectl."""

import json
import os
import shutil
import subprocess
import time
from importlib.resources import files

import pytest

from jfsnb.sandbox import world

pytestmark = [
    pytest.mark.full,
    pytest.mark.kubectl,
    pytest.mark.skipif(not shutil.which("kubectl"), reason="no kubectl"),
]
NODE = "svr28176de740"
#: The manifest's waits, shortened; everything else is the article's.
SHORTER = {
    "terminationGracePeriodSeconds: 60": "terminationGracePeriodSeconds: 3",
    "initialDelaySeconds: 10": "initialDelaySeconds: 1",
    "sleep 60": "sleep 1",
    "sleep 5": "sleep 1",
}


@pytest.fixture
def shell(sandbox, tmp_path):
    """Run a command line in a directory that holds smoke-pod.yaml; returns what it printed."""
    text = (files("jfsnb") / "manifests/smoke-article.yaml").read_text(encoding="utf-8")
    for old, new in SHORTER.items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "smoke-pod.yaml").write_text(text, encoding="utf-8")
    environment = {**os.environ, "KUBECONFIG": str(sandbox.kubeconfig), "KUBE_EDITOR": ""}

    def run(line, **env):
        done = subprocess.run(
            line, shell=True, cwd=tmp_path, env={**environment, **env}, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    run.start = lambda line: subprocess.Popen(
        line, shell=True, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    )
    return run


def rows(text):
    return [line.split() for line in text.splitlines()[1:]]


def mount_pods_of_smoke(shell):
    """The Mount Pods that are not of the article's past, newest last."""
    found = json.loads(shell("kubectl get pods -n juicefs-system -l app.kubernetes.io/name=juicefs-mount -o json"))
    live = [p for p in found["items"] if world.RECORDED not in p["metadata"].get("annotations", {})]
    return [p["metadata"]["name"] for p in sorted(live, key=lambda p: p["metadata"]["creationTimestamp"])]


def smoke(shell):
    """One round of the article: create, look, follow the log, delete; returns (image of the Mount Pod, log)."""
    assert shell("kubectl create -f smoke-pod.yaml") == "pod/smoke-juicefs-pod created\n"
    shell("kubectl wait -n juicefs-system --for=condition=Ready pod/smoke-juicefs-pod --timeout=60s")
    follow = shell.start("kubectl logs smoke-juicefs-pod -n juicefs-system --follow")
    wide = rows(shell("kubectl get pod smoke-juicefs-pod -n juicefs-system -o wide"))
    assert wide[0][:4] == ["smoke-juicefs-pod", "1/1", "Running", "0"] and wide[0][6] == NODE
    assert shell("kubectl get pod smoke-juicefs-pod -n juicefs-system -o jsonpath='{.spec.nodeName}'") == NODE
    name = mount_pods_of_smoke(shell)[-1]
    assert name.startswith(f"juicefs-{NODE}-songlin-test-pv-")
    assert rows(shell(f"kubectl get pod {name} -n juicefs-system -o wide"))[0][1:3] == ["1/1", "Running"]
    image = shell(f"kubectl get pod {name} -n juicefs-system -o jsonpath='{{.spec.containers[*].image}}'")
    troubleshoot(shell, name)
    assert shell("kubectl delete pod smoke-juicefs-pod -n juicefs-system").startswith('pod "smoke-juicefs-pod" deleted')
    return image, follow.communicate(timeout=30)[0]


def troubleshoot(shell, mount_pod):
    """What the driver's documentation has its users type, while the Pod runs."""
    get = "kubectl -n juicefs-system get"
    csi = rows(shell(f"{get} po -l app=juicefs-csi-node --field-selector spec.nodeName={NODE}"))[0][0]
    assert shell(f"kubectl -n juicefs-system logs {csi} -c juicefs-plugin --tail 100")
    assert "juicefs-plugin" in shell(f"kubectl -n juicefs-system describe po {csi}")
    assert rows(shell(f"{get} po -l app=juicefs-csi-controller"))
    here = rows(shell(f"{get} po --field-selector spec.nodeName={NODE} -l app.kubernetes.io/name=juicefs-mount"))
    assert mount_pod in [row[0] for row in here]
    shell(f"kubectl -n juicefs-system logs {mount_pod} --tail 10")
    assert "JuiceFS:" in shell("kubectl -n juicefs-system exec smoke-juicefs-pod -- df -h")
    assert "juicefs" in shell(f"kubectl -n juicefs-system exec {mount_pod} -- ps -ef").lower()
    assert "Bound" in shell("kubectl -n juicefs-system describe pvc songlin-test-pvc")
    assert shell("kubectl get pv songlin-test-pv -o jsonpath='{.spec.csi.volumeHandle}'") == "songlin-test-pv"
    assert shell("kubectl get pv songlin-test-pv -o jsonpath='{.spec.claimRef.name}'") == "songlin-test-pvc"
    events = shell("kubectl -n juicefs-system get events --field-selector involvedObject.name=smoke-juicefs-pod")
    assert "Successfully assigned" in events and "Started" in events
    assert "csi.juicefs.com" in shell(f"kubectl get csinode {NODE} -o jsonpath='{{.spec.drivers[*].name}}'")


def test_the_article_from_end_to_end(shell):
    maps = {row[0]: row[1] for row in rows(shell("kubectl get cm -n juicefs-system"))}
    assert maps["juicefs-csi-driver-config"] == "1" and maps["mount.juicefs.com"] == "0"
    image, log = smoke(shell)
    assert image == world.OLD_IMAGE
    before = shell("kubectl get cm juicefs-csi-driver-config -n juicefs-system -o yaml")
    assert f"ceMountImage: {world.OLD_IMAGE}" in before
    edit = "kubectl edit cm juicefs-csi-driver-config -n juicefs-system"
    try:
        swap = f"sed -i 's|ceMountImage: {world.OLD_IMAGE}|ceMountImage: {world.NEW_IMAGE}|'"
        assert shell(edit, EDITOR=swap) == "configmap/juicefs-csi-driver-config edited\n"
        where = f"-l app=juicefs-csi-node --field-selector spec.nodeName={NODE} -o name"
        csi = shell(f"kubectl -n juicefs-system get po {where}").strip()
        loaded = f"kubectl -n juicefs-system exec {csi} -c juicefs-plugin -- cat /etc/config/config.yaml"
        deadline = time.monotonic() + 30
        while world.NEW_IMAGE not in shell(loaded):
            assert time.monotonic() < deadline, "the CSI node's file does not follow the ConfigMap"
        image, again = smoke(shell)
    finally:
        swap = f"sed -i 's|ceMountImage: {world.NEW_IMAGE}|ceMountImage: {world.OLD_IMAGE}|'"
        shell(edit, EDITOR=swap)
    assert image == world.NEW_IMAGE
    for text in (log, again):
        for line in ("JuiceFS mounted successfully at /jfs", "Read/Write test passed", "Cleanup completed"):
            assert line in text.splitlines()
        assert "JuiceFS mount status: /jfs is a mountpoint" in text
        assert text.rstrip().splitlines().count("=== [PRESTOP] Graceful shutdown preparation completed") == 1
