"""The sandbox's driver is held to a real cluster: one recorded life, lived again here (tests/recorded/real/7-cycle).

An app Pod comes and goes; another one comes, its Mount Pod is upgraded by re-creation, and it goes. Compared are the
Pods that the driver makes, field by field, what it does to them, its log, line by line, and what the upgrade prints.
"""

import pytest
from kubernetes import watch

from .recording import acts, comparable, log_lines, recorded_object, recorded_watch, text_of, upgrade_lines
from .test_end_to_end_upgrade import upgrade
from .world import NAMESPACE, NEW, NODE, OLD

pytestmark = [pytest.mark.sandbox, pytest.mark.full]
APP, VOLUME = "app-cycle", "songlin-test-pv"
CONFIG = """enableNodeSelector: false
mountPodPatch:
- ceMountImage: {image}
  resources: {{requests: {{cpu: 50m, memory: 64Mi}}, limits: {{cpu: "1", memory: 1Gi}}}}
"""
COMMAND = ["bash", "-c", "trap 'exit 0' TERM; while :; do date >> /data/cycle.log; sleep 1 & wait; done"]
REAL = {
    "node-a": "NODE",
    "127.0.0.1:5000/juicedata/mount:ce-v1.3.0": "OLD",
    "127.0.0.1:5000/juicedata/mount:ce-v1.4.1": "NEW",
}
HERE = {NODE: "NODE", OLD: "OLD", NEW: "NEW"}
#: A Secret of the recorded cluster has this key; its images have no client outside of them.
ONLY_THERE = ("secretkey",)
#: The sandbox's metadata and objects are in a directory of the node.
ONLY_HERE = ("hostpath-0",)
#: The new client is up before the old Pod has gone, or after: two things side by side.
SIDE_BY_SIDE = "Mount pod NAME is deleted"


class Life:
    """One life in the sandbox, and what was seen of it."""

    def __init__(self, world):
        self.world = world
        world.configure(CONFIG.format(image=OLD))
        logged = len(world.csi_log().splitlines())
        version = world.core.list_namespaced_pod(NAMESPACE, limit=1).metadata.resource_version
        self.running = self.come_and_go()
        app, before = self.come()
        world.configure(CONFIG.format(image=NEW))
        self.said = upgrade(world, before.name, "--recreate")
        world.gone(before.name)
        (after,) = world.serving(app)
        self.after = self.pod(after.name)
        world.until_logged(world.csi_node(), f'"Mount point is ready" logger="pod-driver" podName="{after.name}"')
        world.configure(CONFIG.format(image=OLD))
        self.go(after)
        self.log = from_first_mount(world.csi_log().splitlines()[logged:])
        self.watched = self.watch_from(version, after.name)
        self.canary = next(e["object"] for e in self.watched if "-canary-" in e["object"]["metadata"]["name"])

    def pod(self, name):
        return self.plain(self.world.core.read_namespaced_pod(name, NAMESPACE))

    def plain(self, obj):
        return self.world.raw.sanitize_for_serialization(obj)

    def come(self):
        self.world.app(APP, command=COMMAND)
        app = self.world.running(APP)
        (mount_pod,) = self.world.serving(app)
        line = f'"Mount point is ready" logger="pod-driver" podName="{mount_pod.name}"'
        self.world.until_logged(self.world.csi_node(), line)
        return app, mount_pod

    def go(self, mount_pod):
        self.world.delete(APP, grace_period_seconds=5)
        self.world.gone(mount_pod.name)

    def come_and_go(self):
        _, mount_pod = self.come()
        found = self.pod(mount_pod.name)
        self.go(mount_pod)
        return found

    def watch_from(self, version, last):
        """All that happened to Pods since then, up to the end of the last one."""
        seen = []
        for event in watch.Watch().stream(
            self.world.core.list_namespaced_pod, NAMESPACE, resource_version=version, timeout_seconds=30
        ):
            seen.append({"type": event["type"], "object": self.plain(event["object"])})
            if event["type"] == "DELETED" and event["object"].metadata.name == last:
                return seen
        raise AssertionError(f"the watch did not tell the end of {last}")


