"""Each manifest of deploy/rbac gives what its commands need, and nothing more: they run as its ServiceAccount."""

import json
import re
from collections import namedtuple
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from jfsnb.checks.model import Verdict
from jfsnb.cli import main
from jfsnb.cluster import client as kube_cluster
from jfsnb.cluster.connect import connect
from jfsnb.cluster.transport import Transport
from jfsnb.errors import PermissionMissing
from jfsnb.run import background, patch, preflight
from jfsnb.run.rollback import rollback
from jfsnb.run.state import checks_of, load
from jfsnb.run.upgrade import parts as upgrade

pytestmark = [pytest.mark.sandbox, pytest.mark.full]
MANIFESTS = Path(__file__).parents[2] / "deploy" / "rbac"
NAMESPACE, CLAIM, NEW = "juicefs-system", "songlin-test-pvc", "juicedata/mount:ce-v1.4.2"
PATH = re.compile(
    r"/(?:api|apis/(?P<group>[^/]+))/v1/(?:namespaces/(?P<namespace>[^/]+)/)?(?P<plural>[a-z]+)"
    r"(?:/(?P<name>[^/?]+))?(?:/(?P<sub>[a-z]+))?"
)
Done = namedtuple("Done", "verb resource namespace")
RBAC = "/apis/rbac.authorization.k8s.io/v1"
WHERE = {
    "ServiceAccount": ("/api/v1", "serviceaccounts"),
    "ClusterRole": (RBAC, "clusterroles"),
    "Role": (RBAC, "roles"),
    "ClusterRoleBinding": (RBAC, "clusterrolebindings"),
    "RoleBinding": (RBAC, "rolebindings"),
}


def manifests(*names, smoke=NAMESPACE):
    text = "\n---\n".join((MANIFESTS / f"{name}.yaml").read_text() for name in names)
    text = re.sub(rf"{NAMESPACE}( # the smoke)", rf"{smoke}\1", text)
    return [doc for doc in yaml.safe_load_all(text) if doc]


@pytest.fixture
def applied(cluster):
    """Applies manifests; hands out a kubeconfig of one of their ServiceAccounts."""
    made = []

    def apply(*names, **namespaces):
        for doc in manifests(*names, **namespaces):
            root, plural = WHERE[doc["kind"]]
            namespace = doc["metadata"].get("namespace")
            path = f"{root}/namespaces/{namespace}/{plural}" if namespace else f"{root}/{plural}"
            cluster.transport.call("POST", path, None, doc)
            made.append(f"{path}/{doc['metadata']['name']}")

    yield apply
    for path in reversed(made):
        cluster.transport.call("DELETE", path)


@pytest.fixture
def kubeconfig(cluster, sandbox, tmp_path_factory):
    def kubeconfig(account):
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{account}/token"
        token = cluster.transport.call("POST", path, None, request)["status"]["token"]
        found = yaml.safe_load(sandbox.kubeconfig.read_text())
        found["users"][0]["user"] = {"token": token}
        file = tmp_path_factory.mktemp("account") / "kubeconfig"
        file.write_text(yaml.safe_dump(found))
        return str(file)

    return kubeconfig


@pytest.fixture
def done(monkeypatch):
    """What was asked of any API server since, as RBAC sees it; what was refused is not in it."""
    found = set()
    send, execute = Transport._send, kube_cluster.execute

    def note(self, method, path, query, *args, **kwargs):
        answer = send(self, method, path, query, *args, **kwargs)
        at = PATH.match(path)
        if at and answer.status != 403 and "reviews" not in at["plural"]:
            read = "watch" if (query or {}).get("watch") else "get" if at["name"] else "list"
            verb = {"GET": read, "POST": "create", "PATCH": "patch", "DELETE": "delete"}[method]
            found.add(Done(verb, at["plural"] + (f"/{at['sub']}" if at["sub"] else ""), at["namespace"] or ""))
        return answer

    def note_exec(transport, namespace, *args):
        found.update({Done("get", "pods/exec", namespace), Done("create", "pods/exec", namespace)})
        return execute(transport, namespace, *args)

    monkeypatch.setattr(Transport, "_send", note)
    monkeypatch.setattr(kube_cluster, "execute", note_exec)
    return found


