"""Settings of a new Mount Pod, their hash, its cache and its command line."""

import json
import subprocess
from datetime import timedelta

import pytest

from jfsnb.driver.mountpods.command import MountCommand, escape, quote_line
from jfsnb.driver.settings import quantity
from jfsnb.driver.settings.cache_dirs import cache_layout
from jfsnb.driver.settings.hash import dump, settings_hash
from jfsnb.driver.settings.options import (
    apply_patch,
    cap_buffer_size,
    parse_duration,
    pod_resources,
    string_map,
    volume_context,
)
from jfsnb.errors import ConfigInvalid

EXEC = {"exec": {"command": ["sh", "-c", "echo hello", "ddd", "Asdasd", "3w34"]}}
ATTR = {"lifecycle": {"preStop": EXEC}, "readinessProbe": {"initialDelaySeconds": 10, **EXEC}}


@pytest.mark.parametrize(
    "settings,expected",
    [
        ({"name": "test"}, "c70d286a1be115d37a47468a651136ede3cef0a40a22709026a9dfda2591caf"),
        (
            {"name": "test", "Options": ["f", "a=b", "c=d"]},
            "ce5172f75fcdc9938c35f60f1066b832bb19c1f545fa6dcd0ac24b6484ad6ec",
        ),
        (
            {"name": "test", "Options": ["c=d", "f", "a=b"]},
            "ce5172f75fcdc9938c35f60f1066b832bb19c1f545fa6dcd0ac24b6484ad6ec",
        ),
        (
            {"name": "test", "Options": ["c=d", "f", "a=b"], "Attr": ATTR},
            "e8e95769bde5d118247c0431b51acc9aaee0e0ca3ff2d56aafd066349c4e734",
        ),
    ],
)
def test_hash_has_the_driver_s_own_values(settings, expected):
    """Values of the driver's own unit test TestGenHashOfSetting."""
    assert settings_hash(settings) == expected


BASE = {"name": "fs", "UniqueId": "u", "Attr": {"Image": "a:b", "labels": {"x": "y"}, "env": [{"name": "A"}]}}


@pytest.mark.parametrize(
    "change,counts",
    [
        ({"VolumeId": "v"}, False),
        ({"SubPath": "s"}, False),
        ({"initconfig": "i"}, False),
        ({"MountPath": "/jfs/u-abcdef"}, False),
        ({"UniqueId": "w"}, True),
        ({"metaurl": "redis://x"}, True),
        ({"UUID": "id"}, True),
        ({"deleted_delay": "30m"}, True),
        ({"Attr": {**BASE["Attr"], "Image": "a:c"}}, True),
        ({"Attr": {**BASE["Attr"], "labels": {"x": "z"}}}, True),
        ({"Attr": {**BASE["Attr"], "hostnameKey": "podname"}}, False),
        ({"Attr": {**BASE["Attr"], "Tolerations": [{"operator": "Exists"}]}}, True),
    ],
)
def test_what_counts_in_the_hash(change, counts):
    assert (settings_hash({**BASE, **change}) != settings_hash(BASE)) is counts


def test_json_is_written_as_go_writes_it():
    text = dump({"name": "a<b>&c", "Attr": {"labels": {"z": "1", "a": "2"}}})
    assert '"name":"a\\u003cb\\u003e\\u0026c"' in text and '"labels":{"a":"2","z":"1"}' in text
    assert '"CacheDirs":null' in text and '"token"' not in text and '"env"' not in text
    assert json.loads(text)["name"] == "a<b>&c"


