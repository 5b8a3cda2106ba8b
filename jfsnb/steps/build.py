"""Step 2: the image under test, built from the article's two-stage Dockerfile where a Docker engine answers."""

from __future__ import annotations

from jfsnb.steps.results import Build, Dockerfile
from jfsnb.steps.run import Run

BUILD_BASE = "xxx/juicedata/build-base:with-tls"
RUN_BASE = "xxx/juicedata/run-base:latest"


def dockerfile(run: Run, build_base: str = BUILD_BASE, run_base: str = RUN_BASE) -> Dockerfile:
    """The article's Dockerfile with its base images filled in."""
    raise NotImplementedError


def build(run: Run, context: str = "", build_base: str = BUILD_BASE, run_base: str = RUN_BASE) -> Build:
    """Build the image when a Docker engine answers and a source tree is given; else go on with the given image.

    Args:
        context: directory with the JuiceFS source; empty: nothing to build from.

    Raises:
        CheckFailed: the build failed.
    """
    raise NotImplementedError
