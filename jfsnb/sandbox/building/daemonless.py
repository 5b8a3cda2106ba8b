"""An engine without a daemon: it carries out a Dockerfile in containers of the sandbox's kind, and writes an archive.

For the sandbox and for CI jobs without an engine. It knows no registry and no cache, and makes images of one layer.
"""

from __future__ import annotations

import asyncio
import os
import platform
import queue
import shutil
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jfsnb.builder import archive, minimal
from jfsnb.builder.dockerfile import Instruction, Stage, expand, parse
from jfsnb.builder.engine import BuildFailed, BuildRequest
from jfsnb.builder.ignore import Ignore
from jfsnb.builder.process import Say
from jfsnb.builder.progress import StepReader
from jfsnb.builder.recipe import CLIENT
from jfsnb.errors import JfsnbError, UsageError
from jfsnb.sandbox.building.stage import BuildStage
from jfsnb.sandbox.images.catalogue import HOST_IMAGE
from jfsnb.sandbox.images.images import ImageStore
from jfsnb.sandbox.runtime.runtime import BindMount, ContainerSpec, Runtime, StartError
from jfsnb.sandbox.runtime.tier import Tier, detect

#: Bases that need no image: everything of this machine (compilers too), and the few programs that a Mount Pod calls.
TOOLCHAIN, MINIMAL = "local/machine:toolchain", "local/machine:minimal"
NODE = "builder"
STAGES = "var/lib/jfsnb-build"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass
class DaemonlessEngine:
    """Builds in namespaces of its own; see the module's words.

    Args:
        bases: base images by their name: an archive of ``docker save``, or a directory that is a root file system.
        tier: what this machine can do.
    """

    bases: Mapping[str, Path] = field(default_factory=dict)
    tier: Tier = field(default_factory=detect)
    name: str = "daemonless"
    title: str = "jfsnb's own builder, without a daemon"
    note: str = (
        "Built without a container engine: one layer, no build cache, base images only from files or from this "
        "machine's own programs. Good for the sandbox and for CI; build what you ship with Docker, podman or buildah."
    )

    def __post_init__(self) -> None:
        self._kept = tempfile.TemporaryDirectory(prefix="jfsnb-images-")
        self._archives: dict[str, Path] = {}
        self._versions: dict[str, str] = {}

    def command(self, request: BuildRequest) -> str:
        """What a person would type."""
        return f"jfsnb build --engine daemonless --tag {request.tag} {request.context}"

    def has(self, reference: str) -> bool:
        """Whether a base image is here."""
        return reference in (TOOLCHAIN, MINIMAL, "scratch") or reference in self.bases

    def save(self, reference: str, archive: Path) -> None:
        """Write a built image as an archive. Raises JfsnbError."""
        if reference not in self._archives:
            raise JfsnbError(f"{reference} was not built here", "build it first")
        shutil.copyfile(self._archives[reference], archive)

    def push(self, reference: str, say: Say) -> str:
        """Not this engine's work. Raises UsageError."""
        raise UsageError("this builder knows no registry", "load the archive into an engine and push it from there")

    def run_client(self, reference: str) -> str | None:
        """What the client said at the end of the build."""
        return self._versions.get(reference) or None

    def build(self, request: BuildRequest, say: Say) -> None:
        """Build; the lines are told in the calling thread. Raises BuildFailed, UsageError, SandboxError."""
        if self.tier.name == "recorded":
            raise UsageError(f"this machine cannot run containers: {self.tier.reason}", "use Docker, podman or buildah")
        reader, lines = StepReader(), queue.SimpleQueue[str | None]()
        work = _InThread(self._build, request, lines)
        try:
            while (line := lines.get()) is not None:
                reader.feed(line)
                say(line)
        except BaseException:
            work.cancel()
            raise
        try:
            work.result()
        except _StepFailed as failure:
            raise BuildFailed(reader.failed, reader.failed_output, str(failure)) from failure

    async def _build(self, request: BuildRequest, lines: queue.SimpleQueue[str | None]) -> None:
        stages = parse(request.dockerfile, request.arguments)
        with tempfile.TemporaryDirectory(prefix="jfsnb-b-", ignore_cleanup_errors=True) as folder:
            state = Path(folder)
            runtime = await Runtime.start(state, NODE, self.tier)
            try:
                build = _Build(runtime, request, self.bases, ImageStore(state), lines.put)
                stage = await build.carry_out(stages)
                self._versions[request.tag] = await build.version_of(stage)
                lines.put("Writing the image archive")
                target = Path(self._kept.name) / f"{len(self._archives)}.tar"
                made = await asyncio.to_thread(_write, target, stage, request)
                self._archives[request.tag] = target
                lines.put(f"Successfully built {made.removeprefix('sha256:')[:12]}")
                lines.put(f"Successfully tagged {request.tag}")
            finally:
                await runtime.close()


