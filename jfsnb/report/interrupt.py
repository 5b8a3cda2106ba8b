"""SIGTERM and Ctrl-C become an exception, so that `finally` blocks run, here and in the kernel."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """A signal asked for the end.

    Args:
        number: which one; the exit code is 128 more.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.signal = signal.Signals(number).name
        self.exit_code = 128 + number


@contextmanager
def interruptible() -> Iterator[None]:
    """Within this block, the first signal raises `Interrupted`; more of them, while it makes its way out, do not."""
    raised: list[int] = []

    def once(number: int, frame: FrameType | None) -> None:
        raised.append(number)
        if len(raised) == 1:
            raise Interrupted(number)

    with _handled(once):
        yield


@contextmanager
def undisturbed() -> Iterator[list[int]]:
    """Within this block (clean-up, not to be cut short) signals are only noted; a third one ends it after all."""
    seen: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        if len(seen) > 2:
            raise Interrupted(number)

    with _handled(note):
        yield seen


@contextmanager
def _handled(handler: object) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return
    before = {number: signal.signal(number, handler) for number in NUMBERS}  # type: ignore[arg-type]
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
