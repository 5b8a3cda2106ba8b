"""Log lines as the real driver's (klog, structured): ``I1125 08:00:01.000000       1 node:42] "message" key="value"``.

Own code, because logging's formatters know nothing of klog's header and of its quoting of values.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any

#: Name and values that all lines have while something is handled, as the driver's logger travels in its context.
_HANDLED: ContextVar[tuple[str, dict[str, Any]] | None] = ContextVar("handled", default=None)


@contextmanager
def handling(name: str, **values: Any) -> Iterator[None]:
    """Lines of all loggers but the ``own`` ones are of this call or object.

    Args:
        name: for example ``NodePublishVolume`` or ``pod-driver``. values: that each line has first.
    """
    token = _HANDLED.set((name, values))
    try:
        yield
    finally:
        _HANDLED.reset(token)


class Logger:
    """One part of the driver; its name is the ``logger`` of each line, unless something is being handled.

    Args:
        name: for example ``driver``, ``config``, ``pod-driver``.
        own: its lines keep its name whatever is being handled.
    """

    def __init__(self, name: str, own: bool = False) -> None:
        self.name, self.own = name, own

    def info(self, message: str, /, **values: Any) -> None:
        write("I", f"{quoted(message)} {self._tail(values)}")

    def error(self, error: object, message: str, /, **values: Any) -> None:
        write("E", f"{quoted(message)} err={quoted(str(error))} {self._tail(values)}")

    def _tail(self, values: dict[str, Any]) -> str:
        name, common = (None if self.own else _HANDLED.get()) or (self.name, {})
        return f"logger={quoted(name)}{_pairs({**common, **values})}"


def write(level: str, text: str) -> None:
    """One line on stderr, where the driver's ``--logtostderr`` sends it."""
    frame = sys._getframe(2)
    source = os.path.basename(frame.f_code.co_filename)
    now = datetime.now()
    print(
        f"{level}{now:%m%d %H:%M:%S.%f} {os.getpid():>7} {source}:{frame.f_lineno}] {text}", file=sys.stderr, flush=True
    )


def quoted(value: str) -> str:
    """A string as Go's ``%q`` writes it, for the characters that occur here."""
    return json.dumps(value, ensure_ascii=False)


def _pairs(values: dict[str, Any]) -> str:
    return "".join(f" {key.replace('_', ' ')}={_value(value)}" for key, value in values.items())


def _value(value: Any) -> str:
    if isinstance(value, bool | int | float):
        return str(value).lower()
    return quoted(value) if isinstance(value, str) else json.dumps(value, default=str, separators=(",", ":"))
