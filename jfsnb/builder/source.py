"""A JuiceFS source tree, looked at before it is built: is it one, which targets, which commit, how heavy."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jfsnb.builder.ignore import Ignore, walk
from jfsnb.errors import JfsnbError, UsageError

MODULE = "github.com/juicedata/juicefs"
GIT_SECONDS = 20
CLONE_SECONDS = 900
_TARGET = re.compile(r"^([A-Za-z0-9_./%-][^:=#\t]*?)\s*::?(?!=)")
_URL = re.compile(r"^([a-z+]+://|git@|[\w.-]+@[\w.-]+:)")


@dataclass(frozen=True)
class SourceTree:
    """What a directory says about itself.

    Args:
        path: the directory.
        module: of its go.mod; empty without one.
        targets: of its Makefile; empty without one.
        commit, commit_date: of its HEAD, in full and ISO 8601; empty without git.
        changed: files that differ from the commit, at most so many are counted.
        git_inside: whether ``.git`` is a directory in it, so that a build in a container can read the commit.
    """

    path: Path
    module: str = ""
    targets: tuple[str, ...] = ()
    commit: str = ""
    commit_date: str = ""
    changed: int = 0
    git_inside: bool = False

    @property
    def is_juicefs(self) -> bool:
        return self.module == MODULE or self.module.startswith(f"{MODULE}/")


@dataclass(frozen=True)
class Context:
    """What the engine is sent.

    Args:
        files: how many files.
        size: bytes.
        heaviest: (first part of the path, bytes), heaviest first, at most five.
        git: whether ``.git`` is part of it.
    """

    files: int
    size: int
    heaviest: tuple[tuple[str, int], ...]
    git: bool


def is_url(source: str) -> bool:
    """Whether a source is a git URL rather than a directory (``https://…``, ``file://…``, ``git@host:…``)."""
    return bool(_URL.match(source))


def look_at(path: Path) -> SourceTree:
    """Read what a directory says about itself; runs nothing of it but git.

    Raises:
        UsageError: it is no directory.
    """
    if not path.is_dir():
        raise UsageError(f"{path} is no directory", "name a JuiceFS source tree, or a git URL")
    module = re.search(r"^module\s+(\S+)", _read(path / "go.mod"), re.M)
    head = _git(path, "log", "-1", "--format=%H %cI").split()
    changed = [line for line in _git(path, "status", "--porcelain", "-uno").splitlines() if line]
    return SourceTree(
        path=path.absolute(),
        module=module[1] if module else "",
        targets=makefile_targets(_read(path / "Makefile")),
        commit=head[0] if len(head) == 2 else "",
        commit_date=head[1] if len(head) == 2 else "",
        changed=len(changed),
        git_inside=(path / ".git").is_dir(),
    )


def makefile_targets(text: str) -> tuple[str, ...]:
    """Names of a Makefile's targets, special ones (``.PHONY``) left out. It is read, not run."""
    found: dict[str, None] = {}
    for line in text.replace("\\\n", " ").splitlines():
        if match := _TARGET.match(line):
            found |= dict.fromkeys(name for name in match[1].split() if not name.startswith(".") or "/" in name)
    return tuple(found)


def weigh(path: Path, ignore: Ignore) -> Context:
    """What the context weighs without what is ignored."""
    sizes: Counter[str] = Counter()
    files, git = 0, False
    for name, entry in walk(path, ignore):
        git = git or name == ".git/HEAD"
        if not entry.is_dir(follow_symlinks=False):
            files += 1
            sizes[name.partition("/")[0]] += entry.stat(follow_symlinks=False).st_size
    return Context(files, sum(sizes.values()), tuple(sizes.most_common(5)), git)


def clone(url: str, folder: Path, say: Callable[[str], None]) -> Path:
    """Fetch a git URL (``URL#branch-or-tag``) without its history.

    Raises:
        UsageError: git is not there. JfsnbError: git could not fetch it.
    """
    address, _, branch = url.partition("#")
    target = folder / "source"
    say(f"git clone {_without_password(address)}" + (f" at {branch}" if branch else ""))
    command = ["git", "clone", "--quiet", "--depth=1", *(["--branch", branch] if branch else []), "--", address]
    try:
        done = subprocess.run(
            [*command, str(target)], capture_output=True, text=True, timeout=CLONE_SECONDS, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError as error:
        raise UsageError("git is not installed", "install git, or name a directory") from error
    except subprocess.TimeoutExpired as error:
        raise JfsnbError(
            f"git clone took more than {CLONE_SECONDS} s", "clone it yourself, name the directory"
        ) from error
    if done.returncode:
        said = done.stderr.strip().replace(address, _without_password(address))
        raise JfsnbError(f"git clone failed: {said}", "check the URL, or clone it yourself and name the directory")
    return target


def _without_password(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//", url)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _git(path: Path, *words: str) -> str:
    """What git says about the directory; empty where it says nothing."""
    command = ["git", "-c", f"safe.directory={path.absolute()}", "-C", str(path), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_SECONDS, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