def test_patch_overlays_settings_field_by_field():
    before = {
        "IsCe": True,
        "Options": ["cache-size=1", "ro", "buffer-size=9G"],
        "Attr": {
            "Image": "default",
            "labels": {"a": "1"},
            "annotations": {"n": "1"},
            "env": [{"name": "OLD"}],
            "Resources": {"limits": {"memory": "1Gi"}},
            "HostNetwork": True,
        },
    }
    patch = {
        "ceMountImage": "new",
        "labels": {"b": "2"},
        "annotations": {"juicefs-delete-delay": "30m", "juicefs/clean-cache": "true", "m": "2"},
        "mountOptions": ["cache-size=2"],
        "hostNetwork": False,
    }
    after = apply_patch(before, patch)
    assert after["Attr"] == {
        "Image": "new",
        "labels": {"a": "1", "b": "2"},
        "annotations": {"n": "1", "m": "2"},
        "Resources": {"limits": {"memory": "1Gi"}},
        "HostNetwork": False,
    }
    assert after["Options"] == ["cache-size=2", "ro", "buffer-size=1024"]
    assert (after["deleted_delay"], after["clean_cache"]) == ("30m", True)
    assert before["Attr"]["env"] == [{"name": "OLD"}]
    assert apply_patch(after, patch) == after


def test_an_unparsable_delay_is_ignored():
    assert "deleted_delay" not in apply_patch({"Attr": {}}, {"annotations": {"juicefs-delete-delay": "soon"}})


@pytest.mark.parametrize(
    "option,limit,expected",
    [
        ("buffer-size=300", "1Gi", "buffer-size=300"),
        ("buffer-size=2G", "1Gi", "buffer-size=1024"),
        ("buffer-size=50%", "300Mi", "buffer-size=150"),
        ("buffer-size=200%", "300Mi", "buffer-size=300"),
        ("buffer-size=2G", "0", "buffer-size=2G"),
        ("buffer-size=lots", "1Gi", ""),
        ("cache-size=9999999", "1Gi", "cache-size=9999999"),
        ("ro", "1Gi", "ro"),
    ],
)
def test_buffer_size_is_capped(option, limit, expected):
    assert cap_buffer_size(option, limit) == expected


def test_resources_of_a_volume():
    found = pod_resources(
        {"juicefs/mount-cpu-limit": "0", "juicefs/mount-cpu-request": "0", "juicefs/mount-memory-limit": "2048Mi"}
    )
    assert found == {"limits": {"memory": "2Gi"}, "requests": {"cpu": "0", "memory": "1Gi"}}
    with pytest.raises(ConfigInvalid, match="mount-cpu-limit"):
        pod_resources({"juicefs/mount-cpu-limit": "many"})


def test_pvc_annotations_over_volume_attributes():
    notes = {"juicefs/mount-cpu-limit": "2", "juicefs/mount-image": "evil", "other": "x"}
    attributes = {"juicefs/mount-cpu-limit": "1", "subPath": "s"}
    assert volume_context(attributes, notes) == {"juicefs/mount-cpu-limit": "2", "subPath": "s"}
    assert volume_context(attributes, notes, unsafe=True)["juicefs/mount-image"] == "evil"


def test_string_maps_are_yaml_or_json():
    assert string_map("a: 1\nb: yes") == string_map('{"a": "1", "b": "true"}') == {"a": "1", "b": "true"}


@pytest.mark.parametrize(
    "text,canonical",
    [
        ("10000m", "10"),
        ("10240Mi", "10Gi"),
        ("10m", "10m"),
        ("1.5", "1500m"),
        ("0.5Gi", "512Mi"),
        ("1000", "1k"),
        ("1e3", "1e3"),
        ("0", "0"),
        ("1500Mi", "1500Mi"),
        ("512", "512"),
        ("0.1Ki", "102400m"),
    ],
)
def test_quantities_in_canonical_form(text, canonical):
    assert quantity.canonical(text) == canonical
    assert quantity.parse(quantity.canonical(text)) == quantity.parse(text)


@pytest.mark.parametrize("text", ["", "1 Gi", "1gi", "--1", "1Gi2"])
def test_no_quantities(text):
    with pytest.raises(ValueError):
        quantity.parse(text)


