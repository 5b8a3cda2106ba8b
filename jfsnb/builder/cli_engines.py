"""Docker (BuildKit or classic), podman and buildah, through their own command lines.

Through the command line and not a library: it brings contexts, credentials and BuildKit along, and the Python clients
can do the classic builder only (docker) or wrap the same command line (python-on-whales).
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from jfsnb.builder.engine import BuildFailed, BuildRequest, Engine
from jfsnb.builder.ignore import Ignore, walk
from jfsnb.builder.process import Say, ask, stream
from jfsnb.builder.progress import StepReader
from jfsnb.builder.recipe import CLIENT
from jfsnb.errors import JfsnbError

FILE = "mount.Dockerfile"
SAVE_SECONDS = 600.0
_DIGEST = re.compile(r"digest: (sha256:[0-9a-f]{64})")
_LOOPBACK = re.compile(r"^(localhost|127\.[\d.]+)(:\d+)?/")
_ERROR = re.compile(r"\bERROR: |^Error|^error|returned a non-zero code|failed|denied|not found")


@dataclass(frozen=True)
class CliEngine:
    """An engine's command line.

    Args:
        name: ``docker``, ``podman`` or ``buildah``.
        title: for a person.
        program: path of the command.
        buildkit: docker: BuildKit builds, not the classic builder.
        note: what a reader must know.
    """

    name: str
    title: str
    program: str
    buildkit: bool = False
    note: str = ""

    def command(self, request: BuildRequest) -> str:
        """What a person would type."""
        prefix = f"DOCKER_BUILDKIT={int(self.buildkit)} " if self.name == "docker" else ""
        shown = replace(request, labels={})
        words = [self.name, *self._words(shown, FILE, str(request.context))[1:]]
        return prefix + shlex.join(word for word in words if word != "--progress=plain")

    def build(self, request: BuildRequest, say: Say) -> None:
        """Build. Raises BuildFailed."""
        reader, lines = StepReader(), list[str]()

        def take(line: str) -> None:
            reader.feed(line)
            lines.append(line)
            del lines[:-50]
            say(line)

        with tempfile.TemporaryDirectory(prefix="jfsnb-build-") as folder:
            file = Path(folder) / FILE
            file.write_text(request.dockerfile, encoding="utf-8")
            Path(folder, f"{FILE}.dockerignore").write_text(request.ignore, encoding="utf-8")
            env = {"DOCKER_BUILDKIT": str(int(self.buildkit)), "BUILDKIT_PROGRESS": "plain"}
            if self.name == "docker" and not self.buildkit:
                with _sent(request) as stdin:
                    code = stream(self._words(request, FILE, "-"), take, env, stdin)
            else:
                code = stream(self._words(request, str(file), str(request.context)), take, env)
        if code:
            said = next((line for line in reversed(lines) if _ERROR.search(line)), lines[-1] if lines else "")
            raise BuildFailed(reader.failed, reader.failed_output, said)

    def has(self, reference: str) -> bool:
        """Whether an image is here."""
        kind = ["inspect", "--type=image"] if self.name != "docker" else ["image", "inspect"]
        return ask([self.program, *kind, reference]) is not None

    def save(self, reference: str, archive: Path) -> None:
        """Write an archive. Raises JfsnbError."""
        words = {
            "docker": ["save", "-o", str(archive), reference],
            "podman": ["save", "--format=docker-archive", "-o", str(archive), reference],
            "buildah": ["push", reference, f"docker-archive:{archive}:{reference}"],
        }[self.name]
        if ask([self.program, *words], SAVE_SECONDS) is None:
            raise JfsnbError(
                f"{self.name} cannot write {reference} as an archive", f"try: {self.name} {' '.join(words)}"
            )

    def run_client(self, reference: str) -> str | None:
        """The client's version, asked in a container without a network."""
        if self.name == "buildah":
            return self._run_in_buildah(reference)
        options = ["--rm", "--network=none", f"--entrypoint={CLIENT}"]
        return ask([self.program, "run", *options, reference, "--version"], 60)

    def push(self, reference: str, say: Say) -> str:
        """Push to its registry, with the credentials that this engine has; the digest there. Raises JfsnbError."""
        lines: list[str] = []

        def take(line: str) -> None:
            lines.append(line)
            say(line)

        with tempfile.TemporaryDirectory(prefix="jfsnb-push-") as folder:
            digest = Path(folder) / "digest"
            options = [] if self.name == "docker" else [f"--digestfile={digest}"]
            if options and _LOOPBACK.match(reference):
                options.append("--tls-verify=false")  # as Docker does of itself on loopback
            code = stream([self.program, "push", *options, reference], take)
            if digest.exists():
                lines.append(f"digest: {digest.read_text(encoding='utf-8').strip()}")
        found = _DIGEST.search("\n".join(lines))
        if code or found is None:
            last = next((line for line in reversed(lines) if line.strip()), "no output")
            hint = f"log in: {self.name} login {reference.partition('/')[0]}; and check the name of the registry"
            raise JfsnbError(f"{self.name} push {reference} failed: {last}", hint)
        return found[1]

    def _run_in_buildah(self, reference: str) -> str | None:
        container = (ask([self.program, "from", "--pull-never", reference]) or "").strip()
        if not container:
            return None
        try:
            return ask([self.program, "run", "--isolation=chroot", container, "--", CLIENT, "--version"], 60)
        finally:
            ask([self.program, "rm", container])

    def _words(self, request: BuildRequest, file: str, context: str) -> list[str]:
        words = [self.program, "build", "-t", request.tag, "-f", file]
        words += [f"--label={k}={v}" for k, v in request.labels.items()]
        words += [f"--build-arg={k}={v}" for k, v in request.arguments.items()]
        chroot = (
            self.name == "buildah" and os.geteuid() == 0
        )  # works without cgroups, always with the machine's network
        words += [f"--network={request.network}"] if request.network and not chroot else []
        words += [f"--platform={request.platform}"] if request.platform else []
        words += ["--no-cache"] if request.fresh else []
        words += ["--pull"] if request.pull else []
        if self.name == "docker":
            words += ["--progress=plain"] if self.buildkit else ["--rm", "--force-rm"]
        else:
            words += ["--layers", *([] if request.own_ignore else ["--ignorefile", f"{file}.dockerignore"])]
            words += ["--isolation=chroot"] if chroot else []
        return [*words, context]


