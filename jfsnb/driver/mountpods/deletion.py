"""When a Mount Pod that nobody uses is deleted (reference/csi-driver.md §1.11). Vectors: decisions/delay."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta, tzinfo

from jfsnb.driver import names
from jfsnb.driver.golang.duration import nanoseconds
from jfsnb.driver.golang.stamps import parse_stamp
from jfsnb.driver.mountpods.mount_pods import MountPod

#: How often the driver looks whether a delay is over, with room for a late look (§4.6).
NEXT_LOOK = timedelta(seconds=10)


def delete_at(annotations: Mapping[str, str], now: datetime, zone: tzinfo = UTC) -> datetime | None:
    """When an unused Mount Pod may be deleted; None: at once.

    Without ``juicefs-delete-delay`` there is no delay. ``juicefs-delete-at`` counts when it is there; else the delay
    from now, in whole seconds, which the driver then writes. What cannot be parsed is no delay.

    Args:
        annotations: of the Mount Pod. zone: of the driver; for stamps of old versions, which name none.
    """
    if names.DELETE_DELAY not in annotations:
        return None
    try:
        if names.DELETE_AT in annotations:
            return parse_stamp(annotations[names.DELETE_AT], zone)
        delay = nanoseconds(annotations[names.DELETE_DELAY])
    except ValueError:
        return None
    moment = (now + timedelta(microseconds=delay // 1000)).replace(microsecond=0)
    return moment if now < moment else None


def reason_to_stay(pod: MountPod, now: datetime, gone: Collection[str] = ()) -> str:
    """Why a Mount Pod rightly goes on existing after one of its users has gone; empty when there is no reason.

    Args:
        gone: UIDs of Pods that are known to be gone: a reference of theirs serves nobody.
    """
    users = sum(r.pod_uid not in gone for r in pod.references)
    if users:
        return f"it still serves {users} other volume mount{'s' if users > 1 else ''}"
    if pod.references:
        return ""
    moment = delete_at(pod.annotations, now)
    if moment is not None and now < moment:
        return f"delete delay: it stays until {moment.isoformat(timespec='seconds')}"
    return ""
