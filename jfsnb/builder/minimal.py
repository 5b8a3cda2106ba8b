"""A small root file system of this machine's own programs: a base image where there is no registry to pull one from."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from jfsnb.builder.process import ask
from jfsnb.errors import UsageError

#: What the driver calls in a Mount Pod, and what the Dockerfile's last step calls.
DRIVER_AND_BUILD = (
    "sh",
    "bash",
    "umount",
    "mount",
    "rmdir",
    "stat",
    "kill",
    "ln",
    "rm",
    "cp",
    "cat",
    "ls",
    "mkdir",
    "sed",
)
#: What the smoke Pod of the article and the questions of notebook 05 call.
SMOKE_PROGRAMS = (
    *("bash", "mountpoint", "cat", "rm", "grep", "date", "sleep", "touch", "sync", "head", "od", "tr", "cut"),
    *("sha256sum", "readlink", "ls", "wc", "timeout", "env", "seq"),
)
RUN_PROGRAMS = tuple(dict.fromkeys((*DRIVER_AND_BUILD, *SMOKE_PROGRAMS)))
#: A client that says it is static may still load these.
LIBRARIES = (
    "libc.so.6",
    "libdl.so.2",
    "libpthread.so.0",
    "libm.so.6",
    "librt.so.1",
    "libresolv.so.2",
    "libnss_files.so.2",
)
DIRECTORIES = ("bin", "etc", "tmp", "proc", "dev", "sys", "root", "run", "usr/bin", "usr/local/bin", "var/tmp")
LIBRARY_PATHS = ("/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/lib64", "/usr/lib64", "/usr/lib")
_LOADED = re.compile(r"(/\S+\.so\S*)")


def pick(root: Path, programs: Iterable[str] = RUN_PROGRAMS) -> None:
    """Copy programs of this machine, and the libraries that they load, into a new root file system.

    Args:
        root: directory; made when it is not there.
        programs: names to find in PATH; each comes to /bin.

    Raises:
        UsageError: one is not installed here.
    """
    for name in DIRECTORIES:
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("tmp", "var/tmp"):
        (root / name).chmod(0o1777)
    for program in programs:
        found = shutil.which(program)
        if found is None:
            raise UsageError(f"{program} is not installed on this machine", "install it, or use a base image")
        shutil.copyfile(found, root / "bin" / program)
        (root / "bin" / program).chmod(0o755)
        for library in _LOADED.findall(ask(["ldd", os.path.realpath(found)]) or ""):
            _copy(library, root)
    for folder in LIBRARY_PATHS:
        for name in LIBRARIES:
            _copy(f"{folder}/{name}", root)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n", encoding="utf-8")
    (root / "etc/group").write_text("root:x:0:\n", encoding="utf-8")
    if os.path.isdir("/etc/ssl/certs") and os.path.isfile("/etc/ssl/certs/ca-certificates.crt"):
        _copy("/etc/ssl/certs/ca-certificates.crt", root)


def _copy(path: str, root: Path) -> None:
    target = root / path.lstrip("/")
    if os.path.isfile(path) and not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        target.chmod(0o755)
