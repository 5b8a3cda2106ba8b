"""How far a download is: a bar on a terminal, one line elsewhere."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

#: What is fetched and its bytes → a context whose value is told how many bytes are there.
Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


@contextlib.contextmanager
def quiet(what: str, size: int) -> Iterator[Callable[[int], None]]:
    """Shows nothing."""
    yield lambda there: None


@contextlib.contextmanager
def on_stderr(what: str, size: int) -> Iterator[Callable[[int], None]]:
    """A progress bar; where stderr is no terminal, only what is fetched."""
    import click

    label = f"{what} ({megabytes(size)}, once)"
    with click.progressbar(length=size, label=label, file=sys.stderr, show_eta=True) as bar:
        yield lambda there: bar.update(there - bar.pos)


def megabytes(size: int) -> str:
    """Bytes for people: ``35 MB``."""
    return f"{size / 1e6:.0f} MB"
