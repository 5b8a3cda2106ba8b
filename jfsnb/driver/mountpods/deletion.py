"""When an unused Mount Pod goes, and why it may stay (reference/csi-driver.md §1.11)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from jfsnb.driver import names
from jfsnb.driver.mountpods.mount_pods import MountPod, parse_time
from jfsnb.driver.settings.options import parse_duration


def delete_at(pod: MountPod, now: datetime) -> datetime | None:
    """When an unused Mount Pod may be deleted; None: at once (§1.11).

    ``juicefs-delete-at`` counts when it is there (RFC 3339, or the old local form read as UTC); else the delay
    from now. What cannot be parsed is no delay.
    """
    stamp = pod.annotations.get(names.DELETE_AT)
    if stamp:
        moment = parse_time(stamp.replace(" ", "T"))
        return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)
    delay = parse_duration(pod.annotations.get(names.DELETE_DELAY, ""))
    return now + delay if delay is not None and delay > timedelta() else None


def reason_to_stay(pod: MountPod, now: datetime) -> str:
    """Why a Mount Pod rightly goes on existing after one of its users has gone; empty when there is no reason."""
    if pod.references:
        users = len(pod.references)
        return f"it still serves {users} other volume mount{'s' if users > 1 else ''}"
    moment = delete_at(pod, now)
    if moment is not None and now < moment:
        return f"delete delay: it stays until {moment.isoformat(timespec='seconds')}"
    return ""
