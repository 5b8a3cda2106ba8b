"""Was a client really exchanged under a running app, and did the app notice? From what the app saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jfsnb.checks.codes import Unreadable, register, result, unreadable
from jfsnb.checks.model import CheckResult, Evidence, Verdict
from jfsnb.driver.client_support import BINARY_UPGRADE, FUSE_PASSING
from jfsnb.driver.images import ClientVersion, same_version

#: Of the driver (reference §3.8).
SMOOTH_UPGRADE = (0, 25, 0)
MAY = register(
    "JFS-UPG-001",
    "The driver would upgrade this Mount Pod",
    "One of the driver's own conditions is not met.",
    "The reason names the condition; re-create the app Pod instead, where it cannot be met.",
)
SAID = register(
    "JFS-UPG-002",
    "The driver's tool reported success",
    "The upgrade ended with POD-FAIL, or without a last word.",
    "Read the POD- lines and the log of the CSI node; the Mount Pod may be in either state, see JFS-UPG-003.",
)
SERVES = register(
    "JFS-UPG-003",
    "The new client serves the app that kept running",
    "The app's mount is still answered by the old client, whatever the tool said.",
    "Look at the Mount Pod's processes and session; a busy FUSE session keeps the old client: try again later.",
)
RECORDS = register(
    "JFS-UPG-004",
    "No record was lost, doubled, reordered or torn",
    "What the app had written and fsynced is not what it reads back.",
    "Stop: do not upgrade others. Keep the volume and its metadata, and report it to JuiceFS.",
)
NOTICED = register(
    "JFS-UPG-005",
    "The app saw no error and kept all that it held",
    "A call failed during the exchange, or an open file, a directory, a lock or a mapping was lost.",
    "Apps that hold these must be restarted after such an upgrade; see which ones in the evidence.",
)
STALLED = register(
    "JFS-UPG-006",
    "The longest stall was within the budget",
    "Requests waited longer than the budget while no client answered.",
    "Upgrade when the app is idle, or raise the budget (stall_budget) where its users can wait.",
)
EXCHANGED = register(
    "JFS-UPG-007",
    "The Mount Pod was exchanged as promised",
    "Re-creation leaves one new Mount Pod with all references and no old one; a binary exchange keeps the Mount Pod.",
    "Look at the Mount Pods of the volume on this node.",
)


def client_too_old(version: str, recreate: bool) -> str:
    """Why the client that *runs* could not do it, whatever its tag says (own tags tell none); empty when it could.

    Args:
        version: what the running client says of itself; empty or unreadable text counts as unknown, which is no reason.
    """
    known = ClientVersion.parse(version)
    numbers = tuple(int(part) for part in known.number.partition("-")[0].split(".")) if known else ()
    first = (FUSE_PASSING if recreate else BINARY_UPGRADE)[True]
    if not numbers or numbers >= first:
        return ""
    return f"the client that runs is {known}, which cannot hand its mount over (since {'.'.join(map(str, first))})"


def driver_too_old(version: tuple[int, int, int] | None) -> str:
    """Why this driver could not do it; empty when it could, or when its tag tells no version."""
    if version is None or version >= SMOOTH_UPGRADE:
        return ""
    return f"driver {'.'.join(map(str, version))} has no smooth upgrade (since 0.25.0)"


def may_upgrade(reason: str, name: str, remarks: Sequence[str] = ()) -> CheckResult:
    """The driver's own conditions (reference §3.8).

    Args:
        reason: why it would refuse, in its words; empty when it would not. remarks: what is worth knowing before.
    """
    if reason:
        return result(MAY, Verdict.FAIL, f"{name}: {reason}", [Evidence(f"pod/{name}", "upgrade", reason)])
    evidence = [Evidence(f"pod/{name}", "to know before", text) for text in remarks]
    return result(
        MAY, Verdict.PASS, f"{name} may be upgraded" + (f"; {'; '.join(remarks)}" if remarks else ""), evidence
    )


def tool_said(lines: Sequence[str] | Unreadable) -> CheckResult:
    """What ``juicefs-csi-driver upgrade`` printed."""
    if isinstance(lines, Unreadable):
        return unreadable(SAID, lines)
    last = next((line for line in reversed(lines) if "POD-" in line), "")
    evidence = [Evidence("juicefs-csi-driver upgrade", "output", line) for line in lines]
    if "POD-SUCCESS" in last:
        return result(SAID, Verdict.PASS, last, evidence)
    return result(SAID, Verdict.FAIL, last or "it ended without a last word", evidence)


@dataclass(frozen=True)
class Load:
    """What the load Pod has told; times are seconds since the epoch, by the node's clock.

    Args:
        acked: number of the last record that was written and fsynced. unacked: how many were not.
        errors: (when, what, errno). stalls: (began, seconds, what).
        held: what it holds → ``held``, or what became of it.
        clients: (when, version), each time another one answered from the mount.
    """

    acked: int = 0
    unacked: int = 0
    errors: tuple[tuple[float, str, str], ...] = ()
    stalls: tuple[tuple[float, float, str], ...] = ()
    held: Mapping[str, str] = field(default_factory=dict)
    clients: tuple[tuple[float, str], ...] = ()

    @property
    def longest(self) -> float:
        """Seconds of the longest stall; 0 when nothing waited for 0.1 s."""
        return max((seconds for _, seconds, _ in self.stalls), default=0.0)


def new_client_serves(
    before: str | Unreadable, now: str | Unreadable, wanted: str | Unreadable, inside: str, mount_pod: str
) -> CheckResult:
    """By the client that runs, not by what was reported.

    Args:
        before, now: versions of the client that served, and that serves.
        wanted: the version that the image holds. inside: that which answered the app last; empty: it could not read it.
    """
    for seen in (now, wanted):
        if isinstance(seen, Unreadable):
            return unreadable(SERVES, seen)
    evidence = [
        Evidence(mount_pod, "client before", before.why if isinstance(before, Unreadable) else before),
        Evidence(mount_pod, "client now", str(now)),
        Evidence("the image", "client", str(wanted)),
        Evidence("the app's own mount", ".config Version", inside or "not readable from inside"),
    ]
    if not same_version(str(now), str(wanted)):
        return result(SERVES, Verdict.FAIL, f"{now} serves, not {wanted}", evidence)
    if inside and not same_version(inside, str(wanted)):
        return result(SERVES, Verdict.FAIL, f"the Mount Pod runs {now}, but {inside} answers the app", evidence)
    if isinstance(before, str) and same_version(before, str(now)):
        return result(SERVES, Verdict.WARN, f"{now} serves, as before: this was no exchange of versions", evidence)
    return result(SERVES, Verdict.PASS, f"{now} serves the app that kept running", evidence)


def records_kept(counted: Mapping[str, int] | Unreadable, acked: int, unacked: int) -> CheckResult:
    """What was read back of the numbered records."""
    if isinstance(counted, Unreadable):
        return unreadable(RECORDS, counted)
    evidence = [Evidence("records", name, str(number)) for name, number in counted.items()]
    evidence.append(Evidence("records", "acknowledged", str(acked)))
    wrong = {name: counted[name] for name in ("lost", "doubled", "disordered", "torn") if counted[name]}
    if wrong:
        return result(RECORDS, Verdict.FAIL, ", ".join(f"{number} {name}" for name, number in wrong.items()), evidence)
    if not acked:
        return unreadable(RECORDS, Unreadable("no record was written"))
    rest = f"; {unacked} were never acknowledged, and are not counted" if unacked else ""
    return result(
        RECORDS, Verdict.PASS, f"all {acked} acknowledged records are there, once and in order{rest}", evidence
    )


def app_noticed(load: Load | Unreadable) -> CheckResult:
    """Errors, and what the app held."""
    if isinstance(load, Unreadable):
        return unreadable(NOTICED, load)
    lost = {what: how for what, how in load.held.items() if how != "held"}
    evidence = [Evidence("load", what, how) for what, how in load.held.items()]
    evidence += [Evidence("load", what, name) for _, what, name in load.errors[:20]]
    if load.errors or lost:
        told = (
            [f"{len(load.errors)} errors, the first {load.errors[0][2]} on {load.errors[0][1]}"] if load.errors else []
        )
        told += [f"{what}: {how}" for what, how in lost.items()]
        return result(NOTICED, Verdict.FAIL, "; ".join(told), evidence)
    if not load.held:
        return unreadable(NOTICED, Unreadable("the load Pod told nothing of what it holds"))
    return result(NOTICED, Verdict.PASS, f"no error; {', '.join(load.held)} still held", evidence)


def stall_within(load: Load | Unreadable, budget: float) -> CheckResult:
    """The longest wait of any call of the app, against so many seconds."""
    if isinstance(load, Unreadable):
        return unreadable(STALLED, load)
    evidence = [
        Evidence("load", what, f"{seconds:.2f} s") for _, seconds, what in sorted(load.stalls, key=lambda s: -s[1])[:10]
    ]
    verdict = Verdict.PASS if load.longest <= budget else Verdict.FAIL
    return result(STALLED, verdict, f"{load.longest:.1f} s (budget {budget:g} s)", evidence)


@dataclass(frozen=True)
class Seen:
    """A Mount Pod at one moment: what an upgrade must keep, and what it may change."""

    name: str
    uid: str
    upgrade_uuid: str
    image: str
    restarts: int
    references: tuple[str, ...]
    delete_delay: str = ""


def exchanged_as_promised(before: Seen, now: Sequence[Seen] | Unreadable, recreate: bool, image: str) -> CheckResult:
    """Old Mount Pod gone or kept, references moved, annotations that must survive, survived.

    Args:
        now: Mount Pods with the same upgrade UUID.
    """
    if isinstance(now, Unreadable):
        return unreadable(EXCHANGED, now)
    evidence = [
        Evidence(f"pod/{p.name}", "image, references", f"{p.image}, {len(p.references)}") for p in (before, *now)
    ]
    if len(now) != 1:
        told = "none is there" if not now else f"{len(now)} are there: {', '.join(p.name for p in now)}"
        return result(EXCHANGED, Verdict.FAIL, f"of its upgrade UUID {told}", evidence)
    (after,) = now
    wrong = []
    if recreate and after.uid == before.uid:
        wrong.append(f"{before.name} is still the same Pod")
    if recreate and after.image != image:
        wrong.append(f"{after.name} has image {after.image}")
    if not recreate and (after.uid, after.restarts) != (before.uid, before.restarts):
        wrong.append(f"{before.name} was re-created or restarted")
    if set(before.references) - set(after.references):
        wrong.append(f"{len(set(before.references) - set(after.references))} references are gone")
    if before.delete_delay and not after.delete_delay:
        wrong.append("its delete delay is gone")
    if wrong:
        return result(EXCHANGED, Verdict.FAIL, "; ".join(wrong), evidence)
    how = f"{after.name} took the place of {before.name}" if recreate else f"{after.name} kept its place"
    return result(EXCHANGED, Verdict.PASS, f"{how}, with all {len(after.references)} references", evidence)
