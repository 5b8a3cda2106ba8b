"""The POSIX table in both app Pods, and what one side sees of what the other did."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from jfsnb.checks.compare.verdicts import Behaviour
from jfsnb.cluster.client import Cluster
from jfsnb.errors import JfsnbError
from jfsnb.run.compare.measuring import MOUNT, NEW, OLD, Side, place

#: name → expected, what the first Pod does, what the second sees of it. The first goes first: close-to-open.
ACROSS: dict[str, tuple[str, str, str]] = {
    "written-there-read-here": ("x", "echo x >a", "cat a"),
    "appended-by-both-in-turn": ("one two", "echo one >>b", "echo two >>b; tr '\\n' ' ' <b"),
    "renamed-there-gone-here": ("b", "mkdir r; : >r/a; mv r/a r/b", "ls r"),
    "removed-there-gone-here": ("gone", ": >c; rm c", "[ -e c ] || echo gone"),
    "truncated-there-short-here": ("3", "printf abcdef >d; truncate -s 3 d", "stat -c %s d"),
    "mode-set-there-seen-here": ("600", ": >e; chmod 600 e", "stat -c %a e"),
    "linked-there-counted-here": ("2", ": >f; ln f g", "stat -c %h f"),
}
#: A lock that one Pod holds until the other has tried; the marker files keep them in step.
HOLD = "exec 9>l; flock 9; : >held; i=0; while [ ! -e tried ] && [ $i -lt 600 ]; do sleep 0.05; i=$((i+1)); done"
TRY = (
    "i=0; while [ ! -e held ] && [ $i -lt 600 ]; do sleep 0.05; i=$((i+1)); done; "
    "flock -n l true && echo taken || echo refused; : >tried"
)
SECONDS = 120.0


def read_table(text: str) -> dict[str, tuple[str, str]]:
    """Name → (expected, seen) of what behaviours.sh printed."""
    rows = (line.split("\t") for line in text.splitlines())
    return {row[0]: (row[1], row[2]) for row in rows if len(row) == 3}


def table(cluster: Cluster, sides: Mapping[str, Side], directory: str) -> list[Behaviour]:
    """Try every behaviour on both sides.

    Args:
        directory: below the mount, of this run only.

    Raises:
        JfsnbError: a Pod could not be asked.
    """
    script = place(cluster, sides[OLD], "behaviours.sh", directory)
    seen = {side: read_table(_sh(cluster, at, f"sh {script} {MOUNT}/{directory}/{side}")) for side, at in sides.items()}
    if not seen[OLD] or not seen[NEW]:
        raise JfsnbError("the table of behaviours came back empty", "does the app image have sh and coreutils?")
    nothing = ("", "nothing")
    rows = [
        Behaviour(name, expected, old, seen[NEW].get(name, nothing)[1]) for name, (expected, old) in seen[OLD].items()
    ]
    return rows + _across(cluster, sides, directory)


def _across(cluster: Cluster, sides: Mapping[str, Side], directory: str) -> list[Behaviour]:
    """``old`` is what the old client's Pod sees of the new one's doings, and the other way round."""
    seen: dict[str, dict[str, str]] = {OLD: {}, NEW: {}}
    for there, here in ((NEW, OLD), (OLD, NEW)):
        shared = f"{MOUNT}/{directory}/seen-by-{here}"
        enter = f"mkdir -p {shared} && cd {shared} && "
        for name, (_, does, sees) in ACROSS.items():
            _sh(cluster, sides[there], enter + does)
            seen[here][name] = _sh(cluster, sides[here], f"cd {shared} && {{ {sees}; }}").strip().replace("\n", " ")
        with ThreadPoolExecutor(1) as pool:
            holding = pool.submit(_sh, cluster, sides[there], enter + HOLD)
            seen[here]["lock-held-there-refused-here"] = _sh(cluster, sides[here], enter + TRY).strip()
            holding.result()
        _sh(cluster, sides[here], f"rm -rf {shared}")
    expected = {name: what for name, (what, _, _) in ACROSS.items()} | {"lock-held-there-refused-here": "refused"}
    return [Behaviour(name, what, seen[OLD][name], seen[NEW][name]) for name, what in expected.items()]


def _sh(cluster: Cluster, at: Side, command: str) -> str:
    return cluster.execute(at.namespace, at.pod, ["sh", "-c", command], seconds=SECONDS).stdout
