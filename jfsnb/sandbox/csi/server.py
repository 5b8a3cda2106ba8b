"""What both processes of the driver share: options, sockets, and an orderly end."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any

import grpc

from jfsnb.driver import names
from jfsnb.errors import ConfigInvalid
from jfsnb.sandbox.csi.klog import Logger
from jfsnb.sandbox.csi.node.config_file import ConfigFile
from jfsnb.sandbox.csi.trace import traced
from jfsnb.sandbox.proto import messages as proto

log = Logger("main")


def options(argv: Iterable[str] | None = None) -> argparse.Namespace:
    """The driver's command line; flags of the real one that mean nothing here are passed over."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--endpoint", default=os.environ.get("CSI_ENDPOINT", "unix:/csi/csi.sock"))
    parser.add_argument("--nodeid", default=os.environ.get("NODE_NAME", ""))
    parser.add_argument("--config", default=names.CONFIG_PATH)
    parser.add_argument("--provisioner", default="false")
    known, _ = parser.parse_known_args(None if argv is None else list(argv))
    return known


def load_config(path: str) -> ConfigFile:
    """The configuration at the start; without a usable one the process ends with status 1 (§2.7)."""
    config = ConfigFile(Path(path))
    try:
        config.load()
    except ConfigInvalid as error:
        log.error(error.what, "fail to load config")
        sys.exit(1)
    except OSError as error:
        log.error(error, "fail to load config")
        sys.exit(1)
    return config


def socket_path(endpoint: str) -> Path:
    """The path of ``unix:/path`` or ``unix:///path``."""
    return Path("/" + endpoint.removeprefix("unix:").lstrip("/"))


async def listen(endpoint: str, services: dict[str, object], trace: bool = True) -> grpc.aio.Server:
    """Serve on a unix socket; an old socket at the same path is replaced.

    Args:
        endpoint: ``unix:/path`` or ``unix:///path``.
        services: service name -> implementation.
    """
    path = socket_path(endpoint)
    path.unlink(missing_ok=True)
    server = grpc.aio.server()
    for name, implementation in services.items():
        if trace:
            proto.add_service(server, name, implementation, traced)
        else:
            proto.add_service(server, name, implementation)
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    return server


async def until_stopped(work: Iterable[Coroutine[Any, Any, None]], servers: Iterable[grpc.aio.Server]) -> None:
    """Run until SIGTERM or until a part fails; then stop listening and let running calls finish for a second."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    tasks = [asyncio.ensure_future(w) for w in work]
    ended = asyncio.ensure_future(stop.wait())
    try:
        done, _ = await asyncio.wait([*tasks, ended], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {ended}:
            task.result()
    finally:
        for task in [*tasks, ended]:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(server.stop(1) for server in servers))
