"""Writes the files of a volume so that a reader sees the old set or the new one, never a mixture.

As the kubelet's atomic writer: files live in a directory with a time stamp, ``..data`` is a link to it, and each
name that a user sees is a link through ``..data``. A new set of files is one rename of ``..data``.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from jfsnb.sandbox.kubelet.volumes.content import File, VolumeError

DATA = "..data"


def write(root: Path, files: Mapping[str, File], gid: int | None = None) -> bool:
    """Make the volume at ``root`` contain exactly ``files``.

    Args:
        root: the volume's directory; made when missing.
        files: path below the root -> file.
        gid: group of the files (fsGroup); None leaves it.

    Returns:
        Whether anything changed.

    Raises:
        VolumeError: a path leaves the volume.
    """
    for path in files:
        _check(path)
    root.mkdir(mode=0o755, parents=True, exist_ok=True)
    old = _current(root)
    if old is not None and _same(root / old, files):
        return False
    name = datetime.now(UTC).strftime("..%Y_%m_%d_%H_%M_%S.")
    fresh = Path(tempfile.mkdtemp(prefix=name, dir=root))
    fresh.chmod(0o755)
    for path, file in files.items():
        _write_file(fresh, path, file, gid)
    link = root / "..data_tmp"
    link.unlink(missing_ok=True)
    link.symlink_to(fresh.name)
    link.rename(root / DATA)
    _link_names(root, {path.split("/", 1)[0] for path in files})
    if old is not None:
        shutil.rmtree(root / old, ignore_errors=True)
    return True


def _check(path: str) -> None:
    parts = path.split("/")
    if path.startswith("/") or ".." in parts or not path or parts[0].startswith(".."):
        raise VolumeError(f"invalid path: must be relative path: {path}")


def _current(root: Path) -> str | None:
    try:
        return os.readlink(root / DATA)
    except OSError:
        return None


def _same(directory: Path, files: Mapping[str, File]) -> bool:
    found = {str(p.relative_to(directory)): p for p in directory.rglob("*") if p.is_file()}
    if found.keys() != files.keys():
        return False
    return all(
        p.read_bytes() == files[name].data and p.stat().st_mode & 0o777 == files[name].mode & 0o777
        for name, p in found.items()
    )


def _write_file(directory: Path, path: str, file: File, gid: int | None) -> None:
    target = directory / path
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    target.write_bytes(file.data)
    mode = file.mode
    if gid is not None:
        os.chown(target, -1, gid)
        mode |= 0o040
    target.chmod(mode)  # not through open(): the umask must not take part


def _link_names(root: Path, names: set[str]) -> None:
    for name in names:
        link = root / name
        if not link.is_symlink():
            link.symlink_to(f"{DATA}/{name}")
    for entry in root.iterdir():
        if not entry.name.startswith("..") and entry.name not in names:
            entry.unlink()
