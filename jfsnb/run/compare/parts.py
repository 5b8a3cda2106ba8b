"""Comparing the old client with the new one: who serves whom, speed and cost, behaviour, and who serves whom still."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

from jfsnb.checks.codes import Unreadable
from jfsnb.checks.compare import verdicts
from jfsnb.checks.compare.statistics import Block, interval
from jfsnb.checks.snapshot import best
from jfsnb.checks.tier import labelled
from jfsnb.driver.mountpods.mount_pods import MountPod
from jfsnb.errors import JfsnbError, NotInCluster
from jfsnb.queries import clients, driver_facts
from jfsnb.queries.model import Row, Table, Timeline
from jfsnb.run.compare import measuring, posix
from jfsnb.run.compare.measuring import COSTS, COUNTERS, NEW, OLD, QUIET, Plan, Round, Side
from jfsnb.run.proof.serving import mount_pod_of, smoked
from jfsnb.run.results import Baseline, Behaviours, Compared, Deployed, Sides
from jfsnb.run.state import Run, part

_PARTS = {OLD: Baseline.PART, NEW: Deployed.PART}


@part(Sides)
def sides(run: Run) -> Sides:
    """The two app Pods, and the clients that serve them now."""
    rows = _sides(run)
    served = {str(row["side"]): (_served(row), _served(row)) for row in rows}
    check = verdicts.sides_proven(served)
    return run.require(Sides(rows=rows, checks=labelled((check,), run.cluster.tier)))


@part(Compared)
def measure(run: Run) -> Compared:
    """The workloads, in pairs; verdicts with intervals that hold for all of them together."""
    settings, timeline = run.settings, Timeline()
    plan = Plan(settings.suite, settings.pairs, settings.precision / 100, settings.at_most, _directory(run))
    with timeline.measure(f"up to {plan.pairs} pairs of the {plan.suite} suite"):
        found = measuring.rounds(run.cluster, _pods(run), plan, lambda text: run.tell("wait", text))
    blocks = measuring.blocks_of(found)
    tolerance = settings.tolerance / 100
    metrics = {
        name: verdicts.Metric(name, interval(b, len(blocks), len(plan.looks)), name in QUIET)
        for name, b in blocks.items()
    }
    speed = [m for m in metrics.values() if m.name not in COSTS]
    cost = [m for m in metrics.values() if m.name in COSTS]
    checks = (verdicts.judged(verdicts.SPEED, speed, tolerance), verdicts.judged(verdicts.COST, cost, tolerance))
    return run.finish(
        Compared(
            suite=plan.suite,
            tolerance=tolerance,
            pairs=2 * max((len(b) for b in blocks.values()), default=0),
            metrics=tuple(_metric_row(m, blocks, tolerance) for m in metrics.values()),
            counters=_counter_rows(found),
            rounds=tuple({"side": r.side, "block": r.block, **r.numbers} for r in found),
            checks=labelled(checks, run.cluster.tier),
            timeline=tuple(timeline.entries),
        )
    )


@part(Behaviours)
def behaviours(run: Run) -> Behaviours:
    """The POSIX table on both sides, and what each side sees of the other; then who serves them is looked at again."""
    timeline = Timeline()
    with timeline.measure("behaviours on both sides"):
        try:
            found: list[verdicts.Behaviour] | Unreadable = posix.table(run.cluster, _pods(run), _directory(run))
        except JfsnbError as error:
            found = Unreadable(error.what)
    _tidy(run)
    before = {str(row["side"]): _served(row) for row in (run.recall(Sides.PART) or {}).get("rows", ())}
    after = {str(row["side"]): _served(row) for row in _sides(run)}
    missing = Unreadable("it was not looked at before: run the cell that shows both sides first")
    checks = (
        verdicts.behaves_alike(found),
        verdicts.sides_proven({side: (before.get(side, missing), now) for side, now in after.items()}),
    )
    rows = () if isinstance(found, Unreadable) else tuple({**asdict(b), "finding": b.finding} for b in found)
    return run.finish(
        Behaviours(rows=rows, checks=labelled(checks, run.cluster.tier), timeline=tuple(timeline.entries))
    )


def _directory(run: Run) -> str:
    return f".jfsnb-{run.id}"


def _pods(run: Run) -> dict[str, Side]:
    known = {side: smoked(run, name) for side, name in _PARTS.items()}
    return {side: Side(pod.namespace, pod.pod) for side, pod in known.items()}


def _tidy(run: Run) -> None:
    """What the comparison wrote lies in one directory of its own."""
    at = _pods(run)[NEW]
    run.cluster.execute(at.namespace, at.pod, ["rm", "-rf", f"{measuring.MOUNT}/{_directory(run)}"], seconds=120)


def _sides(run: Run) -> Table:
    """Columns side, pod, node, mount_pod, uid, restarts, image, client, client_by."""
    driver = driver_facts.find_driver(run.cluster, run.settings.driver_namespace)

    def look(side: str) -> Row:
        known = smoked(run, _PARTS[side])
        serving = mount_pod_of(run, driver, known)
        if isinstance(serving, Unreadable):
            raise NotInCluster(serving.why, "run the notebooks that deploy both smoke Pods first (01, 04)")
        source, runs = best(clients.in_mount_pod(run.cluster, serving))
        return {"side": side, "pod": known.pod, "node": known.node, **_row(serving), **_client(source, runs)}

    with ThreadPoolExecutor(2) as pool:
        return tuple(pool.map(look, (OLD, NEW)))


def _row(pod: MountPod) -> Row:
    return {"mount_pod": pod.name, "uid": pod.uid, "restarts": pod.restarts, "image": pod.image}


def _client(source: str, runs: str | Unreadable) -> Row:
    return {"client": clients.shown(runs), "client_by": source, "client_known": isinstance(runs, str)}


def _served(row: Mapping[str, object]) -> str | Unreadable:
    if not row["client_known"]:
        return Unreadable(f"the client in {row['mount_pod']}: {row['client']}")
    return f"{row['mount_pod']} ({row['client']}, {row['restarts']} restarts)"


def _metric_row(metric: verdicts.Metric, blocks: Mapping[str, list[Block]], tolerance: float) -> Row:
    found = metric.interval
    old = [value for block in blocks[metric.name] for value in block.old]
    new = [value for block in blocks[metric.name] for value in block.new]
    return {
        "metric": metric.name,
        "old": statistics.median(old),
        "new": statistics.median(new),
        "ratio": found.ratio,
        "low": found.low,
        "high": None if found.high == float("inf") else found.high,
        "outcome": str(verdicts.outcome_of(found, tolerance)),
        "decides": metric.decides,
        "ratios": [round(math.exp(block.log_ratio), 4) for block in blocks[metric.name]],
    }


def _counter_rows(found: list[Round]) -> Table:
    rows = []
    for name, what in COUNTERS.items():
        by_side = {s: [r.counters[name] for r in found if r.side == s and name in r.counters] for s in (OLD, NEW)}
        if any(by_side[OLD]) or any(by_side[NEW]):
            rows.append({"counter": what, **{s: statistics.median(v) if v else None for s, v in by_side.items()}})
    return tuple(rows)
