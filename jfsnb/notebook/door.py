"""The door of a notebook's kernel: every message to a front end passes the redactor, whoever printed or raised."""

from __future__ import annotations

from typing import Any

from jfsnb.redact import redact


def guard(shell: Any) -> None:
    """Let everything that the kernel says from now on pass the redactor; does nothing outside a kernel.

    It is here and not in the runner, because only the kernel knows which Secrets it has read.
    """
    session = getattr(getattr(shell, "kernel", None), "session", None)
    if session is None or getattr(session.pack, "jfsnb", False):
        return
    plain = session.pack

    def pack(part: Any) -> Any:
        is_header = isinstance(part, dict) and "msg_id" in part
        return plain(part if is_header else redact(part))

    pack.jfsnb = True  # type: ignore[attr-defined]
    session.pack = pack
