"""Where the sandbox's file system keeps its metadata: in sqlite, which needs nothing, or in a Redis of its own."""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from jfsnb.errors import SandboxError, UsageError

ENGINES = ("sqlite", "redis")
SERVERS = ("redis-server", "valkey-server")
PORT, START_SECONDS = 6379, 10.0
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def choose(engine: str = "") -> str:
    """The engine to use.

    Args:
        engine: one of ENGINES; empty reads JFSNB_METADATA, and is sqlite without it.

    Raises:
        UsageError: no such engine, or this machine has no program for it.
    """
    chosen = engine or os.environ.get("JFSNB_METADATA") or ENGINES[0]
    if chosen not in ENGINES:
        raise UsageError(f"{chosen!r} is no metadata engine of the sandbox", f"use one of {', '.join(ENGINES)}")
    if chosen == "redis" and not _program():
        raise UsageError(
            f"metadata in Redis needs {' or '.join(SERVERS)}, and neither is on PATH",
            "apt-get install redis-server, as root; or use sqlite, which needs nothing",
        )
    return chosen


class Redis:
    """A Redis server on a loopback address of its own, with a password; it dies with the process that started it.

    Args:
        state: the sandbox's directory.

    Raises:
        SandboxError: it did not start; the message ends with its log.
    """

    def __init__(self, state: Path) -> None:
        address = f"127.{secrets.randbelow(127) + 128}.{secrets.randbelow(256)}.{secrets.randbelow(254) + 1}"
        password, parent = secrets.token_urlsafe(24), os.getpid()
        self.url = f"redis://:{password}@{address}:{PORT}/1"
        self._log = state / "log" / "redis.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [_program(), "-"],  # its configuration comes over stdin: a password has no place among the arguments
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=state / "store" / "meta",
                preexec_fn=lambda: _die_with(parent),
            )
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError), self._process.stdin as configuration:
            configuration.write(_configuration(address, password).encode())
        self._wait(address)

    def stop(self) -> None:
        """End it and wait until it is gone."""
        self._process.terminate()
        self._process.wait()

    def _wait(self, address: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection((address, PORT), 1):
                return
            time.sleep(0.005)  # there is nothing to wait for but the port itself
        self._process.kill()
        said = self._log.read_text(errors="replace").strip()
        raise SandboxError(f"{_program()} did not start\n{said[-500:]}".rstrip(), "use sqlite: --metadata sqlite")


def _program() -> str:
    return next((found for name in SERVERS if (found := shutil.which(name))), "")


def _configuration(address: str, password: str) -> str:
    lines = (
        f"bind {address}",
        f"port {PORT}",
        f"requirepass {password}",
        "appendonly yes",  # JuiceFS warns without, and with another policy
        "maxmemory-policy noeviction",
        'save ""',
    )
    return "\n".join(lines) + "\n"


def _die_with(parent: int) -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
