"""Back-off as the kubelet does it, and when a container is started again."""

from __future__ import annotations

from dataclasses import dataclass

CONTAINER_INITIAL, CONTAINER_LONGEST = 10.0, 300.0
IMAGE_INITIAL, IMAGE_LONGEST = 10.0, 300.0
MOUNT_INITIAL, MOUNT_LONGEST = 0.5, 122.0


@dataclass
class BackOff:
    """A delay that doubles with each failure, and starts anew after a long time of peace.

    The first failure costs nothing: the delay before the n-th attempt counts from the end of the one before.

    Args:
        initial: first delay in seconds.
        longest: upper limit in seconds; twice as long without a failure resets.
    """

    initial: float
    longest: float
    delay: float = 0.0
    last: float = float("-inf")

    def next(self, now: float, failed_at: float) -> None:
        """An attempt begins at ``now``, after one that failed at ``failed_at`` (both in seconds of one clock)."""
        expired = failed_at - self.last > 2 * self.longest
        self.delay = self.initial if expired or not self.delay else min(self.delay * 2, self.longest)
        self.last = now

    def remaining(self, now: float, failed_at: float) -> float:
        """Seconds until the next attempt may begin; 0 when it may begin at once."""
        if not self.delay or failed_at - self.last > 2 * self.longest:
            return 0.0
        return max(0.0, failed_at + self.delay - now)


def restarts(policy: str, exit_code: int) -> bool:
    """Whether a container that ended with ``exit_code`` is started again under that restart policy."""
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def go_duration(seconds: float) -> str:
    """Whole seconds as Go prints a duration: ``40s``, ``1m20s``, ``5m0s``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
