"""Log lines as the real driver's (klog, structured): ``I1125 08:00:01.000000       1 node:42] "message" key="value"``.

Own code, because logging's formatters know nothing of klog's header and of its quoting of values.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime
from typing import Any


class Logger:
    """One part of the driver; its name is the ``logger`` of each line.

    Args:
        name: for example ``driver``, ``config``, ``pod-driver``.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def info(self, message: str, /, **values: Any) -> None:
        write("I", f"{quoted(message)} logger={quoted(self.name)}{_pairs(values)}")

    def error(self, error: object, message: str, /, **values: Any) -> None:
        write("E", f"{quoted(message)} err={quoted(str(error))} logger={quoted(self.name)}{_pairs(values)}")


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
    return quoted(value if isinstance(value, str) else json.dumps(value, default=str))
