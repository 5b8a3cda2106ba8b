"""The memory limits of one node's containers, as its runtime needs them: who goes in where, and who went over."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from jfsnb.sandbox.runtime.cgroups import NodeCgroups, Place


class Limits:
    """Nothing is limited where cgroups cannot be made.

    Args:
        place: where they can; None for nowhere.
        name: of the node's cgroup, unique on this machine.
    """

    def __init__(self, place: Place | None, name: str) -> None:
        self._cgroups = NodeCgroups(place, name) if place else None
        self._limited: dict[str, int] = {}  # container id -> what tells that it went over; -1 where the kernel does all

    @property
    def directory(self) -> str:
        """The node's cgroup; empty without one."""
        return self._cgroups.directory if self._cgroups else ""

    def begin(self, container: str, memory: int, kill: Callable[[], None]) -> list[int]:
        """Limit a container that is about to start.

        Args:
            container: its id.
            memory: bytes; 0 for no limit.
            kill: ends all of it. The kernel does so itself with cgroups v2; with v1 it ends one process.

        Returns:
            The way into its cgroup, a file descriptor for its first process; empty without a limit.
        """
        if self._cgroups is None or not memory:
            return []
        procs = self._cgroups.make(container, memory)
        alarm = self._cgroups.alarm(container)
        if alarm >= 0:
            asyncio.get_running_loop().add_reader(alarm, kill)
        self._limited[container] = alarm
        return [procs]

    def join(self, container: str) -> list[int]:
        """The same way for a further process of a container."""
        return [self._cgroups.open(container)] if self._cgroups is not None and container in self._limited else []

    def end(self, container: str) -> bool:
        """A container has ended; whether it had gone over its limit."""
        if self._cgroups is None or container not in self._limited:
            return False
        self._silence(self._limited.pop(container))
        return self._cgroups.end(container)

    def close(self) -> None:
        """All processes of the node have ended."""
        while self._limited:
            self._silence(self._limited.popitem()[1])
        if self._cgroups is not None:
            self._cgroups.remove()

    def _silence(self, alarm: int) -> None:
        if alarm >= 0:
            asyncio.get_running_loop().remove_reader(alarm)
            os.close(alarm)
