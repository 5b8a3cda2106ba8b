"""How a run goes, for who sits before the terminal: a display that is redrawn; for a log: plain lines."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Sequence
from typing import TextIO

from jfsnb.i18n import say, translated
from jfsnb.i18n import width as width_of
from jfsnb.report.runner import NotebookOutcome, Watcher

_COLOURS = {"PASS": "32", "FAIL": "31", "WARN": "33", "NOT_READY": "35", "ERROR": "31", "N/A": "2"}
_SIGNS = {"PASS": "✓", "WARN": "!", "NOT_READY": "·", "N/A": "·"}
TICK_SECONDS = 0.2


class Progress:
    """Plain lines: one per notebook, cell and wait.

    Args:
        out: where to write.
        titles: of the notebooks, in order.
    """

    def __init__(self, out: TextIO, titles: Sequence[str]) -> None:
        self.out, self.titles = out, list(titles)
        self.number = 0
        self._waiting = ""

    def say(self, text: str) -> None:
        """One line that is no notebook's."""
        print(text, file=self.out, flush=True)

    def notebook(self, number: int) -> Watcher:
        """A notebook starts (numbered from 1); returns who follows its cells."""
        self.number, self._waiting = number, ""
        self.say(f"[{number}/{len(self.titles)}] {self.titles[number - 1]}")
        return Watcher(self.cell, self.waiting)

    def cell(self, number: int, count: int, label: str) -> None:
        self.say(say("      cell {}/{}: {}", number, count, label))

    def waiting(self, text: str) -> None:
        if text != self._waiting:
            self._waiting = text
            self.say(f"      … {translated(text)}")

    def done(self, outcome: NotebookOutcome) -> None:
        """The notebook ended."""
        reason = "" if outcome.verdict == "PASS" else f": {translated(outcome.reason)}"
        self.say(say("      {} after {} s{}", outcome.verdict, f"{outcome.seconds:.1f}", reason))

    def close(self) -> None:
        """Nothing follows."""


class TerminalProgress(Progress):
    """One line per notebook, redrawn in place; below it what the present cell waits for, with a running clock."""

    def __init__(self, out: TextIO, titles: Sequence[str]) -> None:
        super().__init__(out, titles)
        self._colour = "NO_COLOR" not in os.environ
        self._lock = threading.Lock()
        self._outcomes: list[NotebookOutcome] = []
        self._present, self._drawn = "", 0
        self._since = time.monotonic()
        self._stop = threading.Event()
        self._ticker: threading.Thread | None = None

    def say(self, text: str) -> None:
        with self._lock:
            self._erase()
            print(text, file=self.out)
            self._draw()

    def notebook(self, number: int) -> Watcher:
        with self._lock:
            self.number, self._present, self._waiting = number, say("starting"), ""
            self._since = time.monotonic()
            self._erase()
            self._draw()
        if self._ticker is None:
            self._ticker = threading.Thread(target=self._tick, daemon=True, name="progress")
            self._ticker.start()
        return Watcher(self.cell, self.waiting)

    def cell(self, number: int, count: int, label: str) -> None:
        self._present, self._waiting = f"{number}/{count} {label}", ""

    def waiting(self, text: str) -> None:
        self._waiting = text

    def done(self, outcome: NotebookOutcome) -> None:
        with self._lock:
            self._outcomes.append(outcome)
            self._erase()
            self._draw()

    def close(self) -> None:
        self._stop.set()
        if self._ticker is not None:
            self._ticker.join()
            self._ticker = None
        with self._lock:
            self.number = 0
            self._erase()
            self._draw()
            self._drawn = 0

    def _tick(self) -> None:
        while not self._stop.wait(TICK_SECONDS):
            with self._lock:
                self._erase()
                self._draw()

    def _erase(self) -> None:
        if self._drawn:
            self.out.write(f"\x1b[{self._drawn}A\x1b[J")
            self._drawn = 0

    def _draw(self) -> None:
        if not self.number and not self._outcomes:
            return
        width = shutil.get_terminal_size().columns
        lines = [self._line(number, title) for number, title in enumerate(self.titles, 1)]
        if self.number > len(self._outcomes):
            told = f"{self._present} … {translated(self._waiting)}" if self._waiting else self._present
            lines.insert(self.number, f"      {told}")
        for line in lines:
            self.out.write(self._cut(line, width) + "\n")
        self.out.flush()
        self._drawn = len(lines)

    def _line(self, number: int, title: str) -> str:
        if number <= len(self._outcomes):
            outcome = self._outcomes[number - 1]
            sign = self._paint(_SIGNS.get(outcome.verdict, "✗"), _COLOURS[outcome.verdict])
            seconds = f" {outcome.seconds:.1f} s" if outcome.seconds else ""
            reason = "" if outcome.verdict == "PASS" else f" {outcome.verdict}: {translated(outcome.reason)}"
            return f"  {sign} {title}{self._paint(seconds, '2')}{reason}"
        if number == self.number:
            return f"  {self._paint('▸', '36')} {title}{self._paint(f' {time.monotonic() - self._since:.0f} s', '2')}"
        return self._paint(f"    {title}", "2")

    def _paint(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colour and text else text

    def _cut(self, line: str, width: int) -> str:
        """So that no line wraps; escape codes take no room, Chinese letters that of two."""
        room, kept, index = width - 1, [], 0
        while index < len(line) and room > 0:
            if line[index] == "\x1b":
                end = line.index("m", index) + 1
                kept.append(line[index:end])
                index = end
                continue
            kept.append(line[index])
            room, index = room - width_of(line[index]), index + 1
        return "".join(kept) + ("\x1b[0m" if self._colour else "")


def make_progress(out: TextIO, titles: Sequence[str]) -> Progress:
    """The display that fits the stream."""
    fancy = out.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("CI")
    return TerminalProgress(out, titles) if fancy else Progress(out, titles)
