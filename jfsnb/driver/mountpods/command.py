"""The Mount Pod's command line: quoting as the driver does it, and reading the mount path back (§1.3, §1.6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jfsnb.driver.mountpods.mount_path import DriverPanics, internal_file, read_mount_path, read_options


@dataclass(frozen=True)
class MountCommand:
    """What a Mount Pod's command says.

    Args:
        client: the mount program, e.g. ``/bin/mount.juicefs``.
        source: metadata address or file system name (usually the placeholder ``${metaurl}``).
        mount_path: inside the Mount Pod; "" when the driver could not read it either.
        options: the ``-o`` options.
        is_ce: community edition, by the driver's own test.
    """

    client: str
    source: str
    mount_path: str
    options: tuple[str, ...]
    is_ce: bool

    @classmethod
    def parse(cls, command: Sequence[str]) -> MountCommand:
        """Read ``spec.containers[0].command`` as the driver does (last line, field 2)."""
        is_ce = any("metaurl" in part for part in command)
        fields = command[2].split("\n")[-1].split() if len(command) >= 3 else []
        fields = [*(fields[1:] if fields[:1] == ["exec"] else fields), "", ""]
        try:
            path, _ = read_mount_path(command)
        except (ValueError, DriverPanics):
            path = ""
        return cls(fields[0], fields[1], path, tuple(o for o in read_options(command) or () if o), is_ce)

    @property
    def config_file(self) -> str:
        """Path inside the Mount Pod of the file that tells the running client's version."""
        return f"{self.mount_path}/{internal_file('.config', self.options)}"

    @property
    def access_log(self) -> str:
        """Path inside the Mount Pod of the client's access log."""
        return f"{self.mount_path}/{internal_file('.accesslog', self.options)}"


def escape(text: str) -> str:
    """Make one word safe for the shell, as the driver does: only words with special characters become ``$'…'``."""
    if not set(text) & set("$`&;>|()"):
        return text
    inner = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{inner}'"


def quote_line(line: str) -> str:
    """Escape parentheses over a whole command line, as the driver does."""
    return line.replace("(", "\\(").replace(")", "\\)")
