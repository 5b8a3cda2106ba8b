"""Temporary folders of a run: they bear its process id, so that the next run can sweep those of one that was killed."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

_NAME = re.compile(r"jfsnb-[a-z]+-(\d+)-\w+")


def prefix(kind: str) -> str:
    """What the name of a temporary folder of this process begins with."""
    return f"jfsnb-{kind}-{os.getpid()}-"


def sweep(folder: Path | None = None) -> None:
    """Remove this user's temporary folders whose process is no more."""
    for path in (folder or Path(tempfile.gettempdir())).glob("jfsnb-*-*-*"):
        match = _NAME.fullmatch(path.name)
        if match and path.lstat().st_uid == os.getuid() and not Path(f"/proc/{match[1]}").exists():
            shutil.rmtree(path, ignore_errors=True)
