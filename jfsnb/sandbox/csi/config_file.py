"""The driver's copy of config.yaml: loaded at the start, reloaded when the kubelet has synced it (reference §2.7)."""

from __future__ import annotations

import asyncio
from pathlib import Path

from jfsnb.driver.config import DriverConfig, load
from jfsnb.errors import ConfigInvalid
from jfsnb.sandbox.csi.klog import Logger
from jfsnb.sandbox.node.inotify import changes

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

    def load(self) -> None:
        """Read the file.

        Raises:
            ConfigInvalid: the driver cannot use it; ``current`` stays what it was.
            OSError: no such file.
        """
        self.current = load(self.path.read_text(encoding="utf-8"))

    async def follow(self) -> None:
        """Reload for ever: on each change of the mounted directory, and every five minutes anyway."""
        await asyncio.gather(self._on_change(), self._on_timer())

    async def _on_change(self) -> None:
        first = True
        async for name, present in changes(self.path.parent):
            if name not in ("..data", self.path.name) or not present:
                continue
            if first:  # what is there at the start has just been loaded
                first = False
                continue
            log.info("config file updated, reload config", config_file=str(self.path))
            self._reload("fail to reload config")

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
