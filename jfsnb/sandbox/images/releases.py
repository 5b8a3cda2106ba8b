"""Clients from JuiceFS's own release page, or from a mirror with the same layout.

For release 1.2.3: ``<base>/v1.2.3/juicefs-1.2.3-linux-amd64.tar.gz`` with the client in it, and beside it
``checksums.txt`` with one line ``<sha256>  <file>`` for each archive.
"""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from jfsnb.errors import SandboxError, UsageError
from jfsnb.sandbox.images.clients import ask_version
from jfsnb.sandbox.images.progress import Progress, quiet

PAGE = "https://github.com/juicedata/juicefs/releases/download"
RELEASE = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.]+)?")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
SECONDS, PIECE = 60, 1 << 18


def release_number(text: str) -> str:
    """``1.2.3`` of ``1.2.3``, ``v1.2.3`` or ``ce-v1.2.3``. Raises UsageError."""
    number = text.removeprefix("ce-").removeprefix("v")
    if RELEASE.fullmatch(number) is None:
        raise UsageError(f"{text!r} is no version of JuiceFS", "name a release: jfsnb sandbox images fetch 1.2.3")
    return number


def fetch_release(version: str, directory: Path, base: str = PAGE, progress: Progress = quiet) -> Path:
    """Download a release, hold it against its checksum, and unpack its client.

    Args:
        version: a release number.
        directory: where the client goes.
        base: address of the release page or of a mirror.
        progress: shows how far the download is.

    Returns:
        The binary; it has said that it is this version.

    Raises:
        SandboxError: it cannot be had, or is not what the checksum file says.
    """
    archive = f"juicefs-{version}-linux-{_architecture()}.tar.gz"
    page = f"{base.rstrip('/')}/v{version}"
    wanted = _checksum(_text(f"{page}/checksums.txt", version), archive, page)
    with tempfile.TemporaryDirectory(prefix="jfsnb-client-") as scratch:
        file = Path(scratch) / archive
        found = _download(f"{page}/{archive}", file, version, progress)
        if found != wanted:
            raise SandboxError(
                f"{page}/{archive} has sha256 {found}, but checksums.txt says {wanted}",
                "do not use it; try again, and if it stays so, tell those who run that page",
            )
        binary = _unpack(file, directory)
    said = ask_version(binary)
    if said.split()[0].partition("+")[0] != version:
        raise SandboxError(f"the client in {archive} says that it is {said}", "tell those who run that page")
    return binary


def _architecture() -> str:
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        raise SandboxError(f"JuiceFS has no release for this machine ({machine})", "build a client from its source")
    return ARCHITECTURES[machine]


def _checksum(text: str, archive: str, page: str) -> str:
    lines = (line.split() for line in text.splitlines())
    found = {words[1].lstrip("*"): words[0].lower() for words in lines if len(words) == 2}
    if archive not in found:
        raise SandboxError(
            f"{page}/checksums.txt does not name {archive}", "look on the page for what this release has"
        )
    return found[archive]


def _text(url: str, version: str) -> str:
    with _open(url, version) as answer:
        return answer.read(1 << 20).decode("utf-8", "replace")


def _download(url: str, file: Path, version: str, progress: Progress) -> str:
    """Write a file; its sha256."""
    digest = hashlib.sha256()
    with _open(url, version) as answer, file.open("wb") as target:
        size = int(answer.headers.get("Content-Length") or 0)
        with progress(f"fetching JuiceFS {version}", size) as show:
            try:
                while piece := answer.read(PIECE):
                    target.write(piece)
                    digest.update(piece)
                    show(target.tell())
            except (OSError, HTTPException) as error:
                raise SandboxError(f"{url} broke off: {error}", "try again") from error
    return digest.hexdigest()


def _open(url: str, version: str) -> HTTPResponse:
    try:
        answer: HTTPResponse = urllib.request.urlopen(url, timeout=SECONDS)
        return answer
    except urllib.error.HTTPError as error:
        hint = "look on the release page which versions there are, and whether this one has an archive for Linux"
        raise SandboxError(f"JuiceFS {version} is not there: {url} answers {error.code}", hint) from error
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        hint = "check the network and HTTPS_PROXY, or name a mirror of the release page: --from URL, or JFSNB_RELEASES"
        raise SandboxError(f"{url} cannot be reached: {reason}", hint) from error


def _unpack(archive: Path, directory: Path) -> Path:
    binary = directory / "juicefs"
    try:
        with tarfile.open(archive) as files:
            source = files.extractfile("juicefs")
            if source is None:
                raise KeyError("juicefs is no file")
            with source, binary.open("wb") as target:
                shutil.copyfileobj(source, target, PIECE)
    except (tarfile.TarError, KeyError, EOFError, OSError) as error:
        raise SandboxError(f"{archive.name} has no client in it: {error}", "look at the archive") from error
    binary.chmod(0o755)
    return binary
