"""`jfsnb sandbox ...`: what the subcommands print."""

from __future__ import annotations

import shlex

import click

from jfsnb.errors import UsageError
from jfsnb.sandbox import lifecycle
from jfsnb.sandbox.lifecycle import Sandbox


def describe(sandbox: Sandbox) -> str:
    """A running sandbox in a few lines, and how to use it."""
    return (
        f"sandbox {sandbox.name} at {sandbox.server}, tier {sandbox.tier}: {sandbox.tier_reason}\n"
        f"clients: {sandbox.baseline} serves everybody; metadata in {sandbox.metadata}\n"
        f'kubectl:  eval "$(jfsnb sandbox shell-env --name {sandbox.name})"\n'
        f"stop it:  jfsnb sandbox down --name {sandbox.name}\n"
        "note:     Pods share this machine's kernel and network; they cannot write kernel settings, but this is\n"
        "          no security boundary: run nothing in it that you would not run here"
    )


def show_status(probe: bool) -> int:
    """Print the running sandboxes; 3 when there is none."""
    running = lifecycle.running()
    for sandbox in running:
        click.echo(describe(sandbox))
    if not running:
        click.echo("no sandbox is running; start one: jfsnb sandbox up")
    if probe:
        from jfsnb.sandbox.runtime.tier import detect

        tier = detect()
        click.echo(f"this machine can do tier {tier.name}: {tier.reason}")
    return 0 if running or probe else 3


def exports(name: str) -> str:
    """Shell assignments for kubectl.

    Raises:
        UsageError: no such sandbox.
    """
    return f"export KUBECONFIG={shlex.quote(str(running_sandbox(name).kubeconfig))}"


def running_sandbox(name: str) -> Sandbox:
    """The sandbox of that name.

    Raises:
        UsageError: it does not run.
    """
    sandbox = lifecycle.find(name)
    if sandbox is None:
        raise UsageError(f"no sandbox {name!r} is running", f"start it: jfsnb sandbox up --name {name}")
    return sandbox
