"""Looking before a build, building, and looking at what came out; needs no cluster."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from jfsnb.builder import facts as image_facts
from jfsnb.builder.engine import Engine
from jfsnb.builder.facts import ImageFacts
from jfsnb.builder.ignore import Ignore
from jfsnb.builder.plan import BuildPlan
from jfsnb.builder.process import Say
from jfsnb.builder.progress import StepReader
from jfsnb.builder.source import SourceTree, weigh
from jfsnb.checks import building
from jfsnb.checks.client import honest_tag
from jfsnb.checks.codes import Unreadable
from jfsnb.checks.model import CheckResult, Verdict
from jfsnb.errors import CheckFailed
from jfsnb.queries.model import Table, Timeline
from jfsnb.redact import redact

#: Takes a built image to where it is needed: its facts, archive and client binary; says where it is, and its digest.
Deliver = Callable[[ImageFacts, Path, Path], tuple[str, str]]
DAEMONLESS = "daemonless"
KEPT_LINES = 400
_SAID = re.compile(r"juicefs version \d\S*.*")
IN_IMAGE, IN_BUILD = "asked in the image", "told by the build's last step"


@dataclass(frozen=True)
class Look:
    """What was seen before a build.

    Args:
        rows: columns what, value.
        checks: what was judged.
        command: what a person would type.
    """

    rows: Table
    checks: tuple[CheckResult, ...]
    command: str

    def require(self) -> None:
        """Raises CheckFailed when building makes no sense."""
        bad = building.blocking(self.checks)
        if bad is not None:
            raise CheckFailed(f"{bad.title}? {bad.reason}", bad.next_action)


@dataclass(frozen=True)
class Made:
    """What came out of a build.

    Args:
        facts: about the image.
        checks: what was judged.
        output: the engine's lines, at most the last 400.
        steps: of the Dockerfile, as they were begun.
        where: where the image is now.
        timeline: what took how long.
    """

    facts: ImageFacts
    checks: tuple[CheckResult, ...]
    output: tuple[str, ...]
    steps: tuple[str, ...]
    where: str
    timeline: Timeline


def look(plan: BuildPlan, tree: SourceTree, engine: Engine, nodes: Collection[str] = ()) -> Look:
    """Everything that can be known before a long build.

    Args:
        nodes: platforms of the cluster's nodes (``linux/amd64``); empty when no cluster was asked.
    """
    request = plan.request(tree)
    sent = weigh(tree.path, Ignore.parse(request.ignore))
    has_binary = (tree.path / plan.recipe.binary).is_file()
    present = {name: engine.has(name) for name in plan.recipe.bases}
    checks = (
        building.source(tree),
        building.target(tree, plan.recipe, has_binary),
        building.bases(present, can_pull=engine.name != DAEMONLESS),
        building.context(sent, request.own_ignore),
        building.commit(tree, sent, plan.recipe),
        building.platform(plan.platform, nodes),
        building.tag(plan.tag),
    )
    rows = (
        {"what": "source", "value": plan.source},
        {"what": "commit", "value": f"{tree.commit[:12]} of {tree.commit_date}" if tree.commit else ""},
        {"what": "engine", "value": engine.title},
        {"what": "base images", "value": ", ".join(plan.recipe.bases)},
        {"what": "context", "value": f"{building.megabytes(sent.size)} in {sent.files} files"},
        {"what": "image", "value": plan.tag},
    )
    return Look(rows, checks, engine.command(request))


def make(
    plan: BuildPlan,
    tree: SourceTree,
    engine: Engine,
    say: Say,
    step: Say = lambda text: None,
    deliver: Deliver | None = None,
    nodes: Collection[str] = (),
) -> Made:
    """Build, look at the image, and bring it where it is needed.

    Args:
        say: called with each line of the engine.
        step: called with each step that begins.
        deliver: see Deliver; None: it stays where the engine keeps it.

    Raises:
        BuildFailed: with the failed step's own output first. JfsnbError: the image cannot be read or delivered.
    """
    timeline, reader, lines = Timeline(), StepReader(), list[str]()

    def take(line: str) -> None:
        begun = reader.feed(line)
        lines.append(line)
        del lines[:-KEPT_LINES]
        if begun:
            step(str(begun))
        elif not reader.noise:
            say(line)

    with timeline.measure(f"build {plan.tag}"):
        engine.build(plan.request(tree), take)
    with tempfile.TemporaryDirectory(prefix="jfsnb-image-") as folder:
        archive, client = Path(folder) / "image.tar", Path(folder) / "juicefs"
        with timeline.measure("look at the image"):
            step("look at the image")
            engine.save(plan.tag, archive)
            facts = _with_version(image_facts.read(archive, plan.tag, client), engine, lines)
        where = ""
        checks = after(facts, tree, nodes)
        if deliver is not None and building.blocking(checks) is None:
            with timeline.measure("deliver the image"):
                step("deliver the image")
                where, digest = deliver(facts, archive, client)
                facts = replace(facts, digest=digest)
    return Made(facts, checks, tuple(lines), tuple(map(str, reader.steps)), where, timeline)


def after(facts: ImageFacts, tree: SourceTree, nodes: Collection[str]) -> tuple[CheckResult, ...]:
    """The image, inspected."""
    version: str | Unreadable = facts.version or Unreadable("the client could not be asked")
    tag = honest_tag(facts.reference, version)
    return (
        building.contract(facts),
        building.smoke(facts),
        building.starts(facts),
        building.from_commit(facts, tree),
        building.platform(facts.platform, nodes),
        *([tag] if tag.verdict not in (Verdict.NA, Verdict.ERROR) else []),
    )


def keep_record(outputs: Path, facts: ImageFacts, engine: str, commit: str) -> None:
    """Remember what was built, for the run that tests it."""
    path = _record(outputs, facts.reference)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps(redact({**asdict(facts), "engine": engine, "commit": commit}), indent=1), encoding="utf-8"
    )


def record_of(outputs: Path, reference: str) -> dict[str, Any] | None:
    """What is remembered of an image that was built here; None when it was not."""
    try:
        found = json.loads(_record(outputs, reference).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("reference") == reference else None


def _record(outputs: Path, reference: str) -> Path:
    return outputs / "builds" / f"{re.sub(r'[^A-Za-z0-9.-]+', '_', reference)}.json"


def _with_version(facts: ImageFacts, engine: Engine, lines: Sequence[str]) -> ImageFacts:
    """What the client says of itself: asked in the image; where that cannot be run here, as it said in the build."""
    said = (engine.run_client(facts.reference) or "").strip()
    if said:
        return replace(facts, version=said.splitlines()[0], asked=IN_IMAGE)
    found = [match[0] for line in lines if (match := _SAID.search(line))]
    return replace(facts, version=found[-1], asked=IN_BUILD) if found else facts
