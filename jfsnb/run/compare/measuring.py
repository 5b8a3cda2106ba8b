"""Running the workloads in the two app Pods, in an order that favours nobody, and reading what they print."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files

from jfsnb.checks.compare.statistics import Block, fewest_blocks, interval
from jfsnb.cluster.client import Cluster
from jfsnb.errors import JfsnbError

OLD, NEW = "old", "new"
MOUNT = "/jfs"
#: Metrics whose noise is small enough that some twenty pairs decide about them (measured: 7 to 8 pairs for ± 10 %).
QUIET = ("create", "rename", "small-write", "append")
COSTS = ("cpu", "memory")
#: Counters of the client that are told per round, beside the judged costs.
COUNTERS = {
    "fuse_ops_durations_histogram_seconds_total": "FUSE operations",
    "fuse_ops_durations_histogram_seconds_sum": "seconds in FUSE operations",
    "transaction_durations_histogram_seconds_total": "metadata transactions",
    "object_request_durations_histogram_seconds_PUT_total": "objects written",
    "object_request_durations_histogram_seconds_GET_total": "objects read",
    "object_request_data_bytes_PUT": "bytes written to the store",
    "object_request_data_bytes_GET": "bytes read from the store",
}
SECONDS_FOR_A_ROUND = 300.0
PIECE = 2000


@dataclass(frozen=True)
class Side:
    """One app Pod."""

    namespace: str
    pod: str


@dataclass(frozen=True)
class Round:
    """What one run of the workloads in one Pod gave.

    Args:
        numbers: metric → seconds; ``cpu`` in seconds of the client, ``memory`` in bytes at the end.
        counters: the client's own counters, how much they grew.
    """

    side: str
    block: int
    numbers: Mapping[str, float]
    counters: Mapping[str, float]


def place(cluster: Cluster, at: Side, script: str, directory: str) -> str:
    """Put one of our scripts below the mount, for both Pods; hands back its path.

    In pieces: an exec's command is part of a URL, and what a server takes of that is limited.
    """
    text = files("jfsnb.run.compare").joinpath(script).read_text("utf-8")
    path = f"{MOUNT}/{directory}/{script}"
    make = f'mkdir -p "{MOUNT}/{directory}" && : >"{path}"'
    write = f'printf %s "$1" >>"{path}"'
    pieces = [text[start : start + PIECE] for start in range(0, len(text), PIECE)]
    for words in (["sh", "-c", make], *(["sh", "-c", write, "write", piece] for piece in pieces)):
        answer = cluster.execute(at.namespace, at.pod, words)
        if not answer.ok:
            raise JfsnbError(f"{script} could not be put into {at.pod}: {answer.stderr.strip()}", "may it write there?")
    return path


def read_round(text: str) -> tuple[dict[str, float], dict[str, float]]:
    """Numbers and counters of what workloads.sh printed.

    Raises:
        JfsnbError: it did not print what it should.
    """
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3:
            found[words[0]][words[1]] = float(words[2])
    if not found["seconds"]:
        raise JfsnbError(f"the workloads printed no seconds: {text[:200]!r}", "does its image have sh, dd, date?")
    before, after = found["before"], found["after"]
    numbers = dict(found["seconds"])
    if "cpu_usage" in before and "cpu_usage" in after:
        numbers["cpu"] = after["cpu_usage"] - before["cpu_usage"]
    if "memory" in after:
        numbers["memory"] = after["memory"]
    return numbers, {name: after[name] - before.get(name, 0.0) for name in COUNTERS if name in after}


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Args:
        suite: ``quick`` or ``full``. pairs: old-new pairs at the most; two make a block.
        precision: part of the ratio at which the intervals are narrow enough to stop; 0: not before all pairs.
        at_most: seconds.
        directory: below the mount, of this run only.
    """

    suite: str
    pairs: int
    precision: float
    at_most: float
    directory: str

    @property
    def blocks(self) -> int:
        return max(1, self.pairs // 2)

    @property
    def looks(self) -> tuple[int, ...]:
        """After how many blocks one looks whether it is enough; each look is paid for by wider intervals."""
        if not self.precision:
            return (self.blocks,)
        first = max(fewest_blocks(len(QUIET) + len(COSTS), 3), self.blocks // 3)
        return tuple(sorted({min(n, self.blocks) for n in (first, 2 * first, self.blocks)}))


def rounds(cluster: Cluster, sides: Mapping[str, Side], plan: Plan, told: Callable[[str], None]) -> list[Round]:
    """Measure block by block: old new new old, then new old old new, and so on; the first round of each is thrown away.

    Raises:
        JfsnbError: a workload could not be carried out.
    """
    script = place(cluster, sides[OLD], "workloads.sh", plan.directory)

    def measure(side: str, block: int) -> Round:
        at = sides[side]
        words = ["sh", script, f"{MOUNT}/{plan.directory}/{side}", plan.suite, MOUNT]
        answer = cluster.execute(at.namespace, at.pod, words, seconds=SECONDS_FOR_A_ROUND)
        if not answer.ok:
            why = answer.stderr.strip()[-300:] or f"exit code {answer.code}"
            raise JfsnbError(f"the workloads in {at.pod} failed: {why}", "look at the Pod's mount, and its quota")
        return Round(side, block, *read_round(answer.stdout))

    for side in (OLD, NEW):
        measure(side, -1)
    found: list[Round] = []
    deadline = time.monotonic() + plan.at_most
    for block in range(plan.blocks):
        order = (OLD, NEW, NEW, OLD) if block % 2 == 0 else (NEW, OLD, OLD, NEW)
        found += [measure(side, block) for side in order]
        told(f"pair {2 * block + 2} of {2 * plan.blocks}")
        enough = block + 1 in plan.looks[:-1] and _narrow(found, plan)
        if enough or time.monotonic() > deadline:
            break
    return found


def _narrow(found: list[Round], plan: Plan) -> bool:
    blocks = blocks_of(found)
    judged = {name: blocks[name] for name in (*QUIET, *COSTS) if name in blocks}
    widths = [interval(b, len(judged), len(plan.looks)).half_width for b in judged.values()]
    return bool(widths) and max(widths) <= plan.precision


def blocks_of(found: list[Round]) -> dict[str, list[Block]]:
    """Metric → its blocks; a block in which a metric was 0 or is missing on one side is left out."""
    values: dict[tuple[str, int], dict[str, list[float]]] = defaultdict(lambda: {OLD: [], NEW: []})
    for one in found:
        for name, number in one.numbers.items():
            values[name, one.block][one.side].append(number)
    blocks: dict[str, list[Block]] = defaultdict(list)
    for (name, _), by_side in sorted(values.items(), key=lambda item: item[0][1]):
        old, new = by_side[OLD], by_side[NEW]
        if len(old) == len(new) == 2 and min(*old, *new) > 0:
            blocks[name].append(Block((old[0], old[1]), (new[0], new[1])))
    return dict(blocks)
