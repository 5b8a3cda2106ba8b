"""papermill's engine with three things added: outputs are redacted and capped before they are kept, hooks see what a
cell waits for, and the kernel may have been started ahead of time.

Importing this module imports papermill (about two seconds): do it inside functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nbformat import NotebookNode
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines

from jfsnb.redact import redact

ENGINE = "jfsnb"
MAX_STREAM_CHARACTERS = 200_000
PROGRESS_KEY = "jfsnb_progress"  # metadata of a display that says what a cell waits for (views/live.py)
_NO_OUTPUT = ("status", "execute_input")


class RedactingClient(PapermillNotebookClient):  # type: ignore[misc]
    """Filters every message before it reaches the notebook, so that even an autosave never holds a secret."""

    on_waiting: Callable[[str], None] = staticmethod(lambda text: None)
    _streamed = (-1, 0)

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> NotebookNode | None:
        if msg["msg_type"] not in _NO_OUTPUT:
            msg = {**msg, "content": redact(msg["content"])}
        if msg["msg_type"] == "stream" and not self._keep(msg["content"], cell_index):
            return None
        waiting = (msg["content"].get("metadata") or {}).get(PROGRESS_KEY)
        if waiting:
            self.on_waiting(str(waiting))
        output: NotebookNode | None = super().process_message(msg, cell, cell_index)
        return output

    def papermill_execute_cells(self) -> None:
        super().papermill_execute_cells()
        # Nothing runs any more, and a polite end takes up to 4 s; after an interrupt (no return) it stays polite.
        self.shutdown_kernel = "immediate"

    def _keep(self, content: dict[str, Any], cell_index: int) -> bool:
        """Whether this piece of text still fits; the first one that does not is cut and says so."""
        index, used = self._streamed
        used = used if index == cell_index else 0
        room = MAX_STREAM_CHARACTERS - used
        self._streamed = (cell_index, used + len(content["text"]))
        if room > 0 and len(content["text"]) > room:
            content["text"] = content["text"][:room] + "\n… cut here: this cell printed too much\n"
        return room > 0


class RedactingEngine(NBClientEngine):  # type: ignore[misc]
    """Registered as ``jfsnb``."""

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: Any,
        kernel_name: str,
        log_output: bool = False,
        stdout_file: Any = None,
        stderr_file: Any = None,
        start_timeout: int = 60,
        execution_timeout: int | None = None,
        **kwargs: Any,
    ) -> NotebookNode:
        kernel, on_waiting = kwargs.pop("kernel"), kwargs.pop("on_waiting")
        kwargs.pop("input_path", None)
        client = RedactingClient(
            nb_man,
            km=kernel,
            kernel_name=kernel_name,
            timeout=execution_timeout,
            startup_timeout=start_timeout,
            **kwargs,
        )
        client.owns_km = True  # so that it ends the kernel, too
        client.on_waiting = on_waiting
        executed: NotebookNode = client.execute()
        return executed


papermill_engines.register(ENGINE, RedactingEngine)
