"""Image archives: written, read, layers put together."""

import hashlib
import io
import json
import tarfile

import pytest

from jfsnb.builder import archive, facts
from jfsnb.errors import UsageError


def layer(*entries: tuple[str, str | bytes | None]) -> bytes:
    """A layer: (name, content), (name, "-> target") for a link, (name, None) for a directory."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as tar:
        for name, content in entries:
            member = tarfile.TarInfo(name)
            data = b""
            if content is None:
                member.type, member.mode = tarfile.DIRTYPE, 0o755
            elif isinstance(content, str) and content.startswith("-> "):
                member.type, member.linkname = tarfile.SYMTYPE, content[3:]
            else:
                data = content.encode() if isinstance(content, str) else content
                member.mode, member.size = 0o755, len(data)
            tar.addfile(member, io.BytesIO(data))
    return sink.getvalue()


def image(path, *layers: bytes, config: dict | None = None):
    about = json.dumps({"os": "linux", "architecture": "amd64", **(config or {})}).encode()
    with tarfile.open(path, "w") as tar:
        names = [f"{n}/layer.tar" for n in range(len(layers))]
        manifest = [{"Config": "c.json", "RepoTags": ["a:1"], "Layers": names}]
        pieces = [("c.json", about), *zip(names, layers, strict=True), ("manifest.json", json.dumps(manifest).encode())]
        for name, data in pieces:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def test_later_layers_win_whiteouts_remove_and_opaque_directories_hide(tmp_path):
    below = layer(("bin/a", "1"), ("bin/b", "1"), ("etc/x/one", "1"), ("etc/x/two", "1"), ("etc/keep", "1"))
    above = layer(("bin/b", "22"), ("bin/.wh.a", ""), ("etc/x/.wh..wh..opq", ""), ("etc/x/three", "1"))
    with archive.ImageArchive(image(tmp_path / "i.tar", below, above)) as opened:
        found = {k: v.member.size for k, v in opened.files().items() if v.member.isfile()}
    assert found == {"bin/b": 2, "etc/x/three": 1, "etc/keep": 1}


def test_programs_are_found_through_links_as_in_the_image(tmp_path):
    content = layer(
        ("bin", "-> usr/bin"),
        ("usr/bin/sh", "-> dash"),
        ("usr/bin/dash", "x"),
        ("usr/bin/umount", "-> /sbin/umount"),
        ("sbin/umount", "x"),
        ("usr/bin/loop", "-> loop"),
        ("usr/local/bin/juicefs", b"the client"),
        ("usr/bin/mount.juicefs", "-> /usr/local/bin/juicefs"),
    )
    with archive.ImageArchive(image(tmp_path / "i.tar", content)) as opened:
        files = opened.files()
        assert archive.find(files, "/bin/sh") == "usr/bin/dash"
        assert archive.find(files, "/bin/loop") == ""
        assert archive.find(files, "/bin/nothing") == ""
    seen = facts.read(tmp_path / "i.tar", "a:1", tmp_path / "client")
    assert seen.client_sha256 == hashlib.sha256(b"the client").hexdigest()
    assert (tmp_path / "client").read_bytes() == b"the client"
    assert seen.programs["/bin/mount.juicefs"] == "/usr/local/bin/juicefs"
    assert seen.programs["umount"] == "/sbin/umount" and seen.programs["kill"] == "a word of the shell"
    assert [name for name, where in seen.programs.items() if not where] == ["rmdir", "stat"]
    assert (seen.platform, seen.client_size) == ("linux/amd64", 10)


def test_what_is_written_is_read_again_and_belongs_to_root(tmp_path):
    root = tmp_path / "root"
    (root / "usr/local/bin").mkdir(parents=True)
    (root / "usr/local/bin/juicefs").write_text("client")
    (root / "link").symlink_to("/usr/local/bin/juicefs")
    config = archive.ImageConfig("arm64", "2024-01-01T00:00:00Z", env={"PATH": "/bin"}, labels={"a": "b"})
    made = archive.write(tmp_path / "i.tar", root, config, ["x:1"])
    with archive.ImageArchive(tmp_path / "i.tar") as opened:
        assert (opened.id, opened.platform, opened.labels, opened.tags) == (made, "linux/arm64", {"a": "b"}, ("x:1",))
        files = opened.files()
        assert {entry.member.uid for entry in files.values()} == {0}
        opened.unpack(tmp_path / "again")
    assert (tmp_path / "again/usr/local/bin/juicefs").read_text() == "client"
    assert (tmp_path / "again/link").readlink().as_posix() == "/usr/local/bin/juicefs"


def test_what_is_no_image_archive_is_refused(tmp_path):
    (tmp_path / "text").write_text("x")
    with tarfile.open(tmp_path / "other.tar", "w"):
        pass
    for name in ("text", "other.tar", "missing"):
        with pytest.raises(UsageError):
            archive.ImageArchive(tmp_path / name)