def find_engines() -> list[Engine]:
    """The engines that answer here: docker, podman, buildah, in this order."""
    found = (_docker(), _podman(), _buildah())
    return [engine for engine in found if engine is not None]


def _docker() -> CliEngine | None:
    program = shutil.which("docker")
    version = program and ask([program, "version", "--format", "{{.Client.Version}} {{.Server.Version}}"])
    if not program or not version:
        return None
    client, server = version.split()[:2]
    if "podman" in (ask([program, "--version"]) or "").lower():
        return CliEngine("podman", f"Podman {client} (as docker)", program)
    buildkit = ask([program, "buildx", "version"]) is not None if _major(client) >= 23 else _major(server) >= 19
    how = "BuildKit" if buildkit else "its classic builder"
    return CliEngine("docker", f"Docker {server} with {how}", program, buildkit)


def _podman() -> CliEngine | None:
    program = shutil.which("podman")
    version = program and ask([program, "info", "--format", "{{.Version.Version}}"])
    return CliEngine("podman", f"Podman {version.strip()}", program) if program and version else None


def _buildah() -> CliEngine | None:
    program = shutil.which("buildah")
    version = program and ask([program, "--version"])
    if not program or not version or ask([program, "images"]) is None:
        return None
    return CliEngine("buildah", f"Buildah {version.split()[2]}", program)


def _major(version: str) -> int:
    number = version.partition(".")[0]
    return int(number) if number.isdigit() else 0


@contextlib.contextmanager
def _sent(request: BuildRequest) -> Iterator[int]:
    """The context as a tar stream: the classic builder reads no other .dockerignore than the tree's own."""
    reading, writing = os.pipe()
    writer = threading.Thread(target=_write_context, args=(request, writing), daemon=True)
    writer.start()
    try:
        yield reading
    finally:
        os.close(reading)
        writer.join()


def _write_context(request: BuildRequest, fd: int) -> None:
    with contextlib.suppress(BrokenPipeError), os.fdopen(fd, "wb") as pipe:
        # docker tells a context from a Dockerfile by its first 512 bytes, which must be the whole header of an entry
        with tarfile.open(fileobj=pipe, mode="w|", format=tarfile.GNU_FORMAT) as tar:
            for name, entry in walk(request.context, Ignore.parse(request.ignore)):
                tar.add(entry.path, name, recursive=False)
            with tempfile.NamedTemporaryFile() as file:
                file.write(request.dockerfile.encode())
                file.flush()
                tar.add(file.name, FILE)
