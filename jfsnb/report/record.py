"""What is known about a run when it is over, and the verdict that follows from it (run.json, docs/run-schema.json).

A PASS needs positive evidence: every notebook ran to its end, every part of every step left its result, and every part
that has to judge something did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from jfsnb.checks.carried_out import CARRIED_OUT
from jfsnb.checks.model import Verdict, overall
from jfsnb.errors import JfsnbError
from jfsnb.report.interrupt import Interrupted
from jfsnb.report.runner import NotebookOutcome
from jfsnb.run.results import expected

SCHEMA_VERSION = 1
Part = Mapping[str, Any]


@dataclass(frozen=True)
class ClusterFacts:
    """Where a run happened.

    Args:
        context: of the kubeconfig.
        server: version of Kubernetes, as the API server says.
        tier: of the sandbox; empty for a real cluster.
        tier_reason: one sentence about the tier.
    """

    context: str = ""
    server: str = ""
    tier: str = ""
    tier_reason: str = ""


@dataclass(frozen=True)
class CleanUp:
    """What was done so that nothing stays behind.

    Args:
        complete: whether nothing is left.
        sentence: what was done.
        rows: columns what, object, outcome.
    """

    complete: bool
    sentence: str
    rows: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Judged:
    """The verdict of a run.

    Args:
        verdict: of the whole run.
        reason: one sentence.
        next_action: what to do now; may be empty.
    """

    verdict: Verdict
    reason: str
    next_action: str = ""


def judge_run(outcomes: Sequence[NotebookOutcome], parts: Sequence[Part]) -> Judged:
    """The verdict: the worst of all checks and notebooks, ERROR where evidence is missing."""
    checks = [check for part in parts for check in part["checks"]]
    troubles = [o for o in outcomes if o.verdict is not Verdict.PASS and o.started]
    verdict = overall([*(Verdict(c["verdict"]) for c in checks), *(o.verdict for o in troubles)])
    worst = [c for c in checks if c["verdict"] == verdict]
    if verdict in (Verdict.PASS, Verdict.WARN, Verdict.NA):
        missing = _missing(outcomes, parts)
        if missing:
            return Judged(Verdict.ERROR, f"evidence is missing: {missing}", "look at the notebooks in the report")
    if verdict is Verdict.PASS:
        return Judged(verdict, _passed(parts, len(checks)))
    if worst:
        first = worst[0]
        more = f" (and {len(worst) - 1} more)" if len(worst) > 1 else ""
        question = "" if first["code"] == CARRIED_OUT else f"{first['title']}? "
        return Judged(verdict, f"{question}{first['reason']}{more}", first["next_action"])
    if troubles:
        return Judged(verdict, f"{troubles[0].name}: {troubles[0].reason}", troubles[0].next_action)
    return Judged(Verdict.ERROR, "nothing was judged", "look at the notebooks in the report")


def _missing(outcomes: Sequence[NotebookOutcome], parts: Sequence[Part]) -> str:
    """What a complete run would have left and this one did not; empty when complete."""
    never = [o.name for o in outcomes if o.verdict is not Verdict.PASS]
    if never:
        return f"{', '.join(never)} did not run"
    found = {part["part"]: part for part in parts}
    wanted = expected(outcome.name for outcome in outcomes)
    absent = [name for name in wanted if name not in found]
    mute = [name for name, judges in wanted.items() if judges and name in found and not found[name]["checks"]]
    told = [f"no result of {', '.join(absent)}"] if absent else []
    told += [f"no check in {', '.join(mute)}"] if mute else []
    return "; ".join(told)


def _passed(parts: Sequence[Part], count: int) -> str:
    said = [p["data"]["sentence"] for p in parts if p["part"] in ("verdict", "back") and p["data"].get("sentence")]
    return " ".join(said) or f"all {count} checks passed"


def exit_code(judged: Judged, outcomes: Sequence[NotebookOutcome], strict: bool = False) -> int:
    """0 for PASS (WARN too, unless strict), 1 FAIL, 2 wrong usage, 3 ERROR or NOT_READY."""
    if any(outcome.exit_code == 2 for outcome in outcomes):
        return 2
    if judged.verdict is Verdict.WARN:
        return 1 if strict else 0
    return {Verdict.PASS: 0, Verdict.FAIL: 1}.get(judged.verdict, 3)


def _exit_code(
    judged: Judged,
    outcomes: Sequence[NotebookOutcome],
    strict: bool,
    stopped: JfsnbError | Interrupted | None,
    clean_up: CleanUp,
) -> int:
    """130 and 143 say that a signal ended it *and* that clean-up is done."""
    if stopped is None:
        return exit_code(judged, outcomes, strict)
    return stopped.exit_code if clean_up.complete else JfsnbError.exit_code


def _judge_stopped(stopped: JfsnbError | Interrupted) -> Judged:
    """A run that could not go on: nothing it found is a verdict about the client."""
    if isinstance(stopped, JfsnbError):
        return Judged(Verdict.ERROR, stopped.what, stopped.next_step)
    return Judged(Verdict.ERROR, f"the run was {stopped}", "run it again")


def _beside_clean_up(judged: Judged, clean_up: CleanUp, run_id: str) -> Judged:
    """That clean-up is not complete is told beside whatever else went wrong, and what to do about it first."""
    if clean_up.complete:
        return judged
    reason = f"clean-up is not complete: {clean_up.sentence}"
    if judged.verdict in (Verdict.PASS, Verdict.WARN, Verdict.NA):
        return Judged(Verdict.ERROR, reason, f"jfsnb rollback {run_id}")
    then = f"jfsnb rollback {run_id}" + (f"; then {judged.next_action}" if judged.next_action else "")
    return Judged(judged.verdict, f"{judged.reason}; and {reason}", then)


def label_tier(judged: Judged, cluster: ClusterFacts) -> Judged:
    """A verdict without a real data path says so, and is never one about the client: a FAIL there is the machine's."""
    if cluster.tier in ("", "full"):
        return judged
    verdict = Verdict.ERROR if judged.verdict in (Verdict.FAIL, Verdict.PASS) else judged.verdict
    reason = f"no real data path (sandbox tier {cluster.tier}), so the client was not judged: {judged.reason}"
    return Judged(verdict, reason, "Use Linux x86-64 with /dev/fuse and user namespaces, or a real cluster.")


