"""Step 2: the image under test: built from source, built before, or given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from jfsnb.builder.engine import BuildFailed, Engine
from jfsnb.builder.plan import BuildPlan
from jfsnb.builder.recipe import Recipe
from jfsnb.builder.source import SourceTree
from jfsnb.errors import JfsnbError, UsageError
from jfsnb.run.building import Deliver, Made, keep_record, look, make, record_of
from jfsnb.run.results import Build, BuildPreflight, Dockerfile
from jfsnb.run.state import Run, part


@part(Dockerfile)
def dockerfile(run: Run, recipe: Recipe | None = None) -> Dockerfile:
    """The Dockerfile of a recipe; the article's when none is given."""
    recipe = recipe or Recipe()
    return run.finish(
        Dockerfile(
            text=recipe.dockerfile(),
            build_base=recipe.build_base,
            run_base=recipe.run_base,
            ignore=recipe.dockerignore(),
        )
    )


@part(BuildPreflight)
def preflight(run: Run, plan: BuildPlan, engines: Sequence[Engine]) -> BuildPreflight:
    """Look before a long build; without a source there is nothing to look at.

    Raises:
        UsageError: the source is no directory, or there is no engine.
    """
    if not plan.source:
        return run.finish(BuildPreflight(engines=_titles(engines)))
    with plan.tree(lambda line: run.tell("note", line)) as tree:
        found = look(plan, tree, _first(engines), node_platforms(run))
    return run.finish(
        BuildPreflight(engines=_titles(engines), facts=found.rows, command=found.command, checks=found.checks)
    )


@part(Build)
def build(run: Run, plan: BuildPlan, engines: Sequence[Engine], deliver: Deliver | None = None) -> Build:
    """Build the image under test; without a source, go on with the one that was given (and perhaps built before).

    Raises:
        CheckFailed: the preflight or the build failed. UsageError: the plan cannot be carried out.
    """
    if not plan.source:
        return run.finish(_given(run, plan))
    engine = _first(engines)
    with plan.tree(lambda line: run.tell("note", line)) as tree:
        seen = look(plan, tree, engine, node_platforms(run))
        seen.require()
        base = Build(engine=engine.title, image=plan.tag, command=seen.command, note=engine.note)
        try:
            made = make(
                plan,
                tree,
                engine,
                say=lambda line: run.tell("log", line, "build"),
                step=lambda text: run.tell("wait", text),
                deliver=deliver,
                nodes=node_platforms(run),
            )
        except BuildFailed as failure:
            run.finish(replace(base, output=failure.output))
            raise
    keep_record(run.settings.outputs, made.facts, engine.title, tree.commit)
    return run.finish(_built(base, made, tree))


def node_platforms(run: Run) -> tuple[str, ...]:
    """``linux/amd64`` … of the cluster's nodes; empty when they cannot be read."""
    try:
        infos = [(node.get("status") or {}).get("nodeInfo") or {} for node in run.cluster.list("nodes")]
    except JfsnbError:
        return ()
    found = {f"{i.get('operatingSystem', 'linux')}/{i['architecture']}" for i in infos if i.get("architecture")}
    return tuple(sorted(found))


def _given(run: Run, plan: BuildPlan) -> Build:
    image = run.settings.image
    known = record_of(run.settings.outputs, image)
    if known is None:
        run.tell("note", f"no source tree was given; the run goes on with {image}")
        return Build(image=image)
    run.tell("note", f"{image} was built here before")
    return Build(
        engine=known["engine"],
        image=image,
        built=True,
        built_before=True,
        image_id=known["id"],
        digest=known["digest"],
        client_sha256=known["client_sha256"],
        client_version=known["version"],
        commit=known["commit"],
        platform=known["platform"],
        size=known["size"],
    )


def _built(base: Build, made: Made, tree: SourceTree) -> Build:
    facts = made.facts
    return replace(
        base,
        built=True,
        output=made.output,
        steps=made.steps,
        image_id=facts.id,
        digest=facts.digest,
        client_sha256=facts.client_sha256,
        client_version=facts.version,
        commit=tree.commit,
        platform=facts.platform,
        size=facts.size,
        layers=tuple(dict(layer) for layer in facts.layers),
        labels=tuple({"label": k, "value": v} for k, v in facts.labels.items()),
        where=made.where,
        checks=made.checks,
        timeline=tuple(made.timeline.entries),
    )


def _first(engines: Sequence[Engine]) -> Engine:
    if not engines:
        raise UsageError("nothing here can build an image", "install Docker, podman or buildah")
    return engines[0]


def _titles(engines: Sequence[Engine]) -> tuple[str, ...]:
    return tuple(engine.title for engine in engines)
