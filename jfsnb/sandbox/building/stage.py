"""A build stage as a directory: what FROM, WORKDIR, COPY, ENV and the like do to it. RUN is the builder's."""

from __future__ import annotations

import fnmatch
import os
import posixpath
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jfsnb.builder.dockerfile import Instruction, expand, json_form
from jfsnb.builder.ignore import Ignore, walk
from jfsnb.errors import UsageError
from jfsnb.sandbox.images.image import PATH
from jfsnb.sandbox.images.paths import resolve
from jfsnb.sandbox.runtime.noderoot import USERLAND


@dataclass
class BuildStage:
    """A stage while it is built.

    Args:
        root: its root file system (for ``on_machine`` only what was written).
        on_machine: the base is this machine's own userland, which cannot be written to.
        given: values for ARGs, from outside.
    """

    root: Path
    on_machine: bool = False
    given: Mapping[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=lambda: {"PATH": PATH})
    arguments: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    working_dir: str = "/"
    user: str = ""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()

    @property
    def values(self) -> dict[str, str]:
        """What ``$NAME`` means here: arguments, and environment above them."""
        return {**self.arguments, **self.env}

    def take(self, instruction: Instruction) -> None:
        """Any instruction but FROM, RUN, COPY and ADD."""
        name, pairs = instruction.name, instruction.pairs if instruction.name in ("ENV", "LABEL", "ARG") else {}
        if name == "WORKDIR":
            self.working_dir = posixpath.join(self.working_dir, expand(instruction.rest, self.values))
            Path(self.inside(self.working_dir)).mkdir(parents=True, exist_ok=True)
        elif name == "ENV":
            self.env |= {k: expand(v, self.values) for k, v in pairs.items()}
        elif name == "LABEL":
            self.labels |= {k: expand(v, self.values) for k, v in pairs.items()}
        elif name == "ARG":
            self.arguments |= {k: self.given.get(k, expand(v, self.values)) for k, v in pairs.items()}
        elif name == "CMD":
            self.command = json_form(instruction.rest) or ("/bin/sh", "-c", instruction.rest)
        elif name == "ENTRYPOINT":
            self.entrypoint, self.command = json_form(instruction.rest) or ("/bin/sh", "-c", instruction.rest), ()
        elif name == "USER":
            self.user = expand(instruction.rest, self.values)

    def inside(self, path: str) -> str:
        """A path of the stage as seen from outside; links are followed within the stage. Raises UsageError."""
        path = posixpath.join(self.working_dir, path)
        if self.on_machine and posixpath.normpath(path).split("/")[1] in (*USERLAND, ""):
            raise UsageError(
                f"{path} belongs to this machine, which a build may not change",
                "work in a directory of its own: /build",
            )
        return resolve(str(self.root), path)

    def copy(self, instruction: Instruction, sources: BuildStage | tuple[Path, Ignore]) -> None:
        """COPY and ADD of local files.

        Args:
            sources: another stage, or the context with what is ignored in it.

        Raises:
            UsageError: a source that is not there, or a form that is not known.
        """
        *wanted, target = [expand(word, self.values) for word in instruction.words]
        if instruction.name == "ADD" and any("://" in word or ".tar" in word for word in wanted):
            raise UsageError(
                f"line {instruction.line}: ADD of URLs and archives is not known here", "use COPY, or Docker"
            )
        found = [(name, path) for word in wanted for name, path in _matching(word, sources)]
        if len(found) < len(wanted):
            raise UsageError(f"line {instruction.line}: COPY found no {' '.join(wanted)}", "look at the .dockerignore")
        as_directory = target.endswith("/") or len(found) > 1 or posixpath.normpath(target) == "."
        destination = Path(self.inside(target))
        ignore = sources[1] if isinstance(sources, tuple) else Ignore()
        for name, path in found:
            if path.is_dir():
                _copy_tree(path, destination, ignore, "" if name == "." else f"{name}/")
                continue
            into = as_directory or destination.is_dir()
            file = destination / path.name if into else destination
            file.parent.mkdir(parents=True, exist_ok=True)
            _copy_file(path, file)
            if mode := instruction.flags.get("chmod"):
                file.chmod(int(mode, 8))


def _matching(word: str, sources: BuildStage | tuple[Path, Ignore]) -> Iterator[tuple[str, Path]]:
    """(relative name, path) of what a source of COPY means."""
    name = posixpath.normpath(word).lstrip("/") or "."
    if isinstance(sources, BuildStage):
        folder, pattern = posixpath.split(posixpath.normpath(f"/{word}"))
        parent = Path(resolve(str(sources.root), folder))
        if "*" not in pattern:
            path = Path(resolve(str(sources.root), f"/{word}"))
            yield from [(name, path)] if path.exists() else []
        else:
            yield from (
                (posixpath.join(folder, p.name), p)
                for p in sorted(parent.iterdir())
                if fnmatch.fnmatchcase(p.name, pattern)
            )
        return
    context, ignore = sources
    if name.startswith(".."):
        raise UsageError(f"COPY {word}: outside of the context", "copy what is in the source tree")
    if name == ".":
        yield ".", context
        return
    for relative, _ in walk(context, ignore):
        if fnmatch.fnmatchcase(relative, name) and relative.count("/") == name.count("/"):
            yield relative, context / relative


def _copy_tree(source: Path, target: Path, ignore: Ignore, prefix: str) -> None:
    target.mkdir(parents=True, exist_ok=True)
    if not prefix or not ignore.patterns:
        entries = walk(source, ignore if not prefix else Ignore())
    else:
        entries = ((n, e) for n, e in walk(source, Ignore()) if not ignore.ignores(prefix + n))
    for name, entry in entries:
        there = target / name
        if entry.is_dir(follow_symlinks=False):
            there.mkdir(parents=True, exist_ok=True)
            shutil.copystat(entry.path, there)
        else:
            there.parent.mkdir(parents=True, exist_ok=True)
            _copy_file(Path(entry.path), there)


def _copy_file(source: Path, target: Path) -> None:
    if target.is_symlink() or target.exists():
        target.unlink()
    if source.is_symlink():
        os.symlink(os.readlink(source), target)
    elif source.is_file():
        shutil.copy2(source, target)
