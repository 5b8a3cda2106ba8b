"""The two changes that are not a whole run: patch, and rollback."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jfsnb.commands.answers import exit_code, print_checks, say, text_table
from jfsnb.commands.run import connected
from jfsnb.commands.source import source
from jfsnb.errors import UsageError
from jfsnb.queries.model import Table
from jfsnb.settings import Settings

if TYPE_CHECKING:
    from jfsnb.run.results import PatchPlan

#: Lines of a preview.
SHOWN = 40


def patch(options: Mapping[str, Any], apply: bool) -> int:
    """Print the plan; apply it only when asked to, and only in a cluster."""
    from jfsnb.run import patch as steps
    from jfsnb.run.state import open_run

    settings = Settings.from_mapping(options)
    if not settings.is_sandbox and not settings.image:
        raise UsageError("no image was given", "name it: --image")
    if settings.file is not None:
        if apply:
            raise UsageError(f"{settings.cluster} cannot be changed", "name a cluster: --cluster, or leave --yes out")
        _say_plan(steps.plan_of(source(settings), settings), settings.pvc)
        return 0
    run = open_run(settings, connected(settings))
    _say_plan(steps.plan(run), settings.pvc)
    if not apply:
        say("nothing was changed; apply it with --yes")
        return 0
    done = steps.apply(run)
    print_checks(done.checks)
    in_force = steps.wait_in_force(run)
    say(text_table(in_force.nodes))
    print_checks(in_force.checks)
    say(f"undo it: jfsnb rollback {run.id}")
    return exit_code(in_force.verdict)


def _say_plan(plan: PatchPlan, claim: str) -> None:
    say(f"ConfigMap {plan.config_map}, scope {plan.scope}, claim {claim}")
    say(f"now:  {plan.current_image} ({plan.current_why})\nthen: {plan.future_image} ({plan.future_why})")
    say(plan.diff if plan.changed else "nothing to change: it says so already")
    if plan.affected_unknown:
        say(f"\nWhose next mount it changes: not known, {plan.affected_unknown}\n")
    else:
        _say_reach(plan.affected, plan.affected_pods)
    for warning in plan.warnings:
        say(f"note: {warning}")


def _say_reach(claims: Table, pods: Table) -> None:
    """Whom the patch affects; of very many only the first."""
    say("\nWhose next mount it changes:")
    say(text_table(claims[:SHOWN]))
    if pods:
        say("\nWho uses these now, and keeps its client until it is made anew:")
        say(text_table(pods[:SHOWN], ("pod", "node", "claim", "image_now", "image_then")))
    left_out = max(0, len(claims) - SHOWN) + max(0, len(pods) - SHOWN)
    say(f"({left_out} more lines)\n" if left_out else "")


def rollback(run_id: str, outputs: Path | None, options: Mapping[str, Any]) -> int:
    """Undo what is left of a run; 0 when it was seen that nothing is left, 3 otherwise, also for an unknown run."""
    from jfsnb.run.rollback import rollback as undo

    settings = Settings.from_mapping(options)
    folder = (outputs or settings.outputs).absolute()
    done = undo(connected(settings), run_id, folder, settings.namespace, settings.driver_namespace)
    say(text_table(done.rows) if done.rows else "nothing had to be undone")
    if not done.known:
        say(f"nothing is known of a run {run_id}: no folder {folder / run_id}, and nothing in the cluster names it")
        say("          -> is the run id right, and the cluster? --outputs names the folder of the run folders")
        return 3
    say(sentence(run_id, done.complete))
    return 0 if done.complete else 3


def sentence(run_id: str, complete: bool) -> str:
    """What a rollback comes to."""
    if complete:
        return f"nothing of run {run_id} is left"
    return f"run {run_id} is not undone, or could not be looked at; see the lines that say so"
