"""The JuiceFS client in the driver's own image: it tells a file system's UUID (reference §4.2 step 5).

The real driver runs ``juicefs config``; clients before 1.0 do not have that, ``juicefs status`` says the same in all.
"""

from __future__ import annotations

import asyncio
import json
import re
from urllib.parse import urlsplit

from jfsnb.driver import names

PROBE_SECONDS = 16
NOT_FORMATTED = ("database is not formatted", "no such table: jfs_setting")  # clients 1.x; 0.14 with sqlite


class ClientError(Exception):
    """The client failed; the text is what the driver passes on."""


async def file_system_uuid(metaurl: str, client: str = names.CE_CLIENT) -> str:
    """UUID of the file system behind a metadata address; empty when it is not formatted yet.

    Raises:
        ClientError: no answer in 16 seconds, or the client's output with its exit status.
    """
    process = await asyncio.create_subprocess_exec(
        client,
        "--no-agent",
        "status",
        metaurl,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), PROBE_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise ClientError(f"juicefs status {PROBE_SECONDS}s timed out") from None
    text = err.decode("utf-8", "replace") + out.decode("utf-8", "replace")
    if process.returncode:
        if any(words in text for words in NOT_FORMATTED):
            return ""
        raise ClientError(f"{without_password(text, metaurl).strip()}: exit status {process.returncode}")
    return uuid_in(out.decode("utf-8", "replace"))


def uuid_in(output: str) -> str:
    """``Setting.UUID`` of the client's answer; empty when there is none."""
    start = output.find("{")
    try:
        answer = json.loads(output[start:]) if start >= 0 else {}
    except ValueError:
        found = re.search(r'"UUID":\s*"([^"]+)"', output)
        return found[1] if found else ""
    return str((answer.get("Setting") or answer).get("UUID", ""))


def without_password(text: str, metaurl: str) -> str:
    password = _password(metaurl)
    return text.replace(password, "****") if password else text


def _password(metaurl: str) -> str:
    try:
        return urlsplit(metaurl).password or ""
    except ValueError:
        return ""
