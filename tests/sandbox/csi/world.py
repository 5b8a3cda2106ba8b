"""A running sandbox for the driver's end-to-end tests: a few verbs on top of the official client."""

import os
import re
import signal
import time
from contextlib import contextmanager
from pathlib import Path

import yaml
from kubernetes import client, config, watch
from kubernetes.client.rest import ApiException
from kubernetes.stream import stream

from jfsnb.driver.mountpods.mount_pods import MountPod

NAMESPACE = "juicefs-system"
NODE = "svr28176de740"
RECORDED = "sandbox.jfsnb.io/recorded"
OLD, NEW = "juicedata/mount:ce-v1.3.0", "juicedata/mount:ce-v1.4.2"
SECONDS = 60


class World:
    def __init__(self, kubeconfig):
        api = config.new_client_from_config(str(kubeconfig))
        self.raw, self.kubeconfig = api, str(kubeconfig)
        self.core, self.storage = client.CoreV1Api(api), client.StorageV1Api(api)

    # ---- app Pods

    def app(
        self,
        name,
        script="while :; do sleep 1; done",
        claim="songlin-test-pvc",
        propagation="HostToContainer",
        node=NODE,
        volumes=None,
        mounts=None,
        privileged=False,
        command=None,
        **extra,
    ):
        """Create an app Pod with the claim's volume (``data``) at /data; it runs a shell ``script``, or a ``command``.

        ``extra`` goes into its volumeMount, ``mounts`` stand in for it, ``volumes`` are more claims by volume name.
        """
        mount = {"name": "data", "mountPath": "/data", "mountPropagation": propagation, **extra}
        claims = {"data": claim, **(volumes or {})}
        spec = {
            "terminationGracePeriodSeconds": 0,
            "nodeName": node,
            "containers": [
                {
                    "name": "app",
                    "image": "local/debian:bookworm",
                    "command": command or ["sh", "-c", script],
                    "securityContext": {"privileged": privileged},
                    "volumeMounts": mounts or [mount],
                }
            ],
            "volumes": [{"name": v, "persistentVolumeClaim": {"claimName": c}} for v, c in claims.items()],
        }
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        return self.core.create_namespaced_pod(NAMESPACE, body)

    def running(self, name):
        return self.until_pod(name, lambda p: p.status.phase == "Running")

    def until_pod(self, name, condition, what="condition"):
        """Watch one Pod until the condition holds."""
        field = f"metadata.name={name}"
        for event in watch.Watch().stream(
            self.core.list_namespaced_pod, NAMESPACE, field_selector=field, timeout_seconds=SECONDS
        ):
            if event["type"] != "DELETED" and condition(event["object"]):
                return event["object"]
        raise AssertionError(f"{name}: {what} did not come true")

    def delete(self, name, wait=True, **options):
        try:
            self.core.delete_namespaced_pod(name, NAMESPACE, **options)
        except ApiException as error:
            if error.status == 404:
                return
            raise
        if wait:
            self.gone(name)

    def gone(self, name):
        try:
            version = self.core.read_namespaced_pod(name, NAMESPACE).metadata.resource_version
        except ApiException as error:
            assert error.status == 404
            return
        field = f"metadata.name={name}"
        for event in watch.Watch().stream(
            self.core.list_namespaced_pod,
            NAMESPACE,
            field_selector=field,
            resource_version=version,
            timeout_seconds=SECONDS,
        ):
            if event["type"] == "DELETED":
                return
        raise AssertionError(f"{name} is still there")

    def exec(self, pod, command, container=None):
        """Output of a shell command in a Pod, both streams."""
        options = {"container": container} if container else {}
        return stream(
            self.core.connect_get_namespaced_pod_exec,
            pod,
            NAMESPACE,
            command=["sh", "-c", command],
            stdout=True,
            stderr=True,
            **options,
        )

    def eventually(self, pod, ask, answer):
        """Repeat a command in a Pod until its output has the answer (nothing tells of a container's inside)."""
        look = f"x=$({ask} 2>&1); case \"$x\" in *'{answer}'*) echo found; exit;; esac"
        said = self.exec(pod, f'for i in $(seq 200); do {look}; sleep .1; done; echo "$x"')
        assert said.strip() == "found", f"{pod}: {ask}: {said}"

    # ---- Mount Pods

    def mount_pods(self, volume="songlin-test-pv"):
        """Live Mount Pods of a volume, oldest first; recorded ones are somebody else's."""
        selector = f"app.kubernetes.io/name=juicefs-mount,volume-id={volume}"
        found = self.core.list_namespaced_pod(NAMESPACE, label_selector=selector).items
        mine = [p for p in found if RECORDED not in (p.metadata.annotations or {})]
        mine.sort(key=lambda p: (p.metadata.creation_timestamp, int(p.metadata.resource_version)))
        return [MountPod.from_object(self.raw.sanitize_for_serialization(p)) for p in mine]

    def recorded_mount_pods(self):
        """Those that are only shown."""
        found = self.core.list_namespaced_pod(NAMESPACE, label_selector="app.kubernetes.io/name=juicefs-mount").items
        shown = [p for p in found if RECORDED in (p.metadata.annotations or {})]
        return [MountPod.from_object(self.raw.sanitize_for_serialization(p)) for p in shown]

    def cache_of(self, mount_pod):
        """The node's cache directory of a Mount Pod's file system."""
        (cache,) = [o.partition("=")[2] for o in mount_pod.command.options if o.startswith("cache-dir=")]
        return f"{cache}/{mount_pod.annotations['juicefs-uuid']}"

    def kill_client(self, mount_path, number=signal.SIGKILL):
        """A signal to the client that serves a mount path, that is, to its supervisor; returns how many there were."""
        killed = 0
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().replace(b"\0", b" ").split()
            except OSError:
                continue
            if mount_path.encode() in words and words[0].endswith(b"/mount.juicefs"):
                os.kill(int(process.name), number)
                killed += 1
        return killed

    def serving(self, app):
        """The Mount Pods that carry a reference of an app Pod."""
        volume = self.volume_of(app)
        return [m for m in self.mount_pods(volume) if any(r.pod_uid == app.metadata.uid for r in m.references)]

    def volume_of(self, app):
        claim = app.spec.volumes[0].persistent_volume_claim.claim_name
        return self.core.read_namespaced_persistent_volume_claim(claim, NAMESPACE).spec.volume_name

    def static_volume(self, name, secret="juicefs-secret", **spec):
        """One more PV of the file system, whose volumeHandle is its name."""
        made = self.raw.sanitize_for_serialization(self.core.read_persistent_volume("songlin-test-pv").spec)
        made.pop("claimRef", None)
        made["csi"] |= {"volumeHandle": name, "nodePublishSecretRef": {"name": secret, "namespace": NAMESPACE}}
        self.core.create_persistent_volume({"metadata": {"name": name}, "spec": made | spec})

    # ---- configuration

    def csi_node(self, node=NODE):
        """The driver's Pod on a node, as soon as there is one that stays."""
        query = {"label_selector": "app=juicefs-csi-node", "field_selector": f"spec.nodeName={node}"}
        pods = watch.Watch().stream(self.core.list_namespaced_pod, NAMESPACE, timeout_seconds=SECONDS, **query)
        return next(
            e["object"].metadata.name
            for e in pods
            if e["type"] != "DELETED" and not e["object"].metadata.deletion_timestamp
        )

    @contextmanager
    def no_csi_node(self):
        """Have the DaemonSet want no node at all."""
        apps, name = client.AppsV1Api(self.raw), "juicefs-csi-node"

        def select(value):
            template = {"spec": {"nodeSelector": {"app-nobody": value}}}
            apps.patch_namespaced_daemon_set(name, NAMESPACE, {"spec": {"template": template}})

        old = self.csi_node()
        select("nobody")
        self.gone(old)
        try:
            yield
        finally:
            select(None)
            self.csi_node()

    @contextmanager
    def driver_env(self, **env):
        """Run the node part of the driver with more environment: the DaemonSet replaces its Pods."""
        apps, name = client.AppsV1Api(self.raw), "juicefs-csi-node"

        def roll(values):
            old = self.csi_node()
            containers = [{"name": "juicefs-plugin", "env": values}]
            template = {"spec": {"containers": containers}}
            patch = {"spec": {"template": template}}
            apps.patch_namespaced_daemon_set(name, NAMESPACE, patch)
            self.gone(old)
            self.until_logged(self.csi_node(), "Listening for connection on address")

        now = apps.read_namespaced_daemon_set(name, NAMESPACE).spec.template.spec.containers[0].env
        before = [{"name": e.name, "value": e.value} for e in now if e.name in env]
        before += [{"name": key, "$patch": "delete"} for key in env if key not in {e["name"] for e in before}]
        roll([{"name": key, "value": value} for key, value in env.items()])
        try:
            yield
        finally:
            roll(before)

    def csi_log(self, pod=None):
        return self.core.read_namespaced_pod_log(pod or self.csi_node(), NAMESPACE)

    def config(self):
        return self.core.read_namespaced_config_map("juicefs-csi-driver-config", NAMESPACE).data["config.yaml"]

    def configure(self, text, line="config file updated, reload config", pods=()):
        """Put another config.yaml in place and wait until the node's driver (or other Pods of it) says so."""
        before = {pod: self.csi_log(pod).count(line) for pod in pods or [self.csi_node()]}
        self.core.patch_namespaced_config_map("juicefs-csi-driver-config", NAMESPACE, {"data": {"config.yaml": text}})
        for pod, count in before.items():
            self.sync(pod)
            self.until_logged(pod, line, count + 1)

    def sync(self, pod):
        """Have the kubelet bring a Pod's mounted ConfigMaps up to date now."""
        note = {"metadata": {"annotations": {"updatedAt": str(time.time_ns())}}}
        self.core.patch_namespaced_pod(pod, NAMESPACE, note)

    def until_logged(self, pod, line, times=1):
        """Follow a driver Pod's log until a line has come so many times."""
        read, count = self.core.read_namespaced_pod_log, 0
        self.until_pod(pod, lambda p: p.status.phase == "Running")
        for text in watch.Watch().stream(read, pod, NAMESPACE, _request_timeout=SECONDS):
            count += line in text
            if count >= times:
                return
        raise AssertionError(f"never logged: {line}")

    def with_entry(self, **fields):
        """The article's configuration with one more entry for the test's claim."""
        document = yaml.safe_load(self.config())
        document["mountPodPatch"].append({"pvcSelector": {"matchName": "songlin-test-pvc"}, **fields})
        return yaml.safe_dump(document)

    def call_node(self, method, **fields):
        """Call the node's driver through its own socket; returns the response as text, or the error."""
        return self._call(self.csi_node(), "/csi/csi.sock", "Node", method, {"volume_id": "songlin-test-pv", **fields})

    def call_controller(self, method, **fields):
        """The same for the controller."""
        socket = "/var/lib/csi/sockets/pluginproxy/csi.sock"
        return self._call("juicefs-csi-controller-0", socket, "Controller", method, fields)

    def _call(self, pod, socket, service, method, fields):
        program = (
            "import asyncio; from jfsnb.sandbox.proto import messages as proto\n"
            "async def main():\n"
            f"    async with proto.unix_channel('{socket}', caller='tests') as channel:\n"
            f"        request = proto.{method}Request(**{fields!r})\n"
            f"        print(await proto.stub(channel, 'csi.v1.{service}').{method}(request))\n"
            "asyncio.run(main())"
        )
        return self.exec(pod, f'python -c "{program}" 2>&1')

    # ---- nodes

    def volume_stats(self, pod, node=NODE):
        """What the kubelet says of a Pod's volumes in /stats/summary."""
        status = self.core.read_node(node).status
        host = next(a.address for a in status.addresses if a.type == "InternalIP")
        port = status.daemon_endpoints.kubelet_endpoint.port
        kubelet = f"https://{host}:{port}/stats/summary"
        headers = {"Authorization": self.raw.configuration.get_api_key_with_prefix("BearerToken")}
        answer = self.raw.rest_client.pool_manager.request("GET", kubelet, headers=headers).json()
        (found,) = [p for p in answer["pods"] if p["podRef"]["name"] == pod]
        return [v for v in found.get("volume") or () if "pvcRef" in v]

    # ---- events

    def event(self, name, pattern):
        """Watch events of a Pod until one matches; returns its message."""
        field = f"involvedObject.name={name}"
        for found in watch.Watch().stream(
            self.core.list_namespaced_event, NAMESPACE, field_selector=field, timeout_seconds=SECONDS
        ):
            if re.search(pattern, found["object"].message or "", re.DOTALL):
                return found["object"].message
        raise AssertionError(f"no event of {name} matches {pattern}")
