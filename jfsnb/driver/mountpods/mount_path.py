"""What the driver reads back from a Mount Pod's command: mount path, volume, options (§1.3). Vectors: names/command."""

from __future__ import annotations

from collections.abc import Sequence


class DriverPanics(Exception):
    """The driver crashes on this input; the text is Go's."""


def read_mount_path(command: Sequence[str]) -> tuple[str, str]:
    """(mount path in the Mount Pod, the part of it that the driver takes for the volume).

    Args:
        command: of the first container.

    Raises:
        ValueError: there is no mount path in it; the text is the driver's.
        DriverPanics: the last line is empty.
    """
    if len(command) < 3:
        raise ValueError(f"get error pod command:[{' '.join(command)}]")
    words = command[2].split("\n")[-1].split()
    if not words:
        raise DriverPanics("runtime error: index out of range [0] with length 0")
    if words[0] == "exec":
        words = words[1:]
    if len(words) < 3 or not words[2].startswith(("/jfs", "/mnt/jfs")):
        raise ValueError(f"err cmd:{command[2]}")
    parts = words[2].split("/")
    if len(parts) < 3:
        raise ValueError(f"err mntPath:{words[2]}")
    return words[2], parts[2]


def read_options(command: Sequence[str]) -> list[str] | None:
    """Mount options, when the command ends with ``-o`` and them; None otherwise."""
    words = command[2].split() if len(command) >= 3 else []
    return words[-1].split(",") if len(words) >= 3 and words[-2] == "-o" else None


def internal_file(name: str, options: Sequence[str] | None) -> str:
    """What one of the client's own files (``.config``, ``.accesslog``) is called."""
    prefixed = any(option.startswith("prefix-internal") for option in options or ())
    return f".jfs{name}" if prefixed else name