class _StepFailed(Exception):
    """A RUN that ended with another code than 0, in Docker's words."""


class _Build:
    """One build on a running node."""

    def __init__(
        self, runtime: Runtime, request: BuildRequest, bases: Mapping[str, Path], images: ImageStore, say: Say
    ) -> None:
        self.runtime, self.request, self.bases, self.say = runtime, request, bases, say
        self.host = images.find(HOST_IMAGE)
        self.made: dict[str, BuildStage] = {}
        self.folder = runtime.node_root / STAGES
        self.containers = 0
        self.ignore = Ignore.parse(request.ignore)

    async def carry_out(self, stages: tuple[Stage, ...]) -> BuildStage:
        """All stages; the last one."""
        total = sum(1 + len(stage.instructions) for stage in stages)
        number = 0
        for position, stage in enumerate(stages):
            number += 1
            self.say(
                f"Step {number}/{total} : FROM {stage.base}"
                + (f" AS {stage.name}" if stage.name != str(position) else "")
            )
            current = await asyncio.to_thread(self._begin, stage, position)
            self.made[stage.name] = self.made[str(position)] = current
            for instruction in stage.instructions:
                number += 1
                self.say(f"Step {number}/{total} : {instruction.text}")
                await self._step(current, instruction)
        return current

    def _begin(self, stage: Stage, position: int) -> BuildStage:
        root = self.folder / str(position)
        root.parent.mkdir(parents=True, exist_ok=True)
        earlier = self.made.get(stage.base)
        if earlier is not None:
            shutil.copytree(earlier.root, root, symlinks=True)
            return replace(earlier, root=root, env=dict(earlier.env), labels=dict(earlier.labels), arguments={})
        root.mkdir()
        if stage.base == MINIMAL:
            minimal.pick(root)
        elif (base := self.bases.get(stage.base)) is not None:
            return _from_base(base, root, self.request.arguments)
        elif stage.base not in (TOOLCHAIN, "scratch"):
            raise UsageError(
                f"there is no base image {stage.base} here",
                f"give it as a file (--base {stage.base}=FILE.tar), or use {TOOLCHAIN} and {MINIMAL}",
            )
        made = BuildStage(root, on_machine=stage.base == TOOLCHAIN, given=self.request.arguments)
        if made.on_machine:
            made.env["PATH"] = _machine_path(made.env["PATH"])
        return made

    async def _step(self, stage: BuildStage, instruction: Instruction) -> None:
        if instruction.name == "RUN":
            code, _ = await self.run(stage, instruction.argv, self.say)
            if code:
                raise _StepFailed(f"The command '{' '.join(instruction.argv)}' returned a non-zero code: {code}")
        elif instruction.name in ("COPY", "ADD"):
            origin = instruction.flags.get("from")
            if origin is not None and expand(origin, stage.values) not in self.made:
                raise UsageError(
                    f"line {instruction.line}: no stage {origin!r}", "copy from an earlier stage, or use Docker"
                )
            source = self.made[expand(origin, stage.values)] if origin else (self.request.context, self.ignore)
            await asyncio.to_thread(stage.copy, instruction, source)
        else:
            stage.take(instruction)

    async def version_of(self, stage: BuildStage) -> str:
        """What the client in a stage says of itself; empty where there is none that can be started."""
        try:
            code, said = await self.run(stage, (CLIENT, "--version"))
        except _StepFailed:
            return ""
        return said if code == 0 else ""

    async def run(self, stage: BuildStage, argv: tuple[str, ...], say: Say = lambda line: None) -> tuple[int, str]:
        """Run a command in a stage: exit code, what it wrote. Raises UsageError when it cannot be started."""
        self.containers += 1
        here = f"/{STAGES}/{stage.root.name}"
        written = [p.name for p in stage.root.iterdir()] if stage.on_machine else []
        spec = ContainerSpec(
            id=f"build-{self.containers}",
            hostname="build",
            image=self.host,
            argv=argv,
            env=stage.values,
            working_dir=stage.working_dir,
            root="" if stage.on_machine else here,
            mounts=tuple(BindMount(f"{here}/{name}", f"/{name}") for name in written),
        )
        output = _Lines(say)
        try:
            process = await self.runtime.run(spec, output)
        except StartError as error:
            raise _StepFailed(str(error)) from error
        code = await process.exited
        output.close()
        return code, output.text


