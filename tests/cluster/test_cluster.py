"""The verbs against a real API server: the sandbox's, in the tier that runs nothing."""

import tempfile
from pathlib import Path

import pytest
import yaml

from jfsnb.cluster.access import permitted
from jfsnb.cluster.connect import connect
from jfsnb.cluster.feeds import Feeds
from jfsnb.errors import ConflictError, ConnectionFailed, JfsnbError, NotInCluster, WaitTimeout

pytestmark = pytest.mark.sandbox
NAMESPACE = "juicefs-system"


@pytest.fixture
def sandbox(recorded_sandbox):
    return recorded_sandbox


@pytest.fixture
def cluster(sandbox):
    return connect(kubeconfig=str(sandbox.kubeconfig))


def config_map(name, **data):
    meta = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


def changed_kubeconfig(sandbox, tmp_path, change):
    kubeconfig = yaml.safe_load(sandbox.kubeconfig.read_text())
    change(kubeconfig)
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(kubeconfig))
    return str(path)


def test_connect_says_who_answers(cluster, sandbox):
    assert cluster.context == sandbox.context
    assert cluster.server == sandbox.server
    assert cluster.version.startswith("v1.")
    assert cluster.tier == "recorded" and cluster.default_image


def test_no_file_is_left_that_holds_the_credentials(sandbox, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for _ in range(2):
        found = connect(kubeconfig=str(sandbox.kubeconfig))
        assert found.version and not list(tmp_path.iterdir())
    found.transport.headers()  # credentials may be refreshed here
    assert "BEGIN CERTIFICATE" in Path(found.transport.configuration.ssl_ca_cert).read_text()
    assert not list(tmp_path.iterdir())


def test_unknown_context_names_the_known_ones(sandbox):
    with pytest.raises(ConnectionFailed, match="nowhere") as failed:
        connect(kubeconfig=str(sandbox.kubeconfig), context="nowhere")
    assert sandbox.context in failed.value.next_step


def test_a_refused_token(sandbox, tmp_path):
    def spoil(kubeconfig):
        kubeconfig["users"][0]["user"]["token"] = "nonsense"

    with pytest.raises(ConnectionFailed, match="401"):
        connect(kubeconfig=changed_kubeconfig(sandbox, tmp_path, spoil))


def test_nobody_listens(sandbox, tmp_path):
    def move(kubeconfig):
        kubeconfig["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"

    with pytest.raises(ConnectionFailed, match=r"no connection to https://127\.0\.0\.1:1"):
        connect(kubeconfig=changed_kubeconfig(sandbox, tmp_path, move))


def test_a_certificate_of_somebody_else(sandbox, tmp_path):
    def distrust(kubeconfig):
        found = kubeconfig["clusters"][0]["cluster"]
        found.pop("certificate-authority-data", None)
        found.pop("certificate-authority", None)

    with pytest.raises(ConnectionFailed, match="certificate"):
        connect(kubeconfig=changed_kubeconfig(sandbox, tmp_path, distrust))


def test_a_kubeconfig_that_is_not_there(tmp_path):
    with pytest.raises(ConnectionFailed, match="cannot be used"):
        connect(kubeconfig=str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("plugin", "said"),
    [
        ({"command": "no-such-plugin"}, "not found"),
        ({"command": "/bin/false"}, "returned 1"),
        ({"command": "sh", "args": ["-c", "echo login expired >&2; exit 3"]}, "returned 3. login expired"),
        ({"command": "echo", "args": ["nonsense"]}, "failed to decode"),
        ({"command": "echo", "args": ['{"apiVersion": "x", "kind": "y", "status": {}}']}, "does not match"),
    ],
)
def test_a_credential_plugin_that_fails_is_named_as_the_cause(sandbox, tmp_path, plugin, said, capfd):
    """cases/05: the official client goes on without credentials, as system:anonymous."""

    def use(kubeconfig):
        settings = {"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never", **plugin}
        kubeconfig["users"][0]["user"] = {"exec": settings}

    with pytest.raises(ConnectionFailed, match=f"the credential plugin '{plugin['command']}' of context") as failed:
        connect(kubeconfig=changed_kubeconfig(sandbox, tmp_path, use))
    assert said in failed.value.what and sandbox.context in failed.value.what
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("no_proxy", ["", "example.com"])
def test_a_proxy_variable_sends_nothing_to_loopback_through_the_proxy(sandbox, monkeypatch, no_proxy):
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, no_proxy)
    found = connect(kubeconfig=str(sandbox.kubeconfig))
    assert found.version
    with pytest.raises(JfsnbError) as refused:  # the way of exec, over a websocket
        found.execute(NAMESPACE, "nobody", ["true"])
    assert "not found" in refused.value.what


def test_a_proxy_is_used_for_what_is_elsewhere_unless_no_proxy_names_it(sandbox, tmp_path, monkeypatch):
    def move(kubeconfig):
        kubeconfig["clusters"][0]["cluster"]["server"] = "https://jfsnb.invalid:6443"

    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "")
    moved = changed_kubeconfig(sandbox, tmp_path, move)
    with pytest.raises(ConnectionFailed, match="proxy"):
        connect(kubeconfig=moved)
    monkeypatch.setenv("NO_PROXY", ".invalid")
    monkeypatch.setenv("no_proxy", ".invalid")
    with pytest.raises(ConnectionFailed, match=r"jfsnb\.invalid") as failed:
        connect(kubeconfig=moved)
    assert "proxy" not in failed.value.what.lower()


