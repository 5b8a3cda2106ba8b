"""The Mount Pod's command line: quoting as the driver does it, and reading the mount path back (§1.3, §1.6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


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
        if fields and fields[0] == "exec":
            fields = fields[1:]
        fields += [""] * (3 - len(fields))
        path = fields[2] if fields[2].startswith(("/jfs", "/mnt/jfs")) and fields[2].count("/") >= 2 else ""
        option_at = fields.index("-o") + 1 if "-o" in fields else len(fields)
        options = tuple(o for o in "".join(fields[option_at : option_at + 1]).split(",") if o)
        return cls(fields[0], fields[1], path, options, is_ce)

    @property
    def internal_prefix(self) -> bool:
        """Whether the client's own files are called ``.jfs.config`` instead of ``.config``."""
        return any(o.split("=")[0] == "prefix-internal" for o in self.options)

    @property
    def config_file(self) -> str:
        """Path inside the Mount Pod of the file that tells the running client's version."""
        return f"{self.mount_path}/{'.jfs.config' if self.internal_prefix else '.config'}"

    @property
    def access_log(self) -> str:
        """Path inside the Mount Pod of the client's access log."""
        return f"{self.mount_path}/{'.jfs.accesslog' if self.internal_prefix else '.accesslog'}"


def escape(text: str) -> str:
    """Make one word safe for the shell, as the driver does: only words with special characters become ``$'…'``."""
    if not set(text) & set("$`&;>|()"):
        return text
    inner = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{inner}'"


def quote_line(line: str) -> str:
    """Escape parentheses over a whole command line, as the driver does."""
    return line.replace("(", "\\(").replace(")", "\\)")
