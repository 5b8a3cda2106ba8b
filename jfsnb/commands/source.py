"""Where a question goes: to a cluster, or to a file with what was read of one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from jfsnb.commands.answers import say
from jfsnb.commands.run import connected
from jfsnb.settings import Settings


def source(settings: Settings, *, quiet: bool = False) -> Any:
    """The cluster, or the snapshot, that the settings name.

    Args:
        quiet: do not say where a file comes from.

    Raises:
        ConnectionFailed: the cluster does not answer. BundleInvalid: the file is damaged.
    """
    if settings.file is None:
        return connected(settings)
    from jfsnb.bundle.read import named

    found = named(settings.file)
    if not quiet:
        say(f"{found.context}: {of(found)}\n")
    return found


def of(snapshot: Any) -> str:
    """When and of what a snapshot was taken, in one line."""
    days = (datetime.now(UTC) - snapshot.now).days
    ago = f" ({days} days ago)" if days > 0 else ""
    by = f" by {snapshot.account}" if snapshot.account else ""
    return f"{snapshot.source}{by}, as it was at {snapshot.now:%Y-%m-%d %H:%M:%S} UTC{ago}"