def coverage(settings: Mapping[str, Any], cluster: ClusterFacts, parts: Sequence[Part]) -> dict[str, list[str]]:
    """What the run looked at and what it did not, in sentences.

    Returns:
        ``{"covered": [...], "not_covered": [...]}``.
    """
    data = {part["part"]: part["data"] for part in parts}
    smoke = data.get("smoke") or data.get("baseline") or {}
    node = smoke.get("node") or ""
    covered = []
    if cluster.tier == "full":
        covered.append(f"a real data path (tier full): {cluster.tier_reason}")
    if node:
        covered.append(f"node {node}, claim {smoke['claim']}, volume {smoke['volume']}")
    if settings["scope"] == "global" and data.get("apply", {}).get("changed"):
        covered.append("the entry that serves everybody: it was changed for the time of the run (scope global)")
    for name, sentence in (
        ("client", f"which client serves the smoke Pod: {settings['image']}"),
        ("data", "data written by the smoke Pod and read back by another route"),
        ("shutdown", "the smoke Pod's end, the unmount, and the Mount Pod's end"),
        ("restore", "the cluster is as it was before"),
        ("upgrade_proof", "the client of a running Mount Pod exchanged under load, seen from inside an app"),
        ("measure", "speed and cost of both clients, in alternating pairs"),
        ("behaviours", "what file system calls do with either client"),
    ):
        if name in data:
            covered.append(sentence)
    return {"covered": covered, "not_covered": _not_covered(settings, cluster, data, node)}


def _not_covered(settings: Mapping[str, Any], cluster: ClusterFacts, data: Mapping[str, Any], node: str) -> list[str]:
    left = []
    if cluster.tier and cluster.tier != "full":
        left.append(f"a real data path (tier {cluster.tier}): {cluster.tier_reason}")
    if cluster.tier:
        left.append("a real cluster: Kubernetes and the CSI driver are the sandbox's own; the JuiceFS client is real")
    nodes = data.get("who_is_who", {}).get("nodes") or []
    others = sum(1 for row in nodes if row["node"] != node)
    if node and others:
        left.append(f"the other {others} nodes")
    if settings["scope"] == "canary":
        left.append("other claims: the patch matched the smoke claim only (scope canary)")
    if settings["keep"]:
        left.append("clean-up: the run was asked to keep what it made")
    left.append("running Mount Pods of other applications: they keep their client until they are made anew")
    left.append("behaviour over days" if "measure" in data else "performance, and behaviour over days")
    return left


def record(
    run_id: str,
    settings: Mapping[str, Any],
    cluster: ClusterFacts,
    outcomes: Sequence[NotebookOutcome],
    parts: Sequence[Part],
    clean_up: CleanUp,
    versions: Mapping[str, str],
    times: tuple[str, str, float],
    strict: bool = False,
    stopped: JfsnbError | Interrupted | None = None,
) -> dict[str, Any]:
    """Everything about a run as plain data: run.json.

    Args:
        times: start and end (ISO, UTC), and seconds between them.
        stopped: what ended it before its time.
    """
    judged = judge_run(outcomes, parts) if stopped is None else _judge_stopped(stopped)
    judged = _beside_clean_up(label_tier(judged, cluster), clean_up, run_id)
    return {
        "schema": SCHEMA_VERSION,
        "run_id": run_id,
        "verdict": str(judged.verdict),
        "reason": judged.reason,
        "next_action": judged.next_action,
        "exit_code": _exit_code(judged, outcomes, strict, stopped, clean_up),
        "started": times[0],
        "ended": times[1],
        "seconds": times[2],
        "settings": dict(settings),
        "versions": dict(versions),
        "cluster": asdict(cluster),
        "coverage": coverage(settings, cluster, parts),
        "notebooks": [{**asdict(outcome), "verdict": str(outcome.verdict)} for outcome in outcomes],
        "checks": [{"step": part["step"], "part": part["part"], **check} for part in parts for check in part["checks"]],
        "timeline": [{"step": part["step"], **entry} for part in parts for entry in part["timeline"]],
        "clean_up": {**asdict(clean_up), "rows": [dict(row) for row in clean_up.rows]},
    }
