"""Files that nobody vouches for: one clear error, and nothing is left."""

import hashlib
import io
import json
import random
import stat
import zipfile

import pytest
from check_builders import healthy
from click.testing import CliRunner

from jfsnb.bundle import archive, layout
from jfsnb.bundle.read import read
from jfsnb.bundle.write import as_zip
from jfsnb.cli import main
from jfsnb.errors import BundleInvalid
from jfsnb.queries import investigate


@pytest.fixture(scope="module")
def members():
    data, _ = as_zip(healthy(), {})
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        return {name: source.read(name) for name in source.namelist()}


@pytest.fixture
def made(members, tmp_path, monkeypatch):
    """Makes a file of these members with some changed, its manifest in step; asserts that reading leaves nothing."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def made(changes=(), manifest=None, infos=(), in_step=True):
        content = {**members, **dict(changes)}
        told = {**json.loads(members[layout.MANIFEST]), **(manifest or {})}
        if in_step:
            told["members"] = {
                n: {"sha256": hashlib.sha256(c).hexdigest(), "bytes": len(c), "hidden": 0}
                for n, c in {**content, **{i.filename: c for i, c in infos}}.items()
                if n != layout.MANIFEST
            }
        content[layout.MANIFEST] = json.dumps(told).encode()
        path = tmp_path / "x.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as sink:
            for name, text in content.items():
                sink.writestr(name, text)
            for info, text in infos:
                sink.writestr(info, text)
        return path

    yield made
    assert list(folder.iterdir()) == []


def refused(path, words="no usable collection|looks strange"):
    with pytest.raises(BundleInvalid, match=words) as error:
        read(path)
    assert len(str(error.value)) < 1000 and error.value.next_step


def entry(name, kind=stat.S_IFREG):
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (kind | 0o644) << 16
    return info


@pytest.mark.parametrize(
    "name", ["../up", "/etc/passwd", "a/../../b", "C:\\x", "a\\..\\b", "objects//x", "./x", "a\x1b[2Jb", "ä", "x" * 500]
)
def test_paths_that_lead_elsewhere(made, name):
    refused(made(infos=[(entry(name), b"x")]), "no business")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFDIR])
def test_members_that_are_no_files(made, kind):
    refused(made(infos=[(entry("more/link", kind), b"/etc/passwd")]), "no business")


def test_a_member_twice(made):
    with pytest.warns(UserWarning):
        refused(made(infos=[(entry("README.txt"), b"x")]), "no business")


def test_sizes(made, monkeypatch):
    monkeypatch.setattr(archive, "MEMBER_BYTES", 1 << 20)
    refused(made({"more/bomb.txt": b"\0" * (8 << 20)}), "unpacks to more")
    monkeypatch.setattr(archive, "MEMBER_BYTES", 512 << 20)
    monkeypatch.setattr(archive, "ALL_BYTES", 1 << 20)
    refused(made({"more/bomb.txt": b"\0" * (8 << 20)}), "unpacks to more")
    monkeypatch.setattr(archive, "FILE_BYTES", 10)
    refused(made(), "larger")
    monkeypatch.undo()
    monkeypatch.setattr(archive, "MEMBERS", 3)
    refused(made(), "more than 3 members")


@pytest.mark.parametrize("depth", [2000, 200_000])
def test_nesting(made, depth):
    refused(made({"objects/pvs.json": b"[" * depth + b"]" * depth}))


@pytest.mark.parametrize(
    "change",
    [
        {"format": "something else"},
        {"version": 99},
        {"taken": "yesterday"},
        {"taken": 7},
        {"members": []},
        {"unreadable": None},
        {"cluster": "prod"},
    ],
    ids=str,
)
def test_manifests(made, change):
    refused(made(manifest=change, in_step="members" not in change))


def test_a_member_that_was_changed_added_or_taken_away(made, members):
    refused(made({"objects/pvs.json": members["objects/pvs.json"] + b" "}, in_step=False), "checksum")
    refused(made({"more/extra.txt": b"x"}, in_step=False), "differ")
    told = json.loads(members[layout.MANIFEST])["members"]
    refused(made(manifest={"members": {**told, "objects/none.json": told["README.txt"]}}, in_step=False), "differ")


@pytest.mark.parametrize(
    "content",
    [
        b"not json",
        b"null",
        b"[]",
        b'{"items":{}}',
        b'{"items":[7]}',
        b'{"items":[{"metadata":7}]}',
        b'{"items":[{"metadata":{"name":7}}]}',
        b'{"items":[{"metadata":{"name":"x"},"spec":[]}]}',
        b'{"items":[{"metadata":{"name":"x","labels":{"a":{}}}}]}',
    ],
)
@pytest.mark.parametrize("part", ["mount_pods", "nodes", "events"])
def test_lists_of_something_else(made, part, content):
    refused(made({f"objects/{part}.json": content}))


@pytest.mark.parametrize("part", layout.ANSWERS)
@pytest.mark.parametrize("content", [b"[]", b"7", b'{"x":7}', b'{"x":{"y":7}}'])
def test_answers_that_are_none(made, part, content):
    path = made({f"answers/{part}.json": content})
    try:
        known = read(path)
    except BundleInvalid:
        return
    assert part == "csi_file_times" and not any(known.csi_file_times.values())


def test_random_damage_is_one_error_or_an_answer(made, members):
    """Whatever is in an object: a question answers, or says that the file is damaged."""
    dice = random.Random(4711)
    names = [n for n in members if n.startswith("objects/") and n != "objects/csi_pods.json"]
    for _ in range(150):
        name = dice.choice(names)
        told = json.loads(members[name])
        _damage(dice, told)
        path = made({name: json.dumps(told).encode()})
        try:
            known = read(path)
            investigate.mounts(known)
            investigate.doctor(known)
            investigate.verify(known, "juicefs-system", "pvc/songlin-test-pvc")
        except Exception as error:
            assert type(error).__module__ == "jfsnb.errors" or type(error).__name__ == "NotRead", repr(error)


def _damage(dice, told):
    """One value somewhere becomes another kind of thing."""
    place = told
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return
        key = dice.choice(keys)
        inner = place[key]
        if isinstance(inner, dict | list) and inner and dice.random() < 0.85:
            place = inner
            continue
        place[key] = dice.choice([None, 7, "x", [], {}, [None], {"a": 1}, -1e99, True])
        return


def test_cut_off_and_overwritten_files(made):
    data = made().read_bytes()
    dice = random.Random(7)
    for _ in range(60):
        broken = bytearray(data)
        for _ in range(dice.randint(1, 30)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        path = made()
        path.write_bytes(bytes(broken[: dice.randint(0, len(broken))]) if dice.random() < 0.5 else bytes(broken))
        try:
            read(path)
        except BundleInvalid as error:
            assert "no usable collection" in error.what


def test_names_that_play_with_the_terminal_or_a_page_lose_what_they_play_with(made, members):
    pods = json.loads(members["objects/mount_pods.json"])
    pods["items"][0]["metadata"]["name"] = "a\x1b]0;owned\x07\x1b[2J\u202eb<script>"
    known = read(made({"objects/mount_pods.json": json.dumps(pods).encode()}))
    (name,) = [row["name"] for row in investigate.mounts(known).rows if "owned" in row["name"]]
    assert name.isprintable() and "\x1b" not in name


def test_the_command_line_says_it_in_one_line_and_ends_with_3(made, tmp_path):
    path = tmp_path / "junk.zip"
    path.write_bytes(b"PK\x03\x04 this is no zip file")
    for words in (["doctor"], ["mounts"], ["verify", "x"], ["explain", "x"], ["patch", "--image", "a/b:c"]):
        result = CliRunner().invoke(main, [*words, "--from", str(path)])
        assert result.exit_code == 3 and "BundleInvalid: junk.zip is no usable collection" in result.output
    result = CliRunner().invoke(main, ["patch", "--yes", "--image", "a/b:c", "--from", str(made())])
    assert result.exit_code == 2 and "cannot be changed" in result.output
