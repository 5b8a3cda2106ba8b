"""Is the configuration in force where it matters, and is it back as it was?"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from jfsnb.checks.codes import Unreadable, register, result, unreadable
from jfsnb.checks.model import CheckResult, Evidence, Verdict
from jfsnb.driver.config.merging import ImageDecision
from jfsnb.driver.images import same_image

IN_FORCE = register(
    "JFS-CFG-001",
    "Each CSI node that matters has loaded the configuration",
    "The kubelet has not synced the ConfigMap yet, the driver rejected it, or it reads another ConfigMap.",
    "Wait for the kubelet (up to about a minute; annotating the CSI node Pod hurries it); correct a rejected one.",
)
DECIDES = register(
    "JFS-CFG-002",
    "The configuration gives the smoke PVC the image under test",
    "A later entry of mountPodPatch wins, a selector does not match, or a key is misspelt.",
    "Look at which entry decides and why the others do not match.",
)
RESTORED = register(
    "JFS-CFG-003",
    "config.yaml is byte for byte what it was before",
    "The run did not finish undoing its edit, or somebody else has changed it in between.",
    "Run jfsnb rollback with the run's id; the backup is config-before.yaml in the run folder.",
)
CAUTION = register(
    "JFS-CFG-004",
    "Nothing speaks against the edit",
    "Something about the configuration will undo the edit, widen its reach, or make its result hard to judge.",
    "Read the warning, and decide.",
)

FORCE, FILE_ONLY, OLD, REJECTED, UNKNOWN = "in force", "file only", "old", "rejected", "unknown"
_RELOAD = "config file updated, reload config"
#: The driver's own timer, and what a late one may take.
_RELOADS_ANYWAY = timedelta(minutes=5, seconds=10)
_REJECT = re.compile(r"fail to (?:re)?load config")


@dataclass(frozen=True)
class NodeConfig:
    """What one CSI node Pod has of the configuration.

    Args:
        node: its node. pod: its name.
        state: ``in force``, ``file only`` (the file is new, no word of a reload), ``old``, ``rejected``, ``unknown``.
        detail: the line or difference that says so, or why it could not be seen.
    """

    node: str
    pod: str
    state: str
    detail: str = ""


def node_config(
    node: str,
    pod: str,
    wanted: str,
    file: str | Unreadable,
    log: Sequence[str] | Unreadable,
    started_after: bool = False,
) -> NodeConfig:
    """Judge one CSI node Pod.

    Success has no log line of its own: the reload line comes before parsing, so what counts is the new file, a
    reload line *after the patch*, and no rejection after that line.

    Args:
        wanted: config.yaml as it should be.
        file: /etc/config/config.yaml as the Pod sees it. log: its lines since the patch.
        started_after: its container was started after the patch, and so has loaded the new file at its start.
    """
    if isinstance(file, Unreadable):
        return NodeConfig(node, pod, UNKNOWN, file.why)
    if file != wanted:
        return NodeConfig(node, pod, OLD, "its config.yaml is not the patched one yet")
    if isinstance(log, Unreadable):
        return NodeConfig(node, pod, UNKNOWN, log.why)
    state, detail = FILE_ONLY, "no reload since the patch in its log"
    if started_after:
        state, detail = FORCE, "started after the patch"
    for line in log:
        if _REJECT.search(line):
            state, detail = REJECTED, line
        elif _RELOAD in line:
            state, detail = FORCE, line
    return NodeConfig(node, pod, state, detail)


def in_force(nodes: Iterable[NodeConfig] | Unreadable, needed: Collection[str]) -> CheckResult:
    """Every needed node has loaded the configuration.

    Args:
        nodes: what was found. needed: names of the nodes that matter.
    """
    if isinstance(nodes, Unreadable):
        return unreadable(IN_FORCE, nodes)
    by_node = {n.node: n for n in nodes}
    found = [by_node.get(n) or NodeConfig(n, "", UNKNOWN, f"no CSI node Pod on {n} was looked at") for n in needed]
    evidence = [Evidence(f"node/{n.node}", n.pod or "CSI node Pod", f"{n.state}: {n.detail}") for n in found]
    if not found:
        return result(IN_FORCE, Verdict.ERROR, "no node was named that matters", evidence)
    ranks = ((REJECTED, Verdict.FAIL), (UNKNOWN, Verdict.ERROR), (OLD, Verdict.NOT_READY))
    for state, verdict in (*ranks, (FILE_ONLY, Verdict.NOT_READY)):
        bad = [n for n in found if n.state == state]
        if bad:
            return result(IN_FORCE, verdict, f"{bad[0].node}: {state}: {bad[0].detail}", evidence)
    strange = [n for n in found if n.state != FORCE]
    if strange:
        return result(IN_FORCE, Verdict.ERROR, f"{strange[0].node}: unheard-of state {strange[0].state!r}", evidence)
    return result(IN_FORCE, Verdict.PASS, f"in force on {', '.join(n.node for n in found)}", evidence)


def decides_for_image(decision: ImageDecision | Unreadable, image: str, claim: str) -> CheckResult:
    """The effective image of the claim is the image under test."""
    if isinstance(decision, Unreadable):
        return unreadable(DECIDES, decision)
    evidence = [Evidence(f"pvc/{claim}", c.provenance, c.image) for c in decision.candidates]
    if same_image(decision.image, image):
        return result(DECIDES, Verdict.PASS, f"{image}, by {decision.provenance}", evidence)
    return result(DECIDES, Verdict.FAIL, f"{decision.image}, by {decision.provenance}", evidence)


def restored(
    before: str,
    after: str | Unreadable = "",
    theirs: str = "",
    left: Sequence[str] = (),
    failed: Sequence[str] = (),
    kept: bool = False,
) -> CheckResult:
    """config.yaml is what it was before, byte for byte, or but for what others have changed meanwhile.

    Args:
        before: SHA-256 of its text before the patch. after: its text now.
        theirs: what others have changed, as a diff.
        left: what is still there of the run, in words. failed: what could not be looked at, or not be undone.
        kept: the user asked to keep the change.
    """
    if kept:
        return result(RESTORED, Verdict.NA, "left patched, as asked (keep)")
    if isinstance(after, Unreadable):
        return unreadable(RESTORED, after)
    now = hashlib.sha256(after.encode()).hexdigest()
    evidence = [Evidence("configmap", "config.yaml, SHA-256", f"{before[:12]} before, {now[:12]} now")]
    if before == now:
        return result(RESTORED, Verdict.PASS, "the same bytes as before", evidence)
    if left or failed:
        verdict = Verdict.FAIL if left else Verdict.ERROR
        return result(RESTORED, verdict, f"it differs from what it was before: {[*left, *failed][0]}", evidence)
    reason = "others have changed config.yaml during the run; this run's part is undone, theirs stays"
    evidence += [Evidence("configmap", "changed by others", line) for line in theirs.splitlines()]
    return result(RESTORED, Verdict.WARN, reason, evidence, "Look at the difference; it is not this run's.")


def caution(warnings: Sequence[str]) -> CheckResult:
    """The warnings of an edit (jfsnb.driver.edit_warnings), as one result."""
    if not warnings:
        return result(CAUTION, Verdict.PASS, "nothing found", [Evidence("config.yaml", "warnings", "none")])
    return result(CAUTION, Verdict.WARN, "; ".join(warnings), [Evidence("config.yaml", "warning", w) for w in warnings])


def loaded_now(
    node: str,
    pod: str,
    wanted: str,
    file: str | Unreadable,
    log: Sequence[tuple[datetime, str]] | Unreadable,
    file_since: datetime | None,
    started: datetime | None,
    now: datetime,
) -> NodeConfig:
    """Judge one CSI node Pod without having watched it: from times (reference/csi-driver.md §2.7).

    Args:
        wanted: config.yaml as it should be. file: as the Pod sees it.
        log: (time, line) of its container. file_since: when the kubelet wrote the file; None: not known.
        started: when its container was started.
    """
    if isinstance(file, Unreadable):
        return NodeConfig(node, pod, UNKNOWN, file.why)
    if isinstance(log, Unreadable):
        return NodeConfig(node, pod, UNKNOWN, log.why)
    attempts = [(at, line) for at, line in log if _RELOAD in line or _REJECT.search(line)]
    since = file_since or started
    if attempts and _REJECT.search(attempts[-1][1]) and (since is None or attempts[-1][0] >= _whole(since)):
        return NodeConfig(node, pod, REJECTED, attempts[-1][1])
    if file != wanted:
        return NodeConfig(node, pod, OLD, "its config.yaml is not the ConfigMap's yet")
    if started is not None and since is not None and started >= since:
        return NodeConfig(node, pod, FORCE, f"started with it at {started:%Y-%m-%d %H:%M:%S}")
    reloads = [line for at, line in attempts if since is not None and at >= _whole(since)]
    if reloads:
        return NodeConfig(node, pod, FORCE, reloads[-1])
    if since is not None and now - since > _RELOADS_ANYWAY:
        return NodeConfig(node, pod, FORCE, f"there since {since:%Y-%m-%d %H:%M:%S}; the driver reloads every 5 min")
    return NodeConfig(node, pod, FILE_ONLY, "no reload of it in its log yet")


def _whole(moment: datetime) -> datetime:
    """File times come in whole seconds."""
    return moment.replace(microsecond=0)
