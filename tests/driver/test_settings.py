"""Settings of a new Mount Pod, their hash, its cache and its command line."""

import json
import subprocess
from datetime import timedelta

import pytest

from jfsnb.driver.golang.duration import parse_duration
from jfsnb.driver.mountpods.command import MountCommand, escape, quote_line
from jfsnb.driver.settings import quantity
from jfsnb.driver.settings.attr import volume_context
from jfsnb.driver.settings.hash import dump, settings_hash
from jfsnb.driver.settings.user_secret import string_map

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


def test_pvc_annotations_over_volume_attributes():
    notes = {"juicefs/mount-cpu-limit": "2", "juicefs/mount-image": "evil", "other": "x"}
    attributes = {"juicefs/mount-cpu-limit": "1", "subPath": "s"}
    assert volume_context(attributes, notes, unsafe=False) == {"juicefs/mount-cpu-limit": "2", "subPath": "s"}
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
