"""What any engine can do: build, say what it has, hand out an archive, run the client once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from jfsnb.builder.process import Say
from jfsnb.builder.progress import Step, what_next
from jfsnb.errors import CheckFailed


@dataclass(frozen=True)
class BuildRequest:
    """What to build.

    Args:
        context: directory of the source.
        dockerfile: its text.
        ignore: text of the .dockerignore that counts.
        own_ignore: whether that is the tree's own, so that the engine finds it there.
        tag: name of the image.
        labels: put on the image.
        arguments: values of ARGs, and proxies (``GOPROXY`` …).
        network: ``host`` or ``none``; empty for the engine's default.
        platform: ``linux/arm64``; empty for the engine's own.
        fresh: use nothing of earlier builds.
        pull: look for newer base images.
    """

    context: Path
    dockerfile: str
    ignore: str
    tag: str
    own_ignore: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    arguments: Mapping[str, str] = field(default_factory=dict)
    network: str = ""
    platform: str = ""
    fresh: bool = False
    pull: bool = False


class Engine(Protocol):
    """Builds images."""

    @property
    def name(self) -> str:
        """``docker``, ``podman``, ``buildah`` or ``daemonless``."""

    @property
    def title(self) -> str:
        """For a person: ``Docker 28.1.1 with BuildKit``."""

    @property
    def note(self) -> str:
        """What a reader of the result must know about this engine; empty when nothing."""

    def command(self, request: BuildRequest) -> str:
        """What a person would type."""

    def build(self, request: BuildRequest, say: Say) -> None:
        """Build; every line is told. Raises BuildFailed."""

    def has(self, reference: str) -> bool:
        """Whether a base image is here, without asking a registry."""

    def save(self, reference: str, archive: Path) -> None:
        """Write an image as an archive that ``docker load`` reads. Raises JfsnbError."""

    def push(self, reference: str, say: Say) -> str:
        """Push to its registry; the digest there. Raises JfsnbError."""

    def run_client(self, reference: str) -> str | None:
        """What ``/usr/local/bin/juicefs --version`` prints in the image; None when it cannot be run."""


class BuildFailed(CheckFailed):
    """A build that ended at a step.

    Args:
        step: at which; None when none had begun.
        output: what the step wrote itself.
        said: the engine's own last words.
    """

    def __init__(self, step: Step | None, output: tuple[str, ...], said: str = "") -> None:
        where = f"the build failed at {step}" if step else "the build failed before its first step"
        told = output[-SHOWN:] or ((said,) if said else ())
        words = said if said and (not output or said not in output) else ""
        lines = [*(f"  │ {line}" for line in told), where + (f": {words}" if words and words not in told else "")]
        super().__init__("\n".join(["", *lines]), what_next((*output, said)))
        self.step, self.output, self.said = step, output, said


SHOWN = 30
