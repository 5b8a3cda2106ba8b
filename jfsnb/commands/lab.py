"""`jfsnb lab`: JupyterLab on the notebooks, with a sandbox beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import click

from jfsnb.commands.run import NOTEBOOKS
from jfsnb.commands.sandbox import describe
from jfsnb.settings import Settings

ADDRESS = "127.0.0.1"


def lab(options: Mapping[str, Any], port: int | None, no_browser: bool) -> int:
    """Run JupyterLab until it ends; returns its exit code.

    Args:
        options: parameters; ``cluster`` other than ``sandbox`` starts no sandbox.
        port: of JupyterLab; None for a free one.
        no_browser: only print the address.
    """
    settings = Settings.from_mapping(options)
    environment = {**os.environ, "JFSNB_OUTPUTS": str(settings.outputs)}
    if settings.is_sandbox:
        from jfsnb.sandbox import lifecycle

        name = os.environ.get("JFSNB_SANDBOX", "default")
        click.echo(describe(lifecycle.ensure(name, owner_pid=os.getpid())))
        environment["JFSNB_SANDBOX"] = name
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.ip={ADDRESS}", f"--ServerApp.root_dir={NOTEBOOKS}"]
    command += [f"--ServerApp.port={port}"] if port else []
    command += ["--no-browser"] if no_browser else []
    command += ["--allow-root"] if os.getuid() == 0 else []
    process = subprocess.Popen(command, env=environment)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # JupyterLab asks for a second Ctrl-C itself
