"""`jfsnb sandbox ...`: what the subcommands print."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from jfsnb.errors import UsageError
from jfsnb.sandbox import lifecycle
from jfsnb.sandbox.lifecycle import Sandbox


def describe(sandbox: Sandbox) -> str:
    """A running sandbox in a few lines, and how to use it."""
    return (
        f"sandbox {sandbox.name} at {sandbox.server}, tier {sandbox.tier}: {sandbox.tier_reason}\n"
        f'kubectl:  eval "$(jfsnb sandbox shell-env --name {sandbox.name})"\n'
        f"stop it:  jfsnb sandbox down --name {sandbox.name}"
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


def add_image(tag: str, client: Path) -> str:
    """Add a client binary as an image that every later sandbox has, too; tells what was found."""
    from jfsnb.sandbox.images.images import ImageStore

    image = ImageStore(lifecycle.home() / "default").add(tag, client)
    return f"{image.reference}: client {image.client_version}, {image.id}"


def list_images() -> str:
    """One line per image that needs no download, with its client's version."""
    from jfsnb.sandbox.images.images import ImageStore

    store = ImageStore(lifecycle.home() / "default")
    found = [store.find(reference) for reference in store.references()]
    return "\n".join(f"{image.reference}  {image.client_version or 'no client'}" for image in found)
