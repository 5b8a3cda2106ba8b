"""The five steps against a sandbox in which a real client serves: the story, and what must not end PASS."""

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace

import pytest
import yaml

from jfsnb.checks.model import Verdict, overall
from jfsnb.cluster.connect import connect
from jfsnb.errors import (
    CheckFailed,
    ConfigInvalid,
    ConflictError,
    JfsnbError,
    NotInCluster,
    PermissionMissing,
    SandboxError,
    WaitTimeout,
)
from jfsnb.run import background, deploy, patch, verify
from jfsnb.run.rollback import rollback
from jfsnb.run.state import checks_of, load, open_run
from jfsnb.settings import Settings

pytestmark = [pytest.mark.sandbox, pytest.mark.full]
OLD = "juicedata/mount:ce-v1.3.0"
NAMESPACE = "juicefs-system"
RBAC = "rbac.authorization.k8s.io/v1"


def verdict_of(run):
    return overall(c.verdict for _, c in checks_of(load(run.folder)))


@pytest.mark.parametrize("parameters", [{}, {"scope": "global"}, {"storage_class": "juicefs-sc"}], ids=str)
def test_the_story_ends_well(world, parameters):
    run = world.run(**parameters)
    found = world.tell(run)
    assert verdict_of(run) is Verdict.PASS, [c for _, c in checks_of(load(run.folder)) if c.verdict != "PASS"]
    assert world.look() == world.before
    assert run.journal.standing() == ()
    calls = found["csi_calls"]
    assert [c["method"] for c in calls.calls] == ["NodePublishVolume"] and calls.traced
    assert {("kubelet", "CSI node"), ("CSI node", "app Pod")} <= {(m["caller"], m["callee"]) for m in calls.moments}
    served = found["served_by"]
    assert served.same_client is False  # what runs in the app Pod is not what serves it
    tested, baseline = found["smoke"], found["baseline"]
    assert (tested.node, tested.volume) == (baseline.node, baseline.volume) and tested.mount_pod != baseline.mount_pod
    assert {r["sha256"] for r in found["data"].routes} == {found["data"].routes[0]["sha256"]}
    assert len(found["data"].routes) == 3
    assert found["shutdown"].mount_pod_gone
    assert {p.kind for p in world.told} >= {"step", "wait", "event", "log", "change"}
    logs = {path.name: path.read_text() for path in (run.folder / "logs").iterdir()}
    assert "PRESTOP" in logs[f"{tested.pod}.log"] and "is ready at" in logs[f"{tested.mount_pod}.log"]
    before = (run.folder / "config-before.yaml").read_text()
    assert before == world.before["config"]["config.yaml"] != (run.folder / "config-after.yaml").read_text()


def test_results_are_plain_data_without_secrets(world):
    run = world.run()
    world.tell(run)
    for part in load(run.folder):
        assert part["title"] and part["data"] is not None
    kept = "".join(p.read_text() for p in run.folder.rglob("*") if p.is_file())
    assert "client-key-data" not in kept


def test_where_nothing_can_mount_it_is_told_before_anything_is_tried(recorded_sandbox, tmp_path):
    cluster = connect(kubeconfig=str(recorded_sandbox.kubeconfig))
    run = open_run(replace(Settings(), outputs=tmp_path), cluster)
    with pytest.raises(SandboxError, match="cannot be judged in sandbox tier recorded"):
        background.preflight(run)
    assert verdict_of(run) is not Verdict.PASS
    assert run.journal.standing() == ()


def test_an_unknown_tag_fails_at_once_and_says_so(world):
    run = world.run(image="juicedata/mount:ce-v9.9.9")
    with pytest.raises(CheckFailed, match=r"ce-v9\.9\.9.*not found"):
        world.tell(run)
    assert verdict_of(run) is Verdict.FAIL
    assert rollback(world.cluster, run.id, world.outputs).complete


def test_an_image_without_a_client_fails_and_its_mount_pod_is_quoted(world):
    run = world.run(image="local/debian:bookworm")
    with pytest.raises(CheckFailed, match="Mount Pod") as failed:
        world.tell(run)
    assert "juicefs" in failed.value.what and "not found" in failed.value.what
    assert rollback(world.cluster, run.id, world.outputs).complete


def test_the_baseline_s_own_tag_is_refused_before_anything_is_patched(world):
    run = world.run(image=OLD)
    with pytest.raises(CheckFailed, match="already runs"):
        world.tell(run)
    assert world.config == world.before["config"]["config.yaml"]
    rollback(world.cluster, run.id, world.outputs)


