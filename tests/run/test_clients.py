"""Which client runs: read from what a Mount Pod answers."""

import json

from jfsnb.checks.client import CONFIG_FILE, EXECUTABLE, ON_DISK, SESSIONS
from jfsnb.checks.codes import Unreadable
from jfsnb.queries.clients import best, read_answer, same, shown

OLD = "1.3.0+2025-07-03.30190ca"
NEW = "1.3.0+2025-08-01.03f36d6"
SESSIONS_FOUND = [
    {"Sid": 1, "Version": OLD, "MountPoint": "/jfs/pv-aaaaaa"},
    {"Sid": 7, "Version": NEW, "MountPoint": "/jfs/pv-bbbbbb"},
    {"Sid": 3, "Version": OLD, "MountPoint": "/jfs/pv-bbbbbb"},
]
SESSION_LIST = "2026/11/25 INFO: Meta address\n" + json.dumps({"Setting": {}, "Sessions": SESSIONS_FOUND})


def answer(config="", executable="", disk="", sessions=""):
    sections = {"config": config, "executable": executable, "disk": disk, "sessions": sessions, "end": ""}
    return "\n".join(f"\n@{name}\n{text}" for name, text in sections.items())


def test_an_old_client_is_known_by_its_newest_session():
    found = read_answer(answer(sessions=SESSION_LIST, executable=f"juicefs version {NEW}\nsame-file"), "/jfs/pv-bbbbbb")
    assert found[SESSIONS] == NEW
    assert best(found) == (SESSIONS, NEW)
    assert CONFIG_FILE not in found


def test_another_mount_s_session_is_not_taken_for_its_own():
    found = read_answer(answer(sessions=SESSION_LIST), "/jfs/pv-cccccc")
    assert isinstance(found[SESSIONS], Unreadable) and "3" in found[SESSIONS].why


def test_the_file_that_the_running_client_serves_is_the_best_evidence():
    text = answer(
        config='{"Meta": {}, "Version": "1.3.1+2025-12-01.0d2c2f0"}', executable="juicefs version 1.2.0+x.abcdef0"
    )
    found = read_answer(text, "/jfs/pv-bbbbbb")
    assert best(found) == (CONFIG_FILE, "1.3.1+2025-12-01.0d2c2f0")


def test_nothing_that_runs_is_never_made_up_from_what_is_on_disk():
    found = read_answer(answer(disk=f"juicefs version {NEW}"), "/jfs/pv")
    assert found[ON_DISK] == f"juicefs version {NEW}"
    assert isinstance(found[EXECUTABLE], Unreadable)
    assert isinstance(best(found)[1], Unreadable)


def test_a_broken_file_is_no_version():
    assert isinstance(read_answer(answer(config="{"), "/jfs/pv")[CONFIG_FILE], Unreadable)
    assert isinstance(read_answer(answer(config="{}"), "/jfs/pv")[CONFIG_FILE], Unreadable)


def test_same_client():
    assert same(f"juicefs version {NEW}", NEW) is True
    assert same(OLD, NEW) is False
    assert same(Unreadable("no"), NEW) is None
    assert shown(f"juicefs version {NEW}") == "1.3.0 (2025-08-01 03f36d6)" and "why" in shown(Unreadable("why"))
