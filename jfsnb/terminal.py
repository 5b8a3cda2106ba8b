"""The door to the terminal: what goes to standard output and standard error passes the redactor.

Also the small manners of a command line: a character that the terminal cannot show becomes another, a reader that went
away (``| head``) and Ctrl-C end the command without a traceback.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

#: As a shell shows a program that ended by this signal.
SIGINT_CODE, SIGPIPE_CODE = 130, 141


class Door:
    """A text stream that shows no secret; everything else is the stream's own.

    It has no ``buffer``: bytes would go past it.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        from jfsnb.redact import redact_text

        if not isinstance(text, str):
            raise TypeError(f"write() takes text, not {type(text).__name__}")
        self._stream.write(redact_text(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __iter__(self) -> Any:
        return iter(self._stream)

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":
            raise AttributeError(name)
        return getattr(self._stream, name)


def run(command: Callable[[], Any]) -> None:
    """Run a command line with its output behind the door; ends with SystemExit."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None:
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace" if name == "stdout" else "backslashreplace")
            setattr(sys, name, Door(stream))
    try:
        try:
            command()
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(SIGINT_CODE)
    except BrokenPipeError:
        _let_go()
        sys.exit(SIGPIPE_CODE)


def _let_go() -> None:
    """Nobody reads any more: what is still to be written goes nowhere, so that the end of Python does not complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None and not stream.isatty():
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
