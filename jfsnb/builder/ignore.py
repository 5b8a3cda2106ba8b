""".dockerignore: which files of a context are sent (rules of docs.docker.com/build/concepts/context).

Own code: no library at hand knows these rules (Python's fnmatch and gitignore's differ from them).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NAME = ".dockerignore"


@dataclass(frozen=True)
class Ignore:
    """Patterns in their order: (expression for a path and all below it, whether it takes a file back in)."""

    patterns: tuple[tuple[re.Pattern[str], bool], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Ignore:
        """From the text of a .dockerignore; lines that begin with # are comments."""
        lines = [line.strip() for line in text.splitlines()]
        found = []
        for line in lines:
            if not line or line.startswith("#"):
                continue
            back = line.startswith("!")
            path = os.path.normpath(line.removeprefix("!").strip()).lstrip("/")
            if path not in (".", ""):
                found.append((_expression(path), back))
        if not any(back for _, back in found):  # one expression for all: a tree has many files
            found = [("|".join(f"(?:{text})" for text, _ in found), False)] if found else []
        return cls(tuple((re.compile(f"(?:{text})(?:/.*)?", re.S), back) for text, back in found))

    def ignores(self, path: str) -> bool:
        """Whether a file stays out; ``path`` is relative to the context. The last pattern that fits decides."""
        ignored = False
        for expression, back in self.patterns:
            if back == ignored and expression.fullmatch(path):
                ignored = not back
        return ignored

    @property
    def takes_back(self) -> bool:
        """Whether some pattern takes files back in: then an ignored directory must be looked into."""
        return any(back for _, back in self.patterns)


def of_tree(context: Path, otherwise: str) -> tuple[Ignore, str, bool]:
    """The tree's own .dockerignore (or ``otherwise``): rules, text, and whether it is the tree's own."""
    try:
        text, own = (context / NAME).read_text(encoding="utf-8"), True
    except FileNotFoundError:
        text, own = otherwise, False
    return Ignore.parse(text), text, own


def walk(context: Path, ignore: Ignore) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Everything that is sent, parents first: (relative path, entry). Links are not followed."""
    yield from _walk(context, "", ignore)


def _walk(folder: Path, prefix: str, ignore: Ignore) -> Iterator[tuple[str, os.DirEntry[str]]]:
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            path = f"{prefix}{entry.name}"
            ignored = ignore.ignores(path)
            if not ignored:
                yield path, entry
            if entry.is_dir(follow_symlinks=False) and (not ignored or ignore.takes_back):
                yield from _walk(Path(entry.path), f"{path}/", ignore)


def _expression(pattern: str) -> str:
    """``*`` and ``?`` stay inside one name, ``**`` spans any number of them."""
    out, i = "", 0
    while i < len(pattern):
        if pattern.startswith("**/", i):
            out, i = out + "(?:.*/)?", i + 3
        elif pattern.startswith("**", i):
            out, i = out + ".*", i + 2
        elif pattern[i] == "*":
            out, i = out + "[^/]*", i + 1
        elif pattern[i] == "?":
            out, i = out + "[^/]", i + 1
        elif pattern[i] == "[" and "]" in pattern[i:]:
            end = pattern.index("]", i)
            out, i = out + pattern[i : end + 1], end + 1
        elif pattern[i] == "\\" and i + 1 < len(pattern):
            out, i = out + re.escape(pattern[i + 1]), i + 2
        else:
            out, i = out + re.escape(pattern[i]), i + 1
    return out