def test_a_stale_mount_pod_does_not_pass(world):
    """Somebody takes the patch back before the smoke Pod is made: it is served, and all is green, by the old client."""
    run = world.run()
    world.tell(run, until=deploy.prepare)
    world.config = world.before["config"]["config.yaml"]
    assert deploy.smoke(run).verdict is Verdict.PASS
    assert verify.client(run).verdict is Verdict.FAIL
    for part in (deploy.side_by_side, verify.chain, verify.data, verify.shutdown, verify.restore, verify.verdict):
        part(run)
    assert verdict_of(run) is Verdict.FAIL


def test_a_cell_may_be_run_again(world):
    run = world.run()
    first, second = background.baseline(run), background.baseline(run)
    assert first.uid != second.uid and len(load(run.folder)) == 1
    rollback(world.cluster, run.id, world.outputs)


def test_a_part_that_is_missing_keeps_a_run_from_passing(world):
    run = world.run()
    background.preflight(run)
    assert verify.verdict(run).verdict is Verdict.NOT_READY


def test_somebody_else_edits_between_plan_and_patch(world):
    run = world.run()
    world.tell(run, until=patch.apply)
    theirs = world.config.replace("cache-size=0G", "cache-size=1G")
    world.config = theirs
    with pytest.raises(ConflictError):
        patch.apply(run)
    assert world.config == theirs
    world.config = world.before["config"]["config.yaml"]
    rollback(world.cluster, run.id, world.outputs)


def test_what_somebody_else_edits_meanwhile_outlives_the_run(world):
    run = world.run()
    world.tell(run, until=patch.wait_in_force)
    world.config = world.config.replace("cache-size=0G", "cache-size=1G")
    assert rollback(world.cluster, run.id, world.outputs).complete
    assert world.config == world.before["config"]["config.yaml"].replace("cache-size=0G", "cache-size=1G")
    world.config = world.before["config"]["config.yaml"]


def test_config_yaml_that_is_not_yaml(world):
    world.config = "mountPodPatch: [\n"
    run = world.run()
    with pytest.raises(JfsnbError, match="YAML") as failed:
        background.preflight(run)
    assert failed.value.exit_code == 3  # nothing was learned about the client under test
    with pytest.raises(ConfigInvalid):
        patch.plan(run)
    world.config = world.before["config"]["config.yaml"]


def test_no_claim_and_an_unbound_one(world):
    with pytest.raises(JfsnbError, match="no claim"):
        background.preflight(world.run(pvc="nowhere"))
    with pytest.raises(NotInCluster, match="no PersistentVolumeClaim"):
        background.baseline(world.run(pvc="nowhere"))
    spec = {"accessModes": ["ReadWriteMany"], "volumeName": "nothing", "resources": {"requests": {"storage": "1Gi"}}}
    meta = {"name": "unbound", "namespace": NAMESPACE}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta}
    world.cluster.create({**claim, "spec": {**spec, "storageClassName": ""}})
    with pytest.raises(WaitTimeout, match="Pending"):
        background.preflight(world.run(pvc="unbound"))
    world.cluster.delete("persistentvolumeclaims", NAMESPACE, "unbound")
    world.cluster.wait_gone("persistentvolumeclaims", NAMESPACE, "unbound", 10)


def test_missing_permissions_are_named_before_anything_is_tried(world, sandbox, tmp_path_factory):
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]
    user = ServiceAccount(world.cluster, rules)
    kubeconfig = user.kubeconfig(sandbox, tmp_path_factory.mktemp("reader") / "kubeconfig")
    run = open_run(replace(world.run().settings, image=OLD), connect(kubeconfig=kubeconfig))
    with pytest.raises(PermissionMissing, match="patch configmaps in juicefs-system") as refused:
        background.preflight(run)
    assert "create pods in juicefs-system" in refused.value.what and "list nodes" not in refused.value.what
    assert verdict_of(run) is Verdict.ERROR
    with pytest.raises(PermissionMissing, match="cannot create Pod"):
        background.baseline(run)
    assert run.journal.standing() == () or rollback(world.cluster, run.id, world.outputs).complete
    user.remove()


