"""The JuiceFS client in the driver's own image: it tells a file system's UUID (reference §4.2 step 5)."""

from __future__ import annotations

import asyncio
import json
import re
from urllib.parse import urlsplit

from jfsnb.driver import names

PROBE_SECONDS = 16
NOT_FORMATTED = "database is not formatted"


class ClientError(Exception):
    """The client failed; the text is what the driver passes on."""


async def file_system_uuid(metaurl: str, client: str = names.CE_CLIENT) -> str:
    """UUID of the file system behind a metadata address; empty when it is not formatted yet.

    Raises:
        ClientError: no answer in 16 seconds, or the client's output with its exit status.
    """
    process = await asyncio.create_subprocess_exec(
        client,
        "config",
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
        raise ClientError(f"juicefs config {PROBE_SECONDS}s timed out") from None
    text = err.decode("utf-8", "replace") + out.decode("utf-8", "replace")
    if process.returncode:
        if NOT_FORMATTED in text:
            return ""
        raise ClientError(f"{without_password(text, metaurl).strip()}: exit status {process.returncode}")
    return uuid_in(out.decode("utf-8", "replace"))


def uuid_in(output: str) -> str:
    """``UUID`` in the client's answer; empty when there is none."""
    start = output.find("{")
    try:
        answer = json.loads(output[start:]) if start >= 0 else {}
    except ValueError:
        found = re.search(r'"UUID":\s*"([^"]+)"', output)
        return found[1] if found else ""
    return str(answer.get("UUID", ""))


def without_password(text: str, metaurl: str) -> str:
    password = _password(metaurl)
    return text.replace(password, "****") if password else text


def _password(metaurl: str) -> str:
    try:
        return urlsplit(metaurl).password or ""
    except ValueError:
        return ""
