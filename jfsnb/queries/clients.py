"""Asking a container which JuiceFS client it has, and a Mount Pod which client really runs in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jfsnb.checks.client import CONFIG_FILE, EXECUTABLE, LOG, ON_DISK, SESSIONS, SUPERVISOR
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
#: Finds the process that serves a mount: $path is a word of its command line (a client that hides its password writes
#: it anew, with blanks). With hostPID /proc shows all processes of the node, and beside the client runs its supervisor,
#: which after a binary upgrade is still the old file.
#: So: the one that ``.config`` names or, for clients that name none, the one whose parent has the same mount. Where the
#: command tells no path, the only program of the client's name. Leaves $serving and $supervisor, empty without any.
FIND = r"""
path=$1; config=$2; mine=; serving=; supervisor=
for pid in $(ls -l /proc/[0-9]*/exe 2>/dev/null | sed -n 's|.* /proc/\([0-9]*\)/exe -> .*juicefs.*|\1|p'); do
  if [ -n "$path" ]; then
    case " $(tr '\0' ' ' < "/proc/$pid/cmdline" 2>/dev/null) " in *" $path "*) mine="$mine $pid ";; esac
  else
    exe=$(readlink "/proc/$pid/exe"); exe=${exe% (deleted)}
    case "${exe##*/}" in juicefs|mount.juicefs) mine="$mine $pid ";; esac
  fi
done
said=$(sed -n 's/^ *"Pid": *\([0-9]*\).*/\1/p' "$config" 2>/dev/null | head -n 1)
for pid in $mine; do
  parent=$(sed -n 's/^PPid:[^0-9]*//p' "/proc/$pid/status")
  case "$mine" in *" $parent "*) [ "$said" = "$parent" ] || { serving=$pid; supervisor=$parent; };; esac
done
case "$mine" in *" ${said:-none} "*) serving=$said;; esac
set -- $mine
[ -n "$serving" ] || serving=$1
[ -n "$path" ] || [ $# -lt 2 ] || serving=
[ "$supervisor" != "$serving" ] || supervisor=
"""
#: Sections of one exec, so that a Mount Pod is asked once. The status of the file system is only read for its sessions:
#: the rest of it may hold credentials.
ASK = (
    r"""client=$3
say() { printf '\n@%s\n' "$1"; }
say config; head -c 200000 "$2" 2>/dev/null"""
    + FIND
    + r"""
say executable; [ -z "$serving" ] || "/proc/$serving/exe" --version 2>&1
say supervisor
[ -z "$supervisor" ] || [ "/proc/$supervisor/exe" -ef "/proc/$serving/exe" ] || "/proc/$supervisor/exe" --version 2>&1
say disk; "$client" --version 2>&1
say sessions
if [ ! -e "$config" ] && [ -n "$metaurl" ]; then "$client" --no-agent status "$metaurl" 2>/dev/null; fi
say end
"""
)
SOURCE_WORDS = {
    CONFIG_FILE: "Version in the .config that the running client serves",
    SESSIONS: "its session in the file system's own list",
    EXECUTABLE: "the executable of the process that serves this mount",
    SUPERVISOR: "the executable of its supervisor, which would start it again",
    LOG: "what it wrote into its log when it was last started",
    ON_DISK: "what is on disk (says nothing about what runs)",
}
#: The hash of what serves: read through /proc, so that nothing on disk can stand in for it.
ASK_HASH = (
    FIND
    + r"""
[ -n "$serving" ] || exit 9
sha256sum < "/proc/$serving/exe"
"""
)
#: The rest of the answer may hold credentials, and is not kept.
ASK_SESSIONS = '"$0" --no-agent status "$metaurl" 2>/dev/null'
CLIENTS = ("/usr/local/bin/juicefs", "/usr/bin/juicefs")


def in_mount_pod(cluster: Cluster, pod: MountPod) -> dict[str, str | Unreadable]:
    """What a Mount Pod says about its client, by source.

    Keys: ``.config`` (Version in the file that the running client serves; clients before 1.0 have none), ``session``
    (the file system's list of sessions, matched by this Pod's mount path), ``executable`` (of the process that serves
    this mount), ``supervisor`` (of its parent, only where that is another file: after a binary upgrade) and ``on disk``
    (says nothing about what runs).
    """
    client = CLIENTS[0] if pod.command.is_ce else CLIENTS[1]
    command = ["sh", "-c", ASK, "ask", pod.command.mount_path, pod.command.config_file, client]
    try:
        answer = cluster.execute(pod.namespace, pod.name, command, MOUNT_CONTAINER, seconds=30)
    except JfsnbError as error:
        why = Unreadable(error.what)
        return {CONFIG_FILE: why, SESSIONS: why, EXECUTABLE: why, ON_DISK: why}
    return read_answer(answer.stdout, pod.command.mount_path)


def running_sha256(cluster: Cluster, pod: MountPod) -> str | Unreadable:
    """sha256 of the executable that serves in a Mount Pod."""
    command = ["sh", "-c", ASK_HASH, "ask", pod.command.mount_path, pod.command.config_file]
    try:
        answer = cluster.execute(pod.namespace, pod.name, command, MOUNT_CONTAINER, seconds=60)
    except JfsnbError as error:
        return Unreadable(error.what)
    found = answer.stdout.split()
    return found[0] if answer.ok and found else Unreadable("no process that serves this mount could be read")


def sessions(cluster: Cluster, pod: MountPod) -> frozenset[int] | Unreadable:
    """Numbers of the sessions in the list of the file system that a Mount Pod serves."""
    client = CLIENTS[0] if pod.command.is_ce else CLIENTS[1]
    try:
        answer = cluster.execute(
            pod.namespace, pod.name, ["sh", "-c", ASK_SESSIONS, client], MOUNT_CONTAINER, seconds=30
        )
    except JfsnbError as error:
        return Unreadable(error.what)
    listed = _sessions(answer.stdout)
    return listed if isinstance(listed, Unreadable) else frozenset(int(s.get("Sid") or 0) for s in listed)


def _sessions(text: str) -> list[Mapping[str, Any]] | Unreadable:
    try:
        found: list[Mapping[str, Any]] = json.loads(text[text.index("{") :]).get("Sessions") or []
    except ValueError:
        return Unreadable("juicefs status gave no JSON")
    return found


def read_answer(text: str, mount_path: str) -> dict[str, str | Unreadable]:
    """The sections of an answer to ASK, as versions by source."""
    sections = sections_of(text)
    found: dict[str, str | Unreadable] = {}
    if sections.get("config"):
        found[CONFIG_FILE] = _config_version(sections["config"])
    if sections.get("sessions"):
        found[SESSIONS] = _session_version(sections["sessions"], mount_path)
    executable = sections.get("executable", "").splitlines()
    found[EXECUTABLE] = executable[0] if executable else Unreadable("no process that serves this mount was found")
    if supervisor := sections.get("supervisor", "").splitlines():
        found[SUPERVISOR] = supervisor[0]
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
    listed = _sessions(text)
    if isinstance(listed, Unreadable):
        return listed
    mine = [s for s in listed if s.get("MountPoint") == mount_path]
    if not mine:
        return Unreadable(f"no session at {mount_path} among {len(listed)}")
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