class ServiceAccount:
    """Credentials with certain rules, cluster-wide."""

    PATHS = (
        ("/api/v1/namespaces/default/serviceaccounts", "v1", "ServiceAccount"),
        ("/apis/rbac.authorization.k8s.io/v1/clusterroles", "rbac.authorization.k8s.io/v1", "ClusterRole"),
        (
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            "rbac.authorization.k8s.io/v1",
            "ClusterRoleBinding",
        ),
    )

    def __init__(self, cluster, rules):
        self.call = cluster.transport.call
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "jfsnb-tested"}
        subject = {"kind": "ServiceAccount", "name": "jfsnb-tested", "namespace": "default"}
        more = ({}, {"rules": rules}, {"roleRef": role, "subjects": [subject]})
        for (path, version, kind), fields in zip(self.PATHS, more, strict=True):
            self.call(
                "POST",
                path,
                None,
                {"apiVersion": version, "kind": kind, "metadata": {"name": "jfsnb-tested"}, **fields},
            )

    def kubeconfig(self, sandbox, path):
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        token = self.call("POST", f"{self.PATHS[0][0]}/jfsnb-tested/token", None, request)["status"]["token"]
        found = yaml.safe_load(sandbox.kubeconfig.read_text())
        found["users"][0]["user"] = {"token": token}
        path.write_text(yaml.safe_dump(found))
        return str(path)

    def remove(self):
        for path, _, _ in reversed(self.PATHS):
            self.call("DELETE", f"{path}/jfsnb-tested")


def test_a_name_that_is_taken_is_never_deleted(world):
    run = world.run(profile="article")
    meta = {"name": "smoke-juicefs-pod", "namespace": NAMESPACE}
    container = {"name": "c", "image": "local/debian:bookworm", "command": ["sleep", "1000"]}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    theirs = world.cluster.create({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    with pytest.raises(ConflictError, match="smoke-juicefs-pod"):
        deploy.smoke(run)
    rollback(world.cluster, run.id, world.outputs)
    found = world.cluster.get("pods", NAMESPACE, "smoke-juicefs-pod")
    assert found["metadata"]["uid"] == theirs["metadata"]["uid"] and "deletionTimestamp" not in found["metadata"]
    world.cluster.delete("pods", NAMESPACE, "smoke-juicefs-pod", grace=0)
    world.cluster.wait_gone("pods", NAMESPACE, "smoke-juicefs-pod", 20)


KILLED = """
import os, sys
from dataclasses import replace
from pathlib import Path
from jfsnb.cluster.connect import connect
from jfsnb.settings import Settings
from jfsnb.run import background, deploy, journal, patch
from jfsnb.run.state import open_run

kubeconfig, outputs, run_id, fatal = sys.argv[1:]
facts, write = [], journal.Journal._write

def deadly(self, **fact):
    write(self, **fact)
    facts.append(fact)
    if len(facts) == int(fatal):
        os.kill(os.getpid(), 9)

journal.Journal._write = deadly
settings = replace(Settings(run_id=run_id, timeout=40), outputs=Path(outputs))
run = open_run(settings, connect(kubeconfig=kubeconfig))
for part in (background.baseline, patch.plan, patch.apply, patch.wait_in_force, deploy.smoke):
    part(run)
print(len(facts))
"""


@pytest.mark.slow
@pytest.mark.parametrize("elsewhere", [False, True], ids=["same machine", "another machine"])
@pytest.mark.parametrize("fatal", [2, 4])  # every instant: test_killed.py
def test_a_kernel_killed_at_any_journal_step_can_be_cleaned_up_after(world, sandbox, fatal, elsewhere):
    run_id = f"killed-{fatal}"
    words = [str(sandbox.kubeconfig), str(world.outputs), run_id, str(fatal)]
    ended = subprocess.run([sys.executable, "-c", KILLED, *words], capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stdout + ended.stderr
    outputs = world.outputs / "empty" if elsewhere else world.outputs
    done = rollback(world.cluster, run_id, outputs)
    assert done.complete, done.rows
    assert world.look() == world.before
    assert rollback(world.cluster, run_id, outputs).rows == ()


@pytest.mark.parametrize("line", ["Pending", "Running"])
def test_ctrl_c_in_the_middle(world, line):
    run = world.run()
    world.tell(run, until=deploy.smoke)

    def interrupt(progress):
        if progress.kind == "note" and progress.source.startswith("pod/smoke-juicefs") and progress.text == line:
            threading.Timer(0, os.kill, (os.getpid(), signal.SIGINT)).start()

    with pytest.raises(KeyboardInterrupt):
        deploy.smoke(replace(run, notify=interrupt))
        signal.pause()  # it may come late
    assert rollback(world.cluster, run.id, world.outputs).complete
    assert world.look() == world.before


def test_keep_leaves_everything_for_a_later_rollback(world):
    run = world.run(keep=True)
    found = world.tell(run)
    assert {r["outcome"] for r in found["restore"].undone} == {"kept, as asked"}
    assert world.config != world.before["config"]["config.yaml"]
    assert rollback(world.cluster, run.id, world.outputs).complete
