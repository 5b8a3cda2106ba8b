"""Whether a deleted Mount Pod's client is gone: the sandbox waits for it before it makes a successor. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from jfsnb.driver.mountpods.mount_pods import parse_time

NOT_DONE_AFTER_GRACE = timedelta(seconds=5)


def has_stopped(obj: Mapping[str, Any], now: datetime) -> bool:
    """Whether a deleted Pod's client is gone, or its grace period is well over."""
    states = [c.get("state") or {} for c in (obj.get("status") or {}).get("containerStatuses") or ()]
    if not any("running" in s for s in states):
        return True
    end = parse_time(obj["metadata"].get("deletionTimestamp"))
    return end is None or now > end + NOT_DONE_AFTER_GRACE
