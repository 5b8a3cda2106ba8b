"""The client in the driver's own image: what it is asked, what is made of its answers."""

import asyncio

import pytest

from jfsnb.sandbox.csi import juicefs
from jfsnb.sandbox.csi.controller import quota
from jfsnb.sandbox.csi.juicefs import ClientError, file_system_uuid


@pytest.fixture
def client(tmp_path):
    """A stand-in for the client: a shell script."""

    def make(script):
        path = tmp_path / "juicefs"
        path.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n{script}\n')
        path.chmod(0o755)
        return str(path)

    return make


@pytest.mark.parametrize(
    ("script", "uuid"),
    [
        ("""echo 'a log line' >&2; echo '{"Name": "myjfs", "UUID": "u-1"}'""", "u-1"),
        ("echo 'database is not formatted, please run' >&2; exit 1", ""),
    ],
)
def test_the_uuid_of_a_file_system(client, tmp_path, script, uuid):
    assert asyncio.run(file_system_uuid("sqlite3:///m", client(script))) == uuid
    assert (tmp_path / "asked").read_text() == "config sqlite3:///m\n"


def test_a_client_that_fails_or_does_not_answer(client, monkeypatch):
    failing = client("echo 'dial tcp: refused by redis://:pass@host' >&2; exit 1")
    with pytest.raises(ClientError, match=r"^dial tcp: refused by redis://:\*\*\*\*@host: exit status 1$"):
        asyncio.run(file_system_uuid("redis://:pass@host", failing))
    monkeypatch.setattr(juicefs, "PROBE_SECONDS", 0.2)
    with pytest.raises(ClientError, match=r"^juicefs config 0\.2s timed out$"):
        asyncio.run(file_system_uuid("sqlite3:///m", client("exec sleep 60")))


@pytest.mark.parametrize(("helps", "create"), [("--create  create the directory", " --create"), ("", "")])
def test_a_quota_in_whole_gibibytes(client, tmp_path, helps, create):
    asyncio.run(quota.set_quota("sqlite3:///m", "/a/b", 3 * quota.GIB + 5, client(f"echo '{helps}'")))
    (_, asked) = (tmp_path / "asked").read_text().splitlines()
    assert asked == f"quota set sqlite3:///m --path /a/b --capacity 3{create}"


def test_a_client_without_quotas_is_passed_over_and_others_failures_are_told(client):
    asyncio.run(quota.set_quota("m", "/a", quota.GIB, client("echo \"No help topic for 'quota'\"; exit 3")))
    with pytest.raises(ClientError, match=r"^no such directory: exit status 1$"):
        asyncio.run(quota.set_quota("m", "/a", quota.GIB, client("echo no such directory; exit 1")))
    with pytest.raises(ClientError, match="at least 1GiB"):
        asyncio.run(quota.set_quota("m", "/a", 5, client("exit 0")))