def from_first_mount(lines):
    """Without what was still being unmounted for somebody else when this life began."""
    first = next(number for number, line in enumerate(lines) if 'logger="NodePublishVolume"' in line)
    return lines[first:]


def without(pod, names):
    """A comparable Pod without what only one of the clusters has."""
    spec, (container, *more) = pod["spec"], pod["spec"]["containers"]
    kept = {k: [e for e in container.get(k, ()) if e["name"] not in names] for k in ("env", "volumeMounts")}
    volumes = [v for v in spec["volumes"] if v["name"] not in names]
    return {**pod, "spec": {**spec, "volumes": volumes, "containers": [{**container, **kept}, *more]}}


def test_a_recorded_life_is_lived_again(world):
    life = Life(world)
    for made, name in ((life.running, "mount-pod-running"), (life.after, "mount-pod-after-upgrade")):
        theirs = without(comparable(recorded_object(name), {**REAL, "kube-system": "NAMESPACE"}), ONLY_THERE)
        ours = without(comparable(made, {**HERE, NAMESPACE: "NAMESPACE"}), ONLY_HERE)
        assert ours == theirs, name
    theirs = comparable(recorded_object("canary-pod"), {**REAL, "kube-system": "NAMESPACE"})
    theirs["metadata"].pop("finalizers")  # the Job controller's, which counts without them here
    assert comparable(life.canary, {**HERE, NAMESPACE: "NAMESPACE"}) == theirs

    assert acts(life.watched, VOLUME) == acts(recorded_watch(), VOLUME)

    ours, theirs = log_lines(life.log), log_lines(text_of("csi-node.log.gz").splitlines())
    assert set(ours) == set(theirs)
    for group, lines in theirs.items():
        assert ours[group] == lines, group

    printed = [line[20:] for line in text_of("upgrade-recreate-output.txt").splitlines()]
    assert [line for line in upgrade_lines(life.said) if line != SIDE_BY_SIDE] == upgrade_lines(printed)


def stage(world, act, last):
    """(what ``act`` returns, log lines that it led to, up to one)."""
    csi_node = world.csi_node()
    logged = len(world.csi_log(csi_node).splitlines())
    answer = act()
    seen = world.csi_log(csi_node).splitlines()
    world.until_logged(csi_node, last, times=sum(last in line for line in seen[:logged]) + 1)
    lines = log_lines(world.csi_log(csi_node).splitlines()[logged:])
    lines.pop("NodeUnpublishVolume", None)  # nobody of ours goes; somebody of another test may
    return answer, lines


def test_a_recorded_exchange_of_the_client(world):
    world.app(APP)
    (mount_pod,) = world.serving(world.running(APP))
    world.configure(world.with_entry(ceMountImage=NEW))
    said, lines = stage(world, lambda: upgrade(world, mount_pod.name), '"kill -s SIGHUP"')
    there_before = ("I", "job-builder", "canary job already exists, delete it first", ("name",))
    theirs = log_lines(text_of("../10-upgrade-under-io/c-binary-1.4.1.log").splitlines())["upgrade"]
    theirs.remove(there_before)
    assert [line for line in lines["upgrade"] if line != there_before] == theirs
    printed = text_of("../10-upgrade-under-io/c-binary-1.4.1.txt").splitlines()
    assert upgrade_lines(said) == upgrade_lines(printed)


def test_a_recorded_deletion_of_a_mount_pod(world):
    world.app(APP)
    (mount_pod,) = world.serving(world.running(APP))
    ready = '"Mount point is ready" logger="pod-driver"'
    world.until_logged(world.csi_node(), f'{ready} podName="{mount_pod.name}"')
    world.configure(world.with_entry(ceMountImage=NEW))
    _, lines = stage(world, lambda: world.delete(mount_pod.name), ready)
    assert lines == log_lines(text_of("../10-upgrade-under-io/e-delete-mount-pod.log").splitlines())