class _Lines:
    """Cuts a process's output into lines."""

    def __init__(self, say: Say) -> None:
        self._say, self._rest, self._all = say, b"", list[str]()

    def __call__(self, stream: str, data: bytes) -> None:
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            self._told(line)

    def close(self) -> None:
        if self._rest:
            self._told(self._rest)

    def _told(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip("\r")
        self._all.append(text)
        del self._all[:-50]
        self._say(text)

    @property
    def text(self) -> str:
        return "\n".join(self._all)


class _InThread:
    """A coroutine in a thread and event loop of its own: the caller may have a running loop (a notebook does)."""

    def __init__(self, work: Any, request: BuildRequest, lines: queue.SimpleQueue[str | None]) -> None:
        self._error: BaseException | None = None
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[None] = self._loop.create_task(work(request, lines))
        self._thread = threading.Thread(target=self._run, args=(lines,), name="jfsnb-build")
        self._thread.start()

    def _run(self, lines: queue.SimpleQueue[str | None]) -> None:
        try:
            self._loop.run_until_complete(self._task)
        except BaseException as error:
            self._error = error
        finally:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()
            lines.put(None)

    def cancel(self) -> None:
        """Stop, and wait until nothing of it is left."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join()

    def result(self) -> None:
        """Wait for the end; raises what the coroutine raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error


def _machine_path(path: str) -> str:
    """The usual PATH, and what else this process has in it that a container sees too (``/usr/local/go/bin``)."""
    more = [p for p in os.environ.get("PATH", "").split(":") if p.startswith(("/usr/", "/opt/"))]
    return ":".join(dict.fromkeys([*path.split(":"), *more]))


def _from_base(base: Path, root: Path, given: Mapping[str, str]) -> BuildStage:
    if base.is_dir():
        shutil.copytree(base, root, symlinks=True, dirs_exist_ok=True)
        return BuildStage(root, given=given)
    with archive.ImageArchive(base) as image:
        image.unpack(root)
        config = image.config.get("config") or {}
    stage = BuildStage(root, given=given, working_dir=config.get("WorkingDir") or "/", user=config.get("User") or "")
    stage.env |= dict(pair.partition("=")[::2] for pair in config.get("Env") or [])
    stage.labels |= config.get("Labels") or {}
    stage.entrypoint, stage.command = tuple(config.get("Entrypoint") or ()), tuple(config.get("Cmd") or ())
    return stage


def _write(path: Path, stage: BuildStage, request: BuildRequest) -> str:
    if stage.on_machine:
        raise UsageError(f"an image cannot stand on {TOOLCHAIN}", f"use {MINIMAL} or a base image for the last stage")
    machine = platform.machine()
    config = archive.ImageConfig(
        architecture=ARCHITECTURES.get(machine, machine),
        created=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        env=stage.env,
        labels={**stage.labels, **request.labels},
        entrypoint=stage.entrypoint,
        command=stage.command,
        working_dir=stage.working_dir,
        user=stage.user,
        made_by="jfsnb build, without a daemon",
    )
    return archive.write(path, stage.root, config, [request.tag])
