"""The kubelet in a running sandbox: what the contract tests leave open."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess

import aiohttp
import pytest
from kubelet_cluster import IMAGE, Cluster, container, in_namespace, phase, pod

from jfsnb.sandbox.apimachinery.client import ApiError

pytestmark = pytest.mark.sandbox


@pytest.fixture
def sandbox(container_sandbox):
    return container_sandbox


@pytest.fixture
def on(sandbox):
    return lambda test: in_namespace(sandbox, test)


@pytest.fixture
def node_root(sandbox):
    return next((sandbox.state_dir / "nodes").iterdir()) / "root"


# ---------------------------------------------------------------- ending


def test_a_pod_removed_by_force_leaves_nothing_and_the_node_goes_on(on, node_root):
    async def test(k):
        made = await k.run(pod())
        await k.delete(gracePeriodSeconds=0)
        await k.gone()
        assert await k.output(pod("echo still here"), "next") == "still here\n"
        uid = made["metadata"]["uid"]
        async with asyncio.timeout(20):  # its process gets a second, as it does not listen to SIGTERM
            while (node_root / "var/lib/kubelet/pods" / uid).exists() or list(
                (node_root / "var/log/pods").glob(f"*{uid}")
            ):
                await asyncio.sleep(0.05)

    on(test)


def test_a_second_delete_may_ask_for_less_time(on):
    async def test(k):
        await k.run(pod("trap '' TERM; while :; do sleep 1; done", terminationGracePeriodSeconds=3600))
        await k.delete()
        await k.until(lambda p: p["metadata"].get("deletionTimestamp"))
        await k.delete(gracePeriodSeconds=1)
        await k.gone()

    on(test)


def test_sidecars_start_in_order_and_stop_last_in_reverse(on):
    mount = [{"name": "d", "mountPath": "/d"}]
    base = {"image": IMAGE, "imagePullPolicy": "IfNotPresent", "volumeMounts": mount}

    def speaking(name, **more):
        script = f"trap 'echo {name} stops >> /d/log; exit 0' TERM; echo {name} >> /d/log; sleep 600 & wait"
        return {**base, "name": name, "command": ["bash", "-c", script], **more}

    async def test(k):
        path = f"/tmp/{k.namespace}"
        inits = [speaking("one", restartPolicy="Always"), speaking("two", restartPolicy="Always")]
        volumes = [{"name": "d", "hostPath": {"path": path, "type": "DirectoryOrCreate"}}]
        main = speaking("main") | {"name": "c"}
        body = pod(container=main, initContainers=inits, volumes=volumes, terminationGracePeriodSeconds=20)
        await k.run(body)
        await k.until(lambda p: all(container(p, n).get("ready") for n in ("one", "two", "c")))
        await asyncio.wait_for(_lines(k, path, 3), 20)
        await k.delete()
        await k.gone()
        reader = pod("cat /d/log; rm -r /d/*", container={"volumeMounts": mount}, volumes=volumes)
        said = (await k.output(reader, "reader")).splitlines()
        assert said == ["one", "two", "main", "main stops", "two stops", "one stops"]

    async def _lines(k, path, number):
        while True:
            probe = pod(
                f"[ $(wc -l < /d/log) -ge {number} ]",
                container={"volumeMounts": mount},
                volumes=[{"name": "d", "hostPath": {"path": path}}],
            )
            ended = await k.run(probe, "Succeeded", "Failed", name="probe")
            await k.delete("probe")
            await k.gone("probe")
            if ended["status"]["phase"] == "Succeeded":
                return

    on(test)


def test_pods_that_are_recorded_are_left_alone(on):
    async def test(k):
        name = (await k.node())["metadata"]["name"]
        await k.start(pod(nodeName=name, annotations={"sandbox.jfsnb.io/recorded": "true"}), "recorded")
        await k.run(pod("true"), "Succeeded", name="other")
        assert (await k.api.get(f"{k.pods}/recorded"))["status"]["phase"] == "Pending"
        await k.delete("recorded")
        await k.gone("recorded")

    on(test)


def test_a_pod_that_the_node_cannot_hold_is_rejected(on):
    async def test(k):
        name = (await k.node())["metadata"]["name"]
        refused = await k.run(pod(nodeName=name, container={"resources": {"requests": {"cpu": "5k"}}}), "Failed")
        assert refused["status"]["reason"] == "OutOfcpu"
        assert "Pod was rejected: Node didn't have enough resource: cpu" in refused["status"]["message"]
        await k.delete()
        await k.gone()

    on(test)


# ---------------------------------------------------------------- containers


def test_another_image_restarts_the_container_whatever_the_policy(on):
    async def test(k):
        await k.run(pod("trap 'exit 0' TERM; sleep 600 & wait"))
        other = "xxx/juicedata/mount:ce-v1.3.0"
        await k.api.patch(f"{k.pods}/p", {"spec": {"containers": [{"name": "c", "image": other}]}}, kind="strategic")
        again = await k.until(lambda p: container(p).get("restartCount") == 1 and "running" in container(p)["state"])
        assert container(again)["image"] == other
        await k.event(lambda e: e["message"] == "Container c definition changed, will be restarted")

    on(test)


def test_a_readiness_gate_opens_when_somebody_sets_its_condition(on):
    async def test(k):
        await k.run(pod(readinessGates=[{"conditionType": "example.com/go"}]))
        await k.until(lambda p: container(p)["ready"] and _ready(p) == "False")
        go = {"type": "example.com/go", "status": "True"}
        await k.api.patch(f"{k.pods}/p/status", {"status": {"conditions": [go]}}, kind="strategic")
        await k.until(lambda p: _ready(p) == "True")

    def _ready(p):
        return next(c["status"] for c in p["status"]["conditions"] if c["type"] == "Ready")

    on(test)


def test_termination_messages(on):
    async def test(k):
        ended = await k.run(pod("echo because > /dev/termination-log; exit 3"), "Failed")
        assert container(ended)["state"]["terminated"]["message"] == "because\n"
        fallback = {"terminationMessagePolicy": "FallbackToLogsOnError"}
        ended = await k.run(pod("echo last words; exit 3", container=fallback), "Failed", name="q")
        assert container(ended)["state"]["terminated"]["message"] == "last words\n"

    on(test)


def test_logs_of_the_container_before_this_one(on):
    async def test(k):
        await k.start(pod("echo run; [ -e /d/again ] && sleep 600; touch /d/again; exit 1", **_restarting()))
        again = await k.until(lambda p: container(p).get("restartCount") == 1 and "running" in container(p)["state"])
        assert container(again)["lastState"]["terminated"]["exitCode"] == 1
        assert await k.logs(previous="true") == "run\n"
        await k.run(pod(), name="first")
        with pytest.raises(ApiError, match='previous terminated container "c" in pod "first" not found'):
            await k.logs("first", previous="true")

    def _restarting():
        mounts = {"volumeMounts": [{"name": "d", "mountPath": "/d"}]}
        return {"restartPolicy": "OnFailure", "container": mounts, "volumes": [{"name": "d", "emptyDir": {}}]}

    on(test)


def test_containers_share_processes_when_asked(on):
    async def test(k):
        body = pod("until pgrep -f 'sleep 12345' >/dev/null; do sleep 0.1; done; echo seen", shareProcessNamespace=True)
        other = {"name": "b", "image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": ["sleep", "12345"]}
        body["spec"]["containers"].append(other)
        await k.start(body)
        await k.until(lambda p: container(p).get("state", {}).get("terminated"))
        assert await k.logs(container="c") == "seen\n"

    on(test)


def test_an_http_probe_asks_the_pods_own_address(on):
    async def test(k):
        probe = {"httpGet": {"port": "web", "path": "/ready"}, "periodSeconds": 1}
        script = "cd /tmp; (sleep 1.5; touch ready) & exec python3 -m http.server 18123 --bind $(hostname -i)"
        ports = [{"name": "web", "containerPort": 18123}]
        await k.run(pod(script, container={"readinessProbe": probe, "ports": ports}))
        unhealthy = await k.event(lambda e: e["reason"] == "Unhealthy")
        assert unhealthy["message"].startswith("Readiness probe failed: ")
        await k.until(lambda p: container(p)["ready"])

    on(test)


# ---------------------------------------------------------------- volumes


def test_memory_volumes_subpaths_and_groups(on):
    mounts = [
        {"name": "m", "mountPath": "/m"},
        {"name": "d", "mountPath": "/sub", "subPathExpr": "$(WHO)/deep"},
        {"name": "d", "mountPath": "/all"},
    ]
    volumes = [{"name": "m", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}, {"name": "d", "emptyDir": {}}]
    script = (
        "stat -f -c %T /m; df --output=size /m | tail -1; echo x > /sub/f; cat /all/me/deep/f; stat -c %g /all; id -G"
    )

    async def test(k):
        more = {"volumeMounts": mounts, "env": [{"name": "WHO", "value": "me"}]}
        text = await k.output(pod(script, container=more, volumes=volumes, securityContext={"fsGroup": 2000}))
        assert text.split()[:3] == ["tmpfs", "1024", "x"]
        assert text.split()[3] == "2000" and "2000" in text.split()[4:]

    on(test)


def test_annotating_a_pod_refreshes_its_volumes_at_once(on):
    async def test(k):
        name = (await k.node())["metadata"]["name"]
        slow = {"metadata": {"annotations": {"sandbox.jfsnb.io/sync-seconds": "3600"}}}
        await k.api.patch(f"/api/v1/nodes/{name}", slow)
        try:
            await k.create("configmaps", {"metadata": {"name": "f"}, "data": {"a": "old"}})
            volumes = [{"name": "v", "configMap": {"name": "f"}}]
            mounts = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
            probe = {"readinessProbe": {"exec": {"command": ["test", "-e", "/tmp/read"]}, "periodSeconds": 1}}
            script = "cat /v/a; touch /tmp/read; until [ $(cat /v/a) = new ]; do sleep 0.1; done; echo changed"
            await k.run(pod(script, container=mounts | probe, volumes=volumes))
            await k.until(lambda p: container(p)["ready"])
            await k.api.patch(f"/api/v1/namespaces/{k.namespace}/configmaps/f", {"data": {"a": "new"}})
            await k.api.patch(f"{k.pods}/p", {"metadata": {"annotations": {"now": "please"}}})
            await k.until(phase("Succeeded"))
            assert await k.logs() == "oldchanged\n"
        finally:
            slow["metadata"]["annotations"]["sandbox.jfsnb.io/sync-seconds"] = None
            await k.api.patch(f"/api/v1/nodes/{name}", slow)

    on(test)


def test_a_token_of_the_pods_service_account(on):
    async def test(k):
        script = """cd /var/run/secrets/kubernetes.io/serviceaccount; ls; cat namespace; echo
        curl -s --cacert ca.crt -H "Authorization: Bearer $(cat token)" -o /dev/null -w '%{http_code}\n' \
            https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT/api/v1/namespaces/$(cat namespace)/pods"""
        words = (await k.output(pod(script))).split()
        assert words[:4] == ["ca.crt", "namespace", "token", k.namespace]
        assert words[4] == "403"  # known, but allowed nothing

    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    on(test)


def test_a_driver_that_is_not_registered(on):
    async def test(k):
        name = (await k.node())["metadata"]["name"]
        inline = [{"name": "v", "csi": {"driver": "nobody.example.com"}}]
        body = pod(container={"volumeMounts": [{"name": "v", "mountPath": "/v"}]}, volumes=inline, nodeName=name)
        await k.start(body)
        event = await k.event(lambda e: e["reason"] == "FailedMount")
        assert event["message"] == (
            'MountVolume.SetUp failed for volume "v" : kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: '
            "driver name nobody.example.com not found in the list of registered CSI drivers"
        )
        await k.delete()
        await k.gone()

    on(test)


# ---------------------------------------------------------------- the server


def _kubelet(sandbox, node, certificate):
    address = next(a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP")
    tls = ssl.create_default_context(cafile=str(sandbox.state_dir / "pki/ca.crt"))
    if certificate:
        pki = sandbox.state_dir / "pki"
        tls.load_cert_chain(pki / "kubelet-client.crt", pki / "kubelet-client.key")
    return f"https://{address}:{node['status']['daemonEndpoints']['kubeletEndpoint']['Port']}", tls


@pytest.mark.parametrize(
    ("who", "path", "expected"),
    [
        ("nobody", "/pods", 401),
        ("wrong token", "/pods", 401),
        ("service account", "/pods", 200),
        ("service account", "/pods/", 200),
        ("service account", "/containerLogs/{ns}/p/c", 403),
        ("api server", "/containerLogs/{ns}/p/c", 200),
        ("api server", "/containerLogs/{ns}/none/c", 404),
    ],
)
def test_who_may_ask_the_kubelet(on, sandbox, who, path, expected):
    async def test(k):
        await k.run(pod("echo hello; sleep 600"))
        base, tls = _kubelet(sandbox, await k.node(), who == "api server")
        account = f"/api/v1/namespaces/{k.namespace}/serviceaccounts/default/token"
        token = (await k.api.create(account, {"spec": {}}))["status"]["token"]
        bearer = {"service account": token, "wrong token": "abc"}.get(who)
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        async with aiohttp.ClientSession(headers=headers) as session:
            async with session.get(base + path.format(ns=k.namespace), ssl=tls) as answer:
                assert answer.status == expected
                if expected == 200 and path.startswith("/pods"):
                    mine = [p for p in (await answer.json())["items"] if p["metadata"]["namespace"] == k.namespace]
                    assert [p["status"]["phase"] for p in mine] == ["Running"]

    on(test)


def test_kubectl_port_forward_and_attach(on, sandbox):
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")

    async def test(k):
        script = "cd /etc && exec python3 -m http.server 18124"
        probe = {"readinessProbe": {"tcpSocket": {"port": 18124}, "periodSeconds": 1}}
        await k.run(pod(script, container=probe))
        reader = {"stdin": True, "command": ["bash", "-c", "while read l; do echo got $l; done"]}
        await k.run(pod(container=reader), name="reader")
        await k.until(lambda p: container(p)["ready"])
        base = [kubectl, "--kubeconfig", str(sandbox.kubeconfig), "-n", k.namespace]
        attached = await asyncio.create_subprocess_exec(
            *base, "attach", "-i", "reader", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        attached.stdin.write(b"one\n")
        assert await asyncio.wait_for(attached.stdout.readline(), 20) == b"got one\n"
        attached.kill()
        await attached.wait()
        forward = await asyncio.create_subprocess_exec(*base, "port-forward", "p", ":18124", stdout=subprocess.PIPE)
        try:
            line = (await asyncio.wait_for(forward.stdout.readline(), 20)).decode()
            port = line.split(" -> ")[0].rpartition(":")[2]
            async with aiohttp.ClientSession() as session:
                for _ in range(3):  # a connection each
                    async with session.get(f"http://127.0.0.1:{port}/hostname", headers={"Connection": "close"}) as got:
                        assert got.status == 200 and await got.text()
        finally:
            forward.kill()
            await forward.wait()

    on(test)


def test_output_that_nobody_reads_ends_the_command(on, sandbox):
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")

    async def test(k):
        await k.run(
            pod("until [ -s /tmp/pid ]; do sleep 0.1; done; while [ -e /proc/$(cat /tmp/pid) ]; do sleep 0.1; done")
        )
        base = f"{kubectl} --kubeconfig {sandbox.kubeconfig} -n {k.namespace}"
        command = f"{base} exec p -- sh -c 'echo $$ > /tmp/pid; exec yes' | head -1"
        reading = await asyncio.create_subprocess_shell(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert (await asyncio.wait_for(reading.communicate(), 30))[0] == b"y\n"
        await k.until(phase("Succeeded"))

    on(test)


# ---------------------------------------------------------------- JuiceFS


@pytest.mark.full
def test_a_juicefs_volume_comes_and_goes(sandbox, node_root):
    if sandbox.tier != "full":
        pytest.skip(sandbox.tier_reason)

    async def test(own):
        k = Cluster(sandbox, own.api, "juicefs-system")  # where the claim is
        volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "songlin-test-pvc"}}]
        mounts = {"volumeMounts": [{"name": "v", "mountPath": "/jfs"}]}
        body = pod("mountpoint -q /jfs && echo hi > /jfs/kt && cat /jfs/kt && sleep 600", container=mounts)
        body["spec"]["volumes"] = volumes
        made = await k.run(body, name="kt-juicefs")
        uid = made["metadata"]["uid"]
        target = f"/var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~csi/songlin-test-pv/mount"
        held = await k.api.get(k.pods, labelSelector="app.kubernetes.io/name=juicefs-mount")
        (mount_pod,) = [p for p in held["items"] if target in (p["metadata"].get("annotations") or {}).values()]
        await k.delete("kt-juicefs")
        await k.gone("kt-juicefs")
        assert not (node_root / f"var/lib/kubelet/pods/{uid}").exists()
        await k.gone(mount_pod["metadata"]["name"])

    in_namespace(sandbox, test)