@pytest.mark.parametrize(
    "text,expected",
    [
        ("30m", timedelta(minutes=30)),
        ("1h30m1.5s", timedelta(seconds=5401.5)),
        ("0", timedelta()),
        ("-5s", timedelta(seconds=-5)),
    ]
    + [(t, None) for t in ("", "30", "m", "30 m", "1d", "30m!")],
)
def test_durations(text, expected):
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "dirs,context,options,expected_dirs,expected_options",
    [
        ([], {}, ["ro"], ["/var/jfsCache"], ["ro"]),
        ([], {}, ["cache-dir=/a:/b", "ro"], ["/a", "/b"], ["ro", "cache-dir=/a:/b"]),
        ([], {}, ["cache-dir=memory"], [], ["cache-dir=memory"]),
        ([{"type": "HostPath", "path": "/c"}], {}, ["cache-dir=/a"], ["/c", "/a"], ["cache-dir=/a:/c"]),
        ([{"type": "PVC", "name": "p"}], {}, [], [], ["cache-dir=/var/jfsCache-0"]),
        ([], {"juicefs/mount-cache-pvc": "p,q"}, [], [], ["cache-dir=/var/jfsCache-0:/var/jfsCache-1"]),
        ([{"type": "EmptyDir", "sizeLimit": "1Gi"}], {}, [], [], ["cache-dir=/var/jfsCache-emptyDir"]),
        ([{"type": "Ephemeral", "storage": "1Gi"}], {}, [], [], ["cache-dir=/var/jfsCache-ephemeral-0"]),
    ],
)
def test_cache_layout(dirs, context, options, expected_dirs, expected_options):
    found = cache_layout(dirs, context, options)
    assert (list(found.dirs), list(found.options)) == (expected_dirs, expected_options)


@pytest.mark.parametrize("entry", [{"type": "EmptyDir"}, {"type": "Ephemeral"}, {"type": "Ephemeral", "storage": "0"}])
def test_caches_that_the_driver_chokes_on(entry):
    with pytest.raises(ConfigInvalid):
        cache_layout([entry], {}, [])


@pytest.mark.parametrize(
    "line,path,ce",
    [
        (
            "exec /bin/mount.juicefs ${metaurl} /jfs/pvc-1-abcdef -o subdir=x,metrics=0.0.0.0:9567",
            "/jfs/pvc-1-abcdef",
            True,
        ),
        ("/usr/local/bin/juicefs format ${metaurl} fs\n/bin/mount.juicefs ${metaurl} /jfs/u-x -o a", "/jfs/u-x", True),
        ("/sbin/mount.juicefs myfs /mnt/jfs/u -o foreground", "/mnt/jfs/u", False),
        ("sleep 60", "", False),
        ("exec /bin/mount.juicefs ${metaurl} /data -o a", "", True),
    ],
)
def test_mount_path_is_read_as_the_driver_reads_it(line, path, ce):
    found = MountCommand.parse(["sh", "-c", line])
    assert (found.mount_path, found.is_ce) == (path, ce)


def test_a_command_that_is_none():
    assert MountCommand.parse([]).mount_path == ""


def test_internal_files():
    command = ["sh", "-c", "exec m s /jfs/u -o prefix-internal,ro"]
    assert MountCommand.parse(command).config_file == "/jfs/u/.jfs.config"
    assert MountCommand.parse(["sh", "-c", "exec m s /jfs/u -o ro"]).access_log == "/jfs/u/.accesslog"


@pytest.mark.parametrize("text", ["abc", "a$b", "$(id)", "it's; rm", "a`b`", "\\'x'|y", "back\\slash&"])
def test_escaped_words_survive_bash(text):
    done = subprocess.run(["bash", "-c", f"printf %s {escape(text)}"], capture_output=True, text=True, check=True)
    assert done.stdout == text


def test_words_without_danger_are_left_alone():
    assert escape("redis://:pw@host:6379/1") == "redis://:pw@host:6379/1"
    assert quote_line("mysql://u@(host:3306)/db") == "mysql://u@\\(host:3306\\)/db"
