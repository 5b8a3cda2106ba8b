"""The results of all parts of the five steps, in the order of a run. Pure data: see model.py for what they share.

Ages and durations are seconds. Columns of tables are listed after the field.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from jfsnb.queries.model import Result, Table

BACKGROUND, BUILD, PATCH, DEPLOY, VERIFY = "01-background", "02-build", "03-patch", "04-deploy", "05-verify"
UPGRADE, COMPARE = "07-upgrade", "08-compare"


@dataclass(frozen=True, kw_only=True)
class Preflight(Result):
    """Can this run work here? Asked before anything is changed.

    Args:
        cluster: columns what, value (context, server, tier, versions, driver namespace and mode, ConfigMap, claim).
        permissions: columns verb, resource, namespace, allowed, needed_for.
        nodes: columns node, problem (empty: a smoke Pod may be put there), image.
    """

    STEP: ClassVar[str] = BACKGROUND
    PART: ClassVar[str] = "preflight"
    TITLE: ClassVar[str] = "Can this run work here?"
    JUDGES: ClassVar[bool] = True

    cluster: Table = ()
    permissions: Table = ()
    nodes: Table = ()


@dataclass(frozen=True, kw_only=True)
class WhoIsWho(Result):
    """Who takes part, read from the cluster's own objects.

    Args:
        cast: columns role, kind, name, namespace, what_it_says.
        nodes: columns node, ready, driver_registered, csi_node_pod, csi_node_ready, mount_pods.
        mount_pods: columns name, node, volume, image, phase, references, age_seconds.
        config_map: name of the driver's ConfigMap.
        config: its config.yaml, redacted.
    """

    STEP: ClassVar[str] = BACKGROUND
    PART: ClassVar[str] = "who_is_who"
    TITLE: ClassVar[str] = "Who is who in this cluster"

    cast: Table = ()
    nodes: Table = ()
    mount_pods: Table = ()
    config_map: str = ""
    config: str = ""


@dataclass(frozen=True, kw_only=True)
class Smoke(Result):
    """A smoke Pod that was deployed and watched.

    Args:
        pod, namespace, uid, node, ip: where it runs.
        image: of the app Pod, which says nothing about the client that serves it.
        claim, volume: the PVC and PV that it uses.
        mount_pod, mount_image: who serves it, by reference annotation.
        mount_object: that Mount Pod's metadata, spec and status, without environment values.
        manifest: as it was created, YAML.
        wide: what ``kubectl get pod -o wide`` shows: NAME READY STATUS RESTARTS AGE IP NODE.
        events: columns at, type, reason, object, message, count.
        log: the container's lines.
        mount_log: the Mount Pod's last lines, where the smoke Pod did not become Ready.
    """

    pod: str = ""
    namespace: str = ""
    uid: str = ""
    node: str = ""
    ip: str = ""
    image: str = ""
    claim: str = ""
    volume: str = ""
    mount_pod: str = ""
    mount_image: str = ""
    mount_object: dict[str, Any] = field(default_factory=dict)
    manifest: str = ""
    wide: Table = ()
    events: Table = ()
    log: tuple[str, ...] = ()
    mount_log: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Baseline(Smoke):
    """The smoke Pod under the configuration as it was found."""

    STEP: ClassVar[str] = BACKGROUND
    PART: ClassVar[str] = "baseline"
    TITLE: ClassVar[str] = "Baseline: the smoke Pod under the current configuration"
    JUDGES: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class ServedBy(Result):
    """What runs in the app Pod, beside what serves it.

    Args:
        rows: columns where, pod, image, client_on_disk, client_running, how_we_know.
        same_client: whether the client in the app image is the one that serves; None when one of them is unknown.
    """

    STEP: ClassVar[str] = BACKGROUND
    PART: ClassVar[str] = "served_by"
    TITLE: ClassVar[str] = "What runs in the app Pod is not what serves it"

    rows: Table = ()
    same_client: bool | None = None


@dataclass(frozen=True, kw_only=True)
class CsiCalls(Result):
    """What the CSI node Pod's log tells of the baseline's volume.

    Args:
        pod: whose log it is. target: where the kubelet wanted the volume.
        moments: columns at, caller, callee, what, seconds, error, answer.
        calls: columns at, caller, method, asked, answer, seconds.
        traced: whether the log names caller and messages; the real driver's does not.
    """

    STEP: ClassVar[str] = BACKGROUND
    PART: ClassVar[str] = "csi_calls"
    TITLE: ClassVar[str] = "The calls that brought the volume"

    pod: str = ""
    target: str = ""
    moments: Table = ()
    calls: Table = ()
    traced: bool = False


@dataclass(frozen=True, kw_only=True)
class Dockerfile(Result):
    """The Dockerfile that is built, and the .dockerignore for a tree that has none."""

    STEP: ClassVar[str] = BUILD
    PART: ClassVar[str] = "dockerfile"
    TITLE: ClassVar[str] = "The two-stage Dockerfile"

    text: str = ""
    build_base: str = ""
    run_base: str = ""
    ignore: str = ""


@dataclass(frozen=True, kw_only=True)
class BuildPreflight(Result):
    """What can be known before a long build.

    Args:
        engines: what can build here, the one that would be taken first.
        facts: columns what, value; empty when nothing is to be built.
        command: what a person would type.
    """

    STEP: ClassVar[str] = BUILD
    PART: ClassVar[str] = "build_preflight"
    TITLE: ClassVar[str] = "Before the build"

    engines: tuple[str, ...] = ()
    facts: Table = ()
    command: str = ""


@dataclass(frozen=True, kw_only=True)
class Build(Result):
    """Whether an image was built, and which image the run goes on with.

    Args:
        engine: for example ``Docker 28.1.1 with BuildKit``; empty when nothing was built.
        built: whether the image was built here; built_before: by an earlier ``jfsnb build``.
        image: the image under test from here on.
        command: what was run, as a person would type it.
        output: the engine's lines, at most the last 400.
        note: what a reader must know about the engine.
        steps: of the Dockerfile, as they were begun.
        image_id: of the image's configuration; digest: in a registry, after a push.
        client_sha256, client_version: of the juicefs binary in it.
        commit: of the source.
        platform, size: ``linux/amd64``, bytes.
        layers: columns layer, size, made_by. labels: columns label, value.
        where: where the image is now.
    """

    STEP: ClassVar[str] = BUILD
    PART: ClassVar[str] = "build"
    TITLE: ClassVar[str] = "Build, or go on with the image that was given"

    engine: str = ""
    built: bool = False
    built_before: bool = False
    image: str = ""
    command: str = ""
    output: tuple[str, ...] = ()
    note: str = ""
    steps: tuple[str, ...] = ()
    image_id: str = ""
    digest: str = ""
    client_sha256: str = ""
    client_version: str = ""
    commit: str = ""
    platform: str = ""
    size: int = 0
    layers: Table = ()
    labels: Table = ()
    where: str = ""


@dataclass(frozen=True, kw_only=True)
class PatchPlan(Result):
    """What would be changed, and whom it affects.

    Args:
        config_map, scope: what is edited, and how far it reaches.
        current_image, current_why: effective image for the smoke PVC now, and which entry or default decides.
        future_image, future_why: the same after the patch.
        changed: False when the configuration already says so.
        diff: unified diff of config.yaml, redacted.
        affected: claims whose next Mount Pod changes; columns claim, namespace, nodes, image_now, image_then,
            running_mount_pods.
        affected_unknown: why whom it affects is not known; empty where it is.
        affected_pods: who uses these now, and keeps its client until it is made anew; columns pod, node, claim,
            mount_pod, image_now, image_then.
        warnings: things to know before agreeing (ownership by Helm, drift, mutable tag ...).
        planned_for: sha256 of the config.yaml that the plan is for.
    """

    STEP: ClassVar[str] = PATCH
    PART: ClassVar[str] = "plan"
    TITLE: ClassVar[str] = "What the patch changes, and for whom"

    config_map: str = ""
    scope: str = ""
    current_image: str = ""
    current_why: str = ""
    future_image: str = ""
    future_why: str = ""
    changed: bool = False
    diff: str = ""
    affected: Table = ()
    affected_pods: Table = ()
    affected_unknown: str = ""
    warnings: tuple[str, ...] = ()
    planned_for: str = ""


@dataclass(frozen=True, kw_only=True)
class Patched(Result):
    """The ConfigMap was changed (or had nothing to change).

    Args:
        before, after: resourceVersions.
        backup: path of config-before.yaml.
        marks: node → time stamp of the last line in its CSI node's log before the patch.
        patched_at: ISO 8601, UTC.
        remembered: all Mount Pods just before the patch (columns of jfsnb.checks.bystanders.Seen), to see at the end
            that other people's are as they were.
    """

    STEP: ClassVar[str] = PATCH
    PART: ClassVar[str] = "apply"
    TITLE: ClassVar[str] = "The guarded patch"

    config_map: str = ""
    changed: bool = False
    before: str = ""
    after: str = ""
    backup: str = ""
    marks: dict[str, str] = field(default_factory=dict)
    patched_at: str = ""
    remembered: Table = ()


@dataclass(frozen=True, kw_only=True)
class InForce(Result):
    """When each CSI node that matters had the new configuration.

    Args:
        nodes: columns node, pod, file_seconds, reload_seconds, state, log_line; seconds count from the patch,
            None where it has not happened; state is ``in force``, ``file only``, ``old``, ``rejected``,
            ``unknown`` or ``not asked``.
    """

    STEP: ClassVar[str] = PATCH
    PART: ClassVar[str] = "wait_in_force"
    TITLE: ClassVar[str] = "When each CSI node has it"
    JUDGES: ClassVar[bool] = True

    nodes: Table = ()


@dataclass(frozen=True, kw_only=True)
class Prepared(Result):
    """What the smoke Pod needs, made where missing.

    Args:
        objects: columns kind, name, namespace, state (``there already`` or ``made by this run``), detail.
    """

    STEP: ClassVar[str] = DEPLOY
    PART: ClassVar[str] = "prepare"
    TITLE: ClassVar[str] = "What the smoke Pod needs"

    objects: Table = ()


@dataclass(frozen=True, kw_only=True)
class Deployed(Smoke):
    """The smoke Pod under the patched configuration."""

    STEP: ClassVar[str] = DEPLOY
    PART: ClassVar[str] = "smoke"
    TITLE: ClassVar[str] = "The smoke Pod under the new configuration"
    JUDGES: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class SideBySide(Result):
    """The Mount Pods of the smoke volume on the node: the old one and the new one.

    Args:
        mount_pods: columns name, node, volume, image, phase, hash, references, serves, age_seconds.
    """

    STEP: ClassVar[str] = DEPLOY
    PART: ClassVar[str] = "side_by_side"
    TITLE: ClassVar[str] = "Two Mount Pods side by side"

    mount_pods: Table = ()


@dataclass(frozen=True, kw_only=True)
class Chain(Result):
    """From the app Pod to the one Mount Pod that serves it.

    Args:
        links: columns object, field, value, leads_to.
        mount_pod, node: where the chain ends.
        others: columns name, node, why_not: other Mount Pods of the volume, and why they are not the one.
    """

    STEP: ClassVar[str] = VERIFY
    PART: ClassVar[str] = "chain"
    TITLE: ClassVar[str] = "From the app Pod to its Mount Pod"
    JUDGES: ClassVar[bool] = True

    links: Table = ()
    mount_pod: str = ""
    node: str = ""
    others: Table = ()


@dataclass(frozen=True, kw_only=True)
class Client(Result):
    """Which client serves, on three levels of evidence.

    Args:
        levels: columns level, question, source, expected, found, proves.
        baseline: the same columns for the baseline's Mount Pod; empty when there is none.
    """

    STEP: ClassVar[str] = VERIFY
    PART: ClassVar[str] = "client"
    TITLE: ClassVar[str] = "Which client serves it"
    JUDGES: ClassVar[bool] = True

    levels: Table = ()
    baseline: Table = ()


@dataclass(frozen=True, kw_only=True)
class DataProof(Result):
    """The nonce, read back where it was written and by an independent route.

    Args:
        routes: columns route, pod, path, sha256, size.
    """

    STEP: ClassVar[str] = VERIFY
    PART: ClassVar[str] = "data"
    TITLE: ClassVar[str] = "The data went through the Mount Pod"
    JUDGES: ClassVar[bool] = True

    routes: Table = ()


@dataclass(frozen=True, kw_only=True)
class Shutdown(Result):
    """The smoke Pod's end, followed since before its deletion.

    Args:
        log: lines of the smoke Pod from the deletion on.
        mount_log: lines of the Mount Pod from the deletion on.
        steps: columns at_seconds, what; from the deletion.
        mount_pod_gone: whether the Mount Pod went with its last reference.
    """

    STEP: ClassVar[str] = VERIFY
    PART: ClassVar[str] = "shutdown"
    TITLE: ClassVar[str] = "Deletion, unmount, and the end of the Mount Pod"
    JUDGES: ClassVar[bool] = True

    log: tuple[str, ...] = ()
    mount_log: tuple[str, ...] = ()
    steps: Table = ()
    mount_pod_gone: bool = False


@dataclass(frozen=True, kw_only=True)
class Restored(Result):
    """The cluster as it was before.

    Args:
        undone: columns what, object, outcome.
    """

    STEP: ClassVar[str] = VERIFY
    PART: ClassVar[str] = "restore"
    TITLE: ClassVar[str] = "Everything as it was before"
    JUDGES: ClassVar[bool] = True

    undone: Table = ()


@dataclass(frozen=True, kw_only=True)
class RunVerdict(Result):
    """All checks of the run together.

    Args:
        rows: columns step, code, title, verdict, reason, next_action.
        sentence: the answer in one sentence.
    """

    STEP: ClassVar[str] = VERIFY
    PART: ClassVar[str] = "verdict"
    TITLE: ClassVar[str] = "Verdict"

    rows: Table = ()
    sentence: str = ""


@dataclass(frozen=True, kw_only=True)
class Sides(Result):
    """The two app Pods of a comparison, and the clients that serve them.

    Args:
        rows: columns side, pod, node, mount_pod, uid, restarts, image, client, client_by, client_known.
    """

    STEP: ClassVar[str] = COMPARE
    PART: ClassVar[str] = "sides"
    TITLE: ClassVar[str] = "Two app Pods, two clients, one volume"
    JUDGES: ClassVar[bool] = True

    rows: Table = ()


@dataclass(frozen=True, kw_only=True)
class Compared(Result):
    """Speed and cost of both clients.

    Args:
        suite: ``quick`` or ``full``. pairs: how many were measured. tolerance: as a part, 0.1 is 10 %.
        metrics: columns metric, old, new (medians: seconds; memory in bytes), ratio, low, high (new ÷ old, with the
            interval that holds for all rows together; high None: no bound), outcome, decides, ratios (of each block).
        counters: columns counter, old, new: medians of what the client's own counters grew by in one round.
        rounds: columns side, block, and each metric: what was measured, in order.
    """

    STEP: ClassVar[str] = COMPARE
    PART: ClassVar[str] = "measure"
    TITLE: ClassVar[str] = "Old against new: speed and cost"
    JUDGES: ClassVar[bool] = True

    suite: str = ""
    pairs: int = 0
    tolerance: float = 0.0
    metrics: Table = ()
    counters: Table = ()
    rounds: Table = ()


@dataclass(frozen=True, kw_only=True)
class Behaviours(Result):
    """What file system calls do with either client.

    Args:
        rows: columns name, expected, old, new, finding (same, worse, better, differs, both differ from POSIX).
    """

    STEP: ClassVar[str] = COMPARE
    PART: ClassVar[str] = "behaviours"
    TITLE: ClassVar[str] = "Old against new: behaviour"
    JUDGES: ClassVar[bool] = True

    rows: Table = ()


@dataclass(frozen=True, kw_only=True)
class Loaded(Result):
    """The load Pod writes, and which Mount Pod serves it.

    Args:
        pod, namespace, uid, node, volume: of the load Pod. mount_pod: who serves it.
        client: version of the client that serves it.
    """

    STEP: ClassVar[str] = UPGRADE
    PART: ClassVar[str] = "load"
    TITLE: ClassVar[str] = "An app that writes all the time"

    pod: str = ""
    namespace: str = ""
    uid: str = ""
    node: str = ""
    volume: str = ""
    mount_pod: str = ""
    client: str = ""


@dataclass(frozen=True, kw_only=True)
class UpgradePlan(Result):
    """What would happen to the Mount Pod, and why it may not; changes nothing.

    Args:
        before: columns of jfsnb.checks.upgrade.Seen: the Mount Pod as it is.
        facts: columns what, value.
        apps: columns pod, what_it_will_see: who is served by it.
    """

    STEP: ClassVar[str] = UPGRADE
    PART: ClassVar[str] = "upgrade_plan"
    TITLE: ClassVar[str] = "What would happen, and why it may not"
    JUDGES: ClassVar[bool] = True

    before: Table = ()
    facts: Table = ()
    apps: Table = ()


@dataclass(frozen=True, kw_only=True)
class Upgraded(Result):
    """The driver's tool was asked, and what it said.

    Args:
        how: ``recreate`` or ``binary``. lines: what it printed.
        began: seconds since the epoch, by the node's clock.
    """

    STEP: ClassVar[str] = UPGRADE
    PART: ClassVar[str] = "exchange"
    TITLE: ClassVar[str] = "The exchange"
    JUDGES: ClassVar[bool] = True

    how: str = ""
    lines: tuple[str, ...] = ()
    began: float = 0.0


@dataclass(frozen=True, kw_only=True)
class UpgradeProof(Result):
    """What the app saw, and who serves it now.

    Args:
        clients: columns at_seconds, client: which client answered the app, from the beginning of the exchange.
        stalls: columns at_seconds, seconds, what. errors: columns at_seconds, what, errno.
        held: columns what, state. counted: columns what, number: the records.
        said: columns at_seconds, line: what the driver's tool printed.
        longest: seconds of the longest stall.
        serves_after: seconds until the new client answered the app; None: it did not.
    """

    STEP: ClassVar[str] = UPGRADE
    PART: ClassVar[str] = "upgrade_proof"
    TITLE: ClassVar[str] = "What the app saw"
    JUDGES: ClassVar[bool] = True

    clients: Table = ()
    stalls: Table = ()
    errors: Table = ()
    held: Table = ()
    counted: Table = ()
    said: Table = ()
    longest: float = 0.0
    serves_after: float | None = None


@dataclass(frozen=True, kw_only=True)
class UpgradedBack(Result):
    """The old client again, the configuration and everything else as it was.

    Args:
        undone: columns what, object, outcome.
        sentence: the answer in one sentence.
    """

    STEP: ClassVar[str] = UPGRADE
    PART: ClassVar[str] = "back"
    TITLE: ClassVar[str] = "Back to the old client"
    JUDGES: ClassVar[bool] = True

    undone: Table = ()
    sentence: str = ""


def expected(notebooks: Iterable[str]) -> dict[str, bool]:
    """What these notebooks leave when they are carried out whole: part → whether it has to judge something.

    Args:
        notebooks: names such as ``05-verify-mount-pod``; their number says which step they are.
    """
    numbers = {name[:2] for name in notebooks}
    kinds = (kind for kind in globals().values() if isinstance(kind, type) and issubclass(kind, Result))
    return {kind.PART: kind.JUDGES for kind in kinds if kind.PART and kind.STEP[:2] in numbers}
