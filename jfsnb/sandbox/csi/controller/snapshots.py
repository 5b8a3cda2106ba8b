"""Snapshots of the Controller service (reference §4.5): ``/.snapshots/<volume>/<id>``, handle ``<id>|<volume>``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc

from jfsnb.sandbox.csi.controller import directories
from jfsnb.sandbox.csi.controller.directories import FileSystemFailed
from jfsnb.sandbox.proto.messages import CsiError

Code = grpc.StatusCode


@dataclass(frozen=True)
class Snapshot:
    """A snapshot that this process made.

    Args:
        name: as it was asked for, and its id. source: volume id. created: seconds since the epoch.
    """

    name: str
    source: str
    size: int
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def handle(self) -> str:
        return f"{self.name}|{self.source}"

    def message(self) -> dict[str, Any]:
        """Fields of csi.v1.Snapshot."""
        return {
            "snapshot_id": self.handle,
            "source_volume_id": self.source,
            "size_bytes": self.size,
            "creation_time": {"seconds": self.created},
            "ready_to_use": True,
        }


class Snapshots:
    """Makes, restores and removes snapshots. Without a Secret there is no file system, so nothing is copied."""

    def __init__(self) -> None:
        self._known: dict[str, Snapshot] = {}

    async def create(self, name: str, source: str, size: int, secrets: Mapping[str, str]) -> Snapshot:
        """The snapshot of that name.

        Raises:
            CsiError: ALREADY_EXISTS for another source, INTERNAL when the data could not be copied.
        """
        known = self._known.get(name)
        if known is not None and known.source != source:
            raise CsiError(Code.ALREADY_EXISTS, f"snapshot {name} exists already for volume {known.source}")
        if known is None:
            if secrets:
                await _guarded(directories.copy(secrets, source, directories.snapshot_path(source, name)))
            known = self._known[name] = Snapshot(name, source, size)
        return known

    async def restore(self, handle: str, volume: str, secrets: Mapping[str, str]) -> None:
        """Fill a new volume from a snapshot.

        Raises:
            CsiError: NOT_FOUND for an unknown handle, INTERNAL when the data could not be copied.
        """
        name, separator, source = handle.partition("|")
        if not separator or (name not in self._known and not secrets):
            raise CsiError(Code.NOT_FOUND, f"snapshot {handle} not found")
        if secrets:
            await _guarded(directories.copy(secrets, directories.snapshot_path(source, name), volume))

    async def delete(self, handle: str, secrets: Mapping[str, str]) -> None:
        """Remove a snapshot; one that does not exist is fine.

        Raises:
            CsiError: INTERNAL when the data could not be removed.
        """
        name, separator, source = handle.partition("|")
        if separator and secrets:
            await _guarded(directories.remove(secrets, directories.snapshot_path(source, name)))
        self._known.pop(name, None)


async def _guarded(work: Any) -> None:
    try:
        await work
    except FileSystemFailed as error:
        raise CsiError(Code.INTERNAL, str(error)) from error