def granted(docs):
    """All (verb, resource, namespace) that the roles of these manifests give; namespace "" for everywhere."""
    return {
        Done(verb, resource, doc["metadata"].get("namespace", ""))
        for doc in docs
        if doc["kind"].endswith("Role")
        for rule in doc["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def unused(docs, done):
    return {
        g for g in granted(docs) if not any((d.verb, d.resource) == g[:2] and g[2] in ("", d.namespace) for d in done)
    }


def test_a_reader_may_ask_everything_and_needs_nothing_more(
    world, sandbox, applied, kubeconfig, done, tmp_path_factory, monkeypatch
):
    monkeypatch.setenv("JFSNB_OUTPUTS", str(tmp_path_factory.mktemp("outputs")))
    run = world.run()
    smoke = background.baseline(run)
    applied("read-only")
    where = ["--kubeconfig", kubeconfig("jfsnb-reader"), "--cluster", sandbox.context]
    done.clear()
    for words in (["mounts"], ["verify", smoke.pod], ["verify", f"pvc/{CLAIM}"], ["explain", CLAIM], ["doctor"]):
        result = CliRunner().invoke(main, [*words, "-o", "json", *where])
        assert result.exit_code in (0, 3), result.output
        assert "forbidden" not in result.output
        # NOT_READY: a Mount Pod that another test used is just ending; what could not be looked at would be ERROR
        assert json.loads(result.stdout)["verdict"] in ("PASS", "WARN", "NOT_READY")
    collected = CliRunner().invoke(main, ["collect", "-o", str(world.outputs.parent / "collected.zip"), *where])
    assert collected.exit_code == 0, collected.output
    planned = CliRunner().invoke(main, ["patch", "--image", NEW, *where])
    assert (planned.exit_code, "forbidden" in planned.output) == (0, False)  # the plan alone changes nothing
    assert unused(manifests("read-only"), done) == set()
    refused = CliRunner().invoke(main, ["patch", "--yes", "--image", NEW, *where, "--run-id", "refused"])
    assert refused.exit_code == 3 and "PermissionMissing" in refused.output
    assert world.config == world.before["config"]["config.yaml"]
    rollback(world.cluster, run.id, world.outputs)


@pytest.mark.parametrize(
    ("scope", "more", "parameters"),
    [
        ("canary", ["storage-class"], {"namespace": "infer", "storage_class": "juicefs-sc"}),
        ("global", [], {"scope": "global"}),
    ],
    ids=["canary", "global"],
)
def test_a_run_works_with_its_manifests_and_needs_nothing_more(
    world, applied, kubeconfig, done, scope, more, parameters
):
    names = ["read-only", scope, *more]
    docs = manifests(*names, smoke=parameters.get("namespace", NAMESPACE))
    applied(*names, smoke=parameters.get("namespace", NAMESPACE))
    world.cluster, admin = connect(kubeconfig=kubeconfig(f"jfsnb-{scope}")), world.cluster
    try:
        run = world.run(image=NEW, **parameters)
        done.clear()
        found = world.tell(run)
        assert verdict_of(run) is Verdict.PASS, [c for _, c in checks_of(load(run.folder)) if c.verdict != "PASS"]
        again = world.run(image=NEW, **parameters)
        patch.plan(again), patch.apply(again)
        undone = rollback(world.cluster, again.id, world.outputs / "elsewhere")
        assert undone.complete, json.dumps(undone.rows, indent=1)
        asked = preflight.needed(run.settings.namespace, NAMESPACE, bool(run.settings.storage_class))
        assert found["preflight"].verdict is Verdict.PASS
        known = {(p.verb, p.resource, p.namespace) for p in asked}
        unasked = {d for d in done if not {(d.verb, d.resource, d.namespace), (d.verb, d.resource, "")} & known}
        assert unasked == set()  # the preflight names everything that a run does
        changing = [d for d in docs if "read" not in d["metadata"]["name"]]
        there = scope == "global"  # where updatedb-config is there already, nobody makes one
        spare = {Done(verb, "configmaps", NAMESPACE) for verb in ("create", "delete") if there}
        assert unused(changing, done) == spare
    finally:
        world.cluster = admin


def test_an_upgrade_works_with_its_manifest_and_needs_nothing_more(world, applied, kubeconfig, done):
    applied("read-only", "upgrade")
    world.cluster, admin = connect(kubeconfig=kubeconfig("jfsnb-upgrade")), world.cluster
    try:
        run = world.run(image=NEW, stall_budget=60)
        done.clear()
        for part in (upgrade.load, upgrade.plan, upgrade.configure, upgrade.exchange, upgrade.proof, upgrade.back):
            part(run)
        assert verdict_of(run) is Verdict.PASS, [c for _, c in checks_of(load(run.folder)) if c.verdict != "PASS"]
        changing = [d for d in manifests("upgrade") if "read" not in d["metadata"]["name"]]
        there = {Done(verb, "configmaps", NAMESPACE) for verb in ("create", "delete")}  # updatedb-config
        assert unused(changing, done) <= there
    finally:
        world.cluster = admin


def verdict_of(run):
    return max((c.verdict for _, c in checks_of(load(run.folder))), key=lambda v: v is not Verdict.PASS)


def test_what_is_missing_is_named(world, applied, kubeconfig):
    applied("read-only")
    world.cluster, admin = connect(kubeconfig=kubeconfig("jfsnb-reader")), world.cluster
    try:
        with pytest.raises(PermissionMissing, match="patch configmaps in juicefs-system") as refused:
            background.preflight(world.run(image=NEW))
    finally:
        world.cluster = admin
    assert "deploy/rbac/canary.yaml" in refused.value.next_step
