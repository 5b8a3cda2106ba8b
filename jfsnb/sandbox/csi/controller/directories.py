"""Directories of a file system as the controller handles them for snapshots (reference §4.5).

The real driver starts Jobs that mount the file system and call ``juicefs clone``. Here the controller does both in its
own container.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from jfsnb.driver import names
from jfsnb.sandbox.csi.node import mounts

SECONDS = 40
SNAPSHOTS = ".snapshots"


class FileSystemFailed(Exception):
    """The file system could not be mounted or changed; the text is the client's."""


async def remove(secrets: Mapping[str, str], path: str) -> None:
    """Remove a directory; one that is not there is fine.

    Raises:
        FileSystemFailed: the client failed, or it took more than 40 seconds.
    """

    def work(root: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(_inside(root, path))

    await _in_file_system(secrets, work)


async def copy(secrets: Mapping[str, str], source: str, target: str) -> None:
    """Clone a directory; a source that was never written to makes an empty target, an existing target is kept.

    Raises:
        FileSystemFailed: as ``remove``.
    """

    def work(root: Path) -> None:
        start, end = _inside(root, source), _inside(root, target)
        if end.exists():
            return
        end.parent.mkdir(parents=True, exist_ok=True)
        if start.exists():
            _clone(start, end)
        else:
            end.mkdir()

    await _in_file_system(secrets, work)


def _clone(start: Path, end: Path) -> None:
    """A copy of the metadata alone; both share the objects."""
    done = subprocess.run([names.CE_CLIENT, "clone", "--preserve", start, end], capture_output=True, text=True)
    if done.returncode:
        raise FileSystemFailed(f"{done.stderr.strip()[-500:]}: exit status {done.returncode}")


def snapshot_path(source_volume: str, snapshot: str) -> str:
    """Where the data of a snapshot is."""
    return f"{SNAPSHOTS}/{source_volume}/{snapshot}"


def _inside(root: Path, path: str) -> Path:
    """A path below the root of the file system, whatever it says; never the root itself."""
    clean = os.path.normpath("/" + path).lstrip("/")
    if not clean:
        raise FileSystemFailed(f"{path!r} is the root of the file system")
    return root / clean


async def _in_file_system(secrets: Mapping[str, str], work: Callable[[Path], None]) -> None:
    try:
        async with asyncio.timeout(SECONDS), _mounted(secrets) as root:
            await mounts.away_from_loop(lambda: work(root), SECONDS)
    except TimeoutError:
        raise FileSystemFailed(f"not done within {SECONDS} seconds") from None
    except OSError as error:
        raise FileSystemFailed(str(error)) from error


@asynccontextmanager
async def _mounted(secrets: Mapping[str, str]) -> AsyncIterator[Path]:
    metaurl = secrets.get("metaurl", "").strip()
    if not metaurl:
        raise FileSystemFailed("the secret has no metaurl")
    path = Path(tempfile.mkdtemp(prefix="jfs-"))
    process = await _start_client(metaurl, path)
    watch = mounts.MountWatch()
    try:
        while not await watch.served(str(path), 0.5, lambda: process.returncode is None):
            if process.returncode is not None and process.stderr is not None:
                text = (await process.stderr.read()).decode("utf-8", "replace").strip()
                raise FileSystemFailed(text[-500:] or f"exit status {process.returncode}")
        yield path
    finally:
        watch.close()
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        with contextlib.suppress(OSError):
            mounts.unmount_all(str(path))
            path.rmdir()


async def _start_client(metaurl: str, path: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        names.CE_CLIENT,
        "--no-agent",
        "mount",
        "--no-usage-report",
        "--no-syslog",
        "--metrics=127.0.0.1:0",
        f"--cache-dir={names.CACHE_DIR}",
        metaurl,
        str(path),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
