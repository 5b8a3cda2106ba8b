"""Building from a notebook: the plan, and the steps with the engines and the sandbox of this machine."""

from __future__ import annotations

from typing import Any

from jfsnb.builder.plan import BuildPlan
from jfsnb.builder.recipe import BUILD_BASE, TWO_STAGE, Recipe
from jfsnb.notebook import engines
from jfsnb.run import build as steps
from jfsnb.run.state import Run


def plan(
    run: Run,
    source: str = "",
    way: str = TWO_STAGE,
    target: str = "juicefs.linux",
    build_base: str = "",
    run_base: str = "",
    tls: str = "/assets/tls",
    **more: Any,
) -> BuildPlan:
    """What to build; the image's name is the run's ``image``.

    Args:
        source: a JuiceFS checkout, or a git URL (``URL#branch``); empty: nothing is built.
        way, target, build_base, run_base, tls: see `jfsnb.builder.recipe.Recipe`; empty base images are the article's.
        more: network, platform, fresh, pull of `jfsnb.builder.plan.BuildPlan`.

    Raises:
        UsageError: a value that cannot be used.
    """
    recipe = Recipe(way, build_base or BUILD_BASE, run_base, target, tls)
    return BuildPlan(source, run.settings.image, recipe, **more)


def dockerfile(run: Run, planned: BuildPlan | None = None) -> Any:
    """The Dockerfile of a plan."""
    return steps.dockerfile(run, (planned or plan(run)).recipe)


def preflight(run: Run, planned: BuildPlan, engine: str = "") -> Any:
    """What can be known before a long build."""
    return steps.preflight(run, planned, engines.engines(engine))


def build(run: Run, planned: BuildPlan | None = None, engine: str = "", to: str = "") -> Any:
    """Build, and bring the image where it is needed; without a source, go on with the image that was given.

    Args:
        planned: from ``plan``.
        engine: docker, podman, buildah or daemonless; empty: the first that answers.
        to: sandbox (its client), sandbox:whole, registry, kind, minikube, k3d, containerd, archive:PATH; empty: the
            sandbox in a sandbox, else nowhere.
    """
    planned = planned or plan(run)
    found = engines.engines(engine) if planned.source else []
    to = to or ("sandbox" if run.cluster.is_sandbox else "")
    deliver = engines.deliverer(to, found[0], lambda line: run.tell("log", line, to)) if found else None
    return steps.build(run, planned, found, deliver)
