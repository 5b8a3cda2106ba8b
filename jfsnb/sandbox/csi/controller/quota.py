"""A volume's size is a quota of its directory, set by the client in the driver's image (reference §4.2, §4.5)."""

from __future__ import annotations

import asyncio

from jfsnb.driver import names
from jfsnb.sandbox.csi.juicefs import ClientError, without_password
from jfsnb.sandbox.csi.klog import Logger

log = Logger("juicefs")
GIB = 1 << 30
#: What clients answer that know no quota: before 1.1.
UNKNOWN = ("invalid command: quota", "No help topic for 'quota'")
SECONDS = 20


async def set_quota(metaurl: str, path: str, capacity: int, client: str = names.CE_CLIENT) -> None:
    """Limit a directory; a client that knows no quota is passed over, as the driver does.

    Args:
        metaurl: of the file system. path: of the directory in it. capacity: bytes; whole GiB count.

    Raises:
        ClientError: less than one GiB, or the client's output with its exit status.
    """
    size = capacity // GIB
    if size <= 0:
        raise ClientError(f"capacity {capacity} is too small, at least 1GiB for quota")
    create = ["--create"] if await can_create(client) else []
    words = ["quota", "set", metaurl, "--path", path, "--capacity", str(size), *create]
    log.info("quota cmd", command=" ".join([client, *["${metaurl}" if w == metaurl else w for w in words]]))
    status, text = await _run(client, *words)
    if not status:
        log.info("quota set success", path=path, capacity=size)
    elif any(answer in text for answer in UNKNOWN):
        log.info("juicefs inside do not support quota, skip it.")
    else:
        raise ClientError(f"{without_password(text, metaurl).strip()}: exit status {status}")


async def can_create(client: str = names.CE_CLIENT) -> bool:
    """Whether ``quota set`` makes the directory (1.3 and later), so that the quota can come before the first mount."""
    _, text = await _run(client, "quota", "set", "--help")
    return "--create" in text


async def _run(*words: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise ClientError(f"juicefs quota {SECONDS}s timed out") from None
    return process.returncode or 0, out.decode("utf-8", "replace")
