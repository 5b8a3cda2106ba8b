"""`jfsnb build`: from a source tree to an image, on a terminal; no cluster needed."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from jfsnb.builder.plan import BuildPlan
from jfsnb.builder.recipe import BUILD_BASE, Recipe
from jfsnb.checks.building import megabytes
from jfsnb.checks.model import Verdict, overall
from jfsnb.commands.answers import exit_code, print_checks, say, text_table
from jfsnb.driver.images import ImageReference
from jfsnb.errors import UsageError
from jfsnb.notebook.engines import deliverer, engines
from jfsnb.run import building


def from_options(
    options: Mapping[str, Any],
    engine: str,
    bases: Sequence[str],
    to: str,
    dockerfile: str | None,
    outputs: Path,
    strict: bool,
    quiet: bool,
) -> int:
    """Carry out the command.

    Args:
        options: of the plan and its recipe.
        dockerfile: None builds; empty only prints the Dockerfile; else the file to keep it in.

    Raises:
        UsageError: an option that is missing or cannot be used.
    """
    arguments = pairs(options["arguments"], "--build-arg")
    recipe = Recipe(
        way=options["way"],
        build_base=options["build_base"] or BUILD_BASE,
        run_base=options["run_base"],
        target=options["target"],
        tls=options["tls"],
        binary=options["binary"],
        arguments=tuple(arguments),
    )
    if dockerfile is not None:
        show_dockerfile(recipe, dockerfile)
        return 0
    if not options["source"] or not options["tag"]:
        raise UsageError(
            "nothing to build", "give --source (a JuiceFS checkout or git URL) and --tag (the image's name)"
        )
    ImageReference.parse(options["tag"])
    plan = BuildPlan(
        options["source"],
        options["tag"],
        recipe,
        arguments,
        network=options["network"],
        platform=options["platform"],
        fresh=options["no_cache"],
        pull=options["pull"],
    )
    files = {name: Path(path) for name, path in pairs(bases, "--base").items()}
    return build(plan, engine, files, to, outputs, strict, quiet)


def build(
    plan: BuildPlan, engine: str, bases: dict[str, Path], to: str, outputs: Path, strict: bool, quiet: bool
) -> int:
    """Look, build, look at the image, deliver it; the exit code is the worst verdict's.

    Args:
        engine: docker, podman, buildah or daemonless; empty: the first that answers.
        bases: base images for jfsnb's own builder.
        to: where the image goes; empty: nowhere.
        outputs: where the build is remembered for a later run.
        quiet: only the steps, not what they write.

    Raises:
        BuildFailed: a step failed. CheckFailed: the preflight found that it would. UsageError: it cannot be tried.
    """
    chosen = engines(engine, bases)[0]
    deliver = deliverer(to, chosen, say)
    teller = _Teller(quiet)
    with plan.tree(say) as tree:
        seen = building.look(plan, tree, chosen)
        say(text_table(seen.rows))
        print_checks(seen.checks)
        seen.require()
        say(f"\n$ {seen.command}")
        made = building.make(plan, tree, chosen, teller.line, teller.step, deliver)
        building.keep_record(outputs, made.facts, chosen.title, tree.commit)
    facts = made.facts
    say("")
    print_checks(made.checks)
    say(f"\n{facts.reference}  {facts.id}  {facts.platform}  {megabytes(facts.size)}")
    say(f"client {facts.version}  sha256:{facts.client_sha256}")
    if layers := [{**row, "size": megabytes(int(str(row["size"])))} for row in facts.layers]:
        say(text_table(layers))
    for line in filter(None, (made.where, chosen.note)):
        say(line)
    verdict = overall(c.verdict for c in (*seen.checks, *made.checks))
    say(f"{verdict} after {sum(entry.seconds for entry in made.timeline.entries):.1f} s")
    return exit_code(Verdict(verdict), strict)


def show_dockerfile(recipe: Recipe, keep: str) -> None:
    """Print the Dockerfile, or keep it as a file (with its .dockerignore beside it, as BuildKit reads it)."""
    if not keep:
        click.echo(recipe.dockerfile(), nl=False)
        return
    Path(keep).write_text(recipe.dockerfile(), encoding="utf-8")
    Path(f"{keep}.dockerignore").write_text(recipe.dockerignore(), encoding="utf-8")
    say(f"written: {keep} and {keep}.dockerignore")


def pairs(words: Sequence[str], what: str) -> dict[str, str]:
    """``NAME=VALUE`` words as a mapping. Raises UsageError."""
    for word in words:
        if "=" not in word:
            raise UsageError(f"{what} {word!r} has no value", f"write {what} NAME=VALUE")
    return dict(word.partition("=")[::2] for word in words)


class _Teller:
    """Says each step with the time it began, and what it writes below it."""

    def __init__(self, quiet: bool) -> None:
        self._quiet, self._begun = quiet, time.monotonic()
        self._colour = sys.stdout.isatty()

    def step(self, text: str) -> None:
        line = f"{time.monotonic() - self._begun:6.1f} s  {text}"
        click.echo(click.style(line, bold=True) if self._colour else line)

    def line(self, text: str) -> None:
        if not self._quiet and text.strip():
            say(f"          {text}")
