"""What image references name, and which clients may be added under which tags."""

import json
from pathlib import Path

import pytest

from jfsnb.errors import UsageError
from jfsnb.sandbox.images.catalogue import WHEELS
from jfsnb.sandbox.images.image import ImageNotFound, host_directories
from jfsnb.sandbox.images.images import ImageStore
from jfsnb.sandbox.runtime.tier import Tier, with_clients

ARTICLE = "xxx/juicedata/mount:ce-v1.3.0"
CSI = "juicedata/juicefs-csi-driver:v0.32.4-sandbox"


@pytest.fixture
def put_wheel(cache, make_client):
    def put(wheel):
        home = cache / "clients" / wheel.version
        make_client(home, wheel.client)
        (home / "client.json").write_text(json.dumps({"version": wheel.client, "sha256": wheel.version}))

    return put


@pytest.mark.parametrize(
    ("reference", "full"),
    [
        ("juicedata/mount:ce-nosuch", "docker.io/juicedata/mount:ce-nosuch"),
        ("busybox", "docker.io/library/busybox:latest"),
        ("registry.example.com:5000/a/b:c", "registry.example.com:5000/a/b:c"),
    ],
)
def test_an_unknown_tag_is_worded_as_containerd_words_it(store, reference, full):
    for look in (store.find, store.pull):
        with pytest.raises(ImageNotFound) as raised:
            look(reference)
        assert raised.value.what == (
            f'failed to pull and unpack image "{full}": failed to resolve reference "{full}": {full}: not found'
        )


def test_catalogue_images_differ_in_client_and_id(store, put_wheel):
    for wheel in WHEELS:
        with pytest.raises(ImageNotFound):
            store.find(f"juicedata/mount:{wheel.tag}")
        put_wheel(wheel)
    found = [store.find(f"juicedata/mount:{wheel.tag}") for wheel in WHEELS]
    assert [image.client_version for image in found] == [wheel.client for wheel in WHEELS]
    assert len({image.id for image in found}) == len(WHEELS) == 5
    for image in found:
        assert image.id.startswith("sha256:") and len(image.id) == 71
        assert {file.target for file in image.files} == {
            "/usr/local/bin/juicefs",
            "/usr/local/lib/mount.juicefs",
            "/bin/mount.juicefs",
        }
    assert store.find("docker.io/" + found[0].reference).id == found[0].id


def test_the_article_s_app_image_has_the_client_that_its_tag_claims_or_none(store, put_wheel):
    plain = store.find("local/debian:bookworm")
    assert plain.files == () and plain.client_version == "" and store.find(ARTICLE).id == plain.id
    put_wheel(WHEELS[0])
    assert store.find(ARTICLE).client_version == WHEELS[0].client == "1.3.0+2025-07-07.pypi"


def test_the_driver_image_runs_this_python_with_or_without_a_client(store, put_wheel):
    assert store.find(CSI).entrypoint[1:] == ("-m", "jfsnb.sandbox.csi.node.main")
    assert store.find(CSI).client_version == ""
    put_wheel(WHEELS[0])
    assert store.find(CSI).client_version == WHEELS[0].client


def test_an_added_client_is_there_for_later_sandboxes_too(store, tmp_path, monkeypatch, make_client):
    client = make_client(tmp_path / "bin", "1.2.0+2024-06-18.873c47b")
    monkeypatch.chdir(client.parent)
    image = store.add("ce-v1.2.0", Path(client.name))
    assert image.client_version == "1.2.0+2024-06-18.873c47b"
    links = {file.target: file.link for file in image.files}
    assert links["/usr/local/lib/mount.juicefs"] == "/usr/local/bin/juicefs", "a client is its own mount.juicefs"
    assert ImageStore(tmp_path / "another").find("juicedata/mount:ce-v1.2.0").id == image.id


def test_without_any_client_there_are_no_mounts(store, tmp_path, cache, make_client):
    full = Tier("full", "All is real.")
    low = with_clients(full)
    assert low.name == "namespaces" and str(cache) in low.reason
    store.add("latest", make_client(tmp_path / "bin", "1.3.0+x"))
    assert with_clients(full) is full
    assert store.find(CSI).client_version == "1.3.0+x", "the driver asks file systems for their UUID with it"


