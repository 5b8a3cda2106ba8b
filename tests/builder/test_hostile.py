"""Archives made to harm: nothing outside the folder changes, unpacking ends, and no client of theirs runs here."""

import gzip
import io
import json
import os
import stat
import tarfile
from pathlib import Path

import pytest

from jfsnb.builder import archive, unpack
from jfsnb.errors import JfsnbError, UsageError

FILE, DIR, LINK, HARD = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


def layer(*members):
    """A layer of (name, type, content or link name)."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, content in members:
            member = tarfile.TarInfo(name)
            member.type, member.mode = kind, 0o6777
            data = content.encode() if kind == FILE else b""
            member.size, member.linkname = len(data), content if kind in (LINK, HARD) else ""
            tar.addfile(member, io.BytesIO(data))
    return sink.getvalue()


def image(path, *layers, **manifest):
    names = [f"{n}/layer.tar" for n in range(len(layers))]
    about = [{"Config": "c.json", "RepoTags": ["a:1"], "Layers": names, **manifest}]
    with tarfile.open(path, "w") as tar:
        for name, data in [
            ("c.json", b"{}"),
            *zip(names, layers, strict=True),
            ("manifest.json", json.dumps(about).encode()),
        ]:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


@pytest.fixture
def outside(tmp_path):
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "victim").write_text("untouched")
    return folder


ATTACKS = {
    "through a link": [("way", LINK, "{out}"), ("way/victim", FILE, "x"), ("way/new", FILE, "x")],
    "through a relative link": [("a/way", LINK, "../../../outside"), ("a/way/victim", FILE, "x")],
    "a link made through a link": [("way", LINK, "{out}"), ("way/link", LINK, "/etc"), ("way/link/x", FILE, "x")],
    "a folder made through a link": [("way", LINK, "{out}"), ("way/sub", DIR, ""), ("way/sub/x", FILE, "x")],
    "over a link": [("f", LINK, "{out}/victim"), ("f", FILE, "x")],
    "a hard link outside": [("f", HARD, "{out}/victim"), ("f", FILE, "x")],
    "a hard link up": [("f", HARD, "../outside/victim"), ("f", FILE, "x")],
    "a hard link through a link": [("way", LINK, "{out}"), ("f", HARD, "way/victim"), ("f", FILE, "x")],
    "a hard link to a link": [("l", LINK, "{out}/victim"), ("f", HARD, "l"), ("f", FILE, "x")],
    "up": [("../outside/victim", FILE, "x"), ("a/../../outside/new", FILE, "x")],
    "absolute": [("{out}/victim", FILE, "x")],
    "links in a circle": [("a", LINK, "b"), ("b", LINK, "a"), ("a/x", FILE, "x")],
    "a folder becomes a link": [("d", DIR, ""), ("d", LINK, "{out}"), ("d/victim", FILE, "x")],
    "the folder itself": [(".", LINK, "{out}"), ("victim", FILE, "x")],
}


@pytest.mark.parametrize("in_layers", [False, True], ids=["one layer", "a layer each"])
@pytest.mark.parametrize("members", ATTACKS.values(), ids=ATTACKS)
def test_nothing_outside_the_folder_is_touched(tmp_path, outside, members, in_layers):
    members = [(name.format(out=outside), kind, content.format(out=outside)) for name, kind, content in members]
    layers = [layer(member) for member in members] if in_layers else [layer(*members)]
    before = {path: path.lstat() for path in (outside, *outside.iterdir())}
    with archive.ImageArchive(image(tmp_path / "i.tar", *layers)) as opened:
        opened.unpack(tmp_path / "root")
    assert (outside / "victim").read_text() == "untouched"
    after = {path: path.lstat() for path in (outside, *outside.iterdir())}
    assert {p: (s.st_mtime_ns, s.st_nlink, s.st_mode, s.st_uid) for p, s in after.items()} == {
        p: (s.st_mtime_ns, s.st_nlink, s.st_mode, s.st_uid) for p, s in before.items()
    }


def test_links_mean_what_they_mean_in_the_image(tmp_path, outside):
    members = (("lib", LINK, "usr/lib"), ("usr/lib/a", FILE, "1"), ("lib/b", FILE, "2"), ("usr/c", HARD, "lib/b"))
    with archive.ImageArchive(image(tmp_path / "i.tar", layer(*members))) as opened:
        opened.unpack(root := tmp_path / "root")
    assert os.readlink(root / "lib") == "usr/lib"
    assert [(root / p).read_text() for p in ("lib/a", "usr/lib/b", "usr/c")] == ["1", "2", "2"]
    assert (root / "usr/c").samefile(root / "usr/lib/b")


def test_what_is_no_file_folder_or_link_is_left_out_and_nothing_gives_rights(tmp_path):
    members = (
        ("dev/sda", tarfile.BLKTYPE, ""),
        ("dev/mem", tarfile.CHRTYPE, ""),
        ("p", tarfile.FIFOTYPE, ""),
        ("su", FILE, "x"),
    )
    with archive.ImageArchive(image(tmp_path / "i.tar", layer(*members))) as opened:
        opened.unpack(tmp_path / "root")
    assert {p.name for p in (tmp_path / "root").rglob("*") if not p.is_dir()} == {"su"}
    assert not (tmp_path / "root/su").stat().st_mode & (stat.S_ISUID | stat.S_ISGID | 0o022)


def bomb(path, size):
    """A layer of zeros, packed: a thousandth of what it unpacks to."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9) as sink:
        member = tarfile.TarInfo("zeros")
        member.size = size
        sink.write(member.tobuf())
        for _ in range(size >> 20):
            sink.write(bytes(1 << 20))
        sink.write(bytes(1024))
    return image(path, packed.getvalue())


