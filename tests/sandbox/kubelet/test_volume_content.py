"""What is in a volume, and how it gets onto disk."""

import base64
import os

import pytest

from jfsnb.sandbox.kubelet.volumes import atomic
from jfsnb.sandbox.kubelet.volumes.content import File, Objects, VolumeError, files
from jfsnb.sandbox.kubelet.volumes.paths import outside

POD = {"metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"a": "1"}}, "spec": {"containers": []}}
MAPS = {"f": {"data": {"a.txt": "AAA", "b.txt": "BBB"}, "binaryData": {"c": base64.b64encode(b"\xff").decode()}}}


def made(volume, **objects):
    return files(POD, {"name": "v", **volume}, Objects(**objects))


def test_a_whole_configmap_with_its_mode():
    got = made({"configMap": {"name": "f", "defaultMode": 0o400}}, config_maps=MAPS)
    assert got == {"a.txt": File(b"AAA", 0o400), "b.txt": File(b"BBB", 0o400), "c": File(b"\xff", 0o400)}


def test_items_choose_and_rename():
    items = [{"key": "b.txt", "path": "sub/x", "mode": 0o444}]
    assert made({"configMap": {"name": "f", "items": items}}, config_maps=MAPS) == {"sub/x": File(b"BBB", 0o444)}


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"configMap": {"name": "none"}}, 'configmap "none" not found'),
        ({"secret": {"secretName": "none"}}, 'secret "none" not found'),
        ({"configMap": {"name": "f", "items": [{"key": "z", "path": "z"}]}}, "references non-existent config key: z"),
    ],
)
def test_what_is_missing_is_told_in_kubelets_words(volume, message):
    with pytest.raises(VolumeError, match=message):
        made(volume, config_maps=MAPS)


def test_optional_sources_may_be_missing():
    items = [{"key": "z", "path": "z"}, {"key": "a.txt", "path": "a"}]
    assert made({"configMap": {"name": "none", "optional": True}}) == {}
    source = {"name": "f", "optional": True, "items": items}
    assert set(made({"configMap": source}, config_maps=MAPS)) == {"a"}


def test_a_projection_of_several_sources():
    sources = [
        {"serviceAccountToken": {"path": "token"}},
        {"configMap": {"name": "f", "items": [{"key": "a.txt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
    ]
    got = made({"projected": {"sources": sources}}, config_maps=MAPS, tokens={"": "jwt"})
    assert {path: f.data for path, f in got.items()} == {"token": b"jwt", "ca.crt": b"AAA", "labels": b'a="1"'}


def test_files_are_links_and_an_update_replaces_all_of_them_at_once(tmp_path):
    assert atomic.write(tmp_path, {"a": File(b"1"), "dir/b": File(b"1")})
    old = os.readlink(tmp_path / "..data")
    assert (tmp_path / "a").is_symlink() and (tmp_path / "dir" / "b").read_bytes() == b"1"
    assert atomic.write(tmp_path, {"a": File(b"2"), "c": File(b"2", 0o400)})
    assert (tmp_path / "a").read_bytes() == b"2" and (tmp_path / "c").stat().st_mode & 0o777 == 0o400
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith("..")) == ["a", "c"]
    assert not (tmp_path / old).exists()


def test_nothing_is_written_when_nothing_changed(tmp_path):
    atomic.write(tmp_path, {"a": File(b"1")})
    before = os.readlink(tmp_path / "..data")
    assert not atomic.write(tmp_path, {"a": File(b"1")})
    assert os.readlink(tmp_path / "..data") == before


def test_an_open_file_keeps_its_content_across_an_update(tmp_path):
    atomic.write(tmp_path, {"a": File(b"old")})
    with (tmp_path / "a").open("rb") as held:
        atomic.write(tmp_path, {"a": File(b"new")})
        assert held.read() == b"old"


@pytest.mark.parametrize("path", ["../x", "/x", "a/../../x", "..x"])
def test_a_path_cannot_leave_the_volume(tmp_path, path):
    with pytest.raises(VolumeError, match="invalid path"):
        atomic.write(tmp_path / "v", {path: File(b"")})


def test_links_of_a_node_stay_inside_its_root(tmp_path):
    (tmp_path / "var").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "var" / "run").symlink_to("/run")
    (tmp_path / "up").symlink_to("../../../../etc")
    assert outside(tmp_path, "/var/run/x") == tmp_path / "run" / "x"
    assert outside(tmp_path, "/up/passwd") == tmp_path / "etc" / "passwd"
    assert outside(tmp_path, "/../../etc") == tmp_path / "etc"
