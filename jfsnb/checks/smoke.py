"""Did the smoke Pod really write through JuiceFS? (peers: weak assertions 4 and 5; diagnosis D34, D36)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from jfsnb.checks.codes import Unreadable, register, result, unreadable
from jfsnb.checks.model import CheckResult, Evidence, Verdict

LINES = register(
    "JFS-IO-001",
    "The smoke Pod's own test passed",
    "The smoke Pod could not mount, write or read; its log says which.",
    "Read the smoke Pod's log and events.",
)
FUSE = register(
    "JFS-IO-002",
    "The volume in the app Pod is JuiceFS's FUSE",
    "The mount was lost or was never there, so the app writes to the node's disk.",
    "Re-create the app Pod; look at the Mount Pod's log and restarts.",
)
NONCE = register(
    "JFS-IO-003",
    "What the smoke Pod wrote is in the file system, byte for byte",
    "What was written did not reach the file system, or something else was read.",
    "Compare the two routes' paths and mounts; look at the Mount Pod's log.",
)
ACCESS_LOG = register(
    "JFS-IO-004",
    "The access log of the serving client shows the write: the data took this way",
    "Another client, or none, did the app Pod's I/O.",
    "Check which Mount Pod carries the reference (JFS-MNT-001).",
)
READ_ONLY = register(
    "JFS-IO-005",
    "A read-only mount refuses writes",
    "The mount is writable although it was asked for read-only.",
    "Check readOnly of the volume, the access mode and option ro.",
)

#: What the smoke Pod prints, in this order, when all went well.
EXPECTED_LINES = (
    "Starting JuiceFS mount verification...",
    "JuiceFS mounted successfully at /jfs",
    "Testing write operations...",
    "Testing read operations...",
    "Read/Write test passed",
    "Cleanup completed",
    "All tests passed. Keeping container alive...",
)
_JUICEFS_TYPES = ("fuse.juicefs", "juicefs")
#: Clients before 1.2 write ``create (…): OK (inode,…``, later ones ``create (…): (inode,…) - OK``.
_MADE = re.compile(r"\b(?:create|mknod) \(.*?\):(?=.*\bOK\b) (?:OK )?\((\d+),")
_WRITTEN = re.compile(r"\bwrite \((\d+),[^)]*\)(?=.*\bOK\b)")
_STALE = re.compile(r"Transport endpoint is not connected|Input/output error|Stale file handle", re.IGNORECASE)


@dataclass(frozen=True)
class Copy:
    """The nonce as one route sees it.

    Args:
        route: for people, e.g. ``app Pod`` or ``Mount Pod``.
        pod: name of the Pod that read it. path: the path that was read.
        sha256: of what was read.
        size: in bytes.
    """

    route: str
    pod: str
    path: str
    sha256: str
    size: int = 0


def smoke_lines(log: Sequence[str] | Unreadable, pod: str) -> CheckResult:
    """All expected lines stand in the log, in order, and no line tells of an error.

    Args:
        log: the smoke Pod's lines so far. pod: its name.
    """
    if isinstance(log, Unreadable):
        return unreadable(LINES, log)
    errors = [line for line in log if line.startswith("ERROR") or _STALE.search(line) or line.endswith("FAILED")]
    position, missing = 0, ""
    for expected in EXPECTED_LINES:
        try:
            position = next(n for n in range(position, len(log)) if log[n].strip() == expected) + 1
        except StopIteration:
            missing = expected
            break
    shown = errors[0] if errors else log[-1] if log else "(no line yet)"
    evidence = [Evidence(f"pod/{pod}", "log", shown)]
    if errors:
        return result(LINES, Verdict.FAIL, f"the smoke Pod says: {errors[0]}", evidence)
    if missing:
        return result(LINES, Verdict.NOT_READY, f"the smoke Pod has not said {missing!r} yet", evidence)
    return result(LINES, Verdict.PASS, f"all {len(EXPECTED_LINES)} lines, in order, no error", evidence)


def juicefs_mount(mounts: str | Unreadable, mount_path: str, pod: str) -> CheckResult:
    """The topmost mount at the path is of JuiceFS's FUSE type.

    Args:
        mounts: /proc/self/mounts of the app container. mount_path: of the volume there. pod: the app Pod.
    """
    if isinstance(mounts, Unreadable):
        return unreadable(FUSE, mounts)
    found = [fields for fields in map(str.split, mounts.splitlines()) if len(fields) > 2 and fields[1] == mount_path]
    evidence = [Evidence(f"pod/{pod}", f"/proc/mounts {mount_path}", " ".join(found[-1][:3]) if found else "no mount")]
    if not found:
        return result(FUSE, Verdict.FAIL, f"nothing is mounted at {mount_path}", evidence)
    source, kind = found[-1][0], found[-1][2]
    if kind in _JUICEFS_TYPES or (kind == "fuse" and source.startswith("JuiceFS:")):
        return result(FUSE, Verdict.PASS, f"{source} of type {kind} is mounted at {mount_path}", evidence)
    return result(FUSE, Verdict.FAIL, f"{mount_path} is of type {kind}, not JuiceFS's FUSE", evidence)


def nonce_read_back(
    nonce_sha256: str | Unreadable, written: Copy | Unreadable, independent: Copy | Unreadable
) -> CheckResult:
    """The nonce that was generated, as written and as read by another Pod, has one and the same checksum.

    Args:
        nonce_sha256: checksum of the nonce, computed where it was generated.
        written: read back by the app Pod itself; proves nothing alone.
        independent: read through the Mount Pod or a second Pod.
    """
    for facts in (nonce_sha256, written, independent):
        if isinstance(facts, Unreadable):
            return unreadable(NONCE, facts)
    assert isinstance(written, Copy) and isinstance(independent, Copy)
    copies = (written, independent)
    evidence = [Evidence(f"pod/{c.pod}", f"sha256 of {c.path} ({c.route})", c.sha256) for c in copies]
    if not re.fullmatch(r"[0-9a-f]{64}", str(nonce_sha256)):
        return result(NONCE, Verdict.ERROR, "the nonce's own checksum is not known", evidence)
    if written.pod == independent.pod:
        return result(NONCE, Verdict.ERROR, "both copies were read in the same Pod: that is no second route", evidence)
    wrong = [c for c in copies if c.sha256 != nonce_sha256]
    if wrong:
        return result(NONCE, Verdict.FAIL, f"{wrong[0].route} reads something else than was written", evidence)
    reason = f"{independent.route} reads exactly what was written; whose client wrote it, the access log tells"
    return result(NONCE, Verdict.PASS, reason, evidence)


def access_log_shows(lines: Sequence[str] | Unreadable, file_name: str, mount_pod: str) -> CheckResult:
    """The client's access log shows that the file was made (``create``) and its inode written to (``write``).

    Args:
        lines: a sample of the access log taken while writing. file_name: base name, random. mount_pod: its name.
    """
    if isinstance(lines, Unreadable):
        return unreadable(ACCESS_LOG, lines)
    named = [line for line in lines if file_name in line]
    made = [(line, match[1]) for line in named if (match := _MADE.search(line))]
    inodes = {inode for _, inode in made}
    written = [line for line in lines if (match := _WRITTEN.search(line)) and match[1] in inodes]
    shown = [line for line, _ in made[:1]] + written[:1] or named[:1] or [f"{len(lines)} lines without it"]
    evidence = [Evidence(f"pod/{mount_pod}", ".accesslog", line) for line in shown]
    if written:
        return result(ACCESS_LOG, Verdict.PASS, f"{mount_pod} made and wrote {file_name}", evidence)
    if named:
        reason = f"{mount_pod} was asked for {file_name}, but the sample shows no write of it"
        return result(ACCESS_LOG, Verdict.WARN, reason, evidence, "Take a longer sample.")
    if not lines:
        return result(ACCESS_LOG, Verdict.ERROR, "the access log was empty, so it says nothing", evidence)
    return result(ACCESS_LOG, Verdict.FAIL, f"{mount_pod} never saw {file_name}", evidence)


def refuses_writes(outcome: str | Unreadable, succeeded: bool, pod: str) -> CheckResult:
    """A write to a read-only mount failed with "Read-only file system".

    Args:
        outcome: what the attempt printed. succeeded: the write went through. pod: where it was tried.
    """
    if isinstance(outcome, Unreadable):
        return unreadable(READ_ONLY, outcome)
    evidence = [Evidence(f"pod/{pod}", "write attempt", outcome)]
    if succeeded:
        return result(READ_ONLY, Verdict.FAIL, "the write went through", evidence)
    if "read-only file system" not in outcome.lower():
        return result(READ_ONLY, Verdict.ERROR, f"the write failed for another reason: {outcome}", evidence)
    return result(READ_ONLY, Verdict.PASS, "the write was refused: read-only file system", evidence)