def size_below(folder: Path):
    return sum(p.lstat().st_size for p in folder.rglob("*") if p.is_file()) if folder.exists() else 0


def test_a_small_archive_does_not_become_a_large_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(unpack, "FREE_BYTES", 1 << 20)
    packed = bomb(tmp_path / "i.tar", 64 << 20)
    assert packed.stat().st_size < 100_000
    with archive.ImageArchive(packed) as opened, pytest.raises(UsageError, match="unpacks to more than is allowed"):
        opened.unpack(tmp_path / "root")
    assert size_below(tmp_path / "root") < unpack.limit_of(packed.stat().st_size)


def test_what_is_usual_is_allowed():
    assert unpack.limit_of(100 << 20) > 5 << 30
    assert unpack.limit_of(9 << 20) < 2 << 30, "9 MB that unpack to 2 GB are not"


def test_a_sparse_file_counts_with_its_size(tmp_path, monkeypatch):
    monkeypatch.setattr(unpack, "FREE_BYTES", 1 << 20)
    sparse = tarfile.TarInfo("hole")
    sparse.pax_headers = {
        "GNU.sparse.major": "0",
        "GNU.sparse.minor": "1",
        "GNU.sparse.name": "hole",
        "GNU.sparse.size": str(1 << 40),
        "GNU.sparse.map": f"0,0,{1 << 40},0",
    }
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(sparse)
    with archive.ImageArchive(image(tmp_path / "i.tar", sink.getvalue())) as opened, pytest.raises(UsageError):
        opened.unpack(tmp_path / "root")
    assert size_below(tmp_path / "root") < 1 << 30


def test_there_may_not_be_too_many_members(tmp_path, monkeypatch):
    monkeypatch.setattr(unpack, "MOST_MEMBERS", 10)
    many = layer(*((f"f{n}", FILE, "") for n in range(12)))
    with (
        archive.ImageArchive(image(tmp_path / "i.tar", many)) as opened,
        pytest.raises(UsageError, match="more than 10"),
    ):
        opened.files()


@pytest.mark.parametrize(
    "manifest",
    [{"Layers": ["nope"]}, {"Layers": 3}, {"Layers": None}, {"Config": 7}, {"Config": "0/layer.tar"}, {"Config": None}],
    ids=str,
)
def test_a_manifest_of_nonsense_is_refused_in_words(tmp_path, manifest):
    with pytest.raises(JfsnbError):
        with archive.ImageArchive(image(tmp_path / "i.tar", layer(("a", FILE, "x")), **manifest)) as opened:
            opened.unpack(tmp_path / "root")


@pytest.mark.parametrize(
    "damage", [b"\x1f\x8b" + bytes(30), b"no tar at all" * 100, bytes(100)], ids=["gzip", "text", "short"]
)
def test_a_damaged_layer_is_refused_in_words(tmp_path, damage):
    try:
        with archive.ImageArchive(image(tmp_path / "i.tar", damage)) as opened:
            opened.unpack(tmp_path / "root")
    except JfsnbError as error:
        assert error.next_step


def test_the_client_of_an_archive_is_not_run_on_this_machine(tmp_path, monkeypatch):
    """It leaves a mark wherever it runs, and says who it is there: in a node it is not this machine's root."""
    from jfsnb.sandbox.images.clients import ask_version

    mark = tmp_path / "mark"
    client = tmp_path / "juicefs"
    client.write_text(
        f"#!/bin/sh\necho was here >{mark}\necho juicefs version 1.3.0+$(cat /proc/self/uid_map | tr -s ' ' _)\n"
    )
    client.chmod(0o755)
    monkeypatch.setenv("TMPDIR", "/tmp")
    version = ask_version(client)
    assert not mark.exists()
    assert version.startswith("1.3.0+_0_") and "4294967295" not in version
