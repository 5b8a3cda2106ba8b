"""`jfsnb lab`: JupyterLab on the notebooks, with a sandbox beside it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import click

from jfsnb.commands.sandbox import describe
from jfsnb.i18n import language
from jfsnb.notebook.lessons import NOTEBOOKS, localized
from jfsnb.settings import Settings

ADDRESS = "127.0.0.1"
#: JupyterLab asks nobody outside for news and updates, and its user neither (labconfig/page_config.json).
QUIET = [
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
]
CONFIG = Path(__file__).parent / "jupyter"


def lab(options: Mapping[str, Any], port: int | None, no_browser: bool) -> NoReturn:
    """Become JupyterLab: this very process, so that the sandbox, whose owner it is, ends when JupyterLab does.

    Args:
        options: parameters; ``cluster`` other than ``sandbox`` starts no sandbox.
        port: of JupyterLab; None for a free one.
        no_browser: only print the address.
    """
    settings = Settings.from_mapping(options)
    paths = [str(CONFIG), *filter(None, [os.environ.get("JUPYTER_CONFIG_PATH")])]
    environment = {
        **os.environ,
        "JFSNB_OUTPUTS": str(settings.outputs),
        "JUPYTER_CONFIG_PATH": os.pathsep.join(paths),
    }
    if settings.is_sandbox:
        from jfsnb.sandbox import lifecycle

        name = os.environ.get("JFSNB_SANDBOX", "default")
        click.echo(describe(lifecycle.ensure(name, owner_pid=os.getpid())))
        environment["JFSNB_SANDBOX"] = name
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.ip={ADDRESS}",
        f"--ServerApp.root_dir={_lessons(settings)}",
    ]
    command += QUIET
    command += [f"--ServerApp.port={port}"] if port else []
    command += ["--no-browser"] if no_browser else []
    command += ["--allow-root"] if os.getuid() == 0 else []
    sys.stdout.flush()
    os.execve(command[0], command, environment)


def _lessons(settings: Settings) -> Path:
    """The folder to open: the notebooks themselves, or a copy in the language in use; work done in it is kept."""
    if language() == "en":
        return NOTEBOOKS
    folder = settings.outputs / f"lessons-{language()}"
    for source in sorted(NOTEBOOKS.glob("*.ipynb")):
        localized(source, folder)
    return folder
