"""The driver's copy of config.yaml: loaded at the start, reloaded when the kubelet has synced it (reference §2.7)."""

from __future__ import annotations

import asyncio
from pathlib import Path

from jfsnb.driver.config.merging import DriverConfig, load
from jfsnb.errors import ConfigInvalid
from jfsnb.sandbox.csi.klog import Logger
from jfsnb.sandbox.runtime.inotify import changes

log = Logger("config")
RELOAD_SECONDS = 300


class ConfigFile:
    """The configuration in force in this process; other nodes have copies of their own and change at other times.

    Args:
        path: of config.yaml in the mounted ConfigMap.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.current = DriverConfig()
        self._seen: tuple[int, int] = (0, 0)

    def load(self) -> None:
        """Read the file.

        Raises:
            ConfigInvalid: the driver cannot use it; ``current`` stays what it was.
            OSError: no such file.
        """
        self._seen = self._version()
        self.current = load(self.path.read_text(encoding="utf-8"))

    def _version(self) -> tuple[int, int]:
        """Which file it is now: a sync of the kubelet puts another one in its place."""
        found = self.path.stat()
        return found.st_ino, found.st_mtime_ns

    async def follow(self) -> None:
        """Reload for ever: on each change of the mounted directory, and every five minutes anyway."""
        await asyncio.gather(self._on_change(), self._on_timer())

    async def _on_change(self) -> None:
        async for name, present in changes(self.path.parent):
            if name in ("..data", self.path.name) and present and self._is_new():
                log.info("config file updated, reload config", config_file=str(self.path))
                self._reload("fail to reload config")

    def _is_new(self) -> bool:
        try:
            return self._version() != self._seen
        except OSError:
            return True

    async def _on_timer(self) -> None:
        while True:
            await asyncio.sleep(RELOAD_SECONDS)
            self._reload("fail to load config")

    def _reload(self, complaint: str) -> None:
        try:
            self.load()
        except ConfigInvalid as error:
            log.error(error.what, complaint)
        except OSError as error:
            log.error(error, complaint)
