"""Questions to a cluster and the two changes that are not a whole run: mounts, verify, doctor; patch, rollback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from jfsnb.checks.model import Verdict
from jfsnb.commands.run import connected
from jfsnb.errors import UsageError
from jfsnb.settings import Settings
from jfsnb.views.html import show

EXIT_CODES = {Verdict.PASS: 0, Verdict.WARN: 0, Verdict.NA: 0, Verdict.FAIL: 1}


def mounts(options: Mapping[str, Any]) -> int:
    """Print the table of Mount Pods."""
    from jfsnb.steps import investigate

    settings = Settings.from_mapping(options)
    found = investigate.mounts(connected(settings), settings.driver_namespace)
    columns = ("name", "node", "claim", "image", "desired_image", "references", "age_seconds", "verdict")
    click.echo(text_table(found.rows, columns))
    return 0


def verify(pod: str, options: Mapping[str, Any], strict: bool) -> int:
    """Print which client serves the Pod; the exit code is the verdict's."""
    from jfsnb.steps import investigate

    settings = Settings.from_mapping(options)
    namespace, _, name = pod.rpartition("/")
    found = investigate.verify(
        connected(settings), namespace or settings.namespace, name, settings.image, settings.driver_namespace
    )
    click.echo(text_table(found.rows))
    _print_checks(found.checks)
    if found.verdict is Verdict.WARN and strict:
        return 1
    return 3 if not found.checks else EXIT_CODES.get(found.verdict, 3)


def doctor(options: Mapping[str, Any]) -> int:
    """Print what is wrong in the cluster, worst first; 1 for a FAIL, 3 when something could not be looked at."""
    from jfsnb.steps import investigate

    settings = Settings.from_mapping(options)
    found = investigate.doctor(connected(settings), settings.driver_namespace)
    click.echo(text_table(found.rows, ("verdict", "code", "object", "reason", "next_action")))
    click.echo(f"{found.verdict}: {len(found.checks)} checks")
    return EXIT_CODES.get(found.verdict, 3)


def patch(options: Mapping[str, Any], apply: bool) -> int:
    """Print the plan; apply it only when asked to."""
    from jfsnb.steps import patch as steps
    from jfsnb.steps.run import open_run

    settings = Settings.from_mapping(options)
    if not settings.is_sandbox and not settings.image:
        raise UsageError("no image was given", "name it: --image")
    run = open_run(settings, connected(settings))
    plan = steps.plan(run)
    click.echo(f"ConfigMap {plan.config_map}, scope {plan.scope}, claim {settings.pvc}")
    click.echo(f"now:  {plan.current_image} ({plan.current_why})\nthen: {plan.future_image} ({plan.future_why})")
    click.echo(plan.diff if plan.changed else "nothing to change: it says so already")
    for warning in plan.warnings:
        click.echo(f"note: {warning}")
    if not apply:
        click.echo("nothing was changed; apply it with --yes")
        return 0
    done = steps.apply(run)
    _print_checks(done.checks)
    in_force = steps.wait_in_force(run)
    click.echo(text_table(in_force.nodes))
    _print_checks(in_force.checks)
    click.echo(f"undo it: jfsnb rollback {run.id}")
    return EXIT_CODES.get(in_force.verdict, 3)


def rollback(run_id: str, outputs: Path | None, options: Mapping[str, Any]) -> int:
    """Undo what is left of a run; 0 when nothing is left, 3 otherwise."""
    from jfsnb.steps.rollback import rollback as undo

    settings = Settings.from_mapping(options)
    done = undo(connected(settings), run_id, (outputs or settings.outputs).absolute())
    click.echo(text_table(done.rows) if done.rows else "nothing had to be undone")
    click.echo(f"nothing of run {run_id} is left" if done.complete else f"something of run {run_id} is left")
    return 0 if done.complete else 3


def text_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> str:
    """Rows in columns, as kubectl shows them."""
    if not rows:
        return "none"
    names = list(columns or rows[0])
    cells = [[name.upper().removesuffix("_SECONDS") for name in names]]
    cells += [[show(row.get(name), name) for name in names] for row in rows]
    widths = [max(len(line[index]) for line in cells) for index in range(len(names))]
    return "\n".join(
        "   ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in cells
    )


def _print_checks(checks: Sequence[Any]) -> None:
    for check in checks:
        click.echo(f"{check.verdict:9} {check.code}  {check.title}: {check.reason}")
        if check.next_action:
            click.echo(f"          -> {check.next_action}")
