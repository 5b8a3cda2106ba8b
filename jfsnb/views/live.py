"""What a cell shows while it works: what it waits for, and the last lines of what happened; no widget needed.

One display is updated in place, at most twice a second. In a headless run its metadata tells the runner what is waited
for, and its last state stays in the executed notebook.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from html import escape
from typing import Any, Protocol

from jfsnb.i18n import say, translated
from jfsnb.views import html

PROGRESS_KEY = "jfsnb_progress"  # the runner looks for it (report/engine.py)
SECONDS_BETWEEN_UPDATES = 0.5
LINES_SHOWN = 8
_SIGNS = {"step": "▸", "wait": "…", "event": "●", "log": "│", "change": "✎", "note": "·"}


class Told(Protocol):
    """One thing that a step tells while it runs (`jfsnb.queries.model.Progress`)."""

    @property
    def kind(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def source(self) -> str: ...


def _ipython_display(markup: str, text: str, waiting: str, handle: Any) -> Any:
    """Show or update; returns the handle to update next time."""
    from IPython import display as untyped

    ipython: Any = untyped
    bundle = {"text/html": markup, "text/plain": text}
    metadata = {PROGRESS_KEY: waiting} if waiting else {}
    if handle is None:
        return ipython.display(bundle, raw=True, metadata=metadata, display_id=True)
    ipython.update_display(bundle, raw=True, metadata=metadata, display_id=handle.display_id)
    return handle


class Live:
    """Shows progress of the present cell.

    Args:
        show: how to display; the default is IPython's.
        clock: seconds, monotonic.
        limit: seconds that one wait may take; 0 when there is none to show.
    """

    def __init__(
        self,
        show: Callable[[str, str, str, Any], Any] = _ipython_display,
        clock: Callable[[], float] = time.monotonic,
        limit: float = 0,
    ) -> None:
        self._show, self._clock, self.limit = show, clock, limit
        self.reset()

    def reset(self) -> None:
        """A new cell begins: the next thing told opens a new display."""
        self._handle: Any = None
        self._lines: list[Told] = []
        self._waiting, self._begun, self._shown = "", 0.0, 0.0
        self._waits_since: float | None = None

    def __call__(self, told: Told) -> None:
        """Take note, and update the display when it is time."""
        now = self._clock()
        if not self._lines:
            self._begun = now
        self._lines.append(told)
        if told.kind in ("wait", "step"):
            self._waiting = told.text
            self._waits_since = now if told.kind == "wait" else None
        if self._handle is None or told.kind == "wait" or now - self._shown >= SECONDS_BETWEEN_UPDATES:
            self._shown = now
            self._handle = self._show(self._markup(now), told.text, self._waiting, self._handle)

    def close(self) -> None:
        """The cell is done: fold what was shown."""
        if self._handle is not None:
            if all(told.kind == "step" for told in self._lines):
                self._show("", "", "", self._handle)  # nothing happened that the result does not say itself
                return self.reset()
            seconds = self._clock() - self._begun
            title = say("what happened meanwhile: {} lines, {} s", len(self._lines), f"{seconds:.1f}")
            inner = html.block("\n".join(_line(told) for told in self._lines), title)
            self._show(html.folded(title, inner), title, "", self._handle)
        self.reset()

    def _markup(self, now: float) -> str:
        waiting = f"<b>{escape(translated(self._waiting))}</b> " if self._waiting else ""
        clock = f'<span style="opacity:.7">{now - self._begun:.0f} s</span>'
        logs = [told for told in self._lines if told.kind == "log"]
        happened = [told for told in self._lines if told.kind != "log"]
        views = _recent(happened, "what happens") + (_recent(logs, "log") if logs else "")
        return (
            f'<div role="status" style="font-size:13px">{waiting}{clock}{self._bar(now)}'
            f'<div style="display:flex;flex-wrap:wrap;gap:10px">{views}</div></div>'
        )

    def _bar(self, now: float) -> str:
        """How much of the time that this wait may take is over."""
        if self._waits_since is None or not self.limit:
            return ""
        spent = min(now - self._waits_since, self.limit)
        label = escape(say("at most {} s", f"{self.limit:.0f}"))
        return (
            f' <progress value="{spent:.1f}" max="{self.limit:.0f}" aria-label="{label}" '
            f'style="width:120px;vertical-align:middle"></progress> <span style="opacity:.7">{label}</span>'
        )


def _recent(lines: list[Told], label: str) -> str:
    inner = html.block("\n".join(_line(told) for told in lines[-LINES_SHOWN:]), label)
    return f'<div style="flex:1 1 320px;min-width:0">{inner}</div>'


def _line(told: Told) -> str:
    where = f"{told.source}: " if told.source else ""
    text = told.text if told.kind in ("log", "event") else translated(told.text)
    return f"{_SIGNS.get(told.kind, '·')} {where}{text}"
