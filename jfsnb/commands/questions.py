"""Read-only questions to a cluster: mounts, verify, explain, doctor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from jfsnb.checks.model import CheckResult, Verdict
from jfsnb.commands.answers import CELL, JSON, WIDE, exit_code, print_checks, print_json, say, text_table
from jfsnb.commands.source import source
from jfsnb.settings import Settings

MOUNT_COLUMNS = ("node", "claim", "image", "client", "desired_image", "next_mount", "references", "age_seconds")
IN_FORCE = "configuration in force"


def mounts(options: Mapping[str, Any], form: str, node: str = "", everyone: bool = False, strict: bool = False) -> int:
    """Print the table of Mount Pods, and what each CSI node has loaded."""
    from jfsnb.queries import investigate

    settings = Settings.from_mapping(options)
    cluster = source(settings, quiet=form == JSON)
    found = investigate.mounts(cluster, settings.driver_namespace, node, everyone)
    if form == JSON:
        print_json("mounts", cluster, found)
        return exit_code(found.verdict, strict)
    if form == WIDE:
        say(text_table(found.rows))
    else:
        say(text_table([_short(row) for row in found.rows], (*MOUNT_COLUMNS, "verdict", "name"), CELL))
    _print_nodes(found.tables[IN_FORCE])
    _print_trouble(found.checks)
    told = Counter(row["verdict"] for row in found.rows)
    say(f"\n{len(found.rows)} Mount Pods: " + (", ".join(f"{n} {word}" for word, n in told.most_common()) or "none"))
    return exit_code(found.verdict, strict)


def verify(target: str, options: Mapping[str, Any], form: str, strict: bool) -> int:
    """Print which client serves a Pod, or all users of a claim; the exit code is the verdict's."""
    from jfsnb.queries import investigate

    settings = Settings.from_mapping(options)
    namespace, name = split(target, settings.namespace)
    cluster = source(settings, quiet=form == JSON)
    found = investigate.verify(cluster, namespace, name, settings.image, settings.driver_namespace)
    nobody = not found.rows and found.verdict is Verdict.NA
    if form == JSON:
        print_json("verify", cluster, found)
    else:
        columns = ("pod", "claim", "mount_pod", "image", "client", "desired_image", "verdict", "next_mount")
        say(text_table(found.rows, () if form == WIDE else columns, None if form == WIDE else CELL))
        _print_nodes(found.tables[IN_FORCE])
        say("")
        print_checks(found.checks)
        say(f"\n{'N/A: no Pod uses it now' if nobody else found.verdict}")
    return 3 if nobody or not found.checks else exit_code(found.verdict, strict)


def explain(claim: str, options: Mapping[str, Any], form: str, node: str = "") -> int:
    """Print what a claim's next Mount Pod gets, field by field, and who decided it."""
    from jfsnb.queries import investigate

    settings = Settings.from_mapping(options)
    namespace, name = split(claim, settings.namespace)
    cluster = source(settings, quiet=form == JSON)
    found = investigate.explain(cluster, namespace, name.removeprefix("pvc/"), node, settings.driver_namespace)
    if form == JSON:
        print_json("explain", cluster, found)
        return exit_code(found.verdict)
    cell = None if form == WIDE else CELL
    one = len({row["nodes"] for row in found.rows}) <= 1
    say(text_table(found.rows, ("field", "value", "decided_by", "instead_of") if one else (), cell))
    say("\nEntries of mountPodPatch, in order; later ones win:")
    say(text_table(found.tables["entries"], ("entry", "matches", "why") if one else (), cell))
    say("\nThe next mount:")
    say(text_table(found.tables["next mount"], ("node", "exact", "answer", "not_seen"), cell))
    _print_nodes(found.tables[IN_FORCE])
    _print_trouble(found.checks)
    return exit_code(found.verdict)


def doctor(options: Mapping[str, Any], form: str, strict: bool = False, everyone: bool = False) -> int:
    """Print what is wrong in the cluster, worst first; 1 for a FAIL, 3 when something could not be looked at."""
    from jfsnb.queries import investigate

    settings = Settings.from_mapping(options)
    cluster = source(settings, quiet=form == JSON)
    found = investigate.doctor(cluster, settings.driver_namespace, everyone)
    if form == JSON:
        print_json("doctor", cluster, found)
        return exit_code(found.verdict, strict)
    columns = ("verdict", "code", "object", "reason", "next_action")
    say(text_table(found.rows, columns, None if form == WIDE else 2 * CELL))
    say(f"{found.verdict}: {len(found.checks)} checks")
    return exit_code(found.verdict, strict)


def _short(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a narrow table needs: the rest is said below it, or with -o wide."""
    same = row["desired_image"] == row["image"]
    unknown = str(row["client"]).startswith("not known")
    return {
        **row,
        "desired_image": "same" if same else row["desired_image"],
        "client": "?" if unknown else row["client"],
    }


def split(target: str, namespace: str) -> tuple[str, str]:
    """``(namespace, name)`` of ``name``, ``namespace/name``, ``pod/name`` and ``namespace/pod/name``."""
    from jfsnb.queries.verify import KINDS

    first, slash, rest = target.partition("/")
    if not slash or first in KINDS:
        return namespace, target
    return first, rest


def _print_nodes(rows: Any) -> None:
    """What each node has loaded; the ones that were not asked only as a number."""
    asked = [row for row in rows if row["state"] != "not asked"]
    if asked:
        say("\nConfiguration in force:")
        say(text_table(asked, ("node", "state", "why", "pod"), CELL))
    if len(asked) < len(rows):
        say(f"{'' if asked else chr(10)}({len(rows) - len(asked)} nodes are not Ready and were not asked)")


def _print_trouble(checks: tuple[CheckResult, ...]) -> None:
    """The worst of each kind, said once with how often it came."""
    bad = [c for c in checks if c.verdict not in (Verdict.PASS, Verdict.NA)]
    counted = Counter((c.code, c.verdict) for c in bad)
    first = {(c.code, c.verdict): c for c in reversed(bad)}
    if first:
        say("")
    for key, check in first.items():
        more = f" (and {counted[key] - 1} more)" if counted[key] > 1 else ""
        say(f"{check.verdict:9} {check.code}  {check.title}: {check.reason}{more}")
        say(f"          -> {check.next_action}")
