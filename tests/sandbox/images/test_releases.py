"""Clients from a page with the layout of JuiceFS's release page, served on loopback."""

import hashlib
import http.server
import io
import tarfile
import threading

import pytest
from click.testing import CliRunner

from jfsnb.cli import main
from jfsnb.errors import JfsnbError, SandboxError, UsageError
from jfsnb.sandbox.images import releases
from jfsnb.sandbox.images.images import ImageStore

VERSION = "1.2.3"
ARCHIVE = f"juicefs-{VERSION}-linux-amd64.tar.gz"


class Page:
    """Files by path; counts what is asked for."""

    def __init__(self, address):
        self.address, self.files, self.asked = address, {}, []

    def put(self, client, name=ARCHIVE, folder=f"v{VERSION}", checksum=None):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            for member, source in (("LICENSE", __file__), *([("juicefs", client)] if client else [])):
                archive.add(source, member)
        data = buffer.getvalue()
        self.files[f"/{folder}/{name}"] = data
        line = f"{checksum or hashlib.sha256(data).hexdigest()}  {name}\n"
        self.files[f"/{folder}/checksums.txt"] = ("0" * 64 + "  juicefs-1.2.3-darwin-amd64.tar.gz\n" + line).encode()


@pytest.fixture
def page(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setenv("no_proxy", "*")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            page.asked.append(self.path)
            data = page.files.get(self.path)
            self.send_response(404 if data is None else 200)
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        page = Page(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield page
        server.shutdown()
        thread.join()


def test_a_release_that_is_not_in_the_catalogue_becomes_an_image_of_every_sandbox(page, store, tmp_path, make_client):
    page.put(make_client(tmp_path / "bin", f"{VERSION}+2025-01-02.abcdef0"))
    image = store.fetch(f"v{VERSION}", page.address + "/")
    assert (image.reference, image.client_version) == ("juicedata/mount:ce-v1.2.3", "1.2.3+2025-01-02.abcdef0")
    assert page.asked == [f"/v{VERSION}/checksums.txt", f"/v{VERSION}/{ARCHIVE}"]
    again = ImageStore(tmp_path / "another").fetch(f"ce-v{VERSION}", page.address)
    assert again.id == image.id and len(page.asked) == 2, "once for every machine"


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda page, client: page.put(client, checksum="ab" * 32), "checksums.txt says abab"),
        (
            lambda page, client: page.put(client, name="juicefs-1.2.3-linux-arm64.tar.gz"),
            "does not name juicefs-1.2.3-l",
        ),
        (lambda page, client: page.put(None), "has no client in it"),
        (lambda page, client: page.put(client.with_name("other")), "says that it is 1.2.4"),
        (lambda page, client: page.files.clear(), "answers 404"),
        (lambda page, client: page.put(client) or page.files.pop(f"/v{VERSION}/{ARCHIVE}"), "answers 404"),
    ],
)
def test_what_is_not_as_it_should_be_is_not_taken(page, store, tmp_path, make_client, spoil, told):
    client = make_client(tmp_path / "bin", VERSION)
    client.with_name("other").write_text("#!/bin/sh\necho 'juicefs version 1.2.4'\n")
    client.with_name("other").chmod(0o755)
    spoil(page, client)
    with pytest.raises(SandboxError) as raised:
        store.fetch(VERSION, page.address)
    assert told in raised.value.what and raised.value.next_step
    assert not [image for image in store.listed() if VERSION in image.reference]


def test_a_page_that_cannot_be_reached_names_the_mirror_setting(tmp_path):
    with pytest.raises(SandboxError, match="cannot be reached") as raised:
        releases.fetch_release(VERSION, tmp_path, "http://127.0.0.1:1")
    assert "JFSNB_RELEASES" in raised.value.next_step


@pytest.mark.parametrize("text", ["latest", "1.2", "../1.2.3", ""])
def test_what_is_no_version_is_refused(store, text):
    with pytest.raises(UsageError, match="is no version"):
        store.fetch(text)


def test_fetch_list_and_rm_on_the_command_line(page, cache, tmp_path, make_client, monkeypatch):
    monkeypatch.setenv("JFSNB_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("JFSNB_RELEASES", page.address)
    page.put(make_client(tmp_path / "bin", VERSION))

    def call(*words):
        found = CliRunner().invoke(main, ["sandbox", "images", *words])
        return found.exit_code, found.output

    code, said = call("fetch", VERSION)
    assert code == 0 and "juicedata/mount:ce-v1.2.3: client 1.2.3, sha256:" in said
    code, said = call("list")
    lines = {line.split()[0]: line for line in said.splitlines()}
    assert code == 0 and "1.2.3" in lines["juicedata/mount:ce-v1.2.3"] and "MB" in lines["juicedata/mount:ce-v1.2.3"]
    assert lines["juicedata/mount:ce-v1.4.2"].endswith("40 MB to download")
    assert call("rm", "ce-v1.2.3")[0] == 0
    assert "ce-v1.2.3" not in call("list")[1] and not list((cache / "clients").glob("*/juicefs"))
    code, said = call("rm", "ce-v1.2.3")
    assert code == 2 and "images list" in said


def test_a_client_that_two_images_have_stays_until_the_last_one_goes(store, cache, tmp_path, make_client):
    client = make_client(tmp_path / "bin", VERSION)
    store.add("ce-v1.2.3", client)
    store.add("latest", client)
    store.remove("ce-v1.2.3")
    assert store.find("juicedata/mount:latest").client_version == VERSION
    store.remove("latest")
    assert not list((cache / "clients").glob("*/juicefs"))
    with pytest.raises(JfsnbError):
        store.find("juicedata/mount:latest")
