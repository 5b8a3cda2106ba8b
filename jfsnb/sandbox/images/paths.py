"""Paths in a tree that is somebody else's root file system."""

from __future__ import annotations

import os

LINKS = 40


def resolve(root: str, path: str) -> str:
    """A container's path as seen from outside, with links followed as if ``root`` were /.

    Own code: openat2(RESOLVE_IN_ROOT) is not in the standard library, and the last parts may not exist yet.
    """
    waiting = [part for part in path.split("/") if part]
    done: list[str] = []
    for _ in range(LINKS * 10):
        if not waiting:
            return "/".join([root, *done])
        part = waiting.pop(0)
        if part == "..":
            done = done[:-1]
            continue
        here = "/".join([root, *done, part])
        if part == "." or not os.path.islink(here):
            done += [] if part == "." else [part]
            continue
        points_to = os.readlink(here)
        done = [] if points_to.startswith("/") else done
        waiting = [p for p in points_to.split("/") if p] + waiting
    raise OSError(40, "Too many levels of symbolic links", path)
