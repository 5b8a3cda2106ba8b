"""Step 2: the image under test, built from the article's two-stage Dockerfile where a Docker engine answers."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

from jfsnb.errors import CheckFailed, UsageError
from jfsnb.kube.redact import redact_text
from jfsnb.steps.model import Timeline
from jfsnb.steps.results import Build, Dockerfile
from jfsnb.steps.run import Run, part

BUILD_BASE = "xxx/juicedata/build-base:with-tls"
RUN_BASE = "xxx/juicedata/run-base:latest"
TEXT = """\
FROM {build_base} AS builder
WORKDIR /build
COPY . .
RUN cp -r /assets/tls ./tls
RUN make juicefs.linux

FROM {run_base}
COPY --from=builder /build/juicefs /usr/local/bin/
RUN rm -rf /bin/mount.juicefs && ln -s /usr/local/bin/juicefs /bin/mount.juicefs && /usr/local/bin/juicefs --version
"""
ANSWER_SECONDS = 10
BUILD_SECONDS = 1800
KEPT_LINES = 200


@part(Dockerfile)
def dockerfile(run: Run, build_base: str = BUILD_BASE, run_base: str = RUN_BASE) -> Dockerfile:
    """The article's Dockerfile with its base images filled in."""
    return run.finish(Dockerfile(text=_text(build_base, run_base), build_base=build_base, run_base=run_base))


def _text(build_base: str, run_base: str) -> str:
    return TEXT.format(build_base=build_base, run_base=run_base)


@part(Build)
def build(run: Run, context: str = "", build_base: str = BUILD_BASE, run_base: str = RUN_BASE) -> Build:
    """Build the image when a Docker engine answers and a source tree is given; else go on with the given image.

    Args:
        context: directory with the JuiceFS source; empty: nothing to build from.

    Raises:
        CheckFailed: the build failed. UsageError: ``context`` is no directory.
    """
    timeline, image = Timeline(), run.settings.image
    with timeline.measure("ask for a Docker engine"):
        engine = docker_engine()
    command = ["docker", "build", "-t", image, "-f", "mount.Dockerfile", context or "."]
    base = Build(engine=engine, image=image, command=" ".join(command))
    if not engine or not context:
        why = "no Docker engine answers" if not engine else "no source tree was given"
        run.tell("note", f"{why}; the run goes on with {image}")
        return run.finish(replace(base, timeline=tuple(timeline.entries)))
    if not Path(context).is_dir():
        raise UsageError(f"{context} is no directory", "set context to a JuiceFS source tree, or leave it empty")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mount.Dockerfile"
        file.write_text(_text(build_base, run_base), encoding="utf-8")
        command[command.index("-f") + 1] = str(file)
        with timeline.measure(f"docker build {image}"):
            code, lines = _run(run, command)
    if code != 0:
        last = lines[-1] if lines else "no output"
        raise CheckFailed(f"docker build ended with exit code {code}: {last}", "read its output, correct the source")
    return run.finish(replace(base, built=True, output=tuple(lines[-KEPT_LINES:]), timeline=tuple(timeline.entries)))


def docker_engine() -> str:
    """Name and version of the Docker engine that answers; empty when none does."""
    if shutil.which("docker") is None:
        return ""
    command = ["docker", "version", "--format", "{{.Server.Version}}"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    version = answer.stdout.strip()
    return f"Docker {version}" if answer.returncode == 0 and version else ""


def _run(run: Run, command: list[str]) -> tuple[int, list[str]]:
    """Run a build; each line is told as it comes."""
    lines: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        try:
            for raw in process.stdout:
                lines.append(redact_text(raw.rstrip()))
                run.tell("log", lines[-1], "docker build")
            return process.wait(BUILD_SECONDS), lines
        except BaseException:
            process.kill()
            raise
