"""Which client runs: read from what a Mount Pod answers."""

import hashlib
import json
import shutil
import subprocess

import pytest

from jfsnb.checks.client import CONFIG_FILE, EXECUTABLE, ON_DISK, SESSIONS, SUPERVISOR
from jfsnb.checks.codes import Unreadable
from jfsnb.queries.clients import ASK_HASH, best, read_answer, same, shown

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


@pytest.fixture
def started(tmp_path):
    """Starts a program of its own file: its path below the test folder, its words, and what it starts itself."""
    processes = []

    def start(name, *words, inner=""):
        program = tmp_path / name
        program.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(shutil.which("dash") or "/bin/sh", program)
        with program.open("ab") as file:
            file.write(name.encode())  # another file than its neighbours
        command = [program, "-c", f"echo started; {inner or 'read end'}; :", *words]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout.readline() == "started\n"
        return process, hashlib.sha256(program.read_bytes()).hexdigest()

    yield start
    for process in processes:
        process.stdin.close()
        process.kill()
        process.wait()
        process.stdout.close()


def found_by(path, config="/nowhere"):
    answer = subprocess.run(["sh", "-c", ASK_HASH, "ask", path, str(config)], capture_output=True, text=True)
    return answer.stdout.split()[0] if answer.returncode == 0 else ""


def test_the_client_is_found_by_its_mount_among_all_processes_of_a_node(started, tmp_path):
    """As with hostPID: the driver, another volume's client, and the one that is meant."""
    mine, theirs = f"/jfs/{tmp_path.name}-a", f"/jfs/{tmp_path.name}-b"
    started("driver/juicefs-csi-driver", "--nodeid=x")
    _, other = started("other/juicefs", theirs)
    _, serving = started("mount/juicefs", mine)
    assert (found_by(mine), found_by(theirs)) == (serving, other)
    assert found_by(f"/jfs/{tmp_path.name}") == ""


def test_after_a_binary_upgrade_the_worker_serves_not_its_supervisor(started, tmp_path):
    path = f"/jfs/{tmp_path.name}-a"
    worker = tmp_path / "new" / "juicefs"
    worker.parent.mkdir()
    shutil.copy(shutil.which("dash") or "/bin/sh", worker)
    supervisor, old = started("old/juicefs", path, inner=f'{worker} -c "echo works; read end; :" {path}')
    assert supervisor.stdout.readline() == "works\n"
    assert found_by(path) == hashlib.sha256(worker.read_bytes()).hexdigest() != old
    config = tmp_path / ".config"
    config.write_text(json.dumps({"Pid": supervisor.pid}, indent=1))
    assert found_by(path, config) == old, "what .config says is truer than who is whose child"


def test_a_supervisor_of_another_file_is_told():
    text = answer(executable=f"juicefs version {NEW}") + f"\n@supervisor\njuicefs version {OLD}\n@end\n"
    assert read_answer(text, "/jfs/pv")[SUPERVISOR] == f"juicefs version {OLD}"
    assert SUPERVISOR not in read_answer(answer(executable=f"juicefs version {NEW}"), "/jfs/pv")
