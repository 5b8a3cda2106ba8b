"""The data really went through the Mount Pod: a nonce read back without the app Pod, and the client's access log."""

from __future__ import annotations

import shlex
from concurrent.futures import ThreadPoolExecutor

from jfsnb.checks import arrival, smoke
from jfsnb.checks.codes import Unreadable
from jfsnb.checks.smoke import Copy
from jfsnb.checks.tier import labelled
from jfsnb.driver.mountpods.mount_pods import MountPod
from jfsnb.driver.names import MOUNT_CONTAINER
from jfsnb.errors import JfsnbError
from jfsnb.queries import driver_facts
from jfsnb.queries.model import Row, Timeline
from jfsnb.run.proof import read_only
from jfsnb.run.proof.serving import Smoked, smoked
from jfsnb.run.results import Baseline, DataProof, Deployed
from jfsnb.run.state import Run, part

MOUNT = "/jfs"
ACCESS_SECONDS, TIMED_OUT = 3, 124
#: The app Pod makes the file anew until its line was seen (or 40 times), so that a reader who comes late sees a later
#: one. The shell reads the log byte by byte, which is what makes it come at once: a larger read is answered only after
#: a second.
WRITE = """
for i in $(seq 40); do
  rm -f "$1/$2"; echo "$i" > "$1/$2"
  [ -e "$1/$2.seen" ] && break
  sleep 0.05
done
rm -f "$1/$2" "$1/$2.seen"
"""
#: The first line tells that the log comes at all. Clients before 1.2 write ``create (…): OK (inode,…``, later ones
#: ``create (…): (inode,…) - OK``.
READ = """
inode=none first=yes
while read -r line; do
  [ -z "$first" ] || echo "$line"
  first=
  case "$line" in
    *create*"$2"*OK*) echo "$line"; inode=${line#*): }; inode=${inode#*(}; inode=${inode%%,*};;
    *"write ($inode,"*) echo "$line"; : > "$3/$2.seen"; exit 0;;
  esac
done < "$1"
"""


@part(DataProof)
def data(run: Run) -> DataProof:
    """Read the nonce back through the Mount Pod, without the app Pod; try to write to a read-only mount."""
    timeline = Timeline()
    known = smoked(run, Deployed.PART)
    reader = read_only.begin(run, known)
    driver = driver_facts.find_driver(run.cluster, run.settings.driver_namespace)
    serving = MountPod.from_object(run.cluster.get("pods", driver.namespace, known.mount_pod))
    mounts, mountinfo = _read(run, known, "/proc/self/mounts"), _read(run, known, "/proc/self/mountinfo")
    root = _root_in_mount_pod(serving, mountinfo)
    with timeline.measure("nonce: written, and read back by two routes"):
        path, digest = _nonce(run, known)
        relative = path.removeprefix(MOUNT)
        written = _copy(run, "the app Pod itself", known.namespace, known.pod, "", path)
        independent = _copy(run, "Mount Pod", serving.namespace, serving.name, MOUNT_CONTAINER, root + relative)
        third = _third(run, path)
    with timeline.measure("access log while the app Pod writes"):
        name, lines = _access_log(run, known, serving, root)
    with timeline.waiting("a read-only mount to refuse a write"):
        refused = read_only.outcome(run, known, reader)
    checks = [
        smoke.juicefs_mount(mounts, MOUNT, known.pod),
        smoke.nonce_read_back(digest, written, independent),
        smoke.access_log_shows(lines, name, serving.name),
        refused,
    ]
    rows = tuple(_row(c) for c in (written, independent, third) if isinstance(c, Copy))
    return run.finish(
        DataProof(routes=rows, checks=labelled(checks, run.cluster.tier), timeline=tuple(timeline.entries))
    )


def _row(copy: Copy) -> Row:
    return {"route": copy.route, "pod": copy.pod, "path": copy.path, "sha256": copy.sha256, "size": copy.size}


def _root_in_mount_pod(pod: MountPod, mountinfo: str | Unreadable) -> str:
    """Where the app's mount is in the Mount Pod: its mount path, and below it what the app's mount has as its root.

    The client may mount a sub-directory of the file system, or the node may bind one (reference §1.9): the mount's own
    root tells both apart.
    """
    found = [fields for fields in map(str.split, _lines(mountinfo)) if len(fields) > 4 and fields[4] == MOUNT]
    root = found[-1][3] if found else "/"
    return f"{pod.command.mount_path}/{root.strip('/')}".rstrip("/")


def _lines(text: str | Unreadable) -> list[str]:
    return text.splitlines() if isinstance(text, str) else []


def _nonce(run: Run, known: Smoked) -> tuple[str, str | Unreadable]:
    """(path in the app Pod, sha256) of a nonce: the one the fast manifest keeps, else one that is written now."""
    kept = arrival.kept_nonce(known.log)
    if kept:
        return kept
    path = f"{MOUNT}/smoke-nonce-{known.pod}.txt"
    script = (
        f"n=$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \\n'); echo $n > {shlex.quote(path)} && "
        f"sync {shlex.quote(path)}; echo $n | sha256sum"
    )
    try:
        answer = run.cluster.execute(known.namespace, known.pod, ["sh", "-c", script])
    except JfsnbError as error:
        return path, Unreadable(error.what)
    digest = answer.stdout.split()
    return path, digest[0] if answer.ok and digest else Unreadable(answer.stderr.strip() or "no checksum")


def _copy(run: Run, route: str, namespace: str, pod: str, container: str, path: str) -> Copy | Unreadable:
    command = ["sh", "-c", 'sha256sum < "$1" && wc -c < "$1"', "read", path]
    try:
        answer = run.cluster.execute(namespace, pod, command, container)
    except JfsnbError as error:
        return Unreadable(error.what)
    words = answer.stdout.split()
    if not answer.ok or len(words) < 3:
        return Unreadable(f"{pod} cannot read {path}: {answer.stderr.strip() or answer.code}")
    return Copy(route, pod, path, words[0], int(words[-1]))


def _third(run: Run, path: str) -> Copy | Unreadable:
    """The baseline Pod sees the same file system through the old client."""
    try:
        known = smoked(run, Baseline.PART)
    except JfsnbError as error:
        return Unreadable(error.what)
    return _copy(run, "baseline Pod, through the old client", known.namespace, known.pod, "", path)


def _read(run: Run, known: Smoked, path: str) -> str | Unreadable:
    try:
        answer = run.cluster.execute(known.namespace, known.pod, ["cat", path])
    except JfsnbError as error:
        return Unreadable(error.what)
    return answer.stdout if answer.ok else Unreadable(answer.stderr.strip())


def _access_log(run: Run, known: Smoked, serving: MountPod, root: str) -> tuple[str, list[str] | Unreadable]:
    """(file name, access log lines that name it) sampled in the Mount Pod while the app Pod writes that file."""
    name = f"access-{known.pod}.txt"
    write = ["sh", "-c", WRITE, "write", MOUNT, name]
    read = ["timeout", str(ACCESS_SECONDS), "sh", "-c", READ, "read", serving.command.access_log, name, root]
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(run.cluster.execute, serving.namespace, serving.name, read, MOUNT_CONTAINER)
        try:
            run.cluster.execute(known.namespace, known.pod, write)
            answer = reading.result()
        except JfsnbError as error:
            return name, Unreadable(error.what)
    came = answer.ok or answer.code == TIMED_OUT
    return name, answer.stdout.splitlines() if came else Unreadable(answer.stderr.strip() or f"exit {answer.code}")
