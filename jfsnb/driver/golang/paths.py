"""Paths as Go's package path joins and cleans them: nothing climbs out of an absolute base."""

from __future__ import annotations


def clean(path: str) -> str:
    """The shortest path that means the same; ``.`` for nothing."""
    rooted = path.startswith("/")
    parts: list[str] = []
    for part in path.split("/"):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part == ".." and rooted:
            continue
        elif part not in ("", "."):
            parts.append(part)
    return ("/" if rooted else "") + "/".join(parts) or "."


def join(*elements: str) -> str:
    """All elements that are not empty, one below the other, cleaned; an absolute one drops nothing before it."""
    joined = "/".join(e for e in elements if e)
    return clean(joined) if joined else ""