def test_a_proxy_of_the_kubeconfig_is_for_everything(sandbox, tmp_path):
    def use(kubeconfig):
        kubeconfig["clusters"][0]["cluster"]["proxy-url"] = "http://127.0.0.1:1"

    with pytest.raises(ConnectionFailed, match="proxy"):
        connect(kubeconfig=changed_kubeconfig(sandbox, tmp_path, use))


def test_create_find_change_delete(cluster):
    made = cluster.create(config_map("verbs", a="1"))
    with pytest.raises(ConflictError):
        cluster.create(config_map("verbs"))
    stale = made["metadata"]["resourceVersion"]
    cluster.patch("configmaps", NAMESPACE, "verbs", {"data": {"a": "2"}})
    with pytest.raises(ConflictError):
        cluster.patch("configmaps", NAMESPACE, "verbs", {"metadata": {"resourceVersion": stale}, "data": {"a": "3"}})
    assert cluster.get("configmaps", NAMESPACE, "verbs")["data"] == {"a": "2"}
    assert cluster.delete("configmaps", NAMESPACE, "verbs")
    assert not cluster.delete("configmaps", NAMESPACE, "verbs")
    assert cluster.find("configmaps", NAMESPACE, "verbs") is None
    with pytest.raises(NotInCluster, match="verbs"):
        cluster.get("configmaps", NAMESPACE, "verbs")


def test_a_dry_run_changes_nothing(cluster):
    cluster.create(config_map("dry"), dry_run=True)
    assert cluster.find("configmaps", NAMESPACE, "dry") is None


def test_a_long_list_comes_in_pages_and_whole(cluster):
    for number in range(520):
        cluster.create(config_map(f"many-{number:03}"))
    pages = list(cluster.pages("configmaps", NAMESPACE, metadata_only=True))
    assert len(pages) > 1 and max(map(len, pages)) <= 500
    names = {item["metadata"]["name"] for page in pages for item in page}
    assert {f"many-{n:03}" for n in range(520)} <= names
    assert all("data" not in item for page in pages for item in page)
    assert len(cluster.list("configmaps", NAMESPACE)) == len(names)


def test_secrets_are_never_handed_out(cluster):
    secret = cluster.get("secrets", NAMESPACE, "juicefs-secret")
    assert set(secret["data"]) >= {"metaurl", "bucket"}
    assert all(value.startswith("<") for value in secret["data"].values())
    assert all(v.startswith("<") for s in cluster.list("secrets", NAMESPACE) for v in s["data"].values())


def test_feeds_bring_several_watches_together(cluster):
    seen = []
    with Feeds(cluster, 20) as feeds:
        feeds.watch("maps", "configmaps", NAMESPACE, fields="metadata.name=fed")
        feeds.watch("nodes", "nodes")
        synced = set()
        for item in feeds:
            if item.event.type == "SYNCED":
                synced.add(item.source)
                if synced == {"maps", "nodes"}:
                    cluster.create(config_map("fed"))
            elif item.source == "maps":
                seen.append(item.event.type)
                if item.event.type == "DELETED":
                    break
                cluster.delete("configmaps", NAMESPACE, "fed")
    assert seen == ["ADDED", "DELETED"]


def test_waiting_for_what_never_comes_ends(cluster):
    with pytest.raises(WaitTimeout, match="updatedb-config"):
        cluster.wait_for("configmaps", NAMESPACE, "updatedb-config", 0.5, lambda obj: None)
    with pytest.raises(WaitTimeout, match="still there"):
        cluster.wait_gone("configmaps", NAMESPACE, "updatedb-config", 0.5)
    cluster.wait_gone("configmaps", NAMESPACE, "never-there", 5)


def test_what_the_credentials_may_do(cluster):
    assert permitted(cluster, "patch", "configmaps", NAMESPACE) is True


def test_a_table_has_kubectl_s_columns(cluster):
    (row,) = cluster.table("configmaps", NAMESPACE, "updatedb-config")
    assert row["Name"] == "updatedb-config" and row["Data"] == 1
