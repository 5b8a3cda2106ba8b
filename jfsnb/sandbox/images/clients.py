"""JuiceFS clients on this machine, in a cache that outlives sandboxes.

A client has about 120 MB: it is hashed once, when it comes into the cache, and what is known of it stands beside it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from jfsnb.errors import UsageError

VERSION = re.compile(r"juicefs version (\d+\.\d+\.\d+\S*.*)")
OLDEST = (1, 0)
#: Exit code of jfsnb.sandbox.runtime.ask where the program was not run.
NOT_ASKED = 125


@dataclass(frozen=True)
class Client:
    """A client binary in the cache.

    Args:
        path: the binary.
        version: what it answers to ``--version``, without the words before the number.
        sha256: hash of the binary.
    """

    path: Path
    version: str
    sha256: str


def cache_directory() -> Path:
    """JFSNB_CACHE; else the Python environment's share/jfsnb where that can be written; else the user's cache."""
    if chosen := os.environ.get("JFSNB_CACHE"):
        return Path(chosen).absolute()
    share = Path(sys.prefix) / "share"
    if sys.prefix != sys.base_prefix and os.access(share if share.exists() else sys.prefix, os.W_OK):
        return share / "jfsnb"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jfsnb"


def have_any() -> bool:
    """Whether some client is in the cache, fetched or added, that the sandbox can use."""
    homes = (about.parent.name for about in (cache_directory() / "clients").glob("*/client.json"))
    return any(client and release(client.version) >= OLDEST for client in map(find_client, homes))


def find_client(name: str) -> Client | None:
    """The client that is kept under a name, or None."""
    home = _home(name)
    try:
        about = json.loads((home / "client.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    binary = home / "juicefs"
    return Client(binary, about["version"], about["sha256"]) if binary.is_file() else None


def keep_client(binary: Path) -> Client:
    """Copy a client into the cache and ask it what it is.

    Raises:
        UsageError: it is no file, it does not answer ``--version`` as a JuiceFS client does, or it is older than 1.0.
    """
    if not binary.is_file():
        raise UsageError(f"{binary} is no file", "name the juicefs binary itself")
    version = ask_version(binary)
    with binary.open("rb") as file:
        name = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    return find_client(name) or put_client(name, version, lambda copy: shutil.copyfile(binary, copy))


def put_client(name: str, version: str, write: Callable[[Path], object]) -> Client:
    """Keep a client under a name.

    Args:
        name: of its directory in the cache.
        version: what it answers to ``--version``.
        write: makes the binary at the path that it is given.
    """
    home = _home(name)
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=".new-") as scratch:
        new = Path(scratch) / "client"
        new.mkdir()
        binary = new / "juicefs"
        write(binary)
        binary.chmod(0o755)
        with binary.open("rb") as file:
            about = {"version": version, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
        (new / "client.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
        with contextlib.suppress(OSError):  # somebody else was faster: theirs is as good
            new.rename(home)
    return Client(home / "juicefs", version, about["sha256"])


def remove_client(name: str) -> None:
    """Take a client out of the cache; nothing happens where there is none."""
    shutil.rmtree(_home(name), ignore_errors=True)


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold a lock that every process of this machine respects which uses the same cache."""
    directory = cache_directory() / "clients"
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / f".{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def ask_version(binary: Path) -> str:
    """What ``binary --version`` says after "juicefs version", asked in a container: it may be anything.

    Raises:
        UsageError: it cannot be run, is no client, or is older than 1.0, where the driver's command lines begin.
    """
    hint = "name a juicefs binary for this machine, 1.0 or newer; `PATH --version` must print 'juicefs version …'"
    asked = [sys.executable, "-m", "jfsnb.sandbox.runtime.ask", str(binary.absolute()), "--version"]
    try:  # a process of its own: making a node forks, and this one may have threads
        result = subprocess.run(asked, capture_output=True, text=True, errors="replace", timeout=90, cwd="/")
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"{binary} cannot be run: {error}", hint) from error
    if result.returncode == NOT_ASKED:
        raise UsageError(f"{binary} cannot be run: {result.stderr.strip()[-300:]}", hint)
    match = VERSION.search(result.stdout + result.stderr)
    if match is None:
        raise UsageError(f"{binary} is no JuiceFS client: it answers {result.stdout.strip()[:80]!r}", hint)
    version = match[1].strip()
    if release(version) < OLDEST:
        raise UsageError(f"{binary} is JuiceFS {version}: too old for the driver's command lines", hint)
    return version


def release(version: str) -> tuple[int, int]:
    """Major and minor number of what a client says it is."""
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def _home(name: str) -> Path:
    return cache_directory() / "clients" / name
