"""Removing a dynamic volume's directory (reference §4.5, DeleteVolume).

The real driver runs Job juicefs-<8 hex>-delvol, which mounts the file system and calls ``juicefs rmr``. Here the
controller does the same in its own container: the sandbox has no Job controller.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from jfsnb.driver import names
from jfsnb.sandbox.csi import mounts

SECONDS = 40


class RemovalFailed(Exception):
    """The directory could not be removed; the text is the client's."""


async def remove_volume(secrets: Mapping[str, str], sub_path: str, client: str = names.CE_CLIENT) -> None:
    """Mount the file system, remove one directory below its root, unmount.

    Raises:
        RemovalFailed: no metadata address, or the client failed, or it took more than 40 seconds.
    """
    metaurl = secrets.get("metaurl", "").strip()
    clean = os.path.normpath("/" + sub_path).lstrip("/")
    if not metaurl or not clean:
        raise RemovalFailed(f"nothing to remove for {sub_path!r}")
    path = Path(tempfile.mkdtemp(prefix="jfs-delvol-"))
    try:
        async with asyncio.timeout(SECONDS):
            process = await _mount(client, metaurl, path)
            try:
                await mounts.away_from_loop(lambda: shutil.rmtree(path / clean, ignore_errors=False), SECONDS)
            except FileNotFoundError:
                pass
            finally:
                process.terminate()
                await process.wait()
    except TimeoutError:
        raise RemovalFailed(f"not done within {SECONDS} seconds") from None
    except OSError as error:
        raise RemovalFailed(str(error)) from error
    finally:
        with contextlib.suppress(OSError):
            mounts.unmount_all(str(path))
            path.rmdir()


async def _mount(client: str, metaurl: str, path: Path) -> asyncio.subprocess.Process:
    cache = f"--cache-dir={names.CACHE_DIR}"
    process = await asyncio.create_subprocess_exec(
        client,
        "--no-agent",
        "mount",
        "--no-usage-report",
        "--no-syslog",
        "--metrics=127.0.0.1:0",
        cache,
        metaurl,
        str(path),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    watch = mounts.MountWatch()
    try:
        while not await watch.served(str(path), 0.5, lambda: process.returncode is None):
            if process.returncode is not None:
                text = (await process.stderr.read()).decode("utf-8", "replace") if process.stderr else ""
                raise RemovalFailed(text.strip()[-500:] or f"exit status {process.returncode}")
    finally:
        watch.close()
    return process