def test_an_image_that_is_not_kept_goes_with_its_sandbox(store, tmp_path, make_client):
    store.add("registry.example.com/mine:test", make_client(tmp_path / "bin", "1.2.0+x"), keep=False)
    assert store.find("registry.example.com/mine:test").client_version == "1.2.0+x"
    with pytest.raises(ImageNotFound):
        ImageStore(tmp_path / "another").find("registry.example.com/mine:test")


@pytest.mark.parametrize("tag", ["ce-v1.2.1", "juicedata/mount:ce-v1.1.0", "other/mount:ce-v0.14.1-abc"])
def test_a_tag_must_not_claim_another_version(store, tmp_path, tag, make_client):
    with pytest.raises(UsageError, match="claims version") as raised:
        store.add(tag, make_client(tmp_path / "bin", "1.2.0+2024-06-18.873c47b"))
    assert "ce-v1.2.0" in raised.value.next_step
    with pytest.raises(ImageNotFound):
        store.find(tag)


@pytest.mark.parametrize("tag", ["ce-v1.2.0-mine", "ce-nightly", "latest"])
def test_tags_that_tell_the_truth_or_claim_nothing(store, tmp_path, tag, make_client):
    assert store.add(tag, make_client(tmp_path / "bin", "1.2.0+2024-06-18.873c47b")).client_version


def test_a_client_from_before_1_0_is_refused(store, tmp_path, make_client):
    with pytest.raises(UsageError, match="too old"):
        store.add("latest", make_client(tmp_path / "bin", "0.17.5 (2022-01-25 cd6d06c)"))


def test_what_is_no_client_is_refused(store, tmp_path, make_client):
    with pytest.raises(UsageError, match="is no file"):
        store.add("latest", tmp_path)
    other = make_client(tmp_path, "x")
    other.write_text("#!/bin/sh\necho something else\n")
    with pytest.raises(UsageError, match="is no JuiceFS client"):
        store.add("latest", other)
    other.chmod(0o644)
    with pytest.raises(UsageError, match="cannot be run"):
        store.add("latest", other)


def test_the_catalogue_cannot_be_redefined(store, tmp_path, make_client):
    for tag in ("ce-v1.3.0", "local/debian:bookworm", CSI):
        with pytest.raises(UsageError, match="every sandbox has"):
            store.add(tag, make_client(tmp_path / "bin", "1.3.0"))


def test_the_node_is_shown_where_images_take_files_from(store, put_wheel):
    put_wheel(WHEELS[0])
    shown = host_directories()
    for reference in (CSI, f"juicedata/mount:{WHEELS[0].tag}"):
        for file in store.find(reference).files:
            assert not file.source or file.source.startswith((*shown, "/usr/"))


def test_a_baseline_of_one_s_own_serves_everybody_and_the_newest_is_tested(store, tmp_path, make_client, put_wheel):
    (tmp_path / "state/images").mkdir(parents=True)
    assert (store.baseline, store.tested()) == ("juicedata/mount:ce-v1.3.0", "juicedata/mount:ce-v1.4.2")
    store.add("ce-v1.2.0", make_client(tmp_path / "a", "1.2.0"))
    store.baseline = "docker.io/juicedata/mount:ce-v1.2.0"
    again = ImageStore(tmp_path / "state")
    assert (again.baseline, again.wanted()) == ("juicedata/mount:ce-v1.2.0", "juicedata/mount:ce-v1.4.2")
    assert again.find(CSI).client_version == "1.2.0"
    put_wheel(WHEELS[0])
    assert again.tested() == "juicedata/mount:ce-v1.3.0", "the newest could not be had"
    put_wheel(WHEELS[-1])
    assert again.tested() == "juicedata/mount:ce-v1.4.2"
    again.baseline = again.tested()
    assert again.wanted() == "juicedata/mount:ce-v1.4.1"


def test_an_environment_below_tmp_is_not_hidden_by_the_drivers_volume_there(store, monkeypatch):
    monkeypatch.setattr("sys.prefix", "/tmp/checkout/.venv")
    monkeypatch.setattr("sys.executable", "/tmp/checkout/.venv/bin/python3")
    image = store.find(CSI)
    assert "/tmp/checkout/.venv" in {file.source for file in image.files}
    named = [file.target for file in image.files] + list(image.entrypoint)
    assert [path for path in named if path.startswith("/tmp")] == []
