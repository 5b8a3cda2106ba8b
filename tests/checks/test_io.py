"""Smoke, mount and nonce: what is written must be what is read, by JuiceFS, by another route."""

import hashlib

import pytest

from jfsnb.checks import smoke
from jfsnb.checks.codes import Unreadable
from jfsnb.checks.model import Verdict
from jfsnb.checks.smoke import Copy

LOG = (*smoke.EXPECTED_LINES, "JuiceFS mount status: /jfs is a mountpoint", "OK")
GONE = Unreadable("exec refused")
SHA = hashlib.sha256(b"nonce").hexdigest()
OTHER = hashlib.sha256(b"nonce of the last run").hexdigest()
APP, MOUNT = Copy("app Pod", "smoke", "/jfs/n", SHA), Copy("Mount Pod", "mp", "/jfs/pv-a-x/n", SHA)


@pytest.mark.parametrize(
    "log,verdict",
    [
        (LOG, Verdict.PASS),
        ((LOG[0], "Nonce kept", *LOG[1:]), Verdict.PASS),
        (LOG[:-4], Verdict.NOT_READY),
        ((), Verdict.NOT_READY),
        ((*LOG[:3], LOG[4], LOG[3], *LOG[5:]), Verdict.NOT_READY),
        ((LOG[0], "ERROR: /jfs is not mounted"), Verdict.FAIL),
        ((*LOG, "JuiceFS mount status: FAILED"), Verdict.FAIL),
        ((*LOG, "touch: Transport endpoint is not connected"), Verdict.FAIL),
        (GONE, Verdict.ERROR),
    ],
)
def test_smoke_lines(log, verdict):
    assert smoke.smoke_lines(log, "smoke").verdict is verdict


@pytest.mark.parametrize(
    "mounts,verdict",
    [
        ("overlay / overlay rw 0 0\nJuiceFS:myjfs /jfs fuse.juicefs rw 0 0\n", Verdict.PASS),
        ("overlay / overlay rw 0 0\n", Verdict.FAIL),
        ("/dev/sda1 /jfs ext4 rw 0 0\n", Verdict.FAIL),
        ("JuiceFS:myjfs /jfs fuse.juicefs rw 0 0\n/dev/sda1 /jfs ext4 rw 0 0\n", Verdict.FAIL),
        ("s3fs /jfs fuse.s3fs rw 0 0\n", Verdict.FAIL),
        ("JuiceFS:myjfs /jfs2 fuse.juicefs rw 0 0\n", Verdict.FAIL),
        (GONE, Verdict.ERROR),
    ],
)
def test_the_volume_is_juicefs(mounts, verdict):
    assert smoke.juicefs_mount(mounts, "/jfs", "smoke").verdict is verdict


@pytest.mark.parametrize(
    "sha,written,read,verdict",
    [
        (SHA, APP, MOUNT, Verdict.PASS),
        (SHA, APP, Copy("Mount Pod", "mp", "/n", OTHER), Verdict.FAIL),  # stale content of the right length
        (SHA, Copy("app Pod", "smoke", "/n", OTHER), MOUNT, Verdict.FAIL),
        (OTHER, APP, MOUNT, Verdict.FAIL),
        (SHA, APP, Copy("app Pod again", "smoke", "/n", SHA), Verdict.ERROR),
        ("", APP, Copy("Mount Pod", "mp", "/n", ""), Verdict.ERROR),
        (SHA, APP, GONE, Verdict.ERROR),
        (SHA, GONE, MOUNT, Verdict.ERROR),
        (GONE, APP, MOUNT, Verdict.ERROR),
    ],
)
def test_nonce(sha, written, read, verdict):
    assert smoke.nonce_read_back(sha, written, read).verdict is verdict


LOOKUP = "2026.11.25 01:49:25.089832 [uid:0,gid:0,pid:0] lookup (1,smoke-nonce-x): no such file or directory <0.0002>"
CREATE = "2026.11.25 01:49:25.107556 [uid:0] create (1,smoke-nonce-x,-rw-r--r--:0100644): OK (2,[-rw-r--r--]) [fh:2]"
WRITE = "2026.11.25 01:49:25.107752 [uid:0,gid:0,pid:0] write (2,6,0): OK <0.000040>"
NEWER_CREATE = "2025.11.25 01:49:25.1 [uid:0] create (1,smoke-nonce-x,-rw-r--r--:0100644): (2,[-rw-r--r--]) [fh:2] - OK"
NEWER_WRITE = "2025.11.25 01:49:25.107752 [uid:0,gid:0,pid:0] write (2,6,0,2) - OK <0.000040>"


@pytest.mark.parametrize(
    "lines,verdict",
    [
        ([LOOKUP, CREATE, WRITE], Verdict.PASS),
        ([LOOKUP, NEWER_CREATE, NEWER_WRITE], Verdict.PASS),
        ([LOOKUP, NEWER_CREATE.replace("- OK", "- permission denied"), NEWER_WRITE], Verdict.WARN),
        ([LOOKUP, CREATE, WRITE.replace("(2,", "(3,")], Verdict.WARN),  # somebody else's write
        ([LOOKUP, CREATE, WRITE.replace("OK", "input/output error")], Verdict.WARN),
        ([LOOKUP], Verdict.WARN),
        (["getattr (1): OK"], Verdict.FAIL),
        ([], Verdict.ERROR),
        (GONE, Verdict.ERROR),
    ],
)
def test_access_log(lines, verdict):
    assert smoke.access_log_shows(lines, "smoke-nonce-x", "mp").verdict is verdict


@pytest.mark.parametrize(
    "said,succeeded,verdict",
    [
        ("touch: /jfs/x: Read-only file system", False, Verdict.PASS),
        ("touch: /jfs/x: Permission denied", False, Verdict.ERROR),
        ("", True, Verdict.FAIL),
        (GONE, False, Verdict.ERROR),
    ],
)
def test_read_only(said, succeeded, verdict):
    assert smoke.refuses_writes(said, succeeded, "smoke").verdict is verdict
