"""jfsnb: notebooks that prove which JuiceFS client serves a Pod.

In a notebook: ``import jfsnb``, ``run = jfsnb.start(globals())``, then short calls such as
``jfsnb.background.who_is_who(run)``, whose results show themselves. Nothing heavy is imported before it is used.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

#: name in a notebook -> module that is imported when the name is first used
_PARTS = {
    "background": "jfsnb.run.background",
    "build": "jfsnb.notebook.build",
    "patch": "jfsnb.run.patch",
    "deploy": "jfsnb.run.deploy",
    "verify": "jfsnb.run.verify",
    "upgrade": "jfsnb.run.upgrade.parts",
    "compare": "jfsnb.run.compare.parts",
    "investigate": "jfsnb.notebook.investigate",
    "show": "jfsnb.notebook.show",
    "choose": "jfsnb.notebook.choose",
    "exercise": "jfsnb.notebook.exercises",
}


def start(namespace: dict[str, Any]) -> Any:
    """Open the run that this notebook is part of, and show its effective parameters.

    Args:
        namespace: the notebook's ``globals()``, where its parameters are.

    Returns:
        The run, to be handed to every call.
    """
    return importlib.import_module("jfsnb.notebook.session").start(namespace)


def warm_up() -> None:
    """Import what the notebooks use, while nobody waits for it; never fails."""
    import contextlib

    with contextlib.suppress(Exception):
        importlib.import_module("jfsnb.notebook.session").warm_up()


def __getattr__(name: str) -> Any:
    if name in _PARTS:
        return importlib.import_module(_PARTS[name])
    raise AttributeError(f"module 'jfsnb' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(["__version__", "start", "warm_up", *_PARTS])
