"""Kernels that start, and import what notebooks need, before anybody waits for them: that takes one to three seconds.

Needs only jupyter_client, so that the first can start while papermill is still being imported.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jfsnb.report import leftovers

#: How long an interrupted kernel may clean up before it is killed (half of it before SIGTERM).
POLITE_SECONDS = 30.0
WARM_UP = "import jfsnb; jfsnb.warm_up()"


class Kernels:
    """A short queue of kernels of this very Python.

    Args:
        environment: variables added to our own.
        cwd: their working directory.
        warm_up: a Python line that each runs at once.
    """

    def __init__(self, environment: Mapping[str, str], cwd: Path, warm_up: str = WARM_UP) -> None:
        self._environment = {**os.environ, **environment}
        self._cwd, self._warm_up = cwd, warm_up
        self._ahead: deque[Any] = deque()

    def prepare(self, count: int = 1) -> None:
        """Have so many ready or on their way."""
        while len(self._ahead) < count:
            self._ahead.append(_start(self._environment, str(self._cwd), self._warm_up))

    def take(self) -> Any:
        """The oldest, to use now; whoever takes it ends it."""
        self.prepare()
        return self._ahead.popleft()

    def close(self) -> None:
        """End those that nobody took."""
        from jupyter_core.utils import run_sync

        while self._ahead:
            run_sync(self._ahead.popleft().shutdown_kernel)(now=True)


def _start(environment: dict[str, str], cwd: str, warm_up: str) -> Any:
    """Start one without waiting for it; nbclient does that when it needs it."""
    from jupyter_client.manager import AsyncKernelManager
    from jupyter_core.utils import run_sync
    from traitlets.config import Config

    # Sockets in a private directory with a short absolute path: by default they are relative to the working directory.
    sockets = tempfile.mkdtemp(prefix=leftovers.prefix("k"))
    manager = {"transport": "ipc", "connection_file": f"{sockets}/k.json", "shutdown_wait_time": POLITE_SECONDS}
    config = Config(KernelManager=manager)
    kernel = AsyncKernelManager(kernel_name="python3", config=config)
    weakref.finalize(kernel, shutil.rmtree, sockets, ignore_errors=True)
    arguments = ["--HistoryManager.hist_file=:memory:"]
    arguments += [f"--IPKernelApp.exec_lines={warm_up}"] if warm_up else []
    # A profile of its own: what somebody has in theirs (start-up files) is no part of a run.
    environment = {**environment, "IPYTHONDIR": f"{sockets}/ipython"}
    run_sync(kernel.start_kernel)(extra_arguments=arguments, env=environment, cwd=cwd)
    return kernel
