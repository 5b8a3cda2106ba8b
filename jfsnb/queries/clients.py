"""Asking a container which JuiceFS client it has, and a Mount Pod which client really runs in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jfsnb.checks.client import CONFIG_FILE, EXECUTABLE, LOG, ON_DISK, SESSIONS
from jfsnb.checks.codes import Unreadable
from jfsnb.checks.snapshot import best
from jfsnb.cluster.client import Cluster
from jfsnb.driver.images import ClientVersion
from jfsnb.driver.mountpods.mount_pods import MountPod
from jfsnb.driver.names import MOUNT_CONTAINER
from jfsnb.errors import JfsnbError

__all__ = [
    "ASKED_FOR_CLIENTS",
    "SOURCE_WORDS",
    "best",
    "in_app_pod",
    "in_mount_pod",
    "not_asked",
    "read_answer",
    "running_sha256",
    "same",
    "shown",
]
#: More Mount Pods than this are not asked which client runs in them, unless that is wished.
ASKED_FOR_CLIENTS = 30
#: Sections of one exec, so that a Mount Pod is asked once. The status of the file system is only read for its sessions:
#: the rest of it may hold credentials.
ASK = """
say() { printf '\\n@%s\\n' "$1"; }
say config; head -c 200000 "$1" 2>/dev/null
say executable
for pid in 1 $(ls /proc | grep -E '^[0-9]+$'); do
  case "$(readlink "/proc/$pid/exe" 2>/dev/null)" in
    *juicefs*)
      "/proc/$pid/exe" --version 2>&1
      if [ "/proc/$pid/exe" -ef "$2" ]; then echo same-file; else sha256sum < "/proc/$pid/exe"; sha256sum < "$2"; fi
      break;;
  esac
done
say disk; "$2" --version 2>&1
say sessions
if [ ! -e "$1" ] && [ -n "$metaurl" ]; then "$2" --no-agent status "$metaurl" 2>/dev/null; fi
say end
"""
SOURCE_WORDS = {
    CONFIG_FILE: "Version in the .config that the running client serves",
    SESSIONS: "its session in the file system's own list",
    EXECUTABLE: "the executable of the running process",
    LOG: "what it wrote into its log when it was last started",
    ON_DISK: "what is on disk (says nothing about what runs)",
}
#: The hash of what runs: read through /proc, so that nothing on disk can stand in for it.
ASK_HASH = """
for pid in 1 $(ls /proc | grep -E '^[0-9]+$'); do
  case "$(readlink "/proc/$pid/exe" 2>/dev/null)" in *juicefs*) sha256sum < "/proc/$pid/exe"; exit;; esac
done
exit 9
"""
CLIENTS = ("/usr/local/bin/juicefs", "/usr/bin/juicefs")


def in_mount_pod(cluster: Cluster, pod: MountPod) -> dict[str, str | Unreadable]:
    """What a Mount Pod says about its client, by source.

    Keys: ``.config`` (Version in the file that the running client serves; clients before 1.0 have none), ``session``
    (the file system's list of sessions, matched by this Pod's mount path), ``executable`` (the running process's own
    executable) and ``on disk`` (says nothing about what runs).
    """
    client = CLIENTS[0] if pod.command.is_ce else CLIENTS[1]
    command = ["sh", "-c", ASK, "ask", pod.command.config_file, client]
    try:
        answer = cluster.execute(pod.namespace, pod.name, command, MOUNT_CONTAINER, seconds=30)
    except JfsnbError as error:
        why = Unreadable(error.what)
        return {CONFIG_FILE: why, SESSIONS: why, EXECUTABLE: why, ON_DISK: why}
    return read_answer(answer.stdout, pod.command.mount_path)


def running_sha256(cluster: Cluster, pod: MountPod) -> str | Unreadable:
    """sha256 of the executable that serves in a Mount Pod."""
    try:
        answer = cluster.execute(pod.namespace, pod.name, ["sh", "-c", ASK_HASH], MOUNT_CONTAINER, seconds=60)
    except JfsnbError as error:
        return Unreadable(error.what)
    found = answer.stdout.split()
    return found[0] if answer.ok and found else Unreadable("no process of a juicefs executable could be read")


def read_answer(text: str, mount_path: str) -> dict[str, str | Unreadable]:
    """The sections of an answer to ASK, as versions by source."""
    sections = sections_of(text)
    found: dict[str, str | Unreadable] = {}
    if sections.get("config"):
        found[CONFIG_FILE] = _config_version(sections["config"])
    if sections.get("sessions"):
        found[SESSIONS] = _session_version(sections["sessions"], mount_path)
    executable = sections.get("executable", "").splitlines()
    found[EXECUTABLE] = executable[0] if executable else Unreadable("no process of a juicefs executable was found")
    disk = sections.get("disk", "").splitlines()
    found[ON_DISK] = disk[0] if disk else Unreadable("no client on disk")
    return found


def sections_of(text: str) -> dict[str, str]:
    """``@name`` lines and what follows them."""
    sections: dict[str, list[str]] = {}
    current: list[str] = []
    for line in text.splitlines():
        if line.startswith("@") and line[1:].isalpha():
            current = sections.setdefault(line[1:], [])
        else:
            current.append(line)
    return {name: "\n".join(lines).strip() for name, lines in sections.items()}


def _config_version(text: str) -> str | Unreadable:
    try:
        found: Mapping[str, Any] = json.loads(text)
    except json.JSONDecodeError:
        return Unreadable("its .config is no JSON")
    return str(found["Version"]) if found.get("Version") else Unreadable("its .config names no Version")


def _session_version(text: str, mount_path: str) -> str | Unreadable:
    """The newest session with this mount path; sessions of killed clients stay listed for a while."""
    try:
        sessions = json.loads(text[text.index("{") :]).get("Sessions") or []
    except ValueError:
        return Unreadable("juicefs status gave no JSON")
    mine = [s for s in sessions if s.get("MountPoint") == mount_path]
    if not mine:
        return Unreadable(f"no session at {mount_path} among {len(sessions)}")
    return str(max(mine, key=lambda s: int(s.get("Sid") or 0)).get("Version") or "")


def in_app_pod(cluster: Cluster, namespace: str, pod: str) -> str | Unreadable:
    """Version of the client in an app Pod's image; it serves nobody."""
    command = ["sh", "-c", "juicefs --version 2>&1 || exit 7"]
    try:
        answer = cluster.execute(namespace, pod, command, seconds=20)
    except JfsnbError as error:
        return Unreadable(error.what)
    return answer.stdout.strip() if answer.ok else Unreadable("no juicefs client in its image")


def same(one: str | Unreadable, other: str | Unreadable) -> bool | None:
    """Whether two outputs tell of the same client; None when one of them tells nothing."""
    if isinstance(one, Unreadable) or isinstance(other, Unreadable):
        return None
    first, second = ClientVersion.parse(one), ClientVersion.parse(other)
    return first.same_as(second) if first and second else None


def shown(text: str | Unreadable) -> str:
    """A version for a table, or why it is not known."""
    if isinstance(text, Unreadable):
        return f"not known: {text.why}"
    version = ClientVersion.parse(text)
    return str(version) if version else text


def not_asked(limit: int) -> Unreadable:
    """Of many Pods only some are asked."""
    return Unreadable(f"not asked: there are more than {limit} (--all asks everyone)")
